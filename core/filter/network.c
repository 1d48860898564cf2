#include "filter/network.h"

#include <arpa/inet.h>

#include "base/ip.h"

/* "::ffff:192.0.2.1"; the same address without dots is a plain IPv6 address. */
static bool is_mapped(const uint8_t *ip, const char *text)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(ip, prefix, sizeof prefix) == 0 && strchr(text, '.');
}

struct filter_value filter_ip_parse(struct arena *arena, struct td_slice text)
{
    char copy[IP_TEXT];
    uint8_t bytes[16];
    if (!text.n || text.n >= sizeof copy || memchr(text.p, 0, text.n))
        return filter_fail(FILTER_E_CONVERSION);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    uint8_t family = memchr(copy, ':', text.n) ? 6 : 4;
    size_t n = family == 6 ? 16 : 4;
    if (inet_pton(family == 6 ? AF_INET6 : AF_INET, copy, bytes) != 1 || (family == 6 && is_mapped(bytes, copy)))
        return filter_fail(FILTER_E_CONVERSION);
    uint8_t *kept = arena_alloc(arena, n, 1);
    if (!kept)
        return filter_fail(FILTER_E_LIMIT);
    memcpy(kept, bytes, n);
    return (struct filter_value){.kind = FILTER_IP, .family = family, .bytes = td_bytes(kept, n)};
}

struct filter_value filter_cidr_parse(struct arena *arena, struct td_slice text)
{
    const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    if (!slash)
        return filter_fail(FILTER_E_CONVERSION);
    size_t at = (size_t)(slash - text.p);
    struct td_slice bits = td_sub(text, at + 1, text.n);
    unsigned prefix = 0;
    if (bits.n < 1 || bits.n > 3 || (bits.n > 1 && bits.p[0] == '0'))
        return filter_fail(FILTER_E_CONVERSION);
    for (size_t i = 0; i < bits.n; i++) {
        if (bits.p[i] < '0' || bits.p[i] > '9')
            return filter_fail(FILTER_E_CONVERSION);
        prefix = prefix * 10 + bits.p[i] - '0';
    }
    struct filter_value v = filter_ip_parse(arena, td_sub(text, 0, at));
    if (v.kind == FILTER_ERROR)
        return v;
    if (prefix > v.bytes.n * 8)
        return filter_fail(FILTER_E_CONVERSION);
    v.kind = FILTER_CIDR;
    v.prefix = (uint8_t)prefix;
    return v;
}

bool filter_same_prefix(const uint8_t *a, const uint8_t *b, unsigned n)
{
    if (memcmp(a, b, n / 8) != 0)
        return false;
    return n % 8 == 0 || ((a[n / 8] ^ b[n / 8]) & (0xff00u >> n % 8) & 0xffu) == 0;
}
