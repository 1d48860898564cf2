/* The credentials that requests are signed with: where they come from, and their renewal.
 *
 * Those of the options are used as they are. Whatever else is added (environment, shared file, web identity, AssumeRole, container and
 * instance metadata) stays behind these functions: whoever signs asks for the keys in force before each request. */
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
    const char *region;
    const char *ca_file, *proxy; /* for services that are asked for keys, as in struct cloud_http_options */
};

struct s3_credentials;
/* No I/O. By host->fail(): TD_E_CONFIG (a key without its secret, too long, nothing to sign with), TD_E_NOMEM. */
int s3_credentials_new(const struct s3_credentials_options *, struct s3_credentials **ret);
void s3_credentials_free(struct s3_credentials *); /* NULL is fine */

/* The keys in force, renewed in time before they expire. [io] Any thread; one asks, the others wait for its answer or go on with keys that
 * still hold. By host->fail(): TD_E_DENIED (they are refused, or are nowhere: says where it looked), TD_E_RETRY, TD_E_CONFIG. */
int s3_credentials_get(struct s3_credentials *, struct s3_keys *ret);
/* A request that was signed with these was refused since they have expired. True: the next s3_credentials_get() gives others, so that it
 * is worth another try; false: there are no others. [any] */
bool s3_credentials_expired(struct s3_credentials *, const struct s3_keys *);
/* Where the keys in force come from: "the option accessKey"; valid as long as `c`. For people. [any] */
const char *s3_credentials_source(struct s3_credentials *c);

#endif
