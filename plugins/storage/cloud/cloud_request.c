/* An exchange as libcurl knows it: options and callbacks. */
#include <errno.h>
#include <strings.h>
#include <unistd.h>

#include "cloud_private.h"

/* ---- The request's body ---- */

static size_t read_file(struct cloud_running *r, char *into, size_t n)
{
    const struct cloud_exchange *x = r->x;
    for (;;) {
        ssize_t got = pread(x->fd, into, n, (off_t)(x->offset + r->read_at));
        if (got > 0)
            return (size_t)got;
        if (got < 0 && errno == EINTR)
            continue;
        cloud_set_failure(r->x, TD_E_CORRUPT, "the file that is sent %s",
                          got == 0 ? "became shorter meanwhile" : "cannot be read: look at the system's log");
        return CURL_READFUNC_ABORT;
    }
}

static size_t on_read(char *into, size_t size, size_t count, void *ctx)
{
    struct cloud_running *r = ctx;
    uint64_t left = r->x->body_n - r->read_at;
    size_t n = size * count;
    if (n > left)
        n = (size_t)left;
    if (!n)
        return 0;
    if (r->x->body)
        memcpy(into, (const char *)r->x->body + r->read_at, n);
    else
        n = read_file(r, into, n);
    if (n != CURL_READFUNC_ABORT)
        r->read_at += n;
    return n;
}

/* A kept connection turned out to be closed: libcurl begins again on another one. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct cloud_running *r = ctx;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->x->body_n)
        return CURL_SEEKFUNC_CANTSEEK;
    r->read_at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- The answer ---- */

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    struct cloud_running *r = ctx;
    struct cloud_exchange *x = r->x;
    size_t n = size * count;
    r->heard += n;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        x->head.n = 0; /* what was before was an interim answer */
        r->heard_all = false;
    }
    if (n <= 2)
        r->heard_all = true;
    if (n > CLOUD_MAX_HEAD - x->head.n) {
        cloud_set_failure(x, TD_E_CORRUPT, "the answer has more than %d bytes of header fields", CLOUD_MAX_HEAD);
        return 0;
    }
    cloud_put(&x->head, line, n);
    if (x->head.failed)
        cloud_set_failure(x, TD_E_NOMEM, "out of memory");
    return x->head.failed ? 0 : n;
}

