#include "sha256.h"

#include <openssl/evp.h>

#include "base/mem.h"

struct sha256 {
    EVP_MD_CTX *ctx;
    bool failed;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *h = mem_calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx) {
        mem_free(h);
        return NULL;
    }
    sha256_begin(h);
    return h;
}

void sha256_free(struct sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    mem_free(h);
}

void sha256_begin(struct sha256 *h)
{
    h->failed = EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1;
}

void sha256_add(struct sha256 *h, struct td_slice bytes)
{
    if (bytes.n && EVP_DigestUpdate(h->ctx, bytes.p, bytes.n) != 1)
        h->failed = true;
}

bool sha256_end(struct sha256 *h, uint8_t ret[SHA256_BYTES])
{
    unsigned n = 0;
    uint8_t digest[EVP_MAX_MD_SIZE];
    bool good = EVP_DigestFinal_ex(h->ctx, digest, &n) == 1 && n == SHA256_BYTES && !h->failed;
    if (good)
        memcpy(ret, digest, SHA256_BYTES);
    return good;
}

void sha256_format(const uint8_t digest[SHA256_BYTES], char out[SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * SHA256_BYTES] = 0;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool sha256_parse(const char *text, uint8_t ret[SHA256_BYTES])
{
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        int high = digit(text[2 * i]), low = high < 0 ? -1 : digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
