/* Credentials as the options have them. */
#include "s3_credentials.h"

#include <stdlib.h>

struct s3_credentials {
    struct s3_keys keys;
};

void s3_keys_clear(struct s3_keys *keys)
{
    explicit_bzero(keys, sizeof(*keys));
}

static bool copy(char *into, size_t room, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n >= room || (text && strpbrk(text, "\r\n")))
        return false;
    memcpy(into, text ? text : "", n + 1);
    return true;
}

static bool is_given(const char *text)
{
    return text && *text;
}

int s3_credentials_new(const struct s3_credentials_options *o, struct s3_credentials **ret)
{
    if (!is_given(o->access_key) || !is_given(o->secret_key))
        return o->host->fail(o->inst, TD_E_CONFIG, "%s is missing: requests are signed with accessKey and secretKey",
                             is_given(o->access_key) ? "secretKey" : "accessKey");
    struct s3_credentials *c = calloc(1, sizeof(*c));
    if (!c)
        return o->host->fail(o->inst, TD_E_NOMEM, "out of memory");
    const char *wrong = NULL;
    if (!copy(c->keys.access_key, S3_MAX_KEY_ID, o->access_key))
        wrong = "accessKey";
    else if (!copy(c->keys.secret_key, S3_MAX_SECRET, o->secret_key))
        wrong = "secretKey";
    else if (!copy(c->keys.token, S3_MAX_TOKEN, o->session_token))
        wrong = "sessionToken";
    if (wrong) {
        s3_credentials_free(c);
        return o->host->fail(o->inst, TD_E_CONFIG, "%s cannot be one: it is too long, or has several lines", wrong);
    }
    *ret = c;
    return TD_OK;
}

void s3_credentials_free(struct s3_credentials *c)
{
    if (c)
        explicit_bzero(c, sizeof(*c));
    free(c);
}

int s3_credentials_get(struct s3_credentials *c, struct s3_keys *ret)
{
    *ret = c->keys;
    return TD_OK;
}

bool s3_credentials_expired(struct s3_credentials *c, const struct s3_keys *keys)
{
    (void)c, (void)keys;
    return false;
}

const char *s3_credentials_source(struct s3_credentials *c)
{
    (void)c;
    return "the option accessKey";
}
