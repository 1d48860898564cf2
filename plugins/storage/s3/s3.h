/* The storage backend `s3`: objects in a bucket of Amazon S3 or of a service that speaks its protocol (Ceph, MinIO, R2, Google's XML
 * interface). Source: Amazon S3 API Reference, 2006-03-01.
 *
 * A request is described (struct s3_request), signed when it is prepared, sent by plugins/storage/cloud, and settled: what came of it is a
 * status and a text for people. Everything here may be called by any number of threads, but for what belongs to one upload. */
#ifndef S3_H
#define S3_H

#ifndef TD_TARGET_MINOR
#define TD_TARGET_MINOR 1
#endif
#include "tapedeck/plugin.h"

#include <pthread.h>
#include <stdatomic.h>

#include "s3_credentials.h"
#include "s3_sign.h"

enum {
    S3_MAX_REGION = 64,
    S3_MAX_CODE = 64,
    S3_MAX_MESSAGE = 256,
    S3_MAX_ETAG = 128, /* without quotes */
    S3_MAX_LINES = 12, /* header lines of a request, without those of signing */
    S3_MAX_PARTS = 10000,
    S3_MAX_UPLOAD_ID = 900, /* a state must hold it */
    S3_MAX_PARALLEL = 64,
};

enum s3_path_style { S3_PATH_AUTO, S3_PATH_ALWAYS, S3_PATH_NEVER };
enum s3_sse { S3_SSE_NONE, S3_SSE_AES256, S3_SSE_KMS };

struct s3_config {
    const char *bucket, *region, *endpoint;
    uint32_t path_style, sse; /* s3_path_style, s3_sse */
    const char *access_key, *secret_key, *session_token;
    const char *access_key_file, *secret_key_file, *session_token_file;
    const char *role_arn, *external_id, *role_session_name, *sts_endpoint;
    int64_t role_duration_ns;
    const char *ca_file, *proxy;
    const char *kms_key_id, *storage_class;
    uint64_t part_size;
    int64_t parallel_parts;
    int64_t abort_unfinished_after_ns, connect_timeout_ns, idle_timeout_ns;
};

/* Where requests go. */
struct s3_endpoint {
    bool tls, is_aws, path_style;
    char authority[300]; /* "host" or "host:port"; AWS: "" */
    char base[256];      /* of the path, without a slash at its end; mostly "" */
};

struct s3 {
    struct td_inst *inst;
    const struct td_host *host;
    const struct s3_config *config; /* lives as long as the instance */
    struct s3_endpoint endpoint;
    struct cloud_http *http;
    struct s3_credentials *credentials;
    pthread_mutex_t lock;       /* of the region */
    char region[S3_MAX_REGION]; /* as configured, or as a bucket's answer told */
    atomic_bool removes_singly; /* DeleteObjects is not implemented there */
};

/* ---- Where requests go (s3_endpoint.c) ---- */

/* Reads bucket, endpoint, region and path style. By host->fail(): TD_E_CONFIG. */
int s3_endpoint_read(struct s3 *);
/* "https://bucket.s3.eu-west-1.amazonaws.com/a%20key"; `key` NULL: the bucket. The parts of it that are signed: *ret_host in `host`, and
 * where in the text the path begins. */
void s3_put_url(const struct s3 *, const char *region, const char *key, struct cloud_text *url, struct cloud_text *host, size_t *ret_path);
void s3_region(struct s3 *, char ret[S3_MAX_REGION]);
/* The bucket's answer names its region. True: it is now used, since none was configured. */
bool s3_learn_region(struct s3 *, const char *region);

/* ---- Requests (s3_request.c) ---- */

/* What an answer that is no success says. */
struct s3_error {
    char code[S3_MAX_CODE]; /* "NoSuchKey"; "": it says nothing */
    char message[S3_MAX_MESSAGE];
    char region[S3_MAX_REGION];    /* that should have been asked; "": not told */
    char endpoint[S3_MAX_MESSAGE]; /* the same of a host */
    char server_time[S3_MAX_CODE]; /* with RequestTimeTooSkewed */
    char request_time[S3_MAX_CODE];
};

/* Zeroed before it is described; must be cleared. */
struct s3_request {
    const char *method, *key; /* key NULL: the bucket */
    struct s3_parameter parameters[S3_MAX_PARAMETERS];
    size_t parameter_n;
    const char *payload_sha256; /* in hex; NULL: x.body's */
    struct cloud_exchange x;    /* body and sink are the caller's to describe, the rest is filled */

    struct cloud_text lines[S3_MAX_LINES], url, host;
    size_t line_n;
    struct s3_signature signature;
    struct s3_keys keys; /* that signed it */
    char region[S3_MAX_REGION];
    char payload[S3_HEX_SHA256];
    struct s3_error error; /* after s3_settle() */
};
void s3_parameter(struct s3_request *, const char *name, const char *value); /* must live until it is sent */
void s3_header(struct s3_request *, const char *fmt, ...) TD_PRINTF(2, 3);
void s3_request_clear(struct s3_request *);

