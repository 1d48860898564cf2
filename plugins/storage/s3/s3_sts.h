/* The Security Token Service: keys for a short time, in exchange for others or for a token of an identity provider.
 * Source: AWS Security Token Service API Reference, 2011-06-15. */
#ifndef S3_STS_H
#define S3_STS_H

#include "s3_keys.h"

enum { S3_MAX_STS_REGION = 64 };

struct s3_sts {
    struct cloud_http *http;
    struct s3_url url;
    char region[S3_MAX_STS_REGION];
};
/* `endpoint` NULL: Amazon's own in this region. TD_E_CONFIG. */
int s3_sts_init(struct s3_sts *, struct cloud_http *, const char *endpoint, const char *region, struct s3_trouble *);

struct s3_role {
    const char *arn;
    const char *external_id;  /* NULL: none */
    const char *session_name; /* shows up in logs there; NULL: S3_SESSION_NAME */
    int64_t duration_s;       /* 0: as the service likes */
};
/* May these be asked for at all? TD_E_CONFIG, says what is wrong. */
int s3_role_check(const struct s3_role *, struct s3_trouble *);

/* AssumeRole, signed with `base`. [io] TD_E_DENIED (says what to look at), TD_E_RETRY, TD_E_CONFIG, TD_E_CORRUPT, TD_E_CANCELLED. The
 * source is not filled. */
int s3_assume_role(const struct s3_sts *, const struct s3_role *, const struct s3_keys *base, struct s3_found *ret, struct s3_trouble *);
/* AssumeRoleWithWebIdentity, with the token in a file, which is read now. */
int s3_assume_role_with_identity(const struct s3_sts *, const struct s3_role *, const char *token_file, struct s3_found *ret,
                                 struct s3_trouble *);

#endif
