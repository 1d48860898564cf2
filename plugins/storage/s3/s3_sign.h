/* AWS Signature Version 4, by headers: what a request must carry so that its receiver knows who sent it and that nobody changed it.
 * Source: "Signature Version 4 signing process" (AWS Identity and Access Management User Guide). Pure; any thread. */
#ifndef S3_SIGN_H
#define S3_SIGN_H

#include "s3_credentials.h"

#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
enum { S3_MAX_PARAMETERS = 16, S3_MAX_NAME = 64, S3_HEX_SHA256 = 2 * CLOUD_SHA256 + 1, S3_DATE = 17 };

/* A parameter of the query, not encoded. */
struct s3_parameter {
    const char *name, *value;
};

struct s3_signing {
    const char *method;
    const char *host; /* as the Host header has it: with the port unless it is the scheme's own */
    const char *path; /* encoded once, as it stands in the URL; begins with a slash */
    const struct s3_parameter *parameters;
    size_t parameter_n;
    const char *const *headers; /* "Name: value": all of them are signed; without Host and those that s3_sign() makes */
    size_t header_n;
    const char *payload_sha256; /* in hex, or S3_UNSIGNED_PAYLOAD */
    const struct s3_keys *keys;
    const char *region, *service; /* "eu-west-1", "s3" */
    int64_t time_ns;              /* since 1970 UTC */
    bool normalize;               /* other services than S3: empty parts and dots of the path are resolved */
    bool sends_payload_header;    /* x-amz-content-sha256: S3 demands it */
    bool token_unsigned;          /* x-amz-security-token is added after signing (some services) */
};

/* What is made of it. To be cleared. */
struct s3_signature {
    struct cloud_text canonical, to_sign; /* for tests, and for comparing with what a server says it expected */
    struct cloud_text authorization;      /* "Authorization: AWS4-HMAC-SHA256 Credential=..." */
    struct cloud_text token;              /* "X-Amz-Security-Token: ..."; empty: none */
    char date[S3_DATE + sizeof("X-Amz-Date: ")];
    char payload[S3_HEX_SHA256 + sizeof("X-Amz-Content-Sha256: ")];
};
/* TD_OK, TD_E_NOMEM, or TD_E_LIMIT: too many headers or parameters, a name longer than S3_MAX_NAME. Fails silently. */
int s3_sign(const struct s3_signing *, struct s3_signature *ret);
void s3_signature_clear(struct s3_signature *);

/* Encoded, in the order given, without the question mark: "name=value&other=". */
void s3_put_query(struct cloud_text *, const struct s3_parameter *, size_t n);

#endif
