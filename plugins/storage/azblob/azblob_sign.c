/* The signature "Shared Key". */
#include "azblob.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* Standard headers in the order in which they are signed; a value that is not set is an empty line. */
static const char *const signed_headers[] = {
    "Content-Encoding",  "Content-Language", "Content-Length", "Content-MD5",         "Content-Type", "Date",
    "If-Modified-Since", "If-Match",         "If-None-Match",  "If-Unmodified-Since", "Range",
};

static const char *value_of(const struct azblob_message *m, const char *name)
{
    for (size_t i = 0; i < m->header_n; i++)
        if (strcmp(m->headers[i].name, name) == 0)
            return m->headers[i].value;
    return "";
}

/* The rows in order of their names: there are few. */
static void sort(const struct azblob_pair *from, size_t n, const struct azblob_pair *to[AZBLOB_MAX_PAIRS])
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        for (; at && strcmp(to[at - 1]->name, from[i].name) > 0; at--)
            to[at] = to[at - 1];
        to[at] = &from[i];
    }
}

void azblob_string_to_sign(struct cloud_text *out, const char *account, const struct azblob_message *m)
{
    const struct azblob_pair *sorted[AZBLOB_MAX_PAIRS];
    cloud_printf(out, "%s\n", m->method);
    for (size_t i = 0; i < sizeof(signed_headers) / sizeof(signed_headers[0]); i++) {
        if (strcmp(signed_headers[i], "Content-Length") != 0)
            cloud_puts(out, value_of(m, signed_headers[i]));
        else if (m->content_length)
            cloud_printf(out, "%" PRIu64, m->content_length);
        cloud_puts(out, "\n");
    }
    sort(m->headers, m->header_n, sorted);
    for (size_t i = 0; i < m->header_n; i++)
        if (strncmp(sorted[i]->name, "x-ms-", 5) == 0)
            cloud_printf(out, "%s:%s\n", sorted[i]->name, sorted[i]->value);
    cloud_printf(out, "/%s%s", account, m->path);
    sort(m->query, m->query_n, sorted);
    for (size_t i = 0; i < m->query_n; i++)
        cloud_printf(out, "\n%s:%s", sorted[i]->name, sorted[i]->value);
}

bool azblob_shared_key(struct cloud_text *out, const char *account, const char *key, const struct azblob_message *m)
{
    uint8_t secret[AZBLOB_MAX_KEY], mac[CLOUD_SHA256];
    struct cloud_text text = {0};
    int64_t n = cloud_read_base64(key, secret, sizeof(secret));
    azblob_string_to_sign(&text, account, m);
    bool good = n > 0 && !text.failed && cloud_hmac_sha256(td_bytes(secret, (size_t)n), td_bytes(text.p, text.n), mac);
    if (good) {
        cloud_printf(out, "SharedKey %s:", account);
        cloud_put_base64(out, mac, sizeof(mac));
    }
    explicit_bzero(secret, sizeof(secret));
    cloud_text_clear(&text);
    return good;
}

void azblob_http_date(int64_t time_ns, char ret[32])
{
    /* strftime() would speak the locale's language. */
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(time_ns / AZBLOB_NS);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    snprintf(ret, 32, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
