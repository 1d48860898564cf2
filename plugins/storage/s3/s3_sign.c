/* Signature Version 4. */
#include "s3_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
enum { OWN_HEADERS = 4, MAX_SIGNED = CLOUD_MAX_HEADERS + OWN_HEADERS };

void s3_signature_clear(struct s3_signature *s)
{
    cloud_text_clear(&s->canonical);
    cloud_text_clear(&s->to_sign);
    cloud_text_clear(&s->authorization);
    cloud_text_clear(&s->token);
}

/* ---- The path ---- */

/* Without empty parts and dots (RFC 3986 section 5.2.4); a slash at the end stays. */
static void put_normalized(struct cloud_text *t, const char *path)
{
    size_t begin = t->n;
    for (const char *at = path; *at;) {
        at += strspn(at, "/");
        size_t n = strcspn(at, "/");
        bool is_up = n == 2 && memcmp(at, "..", 2) == 0, is_dot = n == 1 && *at == '.';
        if (is_up)
            while (t->n > begin && t->p[--t->n] != '/')
                ;
        else if (n && !is_dot) {
            cloud_put(t, "/", 1);
            cloud_put(t, at, n);
        }
        at += n;
        if (!at[strspn(at, "/")] && (*at || is_up || is_dot)) {
            cloud_put(t, "/", 1);
            break;
        }
    }
    if (t->n == begin)
        cloud_put(t, "/", 1);
}

/* ---- The query ---- */

void s3_put_query(struct cloud_text *t, const struct s3_parameter *parameters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            cloud_put(t, "&", 1);
        cloud_put_encoded(t, parameters[i].name, false);
        cloud_put(t, "=", 1);
        cloud_put_encoded(t, parameters[i].value, false);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of the encoded names, then values. */
static int put_sorted_query(struct cloud_text *t, const struct s3_parameter *parameters, size_t n)
{
    struct cloud_text pairs[S3_MAX_PARAMETERS] = {0};
    const char *sorted[S3_MAX_PARAMETERS];
    int status = TD_OK;
    if (n > S3_MAX_PARAMETERS)
        return TD_E_LIMIT;
    for (size_t i = 0; i < n; i++) {
        /* A character below all of a name's instead of the equals sign, so that a name goes before a longer one. */
        cloud_put_encoded(&pairs[i], parameters[i].name, false);
        cloud_put(&pairs[i], "\1", 1);
        cloud_put_encoded(&pairs[i], parameters[i].value, false);
        sorted[i] = cloud_cstr(&pairs[i]);
        if (pairs[i].failed)
            status = TD_E_NOMEM;
    }
    if (n)
        qsort(sorted, n, sizeof(sorted[0]), by_text);
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        size_t name = strcspn(sorted[i], "\1");
        cloud_put(t, "&", i ? 1 : 0);
        cloud_put(t, sorted[i], name);
        cloud_put(t, "=", 1);
        cloud_puts(t, sorted[i] + name + 1);
    }
    for (size_t i = 0; i < n; i++)
        cloud_text_clear(&pairs[i]);
    return status;
}

/* ---- Headers ---- */

struct header {
    char name[S3_MAX_NAME]; /* in lower case */
    const char *value;
    size_t order; /* as given: values of one name keep it */
};

struct headers {
    struct header v[MAX_SIGNED];
    size_t n;
};

static bool add_header(struct headers *h, const char *name, size_t n, const char *value)
{
    struct header *added = &h->v[h->n];
    if (h->n == MAX_SIGNED || !n || n >= S3_MAX_NAME)
        return false;
    for (size_t i = 0; i < n; i++)
        added->name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    added->name[n] = 0;
    added->value = value;
    added->order = h->n++;
    return true;
}

static bool add_line(struct headers *h, const char *line)
{
    size_t n = strcspn(line, ":");
    return line[n] && add_header(h, line, n, line + n + 1);
}

static int by_name(const void *a, const void *b)
{
    const struct header *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* Without space around it, and with one space for several within. */
static void put_value(struct cloud_text *t, const char *value)
{
    static const char space[] = " \t\r\n";
    for (value += strspn(value, space); *value;) {
        size_t n = strcspn(value, space);
        cloud_put(t, value, n);
        value += n;
        value += strspn(value, space);
        cloud_put(t, " ", *value ? 1 : 0);
    }
}

static void put_headers(struct cloud_text *t, const struct headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        bool again = i && strcmp(h->v[i].name, h->v[i - 1].name) == 0;
        if (!again) {
            cloud_puts(t, i ? "\n" : "");
            cloud_puts(t, h->v[i].name);
        }
        cloud_put(t, again ? "," : ":", 1);
        put_value(t, h->v[i].value);
    }
    cloud_put(t, "\n", 1);
}

