/* HTTP exchanges with a cloud, on libcurl: what the storage backends s3 and azblob have in common. This folder is no plugin of its own: the
 * Makefiles of both compile its files into theirs.
 *
 * An exchange is described, started and waited for. One thread may have several on the way at once (parts of an upload); threads do not
 * disturb each other, they share kept connections only through cloud_http_take(). Nothing is tried again here: every failure is classified
 * once, by cloud_classify(), and goes to the core, which decides (sdk/include/tapedeck/plugin.h, storage). */
#ifndef CLOUD_HTTP_H
#define CLOUD_HTTP_H

#include <tapedeck/plugin.h>

enum {
    CLOUD_MAX_URL = 8 << 10,
    CLOUD_MAX_HEADERS = 32,
    CLOUD_MAX_HEADER = 32 << 10,  /* bytes of a header's line that we send */
    CLOUD_MAX_HEAD = 64 << 10,    /* bytes of header fields in an answer; more are TD_E_CORRUPT */
    CLOUD_MAX_ANSWER = 16 << 20,  /* bytes of a body that is kept: lists and errors */
    CLOUD_SEND_BYTES = 256 << 10, /* read from a file at a time */
    CLOUD_LEAST_BYTES = 64 << 10, /* that move in ten idle times */
};

/* Text or bytes that grow; `failed` stays set once there was no memory, so that it need be looked at only once. What is freed of them is
 * wiped: some hold secrets. */
struct cloud_text {
    char *p; /* zero-terminated when n > 0 or after cloud_cstr() */
    size_t n, room;
    bool failed;
};
void cloud_text_clear(struct cloud_text *);
void cloud_put(struct cloud_text *, const char *bytes, size_t n);
void cloud_puts(struct cloud_text *, const char *text);
void cloud_printf(struct cloud_text *, const char *fmt, ...) TD_PRINTF(2, 3);
/* Percent-encoded but for unreserved characters (RFC 3986 section 2.3); `keep_slash`: for paths. */
void cloud_put_encoded(struct cloud_text *, const char *text, bool keep_slash);
const char *cloud_cstr(struct cloud_text *); /* "" if it is empty */

struct cloud_http; /* of an instance of a plugin */

struct cloud_http_options {
    struct td_inst *inst;
    const struct td_host *host;
    const char *ca_file; /* PEM; NULL: the system's CAs */
    const char *proxy;   /* URL; NULL: none, "env": what the environment says */
    /* idle: without a byte in either direction. 0: 10 s, 30 s. Ten times as long may pass with less than CLOUD_LEAST_BYTES: so nobody is
     * held up for ever by a byte now and then. */
    int64_t connect_ns, idle_ns;
    const char *agent;
};

/* Strings are copied. Fails by host->fail(): TD_E_NOMEM, TD_E_CONFIG (a CA file that cannot be read, a proxy that is no URL). */
int cloud_http_new(const struct cloud_http_options *, struct cloud_http **ret);
void cloud_http_free(struct cloud_http *); /* nobody has a session any more; NULL is fine */

/* The exchanges of one thread, with connections of their own; taken from those that are idle, or made. */
struct cloud_session;
int cloud_http_take(struct cloud_http *, struct cloud_session **ret);
void cloud_http_give(struct cloud_http *, struct cloud_session *); /* what runs is ended; NULL is fine */

/* One exchange; zeroed before it is described. The caller's, as is all that it points to, until it is done. */
struct cloud_exchange {
    /* The request. */
    const char *method, *url;               /* absolute, encoded */
    const char *headers[CLOUD_MAX_HEADERS]; /* "Name: value"; Host and Content-Length come by themselves */
    size_t header_n;
    const void *body; /* sent from memory, */
    int fd;           /* or from a file, if body is NULL and body_n is not 0; by pread() */
    uint64_t offset, body_n;
    bool sends_body; /* Content-Length: 0 if there is nothing (PUT, POST) */
    /* cloud_run() goes on also if the instance was told to stop, and fails silently: what is told is the failure that it cleans up after.
     * With a deadline, please. */
    bool cleans_up;
    int64_t deadline_ns; /* for the whole exchange, however little moves while it is not idle; 0: none */

    /* Where a 2xx's body goes: `sink`, or `answer` if it is NULL. Any other's goes to `answer`. When the sink is called, status, length and
     * head are known. */
    td_sink_fn *sink;
    void *ctx;
    uint64_t sink_max; /* more than this are TD_E_CORRUPT; 0: no limit */

