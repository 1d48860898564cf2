#include "filter/bits.h"

enum { WORD = 64 };

/* 64 bytes, each 0 or 1, as a word; the first byte is the lowest bit. */
static inline uint64_t pack(const uint8_t bytes[WORD])
{
    uint64_t word = 0;
    for (int i = 0; i < WORD; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, 8);
        /* Moves bit 0 of byte k to bit 56 + k; little-endian, as all lanes are. */
        word |= (eight * 0x0102040810204080ull >> 56) << i;
    }
    return word;
}

static uint64_t last_mask(uint32_t rows)
{
    return rows % WORD ? (1ull << (rows % WORD)) - 1 : UINT64_MAX;
}

/* All words of `rows` rows are set: clears what lies behind them. */
static void trim(struct filter_bits *b, uint32_t rows)
{
    uint32_t words = (rows + WORD - 1) / WORD;
    if (words)
        b->v[words - 1] &= last_mask(rows);
    memset(b->v + words, 0, (CHUNK_BITS - words) * sizeof(*b->v));
}

static void set_all(struct filter_bits *b, uint32_t rows)
{
    memset(b->v, 0xff, sizeof(b->v));
    trim(b, rows);
}

/* A loop for each width of lanes, so that each is made into vector code. One comparison tests a range: (x - low) <= span, all
 * unsigned. Arrays may be read beyond their end, up to 64 bytes; what is read there is cleared afterwards. */
#define RANGE_LOOP(type)                                                                         \
    static void range_##type(const type *v, uint32_t words, type low, type span, uint64_t *bits) \
    {                                                                                            \
        for (uint32_t w = 0; w < words; w++, v += WORD) {                                        \
            uint8_t bytes[WORD];                                                                 \
            for (int i = 0; i < WORD; i++)                                                       \
                bytes[i] = (type)(v[i] - low) <= span;                                           \
            bits[w] = pack(bytes);                                                               \
        }                                                                                        \
    }
RANGE_LOOP(uint8_t)
RANGE_LOOP(uint16_t)
RANGE_LOOP(uint32_t)
RANGE_LOOP(uint64_t)

/* The words that are whole in the array; the last one, if it is not, goes through a copy. */
#define RANGE(type)                                                               \
    do {                                                                          \
        const type *v = l->v;                                                     \
        uint32_t whole = rows / WORD;                                             \
        range_##type(v, whole, (type)low, (type)(high - low), ret->v);            \
        if (rows % WORD) {                                                        \
            type rest[WORD] = {0};                                                \
            memcpy(rest, v + (size_t)whole * WORD, rows % WORD * sizeof(type));   \
            range_##type(rest, 1, (type)low, (type)(high - low), ret->v + whole); \
        }                                                                         \
    } while (0)

/* The same in the lanes' own numbers, which are below 2 to the 8 * width. */
static void lane_range(const struct chunk_lanes *l, uint32_t rows, uint64_t low, uint64_t high, struct filter_bits *ret)
{
    switch (l->width) {
    case 1: RANGE(uint8_t); break;
    case 2: RANGE(uint16_t); break;
    case 4: RANGE(uint32_t); break;
    default: RANGE(uint64_t); break;
    }
    trim(ret, rows);
}

void filter_bits_range(const struct chunk_lanes *l, uint32_t rows, int64_t low, int64_t high, struct filter_bits *ret)
{
    uint64_t most = l->width == 0 ? 0 : l->width == 8 ? UINT64_MAX : (1ull << (8 * l->width)) - 1;
    /* Lanes are distances from the base and none wraps around, so every value is at least the base. */
    if (high < l->base || (low > l->base && (uint64_t)low - (uint64_t)l->base > most)) {
        filter_bits_clear(ret);
        return;
    }
    uint64_t from = low > l->base ? (uint64_t)low - (uint64_t)l->base : 0, to = (uint64_t)high - (uint64_t)l->base;
    if (to > most)
        to = most;
    if (from == 0 && to == most)
        set_all(ret, rows);
    else
        lane_range(l, rows, from, to, ret);
}

void filter_bits_id(const struct chunk_lanes *ids, uint32_t rows, uint32_t id, struct filter_bits *ret)
{
    filter_bits_range(ids, rows, id, id, ret);
}

/* The verdicts of up to 64 rows; what any of them says. */
#define LOOK_UP(type)                                                                                 \
    static uint8_t look_up_##type(const type *ids, uint32_t n, const uint8_t *verdicts, uint8_t *ret) \
    {                                                                                                 \
        uint8_t any = 0;                                                                              \
        for (uint32_t i = 0; i < n; i++)                                                              \
            any |= ret[i] = verdicts[ids[i]];                                                         \
        return any;                                                                                   \
    }
LOOK_UP(uint8_t)
LOOK_UP(uint16_t)
LOOK_UP(uint32_t)

static uint8_t look_up(const struct chunk_lanes *ids, uint32_t begin, uint32_t n, const uint8_t *verdicts, uint8_t *ret)
{
    switch (ids->width) {
    case 0: memset(ret, verdicts[0], n); return verdicts[0];
    case 1: return look_up_uint8_t((const uint8_t *)ids->v + begin, n, verdicts, ret);
    case 2: return look_up_uint16_t((const uint16_t *)ids->v + begin, n, verdicts, ret);
    default: return look_up_uint32_t((const uint32_t *)ids->v + begin, n, verdicts, ret);
    }
}

void filter_bits_verdicts(const struct chunk_lanes *ids, uint32_t rows, const uint8_t *verdicts, struct filter_bits *ret_true,
                          struct filter_bits *ret_error)
{
    filter_bits_clear(ret_true);
    filter_bits_clear(ret_error);
    for (uint32_t begin = 0; begin < rows; begin += WORD) {
        uint8_t found[WORD] = {0};
        uint32_t n = rows - begin < WORD ? rows - begin : WORD;
        uint8_t any = look_up(ids, begin, n, verdicts, found);
        if (any & VERDICT_ERROR) {
            uint8_t wrong[WORD];
            for (int i = 0; i < WORD; i++) {
                wrong[i] = found[i] >> 1;
                found[i] &= 1;
            }
            ret_error->v[begin / WORD] = pack(wrong);
        }
        ret_true->v[begin / WORD] = pack(found);
    }
}

void filter_bits_elements(const struct chunk_lanes *ids, const uint32_t *offsets, uint32_t rows, const uint8_t *verdicts,
                          struct filter_bits *ret_true, struct filter_bits *ret_error)
{
    filter_bits_clear(ret_true);
    filter_bits_clear(ret_error);
    for (uint32_t row = 0; row < rows; row++) {
        uint8_t any = 0;
        for (uint32_t i = offsets[row]; i < offsets[row + 1]; i++)
            any |= verdicts[chunk_lane(ids, i)];
        if (any & VERDICT_TRUE)
            ret_true->v[row / WORD] |= 1ull << (row % WORD);
        else if (any & VERDICT_ERROR)
            ret_error->v[row / WORD] |= 1ull << (row % WORD);
    }
}
