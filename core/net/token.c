#include "net/token.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "net/small_file.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What RFC 6750 calls b64token, a little wider: every visible character of ASCII can stand in the field. */
int token_check(struct td_slice text, struct error *err)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return error_set(err, TD_E_CONFIG,
                             "a token has only visible characters of ASCII and no spaces; one comes from "
                             "`openssl rand -hex 32`");
    if (text.n < TOKEN_MIN)
        return error_set(err, TD_E_CONFIG, "the token has %zu characters and can be guessed; it needs %d, as of `openssl rand -hex 32`",
                         text.n, TOKEN_MIN);
    if (text.n > TOKEN_MAX)
        return error_set(err, TD_E_CONFIG, "the token has %zu characters; %d are the most", text.n, TOKEN_MAX);
    return TD_OK;
}

void token_init(struct token *t, struct td_slice text)
{
    SHA256(text.p ? text.p : (const uint8_t *)"", text.n, t->digest);
}

bool token_is(const struct token *t, struct td_slice text)
{
    struct token other; /* of digests the length is always the same, so that it tells nothing either */
    token_init(&other, text);
    return token_same(t, &other);
}

bool token_same(const struct token *a, const struct token *b)
{
    return CRYPTO_memcmp(a->digest, b->digest, TOKEN_DIGEST) == 0;
}

int token_read_file(const char *path, char ret[TOKEN_MAX + 1], struct error *err)
{
    /* Room from the start: growing would leave copies behind. */
    struct buf file = {.max = 4 * TOKEN_MAX};
    int status = buf_reserve(&file, file.max) ? small_file_read(path, "the token file", true, &file, err) : error_nomem(err);
    struct td_slice text = buf_slice(&file);
    while (text.n && is_space(text.p[0]))
        text = td_sub(text, 1, text.n);
    while (text.n && is_space(text.p[text.n - 1]))
        text.n--;
    if (status == TD_OK) {
        status = token_check(text, err);
        if (status != TD_OK)
            error_prefix(err, "%s: ", path);
    }
    if (status == TD_OK) {
        memcpy(ret, text.p, text.n);
        ret[text.n] = '\0';
    }
    if (file.p)
        explicit_bzero(file.p, file.n);
    buf_clear(&file);
    return status;
}

void token_wipe(char text[TOKEN_MAX + 1])
{
    explicit_bzero(text, TOKEN_MAX + 1);
}
