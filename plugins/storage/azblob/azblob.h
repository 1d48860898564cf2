/* A container of Azure Blob Storage as an object store: a key is a blob's name. REST interface of the Blob service, version
 * AZBLOB_VERSION (learn.microsoft.com/rest/api/storageservices).
 *
 * Objects are block blobs. Up to the size of a block they go in one Put Blob, which is whole or not there; larger ones in blocks, several
 * at once, which nobody sees until Put Block List. A block's id tells its place, length and MD5, so whoever sends the same object again,
 * this process or another, finds by Get Block List what is there already. The service compares each transfer with its Content-MD5.
 * (Its CRC-64 would cost a third of that, but the id needs a digest that hostile bytes cannot be made to share, and one sum is cheaper
 * than two.)
 *
 * Blocks that are never committed cannot be removed one by one: the service drops them after a week, or when a block list is committed
 * without them. So an unfinished upload is discarded by committing an empty list, only if there is no blob, and removing what that made.
 * Should this process die in between, an empty blob of the type AZBLOB_DISCARDED stays; for head, get and list it is not there. */
#ifndef AZBLOB_H
#define AZBLOB_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif
#include "../cloud/cloud_http.h"

#include <pthread.h>

#define AZBLOB_VERSION "2021-12-02" /* blocks of 4000 MiB, SAS of all kinds; known to Azure, its sovereign clouds and Azurite */
#define AZBLOB_DISCARDED "application/x-tapedeck-discarded"
#define AZBLOB_NS INT64_C(1000000000)

enum {
    AZBLOB_MAX_ACCOUNT = 64,
    AZBLOB_MAX_ENDPOINT = 1024,
    AZBLOB_MAX_SECRET = 8 << 10, /* a key, a SAS token, a connection string, a federated token */
    AZBLOB_MAX_KEY = 256,        /* bytes of an account's key */
    AZBLOB_MAX_PAIRS = 16,
    AZBLOB_MAX_BLOCKS = 50000,
    AZBLOB_BLOCK_ID = 24,      /* bytes; 32 in base64, without padding */
    AZBLOB_BLOCK_NAME = 32,    /* letters of an id in base64 */
    AZBLOB_MD5_RANGE = 4 << 20 /* the service tells the sum of a range up to this size */
};
#define AZBLOB_MAX_BLOCK (UINT64_C(4000) << 20)

/* As the core fills it; lives as long as the instance. */
struct azblob_config {
    const char *account, *container, *key, *key_file, *sas, *sas_file, *connection;
    const char *endpoint, *endpoint_suffix, *ca_file, *proxy;
    const char *client_id, *tenant_id, *token_file, *authority, *identity_endpoint;
    uint32_t access_tier; /* 0: the account's */
    uint64_t block_bytes;
    int64_t parallel, page, connect_ns, idle_ns;
};

/* ---- Who and where (azblob_account.c): pure ---- */

/* All but the secrets are for messages as well. */
struct azblob_account {
    char name[AZBLOB_MAX_ACCOUNT];
    char endpoint[AZBLOB_MAX_ENDPOINT]; /* URL without a slash at its end; may have a path */
    size_t path_at;                     /* where its path begins; it may be empty */
    bool https;
    char key[AZBLOB_MAX_SECRET], sas[AZBLOB_MAX_SECRET]; /* of the options or the connection string; "": none */
};
/* From the options, explicit ones before the connection string's. TD_OK, or TD_E_CONFIG with what is wrong, which names no secret. */
int azblob_account(const struct azblob_config *, struct azblob_account *ret, char *why, size_t n);
bool azblob_is_container(const char *name);
/* The value of a parameter of a SAS token, percent-decoded. False: it has none, or there is no room. */
bool azblob_sas_value(const char *sas, const char *name, char *ret, size_t n);
/* When it expires, since 1970 UTC. */
bool azblob_sas_expiry(const char *sas, int64_t *ret_ns);

/* ---- Signing (azblob_sign.c): pure ---- */

struct azblob_pair {
    const char *name, *value;
};

/* What is signed of a request. */
struct azblob_message {
    const char *method, *path;                  /* the URL's path, encoded */
    struct azblob_pair query[AZBLOB_MAX_PAIRS]; /* names in lower case, each once; values not encoded */
    size_t query_n;
    struct azblob_pair headers[AZBLOB_MAX_PAIRS]; /* names as in AZBLOB_SIGNED_HEADERS, or "x-ms-..." in lower case; each once */
    size_t header_n;
    uint64_t content_length;
};

/* "Authorize with Shared Key", blob service, since version 2015-02-21. */
void azblob_string_to_sign(struct cloud_text *, const char *account, const struct azblob_message *);
/* The value of the header Authorization. False: the key is no base64. */
bool azblob_shared_key(struct cloud_text *, const char *account, const char *key, const struct azblob_message *);
/* "Fri, 26 Jun 2015 23:39:12 GMT" */
void azblob_http_date(int64_t time_ns, char ret[32]);