/* Signs: from here it may be started, within some minutes. TD_OK or by host->fail(). */
int s3_prepare(struct s3 *, struct s3_request *);
/* What came of an exchange that is done: TD_OK for 2xx without an error inside; what the sink returned; else by host->fail(). */
int s3_settle(struct s3 *, struct s3_request *);
/* All of it; in another region, if the bucket is there and none was configured. */
int s3_run(struct s3 *, struct cloud_session *, struct s3_request *);
/* The same with a session of its own. */
int s3_run_alone(struct s3 *, struct s3_request *);

/* ---- Errors (s3_error.c) ---- */

void s3_error_read(struct td_slice answer, struct s3_error *ret);
/* Some requests are answered with status 200 before it is known how they end. */
bool s3_is_error_answer(struct td_slice answer);
/* Tells what an error means and what to do, by host->fail(); `status` is HTTP's. */
int s3_error_tell(struct s3 *, const struct s3_request *, unsigned status, const struct s3_error *);
bool s3_is_error(const struct s3_request *, const char *code);

/* ---- Objects (s3_get.c) ---- */

int s3_head(void *self, const char *key, struct td_object *ret);
int s3_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx);
/* Without the quotes around it; "" if it is too long. */
void s3_copy_etag(char ret[S3_MAX_ETAG], const char *text);

/* ---- Lists (s3_list.c) ---- */

int s3_list(void *self, const char *prefix, const char *after, td_list_fn *, void *ctx);
int s3_folders(void *self, const char *prefix, const char *after, td_folder_fn *, void *ctx);
/* Names in lists are encoded like parts of a URL, also with a plus for a space. In place. */
void s3_decode_name(char *text);

/* ---- Removing (s3_remove.c) ---- */

int s3_remove(void *self, const char *key);
int s3_remove_many(void *self, const char *const *keys, size_t n);

/* ---- Uploads in parts (s3_parts.c) ---- */

struct s3_part {
    uint64_t bytes;
    bool there;
    char etag[S3_MAX_ETAG];
};

struct s3_slot;

/* An upload in parts, those on the way included. One thread at a time. */
struct s3_parts {
    struct s3 *s3;
    struct cloud_session *session;
    char key[TD_KEY_MAX + 1], id[S3_MAX_UPLOAD_ID + 1];
    struct s3_part *parts; /* by number, from 1 at [0] */
    size_t n, room;
    struct s3_slot *slots; /* `parallel` of them */
    size_t parallel;
    uint64_t there_bytes; /* of the parts that are there */
};
/* CreateMultipartUpload. `sha256` NULL: not known. */
int s3_parts_begin(struct s3_parts *, struct s3 *, const char *key, const uint8_t *sha256, size_t parallel);
/* Goes on with one that was begun: ListParts. TD_E_NOT_FOUND: it is not there any more. */
int s3_parts_resume(struct s3_parts *, struct s3 *, const char *key, const char *id, size_t parallel);
/* A slot to send the next part from, when one is free; waits at most so long (*ret NULL: none yet). What parts that are done came to. */
int s3_parts_slot(struct s3_parts *, int64_t timeout_ns, struct s3_slot **ret);
/* Gives the slot a buffer with a part's bytes and takes the one that it had: both from malloc(). */
void s3_slot_swap(struct s3_slot *, uint8_t **buffer, size_t *room);
/* Sends part `number` from the slot's buffer (fd < 0; `offset` 0) or from a file. `sha256`: of these bytes. */
int s3_parts_send(struct s3_parts *, struct s3_slot *, uint32_t number, int fd, uint64_t offset, uint64_t n,
                  const uint8_t sha256[CLOUD_SHA256]);
/* Works until nothing is on the way, or for so long. */
int s3_parts_wait(struct s3_parts *, int64_t timeout_ns, bool *ret_idle);
/* CompleteMultipartUpload. *etag "": not told. */
int s3_parts_complete(struct s3_parts *, char etag[S3_MAX_ETAG]);
/* What is on the way ends; what is there stays. */
void s3_parts_clear(struct s3_parts *);
/* AbortMultipartUpload; TD_OK also if there is none. Also if the instance was told to stop. */
int s3_abort(struct s3 *, const char *key, const char *id);
/* The same after a failure whose text is to stay; when it fails it is only logged. */
void s3_abort_quietly(struct s3 *, const char *key, const char *id);
/* What a new object is to have besides its bytes. `sha256` NULL: not known. */
void s3_object_headers(struct s3 *, struct s3_request *, const uint8_t *sha256);

/* ---- Putting (s3_stream.c, s3_file.c) ---- */

int s3_put_open(void *self, const char *key, const struct td_put *, void **ret_upload);
int s3_put_write(void *upload, struct td_slice);
int s3_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret);
void s3_put_abort(void *upload);
int s3_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *, bool *ret_linked);
int s3_forget(void *self, const char *key, const char *state);
/* The size that parts of an object of so many bytes have; UINT64_MAX: not known. */
uint64_t s3_part_size(const struct s3 *, uint64_t bytes);

/* ---- Unfinished uploads (s3_unfinished.c) ---- */

int s3_sweep(void *self, const char *prefix);
/* Of any key, if they were begun before `before_ns`. */
int s3_abort_unfinished(struct s3 *, const char *prefix, int64_t before_ns, unsigned *ret_n);

#endif
