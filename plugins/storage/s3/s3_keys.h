/* Keys that are looked for: what the files behind s3_credentials.h share. Functions here tell what is wrong by struct s3_trouble instead of
 * host->fail(), since one thread asks for keys and several tell what came of it. Secrets stand only in struct s3_keys and in struct
 * cloud_text, which are wiped; no text for people holds any. */
#ifndef S3_KEYS_H
#define S3_KEYS_H

#include "s3_credentials.h"

enum {
    S3_MAX_TROUBLE = 900,
    S3_MAX_SOURCE = 400,
    S3_MAX_KEYS_ANSWER = 64 << 10, /* bytes of an answer that has keys */
    S3_MAX_KEYS_FILE = 1 << 20,    /* bytes of a file that has some */
    S3_MAX_ROLE_ARN = 2048,
    S3_MAX_EXTERNAL_ID = 1224,
    S3_MAX_SESSION_NAME = 64,
    S3_MAX_IDENTITY = 20000, /* bytes of a web identity token */
};
#define S3_SESSION_NAME "tapedeck"

/* Why there are no keys. */
struct s3_trouble {
    int status;
    char text[S3_MAX_TROUBLE];
};
/* Returns `status`. */
int s3_trouble(struct s3_trouble *, int status, const char *fmt, ...) TD_PRINTF(3, 4);

enum s3_origin {
    S3_FROM_MEMORY,  /* options, environment: they never change */
    S3_FROM_FILE,    /* somebody may replace them at any time */
    S3_FROM_SERVICE, /* a request gives others */
};

/* To be wiped by explicit_bzero(). */
struct s3_found {
    struct s3_keys keys;
    enum s3_origin origin;
    int64_t lifetime_ns; /* from now on; INT64_MAX: for ever, or not known. May be negative */
    char source[S3_MAX_SOURCE];
};
void s3_found_clear(struct s3_found *);
/* Any may be NULL or "". TD_E_CORRUPT: too long, or no such thing; names which of them. */
int s3_found_set(struct s3_found *, const char *access_key, const char *secret_key, const char *token, const char **ret_wrong);
/* From an answer, of which `x` may have the time there, so that a wrong clock here does no harm. All must be there but `token` and
 * `expiration`. TD_E_CORRUPT. */
int s3_found_take(struct s3_found *, const char *access_key, const char *secret_key, const char *token, const char *expiration,
                  struct cloud_exchange *x, struct s3_trouble *);

/* ---- The environment ---- */

enum s3_variable {
    S3_ENV_ACCESS_KEY_ID,
    S3_ENV_SECRET_ACCESS_KEY,
    S3_ENV_SESSION_TOKEN,
    S3_ENV_WEB_IDENTITY_TOKEN_FILE,
    S3_ENV_ROLE_ARN,
    S3_ENV_ROLE_SESSION_NAME,
    S3_ENV_PROFILE,
    S3_ENV_CREDENTIALS_FILE,
    S3_ENV_CONFIG_FILE,
    S3_ENV_HOME,
    S3_ENV_CONTAINER_RELATIVE_URI,
    S3_ENV_CONTAINER_FULL_URI,
    S3_ENV_CONTAINER_TOKEN,
    S3_ENV_CONTAINER_TOKEN_FILE,
    S3_ENV_METADATA_DISABLED,
    S3_ENV_METADATA_ENDPOINT,
    S3_ENV_METADATA_ENDPOINT_MODE,
    S3_ENV_REGION,
    S3_ENV_DEFAULT_REGION,
    S3_ENV_ENDPOINT_STS,
    S3_ENV_N
};

/* As it was when it was read: another thread may change it later. */
struct s3_environment {
    char *v[S3_ENV_N]; /* NULL: not set, or empty */
};
int s3_environment_read(struct s3_environment *); /* TD_OK or TD_E_NOMEM */
void s3_environment_clear(struct s3_environment *);

/* ---- Files and addresses ---- */

/* A whole regular file. TD_E_NOT_FOUND: it is not there; TD_E_DENIED: it cannot be read; TD_E_LIMIT: larger than `max`. Says which and
 * why. */
int s3_read_file(const char *path, size_t max, struct cloud_text *ret, struct s3_trouble *);
/* The same for one that has one word, with space around it perhaps. TD_E_CONFIG: it has none, or several. */
int s3_read_word(const char *path, size_t max, struct cloud_text *ret, struct s3_trouble *);

struct s3_url {
    bool tls;
    char host[256];      /* without brackets */
    char authority[300]; /* as a Host header has it */
    char path[1024];     /* begins with a slash; with the query */
};
/* Of HTTPS without a scheme. False: not one of HTTP, too long, or with a user in it. */
bool s3_url_read(const char *text, struct s3_url *ret);

#endif
