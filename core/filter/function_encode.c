/* base64 (RFC 4648 section 4). */
#include "filter/function_table.h"
#include "filter/text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct filter_value call_base64_encode(struct filter_context *ctx, const struct filter_value *args)
{
    struct td_slice s = args[0].bytes;
    uint8_t *p = filter_room(ctx->arena, (s.n + 2) / 3 * 4);
    if (!p || !filter_spend(ctx->fuel, s.n / FILTER_BYTES_PER_STEP))
        return filter_fail(FILTER_E_LIMIT);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t word = (uint32_t)s.p[i] << 16 | (left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (left > 2 ? s.p[i + 2] : 0u);
        p[n++] = (uint8_t)alphabet[word >> 18];
        p[n++] = (uint8_t)alphabet[word >> 12 & 63];
        p[n++] = left > 1 ? (uint8_t)alphabet[word >> 6 & 63] : '=';
        p[n++] = left > 2 ? (uint8_t)alphabet[word & 63] : '=';
    }
    return filter_string(td_bytes(p, n));
}

/* The padding may be there or not, but not in part. */
struct filter_value call_base64_decode(struct filter_context *ctx, const struct filter_value *args)
{
    struct td_slice s = args[0].bytes;
    uint8_t *p = filter_room(ctx->arena, s.n / 4 * 3 + 3);
    if (!p || !filter_spend(ctx->fuel, s.n / FILTER_BYTES_PER_STEP))
        return filter_fail(FILTER_E_LIMIT);
    if (s.n && s.n % 4 == 0)
        for (int i = 0; i < 2 && s.p[s.n - 1] == '='; i++)
            s.n--;
    size_t n = 0;
    uint32_t word = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *digit = s.p[i] ? strchr(alphabet, s.p[i]) : NULL;
        if (!digit)
            return filter_fail(FILTER_E_CONVERSION);
        word = word << 6 | (uint32_t)(digit - alphabet);
        if (i % 4)
            p[n++] = (uint8_t)(word >> (6 - 2 * (i % 4)));
    }
    return s.n % 4 == 1 ? filter_fail(FILTER_E_CONVERSION) : filter_bytes(td_bytes(p, n));
}
