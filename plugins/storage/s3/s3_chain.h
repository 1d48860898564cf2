/* The places where keys are looked for, and their order:
 *
 *   1. the options accessKey and secretKey, or files that hold them;
 *   2. without them, the first that is there: the environment; a web identity; a profile of the shared files; the container's service; the
 *      instance metadata service. One that is there and fails is an error: the next is not asked instead;
 *   3. if there is a role to assume, its keys instead, by those that were found. */
#ifndef S3_CHAIN_H
#define S3_CHAIN_H

#include "s3_profile.h"
#include "s3_sts.h"

struct s3_chain {
    struct s3_environment environment;
    char *access_key, *secret_key, *session_token; /* NULL: not set */
    char *access_key_file, *secret_key_file, *session_token_file;
    char *role_arn, *external_id, *role_session_name;
    int64_t role_duration_s;
    struct s3_sts sts;
    struct cloud_http *http, *metadata_http;
};

/* No I/O. TD_E_CONFIG (options that do not go together), TD_E_NOMEM; to be cleared also then. */
int s3_chain_init(struct s3_chain *, const struct s3_credentials_options *, struct s3_trouble *);
void s3_chain_clear(struct s3_chain *);
/* Looks for keys. [io] Any thread, several at once. TD_E_NOT_FOUND: they are nowhere, says where it looked. */
int s3_chain_find(const struct s3_chain *, struct s3_found *ret, struct s3_trouble *);

#endif