static void put_header_names(struct cloud_text *t, const struct headers *h)
{
    for (size_t i = 0; i < h->n; i++) {
        if (i && strcmp(h->v[i].name, h->v[i - 1].name) == 0)
            continue;
        cloud_puts(t, i ? ";" : "");
        cloud_puts(t, h->v[i].name);
    }
}

/* The request's own and those that signing adds, in the order in which they are signed. */
static int collect_headers(const struct s3_signing *s, const struct s3_signature *made, struct headers *h)
{
    bool fits = add_header(h, "host", 4, s->host) && add_line(h, made->date);
    if (fits && s->sends_payload_header)
        fits = add_line(h, made->payload);
    if (fits && made->token.n && !s->token_unsigned)
        fits = add_line(h, made->token.p);
    for (size_t i = 0; i < s->header_n && fits; i++)
        fits = add_line(h, s->headers[i]);
    qsort(h->v, h->n, sizeof(h->v[0]), by_name);
    return fits ? TD_OK : TD_E_LIMIT;
}

/* ---- The signature ---- */

static bool put_canonical(const struct s3_signing *s, const struct headers *h, struct cloud_text *t, int *ret_status)
{
    cloud_printf(t, "%s\n", s->method);
    if (s->normalize)
        put_normalized(t, s->path);
    else
        cloud_puts(t, s->path);
    cloud_put(t, "\n", 1);
    *ret_status = put_sorted_query(t, s->parameters, s->parameter_n);
    cloud_put(t, "\n", 1);
    put_headers(t, h);
    cloud_put(t, "\n", 1);
    put_header_names(t, h);
    cloud_printf(t, "\n%s", s->payload_sha256);
    return *ret_status == TD_OK && !t->failed;
}

/* The key of a day, a region and a service. */
static bool derive(const struct s3_signing *s, const char *day, uint8_t ret[CLOUD_SHA256])
{
    char secret[sizeof("AWS4") + S3_MAX_SECRET];
    snprintf(secret, sizeof(secret), "AWS4%s", s->keys->secret_key);
    bool good = cloud_hmac_sha256(td_str(secret), td_bytes(day, 8), ret) &&
                cloud_hmac_sha256(td_bytes(ret, CLOUD_SHA256), td_str(s->region), ret) &&
                cloud_hmac_sha256(td_bytes(ret, CLOUD_SHA256), td_str(s->service), ret) &&
                cloud_hmac_sha256(td_bytes(ret, CLOUD_SHA256), TD_LIT("aws4_request"), ret);
    explicit_bzero(secret, sizeof(secret));
    return good;
}

static bool put_authorization(const struct s3_signing *s, const struct headers *h, const char *date, struct s3_signature *ret)
{
    uint8_t sum[CLOUD_SHA256], key[CLOUD_SHA256];
    struct cloud_text *t = &ret->to_sign, *a = &ret->authorization;
    if (!cloud_sha256(td_bytes(ret->canonical.p, ret->canonical.n), sum))
        return false;
    cloud_printf(t, ALGORITHM "\n%s\n%.8s/%s/%s/aws4_request\n", date, date, s->region, s->service);
    cloud_put_hex(t, sum, sizeof(sum));
    bool good = !t->failed && derive(s, date, key) && cloud_hmac_sha256(td_bytes(key, sizeof(key)), td_bytes(t->p, t->n), sum);
    explicit_bzero(key, sizeof(key));
    cloud_printf(a, "Authorization: " ALGORITHM " Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=", s->keys->access_key, date,
                 s->region, s->service);
    put_header_names(a, h);
    cloud_puts(a, ", Signature=");
    cloud_put_hex(a, sum, sizeof(sum));
    return good && !a->failed;
}

int s3_sign(const struct s3_signing *s, struct s3_signature *ret)
{
    char date[S3_DATE];
    struct tm tm;
    time_t seconds = (time_t)(s->time_ns / 1000000000);
    ret->canonical.n = ret->to_sign.n = ret->authorization.n = ret->token.n = 0;
    if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm) != S3_DATE - 1 ||
        strlen(s->payload_sha256) >= S3_HEX_SHA256)
        return TD_E_LIMIT;
    snprintf(ret->date, sizeof(ret->date), "X-Amz-Date: %s", date);
    snprintf(ret->payload, sizeof(ret->payload), "X-Amz-Content-Sha256: %s", s->payload_sha256);
    if (*s->keys->token)
        cloud_printf(&ret->token, "X-Amz-Security-Token: %s", s->keys->token);
    if (ret->token.failed)
        return TD_E_NOMEM;
    struct headers *h = calloc(1, sizeof(*h));
    int status = h ? collect_headers(s, ret, h) : TD_E_NOMEM;
    if (status == TD_OK && put_canonical(s, h, &ret->canonical, &status) && !put_authorization(s, h, date, ret))
        status = TD_E_NOMEM;
    if (status == TD_OK && ret->canonical.failed)
        status = TD_E_NOMEM;
    free(h);
    return status;
}
