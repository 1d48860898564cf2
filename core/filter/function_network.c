/* IP addresses and networks. */
#include "base/ip.h"
#include "filter/function_table.h"
#include "filter/network.h"
#include "filter/text.h"

struct filter_value call_ip(struct filter_context *ctx, const struct filter_value *args)
{
    return filter_ip_parse(ctx->arena, args[0].bytes);
}

struct filter_value call_cidr(struct filter_context *ctx, const struct filter_value *args)
{
    return filter_cidr_parse(ctx->arena, args[0].bytes);
}

struct filter_value call_is_ip(struct filter_context *ctx, const struct filter_value *args)
{
    return filter_bool(filter_ip_parse(ctx->arena, args[0].bytes).kind == FILTER_IP);
}

struct filter_value call_is_cidr(struct filter_context *ctx, const struct filter_value *args)
{
    return filter_bool(filter_cidr_parse(ctx->arena, args[0].bytes).kind == FILTER_CIDR);
}

struct filter_value call_is_canonical(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_value ip = filter_ip_parse(ctx->arena, args[0].bytes);
    char text[IP_TEXT];
    if (ip.kind == FILTER_ERROR)
        return ip;
    return filter_bool(td_eq(args[0].bytes, td_bytes(text, ip_format(ip.bytes.p, ip.family, text))));
}

struct filter_value call_family(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].family);
}

/* Does the address begin with these bits? */
static bool begins(const struct filter_value *ip, uint8_t family, const uint8_t *bits, unsigned n)
{
    return ip->family == family && filter_same_prefix(ip->bytes.p, bits, n);
}

static bool is_unspecified(const struct filter_value *ip)
{
    static const uint8_t zero[16];
    return filter_same_prefix(ip->bytes.p, zero, (unsigned)ip->bytes.n * 8);
}

static bool is_loopback(const struct filter_value *ip)
{
    static const uint8_t v6[16] = {[15] = 1};
    return begins(ip, 4, (const uint8_t[]){127}, 8) || begins(ip, 6, v6, 128);
}

static bool is_multicast(const struct filter_value *ip)
{
    return begins(ip, 4, (const uint8_t[]){224}, 4) || begins(ip, 6, (const uint8_t[]){0xff}, 8);
}

static bool is_link_local_unicast(const struct filter_value *ip)
{
    return begins(ip, 4, (const uint8_t[]){169, 254}, 16) || begins(ip, 6, (const uint8_t[]){0xfe, 0x80}, 10);
}

/* In IPv6 the second half of the second byte is the scope, the first half flags. */
static bool is_link_local_multicast(const struct filter_value *ip)
{
    return begins(ip, 4, (const uint8_t[]){224, 0, 0}, 24) || (begins(ip, 6, (const uint8_t[]){0xff}, 8) && (ip->bytes.p[1] & 15) == 2);
}

struct filter_value call_is_unspecified(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bool(is_unspecified(&args[0]));
}

struct filter_value call_is_loopback(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bool(is_loopback(&args[0]));
}

struct filter_value call_is_global_unicast(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    const struct filter_value *ip = &args[0];
    return filter_bool(!is_unspecified(ip) && !is_loopback(ip) && !is_multicast(ip) && !is_link_local_unicast(ip) &&
                       !begins(ip, 4, (const uint8_t[]){255, 255, 255, 255}, 32));
}

struct filter_value call_is_link_local_multicast(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bool(is_link_local_multicast(&args[0]));
}

struct filter_value call_is_link_local_unicast(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bool(is_link_local_unicast(&args[0]));
}

/* Is all of the other, an IP or a CIDR, in the network? */
static struct filter_value contains(const struct filter_value *cidr, const struct filter_value *other)
{
    if (other->kind == FILTER_ERROR)
        return *other;
    return filter_bool(cidr->family == other->family && (other->kind == FILTER_IP || other->prefix >= cidr->prefix) &&
                       filter_same_prefix(cidr->bytes.p, other->bytes.p, cidr->prefix));
}

struct filter_value call_contains_ip(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return contains(&args[0], &args[1]);
}

struct filter_value call_contains_ip_string(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_value ip = filter_ip_parse(ctx->arena, args[1].bytes);
    return contains(&args[0], &ip);
}

struct filter_value call_contains_cidr(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return contains(&args[0], &args[1]);
}

struct filter_value call_contains_cidr_string(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_value cidr = filter_cidr_parse(ctx->arena, args[1].bytes);
    return contains(&args[0], &cidr);
}

struct filter_value call_cidr_ip(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return (struct filter_value){.kind = FILTER_IP, .family = args[0].family, .bytes = args[0].bytes};
}

struct filter_value call_prefix_length(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].prefix);
}

struct filter_value call_masked(struct filter_context *ctx, const struct filter_value *args)
{
    struct filter_value masked = args[0];
    uint8_t *p = filter_room(ctx->arena, masked.bytes.n);
    if (!p)
        return filter_fail(FILTER_E_LIMIT);
    size_t whole = masked.prefix / 8u;
    memcpy(p, masked.bytes.p, whole);
    if (masked.prefix % 8u)
        p[whole] = masked.bytes.p[whole] & (uint8_t)(0xff00u >> masked.prefix % 8u);
    masked.bytes.p = p;
    return masked;
}