/* ---- Errors (azblob_error.c): pure ---- */

struct azblob_error {
    int status;     /* for the core */
    char code[64];  /* the service's; "": none */
    char text[400]; /* what is wrong and what to do */
};
/* What an answer means that is no success. `credentials` says in words what was sent, `sas` (or NULL) is looked at for its expiry. */
void azblob_explain(struct cloud_exchange *, const struct azblob_account *, const char *credentials, const char *sas, int64_t now_ns,
                    struct azblob_error *ret);

/* ---- Blocks (azblob_block.c): pure ---- */

struct azblob_block_id {
    uint8_t bytes[AZBLOB_BLOCK_ID];
};
struct azblob_block_id azblob_block_id(uint32_t index, uint32_t bytes, const uint8_t md5[CLOUD_MD5]);
void azblob_block_name(const struct azblob_block_id *, char ret[AZBLOB_BLOCK_NAME + 1]);
/* Size of the blocks of an object: `wanted`, or as much more as it takes to have no more than AZBLOB_MAX_BLOCKS; 0: too large. */
uint64_t azblob_block_bytes(uint64_t object_bytes, uint64_t wanted);
/* What put_file() keeps for another try, and back. False: not one of ours. */
void azblob_state(uint64_t block_bytes, char ret[TD_PUT_STATE_MAX]);
bool azblob_read_state(const char *state, uint64_t *ret_block_bytes);

struct azblob_blocks {
    struct azblob_block_id *v;
    size_t n, room;
};
void azblob_blocks_clear(struct azblob_blocks *);
bool azblob_blocks_add(struct azblob_blocks *, const struct azblob_block_id *);
void azblob_blocks_sort(struct azblob_blocks *);
bool azblob_blocks_have(const struct azblob_blocks *sorted, const struct azblob_block_id *);
/* The body of Put Block List. */
void azblob_put_block_list(struct cloud_text *, const struct azblob_blocks *);
/* The answer to Get Block List: blocks whose ids are ours and whose sizes are as they say; sorted. *ret_uncommitted counts all that are not
 * committed. TD_OK, TD_E_NOMEM, TD_E_CORRUPT. */
int azblob_read_block_list(struct td_slice document, struct azblob_blocks *ret, size_t *ret_uncommitted);

/* ---- Tokens (azblob_token.c) ---- */

enum azblob_identity { AZBLOB_NO_IDENTITY, AZBLOB_WORKLOAD, AZBLOB_MANAGED };

/* One token for all threads: whoever finds that it is time to renew it does, the others go on with the old one while it lasts. */
struct azblob_tokens {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *token;                       /* NULL: none yet */
    int64_t got_ns, renew_ns, ends_ns; /* azblob_clock_ns() */
    bool asking;
    uint64_t answers; /* how often somebody has asked to its end */
    int failure;      /* of the last time; TD_OK */
    int64_t failed_ns;
    char why[400];
};

/* Of the configuration and the environment; the strings are the instance's. */
struct azblob_identity_options {
    int kind;                                                                 /* azblob_identity */
    char *client_id, *tenant_id, *token_file, *authority, *endpoint, *header; /* NULL: not set. header: of IDENTITY_HEADER */
    bool app_service;                                                         /* IDENTITY_ENDPOINT's interface, not IMDS's */
    bool expected; /* somebody has configured it: that it does not answer will pass */
};

/* What an authority's or an identity endpoint's answer says. TD_OK, or a status with a text. */
struct azblob_token_answer {
    char *token; /* free() it */
    int64_t lasts_ns;
    char why[300];
};
int azblob_read_token(unsigned http_status, struct td_slice json, int64_t now_ns, struct azblob_token_answer *ret);

/* ---- The instance (azblob.c) ---- */

struct azblob_secret_file {
    const char *path; /* NULL: none */
    int64_t looked_ns;
    int64_t mtime_ns;
    char *text;       /* NULL: not read yet */
    uint64_t changes; /* how often it has become another one */
};

struct azblob {
    struct td_inst *inst;
    const struct td_host *host;
    const struct azblob_config *config;
    struct azblob_account account;
    struct cloud_http *http, *identity_http; /* the latter without a proxy, for what is on this machine's own network */
    struct td_host quiet;                    /* tells nobody, and is never told to stop: */
    struct cloud_http *cleaning_http;        /* for cleaning up behind a failure, whose text is to stay */
    pthread_mutex_t lock;                    /* of the files of secrets */
    struct azblob_secret_file key_file, sas_file;
    struct azblob_identity_options identity;
    struct azblob_tokens tokens;
};

int64_t azblob_clock_ns(void); /* goes on while the machine sleeps; never back */
int azblob_nomem(struct azblob *);
int azblob_tokens_init(struct azblob *);
void azblob_tokens_clear(struct azblob *);
/* A token that is valid now; appended. By host->fail(). */
int azblob_token(struct azblob *, struct cloud_text *ret);
/* The service has refused this token. True: another one may help, so try again later. */
bool azblob_token_refused(struct azblob *, const char *token);

