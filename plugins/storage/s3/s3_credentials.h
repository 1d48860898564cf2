/* The credentials that requests are signed with: where they come from, and their renewal.
 *
 * Whoever signs asks for the keys in force before each request; where these were found (options, environment, web identity, shared files,
 * container and instance metadata), whether a role is assumed with them, and when they are renewed, stays behind these functions.
 * s3_chain.h has the order. */
#ifndef S3_CREDENTIALS_H
#define S3_CREDENTIALS_H

#include "../cloud/cloud_http.h"

enum { S3_MAX_KEY_ID = 256, S3_MAX_SECRET = 256, S3_MAX_TOKEN = 6 << 10 };

/* Keys that belong together. Secrets: never in texts for people; to be wiped by s3_keys_clear(). */
struct s3_keys {
    char access_key[S3_MAX_KEY_ID];
    char secret_key[S3_MAX_SECRET];
    char token[S3_MAX_TOKEN]; /* "": none */
    int64_t expires_ns;       /* since 1970 UTC; 0: never, or not known */
};
void s3_keys_clear(struct s3_keys *);

/* As in the configuration; all that is missing is NULL. Strings are copied. */
struct s3_credentials_options {
    struct td_inst *inst;
    const struct td_host *host;
    const char *access_key, *secret_key, *session_token;
    const char *access_key_file, *secret_key_file, *session_token_file; /* instead; read anew now and then */
    const char *role_arn, *external_id, *role_session_name;             /* assumed with the keys that are found */
    int64_t role_duration_ns;                                           /* 0: as the service likes */
    const char *region;
    const char *sts_endpoint;    /* URL of the token service */
    const char *endpoint;        /* URL of a service other than Amazon's, which then has the token service too */
    const char *ca_file, *proxy; /* for services that are asked for keys, as in struct cloud_http_options */
};

struct s3_credentials;
/* Reads the environment, and no file but the CAs. By host->fail(): TD_E_CONFIG (options that do not go together, or are too long),
 * TD_E_NOMEM. */
int s3_credentials_new(const struct s3_credentials_options *, struct s3_credentials **ret);
void s3_credentials_free(struct s3_credentials *); /* NULL is fine */

/* The keys in force, renewed in time before they expire. [io] Any thread; one asks, the others wait for its answer or go on with keys that
 * still hold. By host->fail(): TD_E_DENIED (they are refused, or are nowhere: says where it looked), TD_E_RETRY, TD_E_CONFIG, TD_E_CORRUPT
 * (an answer with keys that is none), TD_E_CANCELLED. */
int s3_credentials_get(struct s3_credentials *, struct s3_keys *ret);
/* A request that was signed with these was refused since they have expired. True: the next s3_credentials_get() gives others or says why
 * not, so that it is worth another try; false: there are no others. [any] */
bool s3_credentials_expired(struct s3_credentials *, const struct s3_keys *);
/* A request that was signed with these was refused for another reason than their age. True: somebody has replaced the files that they are
 * from, so that it is worth another try. [io] */
bool s3_credentials_replaced(struct s3_credentials *, const struct s3_keys *);
/* Where the keys in force come from, once there are some: "the option accessKey"; valid as long as `c`. For people. [any] */
const char *s3_credentials_source(struct s3_credentials *c);

#endif
