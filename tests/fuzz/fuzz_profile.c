/* The shared files of AWS, by profile. The first byte chooses the file, the first line the profile. */
#include "../../plugins/storage/s3/s3_profile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_text(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    check(n < room);
    for (size_t i = 0; i < n; i++)
        check((uint8_t)text[i] >= ' ' && text[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct td_slice text = td_bytes(data, n);
    char name[S3_MAX_PROFILE_NAME] = "";
    const uint8_t *end = memchr(data, '\n', n);
    size_t name_n = end ? (size_t)(end - data) : n;
    enum s3_profile_file file = n && data[0] & 1 ? S3_PROFILE_CONFIG : S3_PROFILE_CREDENTIALS;
    if (name_n > 1 && name_n < sizeof(name))
        memcpy(name, data + 1, name_n - 1);
    text = td_sub(text, name_n, n);
    struct s3_profile *p = calloc(1, sizeof(*p));
    unsigned line = 0;
    check(p != NULL);
    int status = s3_profile_read(text, file, name, p, &line);
    check(status == TD_OK || (status == TD_E_CONFIG && line && line <= n + 1));
    check_text(p->access_key, sizeof(p->access_key));
    check_text(p->secret_key, sizeof(p->secret_key));
    check_text(p->token, sizeof(p->token));
    check_text(p->role_arn, sizeof(p->role_arn));
    check_text(p->external_id, sizeof(p->external_id));
    check_text(p->session_name, sizeof(p->session_name));
    check_text(p->duration, sizeof(p->duration));
    check_text(p->source_profile, sizeof(p->source_profile));
    check_text(p->credential_source, sizeof(p->credential_source));
    check_text(p->token_file, sizeof(p->token_file));
    check_text(p->mfa_serial, sizeof(p->mfa_serial));
    check_text(p->process, sizeof(p->process));
    free(p);
    return 0;
}
