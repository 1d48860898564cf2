/* What the files of this folder that use libcurl share. */
#ifndef CLOUD_PRIVATE_H
#define CLOUD_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <curl/curl.h>

#include "cloud_http.h"

struct cloud_running;

struct cloud_http {
    struct td_inst *inst;
    const struct td_host *host;
    char *ca_file, *proxy, *agent; /* NULL: none */
    int64_t connect_ns, idle_ns;
    atomic_bool spoke_http;     /* somebody has answered */
    pthread_mutex_t lock;       /* of what follows */
    struct cloud_session *idle; /* by `next` */
    size_t idle_n;
};

struct cloud_session {
    struct cloud_http *http;
    struct cloud_session *next;
    CURLM *multi;
    struct cloud_running *running, *free; /* both by `next` */
};

/* The libcurl side of an exchange; kept by the session for the next one. */
struct cloud_running {
    struct cloud_running *next;
    struct cloud_http *http;
    struct cloud_exchange *x;
    CURL *easy;
    struct curl_slist *headers;
    int64_t began_ns;                  /* monotonic, as the other times */
    int64_t moved_ns, paced_ns;        /* of the last byte in either direction, and of the last CLOUD_LEAST_BYTES */
    uint64_t moved_bytes, paced_bytes; /* how many there were then */
    uint64_t read_at;                  /* of the request's body */
    uint64_t heard;                    /* bytes of the answer's header */
    bool heard_all;                    /* of it, to its empty line */
    int set_failed;                    /* a CURLcode of an option that could not be set, or 0 */
    char why[CURL_ERROR_SIZE];
};

int64_t cloud_monotonic_ns(void);

/* ---- An exchange as libcurl knows it (cloud_request.c) ---- */

/* Sets all options; a CURLcode. */
int cloud_describe(struct cloud_running *);

/* ---- Why there is no whole answer (cloud_failure.c) ---- */

/* Fills `failure` and `why` of an exchange that ended with this CURLcode. */
void cloud_explain(struct cloud_running *, int code);
/* Fills them from what a callback or the clock found. Not if they are filled. */
void cloud_set_failure(struct cloud_exchange *, int status, const char *fmt, ...) TD_PRINTF(3, 4);

#endif