/* What a sink may look at is there before its first byte. */
static void note_head(struct cloud_running *r)
{
    struct cloud_exchange *x = r->x;
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(r->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    x->status = (unsigned)status;
    x->length = length;
}

static bool give_sink(struct cloud_exchange *x, const char *bytes, size_t n)
{
    if (x->sink_max && n > x->sink_max - x->received) {
        cloud_set_failure(x, TD_E_CORRUPT, "more than the %llu bytes came that were asked for", (unsigned long long)x->sink_max);
        return false;
    }
    x->received += n;
    x->stopped = x->sink(x->ctx, td_bytes(bytes, n));
    return x->stopped == 0;
}

static bool keep(struct cloud_exchange *x, const char *bytes, size_t n)
{
    if (n > CLOUD_MAX_ANSWER - x->answer.n) {
        cloud_set_failure(x, TD_E_CORRUPT, "the answer is longer than %d bytes", CLOUD_MAX_ANSWER);
        return false;
    }
    x->received += n;
    cloud_put(&x->answer, bytes, n);
    if (x->answer.failed)
        cloud_set_failure(x, TD_E_NOMEM, "out of memory");
    return !x->answer.failed;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
    struct cloud_running *r = ctx;
    struct cloud_exchange *x = r->x;
    size_t n = size * count;
    if (!x->status)
        note_head(r);
    bool good = x->sink && x->status >= 200 && x->status < 300 ? give_sink(x, bytes, n) : keep(x, bytes, n);
    return good ? n : 0;
}

/* ---- Options ---- */

#define SET(r, option, value)                                        \
    do {                                                             \
        CURLcode code_ = curl_easy_setopt((r)->easy, option, value); \
        if (code_ != CURLE_OK && !(r)->set_failed)                   \
            (r)->set_failed = (int)code_;                            \
    } while (0)

static void describe_network(struct cloud_running *r)
{
    const struct cloud_http *h = r->http;
    SET(r, CURLOPT_NOSIGNAL, 1L);
    SET(r, CURLOPT_QUICK_EXIT, 1L); /* a name that is looked up does not hold up the end */
    SET(r, CURLOPT_PROTOCOLS_STR, "http,https");
    /* Parts that are sent side by side are to have connections side by side. */
    SET(r, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(r, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(r, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(r, CURLOPT_CONNECTTIMEOUT_MS, (long)((h->connect_ns + 999999) / 1000000));
    SET(r, CURLOPT_BUFFERSIZE, (long)CLOUD_SEND_BYTES);
    SET(r, CURLOPT_UPLOAD_BUFFERSIZE, (long)CLOUD_SEND_BYTES);
    SET(r, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (h->ca_file) {
        SET(r, CURLOPT_CAINFO, h->ca_file);
        SET(r, CURLOPT_CAPATH, NULL); /* or the system's would be trusted as well */
    }
    if (!h->proxy) {
        SET(r, CURLOPT_PROXY, "");
    } else if (strcmp(h->proxy, "env") != 0) {
        SET(r, CURLOPT_PROXY, h->proxy);
        SET(r, CURLOPT_NOPROXY, ""); /* the environment's is for the environment's proxy */
    }
    if (h->agent)
        SET(r, CURLOPT_USERAGENT, h->agent);
}

static bool add_header(struct cloud_running *r, const char *line)
{
    struct curl_slist *grown = curl_slist_append(r->headers, line);
    if (grown)
        r->headers = grown;
    return grown != NULL;
}

static int describe_headers(struct cloud_running *r)
{
    const struct cloud_exchange *x = r->x;
    bool good = add_header(r, "Expect:") && add_header(r, "Accept:"); /* libcurl's own are not wanted */
    for (size_t i = 0; i < x->header_n && good; i++) {
        const char *line = x->headers[i];
        size_t n = strnlen(line, CLOUD_MAX_HEADER), name = strcspn(line, ":");
        if (n == CLOUD_MAX_HEADER || !line[name] || strpbrk(line, "\r\n"))
            return CURLE_BAD_FUNCTION_ARGUMENT;
        /* libcurl would take "Name:" for the wish to leave it out. */
        bool is_empty = !line[name + 1 + strspn(line + name + 1, " ")];
        char empty[256];
        if (is_empty && name >= sizeof(empty) - 1)
            return CURLE_BAD_FUNCTION_ARGUMENT;
        if (is_empty) {
            memcpy(empty, line, name);
            memcpy(empty + name, ";", 2);
            line = empty;
        }
        good = add_header(r, line);
    }
    SET(r, CURLOPT_HTTPHEADER, r->headers);
    return good ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

static void describe_request(struct cloud_running *r)
{
    const struct cloud_exchange *x = r->x;
    SET(r, CURLOPT_URL, x->url);
    SET(r, CURLOPT_PATH_AS_IS, 1L); /* the path is signed as it stands */
    if (strcmp(x->method, "HEAD") == 0) {
        SET(r, CURLOPT_NOBODY, 1L);
        return;
    }
    if (x->body_n || x->sends_body) {
        SET(r, CURLOPT_UPLOAD, 1L);
        SET(r, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->body_n);
        SET(r, CURLOPT_READFUNCTION, on_read);
        SET(r, CURLOPT_READDATA, r);
        SET(r, CURLOPT_SEEKFUNCTION, on_seek);
        SET(r, CURLOPT_SEEKDATA, r);
    }
    SET(r, CURLOPT_CUSTOMREQUEST, x->method);
}

int cloud_describe(struct cloud_running *r)
{
    if (strnlen(r->x->url, CLOUD_MAX_URL + 1) > CLOUD_MAX_URL || r->x->header_n > CLOUD_MAX_HEADERS)
        return CURLE_URL_MALFORMAT;
    r->set_failed = 0;
    r->why[0] = 0;
    SET(r, CURLOPT_ERRORBUFFER, r->why);
    SET(r, CURLOPT_PRIVATE, r);
    SET(r, CURLOPT_HEADERFUNCTION, on_header);
    SET(r, CURLOPT_HEADERDATA, r);
    SET(r, CURLOPT_WRITEFUNCTION, on_write);
    SET(r, CURLOPT_WRITEDATA, r);
    describe_network(r);
    describe_request(r);
    int code = describe_headers(r);
    return code != CURLE_OK ? code : r->set_failed;
}