/* ---- Requests (azblob_request.c, azblob_auth.c) ---- */

#define AZBLOB_BEARER "Authorization: Bearer "

/* One request to the service: begun with a method and a key, given parameters and headers, then run, or started with others. */
struct azblob_request {
    struct azblob *a;
    const char *key; /* NULL: the container */
    struct azblob_message message;
    struct cloud_exchange x;
    struct cloud_text url, lines, secret, sas; /* secret: the header Authorization */
    uint64_t changes;                          /* of the file that the secret is from */
    char date[32];
    bool bearer, quiet; /* quiet: cleans up behind a failure; says nothing, and goes on when the instance is told to stop */
};
/* Values and names are the caller's until it is started. */
void azblob_request_begin(struct azblob_request *, struct azblob *, const char *method, const char *key);
void azblob_query(struct azblob_request *, const char *name, const char *value);
void azblob_header(struct azblob_request *, const char *name, const char *value);
void azblob_request_clear(struct azblob_request *);
/* Signs it and begins. */
int azblob_request_start(struct azblob_request *, struct cloud_session *);
/* Begins and waits. `what`: "cannot be written", for what host->fail() is told. An answer that is no success is a failure as well;
 * *ret_error, which may be NULL, is what it says. */
int azblob_request_run(struct azblob_request *, struct cloud_session *, const char *what, struct azblob_error *ret_error);
/* Of one that is done. */
int azblob_request_status(struct azblob_request *, const char *what, struct azblob_error *ret_error);
/* Takes a session, runs, gives it back. */
int azblob_request_alone(struct azblob_request *, const char *what, struct azblob_error *ret_error);
/* Adds what proves that we may. */
int azblob_authorise(struct azblob_request *);
/* The service has refused them. True: their file holds another secret now, so that it is worth another try. [io] */
bool azblob_replaced(struct azblob_request *);
/* In words, for messages. */
const char *azblob_credentials(const struct azblob *);
void azblob_clear_secret(struct cloud_text *);
void azblob_free_secret(char *); /* NULL is fine */
/* Fails with a text of our own, behind the place's name. */
int azblob_fail(struct azblob *, const char *key, int status, const char *fmt, ...) TD_PRINTF(4, 5);

/* ---- The operations ---- */

int azblob_head(void *self, const char *key, struct td_object *ret);
int azblob_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx);
int azblob_remove(void *self, const char *key);
int azblob_remove_many(void *self, const char *const *keys, size_t n);
/* Lists have it without the quotes of headers. */
void azblob_etag(const char *text, char ret[128]);
/* ETag, time and sum of an answer's headers. */
void azblob_object(struct azblob_request *, struct td_object *ret);

int azblob_list(void *self, const char *prefix, const char *after, td_list_fn *, void *ctx);
int azblob_folders(void *self, const char *prefix, const char *after, td_folder_fn *, void *ctx);
int azblob_sweep(void *self, const char *prefix);
/* One page of one entry: may the container be listed? */
int azblob_try_list(struct azblob *);

/* Streams (azblob_put.c): a block at a time in memory. */
int azblob_put_open(void *self, const char *key, const struct td_put *, void **ret_upload);
int azblob_put_write(void *upload, struct td_slice);
int azblob_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret);
void azblob_put_abort(void *upload);

/* Files (azblob_file.c) */
int azblob_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *, bool *ret_linked);
int azblob_forget(void *self, const char *key, const char *state);

/* What both send (azblob_send.c). */
struct azblob_sums {
    uint8_t md5[CLOUD_MD5], sha256[CLOUD_SHA256]; /* of what is sent, and of the whole object */
};
/* Texts of a request's headers; they and the name are the caller's until it is started. */
struct azblob_sum_texts {
    char md5[25], sha256[2 * CLOUD_SHA256 + 1];
};
void azblob_md5_text(const uint8_t md5[CLOUD_MD5], char ret[25]);
/* Describes a Put Blob; the body is the caller's to set. */
void azblob_describe_blob(struct azblob_request *, struct azblob *, const char *key, const struct azblob_sums *, struct azblob_sum_texts *);
/* Describes a Put Block. */
void azblob_describe_block(struct azblob_request *, struct azblob *, const char *key, const char *name, const char *md5);
/* Put Block List. */
int azblob_commit(struct azblob *, const char *key, const struct azblob_blocks *, const uint8_t *sha256, struct td_object *ret);
/* Get Block List: what of it may be there already, and how much there is that is not committed. None: TD_OK. */
int azblob_find_blocks(struct azblob *, const char *key, bool quiet, struct azblob_blocks *ret, size_t *ret_uncommitted);
/* Removes blocks that were not committed, if there is no blob of this key; and what discarding has left. `quiet`: as in a request. */
int azblob_discard(struct azblob *, const char *key, bool quiet);

#endif