    /* What came of it. */
    bool done;
    unsigned status;         /* HTTP's; 0: no answer */
    int failure;             /* TD_OK, or why there is no whole answer: TD_E_RETRY, TD_E_DENIED (TLS), TD_E_CONFIG (no such host ...) ... */
    int stopped;             /* what the sink returned, if not 0 */
    char why[256];           /* of `failure`, for people */
    uint64_t sent, received; /* bytes of the bodies; both grow while it runs */
    int64_t length;          /* Content-Length; -1: not told */
    struct cloud_text head;  /* all header lines, for cloud_header() */
    struct cloud_text answer;

    void *private; /* of cloud_http.c */
};
void cloud_exchange_clear(struct cloud_exchange *);
/* A header of the answer, without surrounding space, or NULL. The name without regard to letters' case; valid until the next call. */
const char *cloud_header(struct cloud_exchange *, const char *name);

/* Begins; TD_OK or by host->fail(). It goes on only within cloud_wait(). */
int cloud_start(struct cloud_session *, struct cloud_exchange *);
/* Works on all that was started until at least one more is done, or for so long. TD_E_CANCELLED: the instance was told to stop. */
int cloud_wait(struct cloud_session *, int64_t timeout_ns);
/* Begins one and waits for it; TD_OK: there is an answer, of any status; what the sink returned, if it was not 0; else by host->fail(). */
int cloud_run(struct cloud_session *, struct cloud_exchange *);
/* Ends one that was started; does nothing to one that is done. */
void cloud_stop(struct cloud_session *, struct cloud_exchange *);

/* What an HTTP status means if nothing better is known from the answer's error code: 2xx TD_OK; 400 TD_E_INTERNAL, 401 and 403
 * TD_E_DENIED, 404 and 410 TD_E_NOT_FOUND, 409 and 412 TD_E_RETRY, 413, 416 and 507 TD_E_LIMIT, 408, 429 and other 5xx TD_E_RETRY,
 * but 501 and 505 TD_E_UNSUPPORTED; the rest TD_E_INTERNAL. */
int cloud_classify(unsigned status);

/* ---- XML answers, by expat: flat, as those of S3 and Azure are ---- */

/* `path`: names of the elements from the root's child on, joined by slashes ("Contents/Key"; "": the root itself); `text`: what it held,
 * entities resolved. Called at the end of each element that has no children, and with NULL as the text at the end of one that has. Not 0:
 * stops. */
typedef int cloud_xml_fn(void *ctx, const char *path, const char *text);
/* `root`: the name of the root, or NULL: any. TD_E_CORRUPT: another root, no XML, deeper than 16 elements, a text above 64 KiB, a document
 * type (nothing declares entities here); or what `each` returned. Fails silently: the caller tells. */
int cloud_xml(struct td_slice document, const char *root, cloud_xml_fn *each, void *ctx);

/* ---- Sums ---- */

enum { CLOUD_SHA256 = 32, CLOUD_MD5 = 16 };
bool cloud_sha256(struct td_slice, uint8_t ret[CLOUD_SHA256]);
bool cloud_sha256_file(int fd, uint64_t offset, uint64_t n, uint8_t ret[CLOUD_SHA256]); /* false: cannot be read, errno */
bool cloud_md5(struct td_slice, uint8_t ret[CLOUD_MD5]);
bool cloud_md5_file(int fd, uint64_t offset, uint64_t n, uint8_t ret[CLOUD_MD5]);
bool cloud_hmac_sha256(struct td_slice key, struct td_slice text, uint8_t ret[CLOUD_SHA256]);
void cloud_put_hex(struct cloud_text *, const uint8_t *bytes, size_t n); /* lower case */
bool cloud_read_hex(const char *text, uint8_t *ret, size_t n);           /* exactly 2n digits, then the end */
void cloud_put_base64(struct cloud_text *, const void *bytes, size_t n);
/* Returns the number of bytes, or -1: no base64, or more than `room`. */
int64_t cloud_read_base64(const char *text, uint8_t *ret, size_t room);

/* ---- Times ---- */

int64_t cloud_now_ns(void);                                   /* since 1970 UTC */
bool cloud_read_http_date(const char *text, int64_t *ret_ns); /* IMF-fixdate, RFC 9110 section 5.6.7 */
bool cloud_read_iso8601(const char *text, int64_t *ret_ns);   /* "2026-01-02T03:04:05Z", with or without a fraction */

#endif
