/* Sums of bytes and files by OpenSSL, and how they are written. */
#include "cloud_http.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* ---- Sums ---- */

static bool sum(const EVP_MD *type, struct td_slice bytes, uint8_t *ret)
{
    return EVP_Digest(bytes.n ? bytes.p : (const uint8_t *)"", bytes.n, ret, NULL, type, NULL) == 1;
}

/* All bytes of a part of a file go through a sum. */
static bool add_file(EVP_MD_CTX *sums, uint8_t *bytes, int fd, uint64_t offset, uint64_t n)
{
    while (n) {
        ssize_t got = pread(fd, bytes, n < CLOUD_SEND_BYTES ? (size_t)n : CLOUD_SEND_BYTES, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ENODATA; /* it became shorter */
        if (got <= 0 || EVP_DigestUpdate(sums, bytes, (size_t)got) != 1)
            return false;
        offset += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return true;
}

static bool sum_file(const EVP_MD *type, int fd, uint64_t offset, uint64_t n, uint8_t *ret)
{
    EVP_MD_CTX *sums = EVP_MD_CTX_new();
    uint8_t *bytes = malloc(CLOUD_SEND_BYTES);
    errno = ENOMEM;
    bool good = sums && bytes && EVP_DigestInit_ex(sums, type, NULL) == 1 && add_file(sums, bytes, fd, offset, n) &&
                EVP_DigestFinal_ex(sums, ret, NULL) == 1;
    int number = errno;
    free(bytes);
    EVP_MD_CTX_free(sums);
    errno = number;
    return good;
}

bool cloud_sha256(struct td_slice bytes, uint8_t ret[CLOUD_SHA256])
{
    return sum(EVP_sha256(), bytes, ret);
}

bool cloud_sha256_file(int fd, uint64_t offset, uint64_t n, uint8_t ret[CLOUD_SHA256])
{
    return sum_file(EVP_sha256(), fd, offset, n, ret);
}

bool cloud_md5(struct td_slice bytes, uint8_t ret[CLOUD_MD5])
{
    return sum(EVP_md5(), bytes, ret);
}

bool cloud_md5_file(int fd, uint64_t offset, uint64_t n, uint8_t ret[CLOUD_MD5])
{
    return sum_file(EVP_md5(), fd, offset, n, ret);
}

bool cloud_hmac_sha256(struct td_slice key, struct td_slice text, uint8_t ret[CLOUD_SHA256])
{
    static const uint8_t nothing[1] = {0};
    return key.n <= INT32_MAX && HMAC(EVP_sha256(), key.n ? key.p : nothing, (int)key.n, text.n ? text.p : nothing, text.n, ret, NULL);
}

/* ---- Hexadecimal ---- */

void cloud_put_hex(struct cloud_text *t, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++)
        cloud_put(t, (const char[]){digits[bytes[i] >> 4], digits[bytes[i] & 15]}, 2);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cloud_read_hex(const char *text, uint8_t *ret, size_t n)
{
    if (strnlen(text, 2 * n + 1) != 2 * n)
        return false;
    for (size_t i = 0; i < 2 * n; i++)
        if (digit(text[i]) < 0)
            return false;
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    return true;
}

/* ---- Base64, RFC 4648 section 4 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cloud_put_base64(struct cloud_text *t, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i += 3) {
        size_t rest = n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (rest > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (rest > 2 ? p[i + 2] : 0);
        const char group[] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], rest > 1 ? alphabet[bits >> 6 & 63] : '=',
                              rest > 2 ? alphabet[bits & 63] : '='};
        cloud_put(t, group, sizeof(group));
    }
}

int64_t cloud_read_base64(const char *text, uint8_t *ret, size_t room)
{
    size_t length = strlen(text), n = length, made = 0;
    while (n && text[n - 1] == '=' && length - n < 2)
        n--;
    if (length % 4 || n % 4 == 1)
        return -1;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = memchr(alphabet, text[i], 64);
        if (!at)
            return -1;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (made == room)
            return -1;
        ret[made++] = (uint8_t)(bits >> have);
        bits &= (1u << have) - 1;
    }
    return bits ? -1 : (int64_t)made;
}
