#include "http2_hpack.h"

#include "tapedeck/cursor.h"

enum {
    STATIC_ENTRIES = 61,  /* RFC 7541 appendix A */
    MAX_STRING = 1 << 20, /* bytes of a literal; longer ones are none */
    MAX_JUDGED = 128      /* representations by which a block is judged */
};

void http2_hpack_init(struct http2_hpack *h, nghttp2_mem *memory, bool lost)
{
    h->inflater = NULL;
    h->memory = memory;
    h->lost = lost;
}

void http2_hpack_clear(struct http2_hpack *h)
{
    if (h->inflater)
        nghttp2_hd_inflate_del(h->inflater);
    h->inflater = NULL;
}

void http2_hpack_lose(struct http2_hpack *h)
{
    http2_hpack_clear(h);
    h->lost = true;
}

/* ---- Representations ------------------------------------------------------------------------------------------------- */

/* RFC 7541 section 6. */
enum kind { INDEXED, INSERTED, PLAIN, NEVER, TABLE_SIZE };

struct representation {
    enum kind kind;
    uint32_t index;             /* of the field, or of the name; 0: the name is a literal. TABLE_SIZE: the size */
    struct td_slice all;        /* its bytes */
    struct td_slice value;      /* the value with its length, as in the block */
    struct td_slice name, text; /* what the strings have, the name if it is a literal */
    bool coded;                 /* one of the strings is Huffman-coded */
};

/* Section 5.1: the rest of the first byte, then seven bits a byte. */
static uint32_t read_integer(struct td_cursor *c, uint8_t first, unsigned bits)
{
    uint32_t mask = (1u << bits) - 1, value = first & mask;
    unsigned shift = 0;
    uint8_t more;
    if (value < mask)
        return value;
    do {
        more = td_u8(c);
        if (shift > 21)
            c->failed = true; /* nothing needs 2^28 */
        else
            value += (uint32_t)(more & 0x7f) << shift;
        shift += 7;
    } while (more & 0x80 && !c->failed);
    return value;
}

/* Section 5.2: as it stands in the block, coded or not. */
static struct td_slice read_string(struct td_cursor *c, bool *coded)
{
    uint8_t first = td_u8(c);
    uint32_t n = read_integer(c, first, 7);
    *coded |= first >> 7;
    if (n > MAX_STRING)
        c->failed = true;
    return td_take(c, n);
}

/* The next representation; false: it is cut or nonsense. */
static bool next_representation(struct td_cursor *c, struct representation *r)
{
    const uint8_t *begin = c->p;
    uint8_t first = td_u8(c);
    const uint8_t *value;
    if (first & 0x80)
        r->kind = INDEXED;
    else if (first & 0x40)
        r->kind = INSERTED;
    else if (first & 0x20)
        r->kind = TABLE_SIZE;
    else
        r->kind = first & 0x10 ? NEVER : PLAIN;
    r->index = read_integer(c, first, r->kind == INDEXED ? 7 : r->kind == INSERTED ? 6 : r->kind == TABLE_SIZE ? 5 : 4);
    if (r->kind >= TABLE_SIZE || r->kind == INDEXED) {
        r->all = td_bytes(begin, (size_t)(c->p - begin));
        return !c->failed && !(r->kind == INDEXED && r->index == 0);
    }
    r->coded = false;
    if (r->index == 0)
        r->name = read_string(c, &r->coded);
    value = c->p;
    r->text = read_string(c, &r->coded);
    r->all = td_bytes(begin, (size_t)(c->p - begin));
    r->value = td_bytes(value, (size_t)(c->p - value));
    return !c->failed;
}

bool http2_hpack_plausible(struct td_slice block, bool cut)
{
    struct td_cursor c = td_cursor(block);
    struct representation r;
    bool fields = false;
    unsigned n;
    if (block.n == 0)
        return cut;
    for (n = 0; td_left(&c) && n < MAX_JUDGED; n++) {
        if (!next_representation(&c, &r))
            return cut && c.failed;
        if (r.kind == TABLE_SIZE ? fields || r.index > HTTP2_MAX_TABLE * 16 : r.index > STATIC_ENTRIES + HTTP2_MAX_TABLE / 32)
            return false; /* sizes stand at the beginning (section 4.2) */
        fields |= r.kind != TABLE_SIZE;
    }
    return fields;
}

int http2_hpack_side(struct td_slice block)
{
    struct td_cursor c = td_cursor(block);
    struct representation r;
    unsigned n;
    for (n = 0; n < MAX_JUDGED && td_left(&c) && next_representation(&c, &r); n++) {
        if (r.kind == TABLE_SIZE)
            continue;
        if (r.index >= 1 && r.index <= 7)
            return 1;
        if (r.index >= 8 && r.index <= 14)
            return 2;
        if (r.index)
            return 0;
        /* Literal names, perhaps Huffman-coded (appendix B): ":status" and ":method" as some servers and clients write them. */
        if (td_starts(td_sub(r.all, 1, r.all.n), TD_LIT("\x07:status")))
            return 2;
        return td_starts(td_sub(r.all, 1, r.all.n), TD_LIT("\x07:method")) ? 1 : 0;
    }
    return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

/* "The table may have this size" as an encoder says it: HTTP2_MAX_TABLE. */
static const uint8_t largest[] = {0x3f, 0xe1, 0xff, 0x03};

static bool make_inflater(struct http2_hpack *h)
{
    nghttp2_nv field;
    int flags = 0;
    if (h->inflater)
        return true;
    if (nghttp2_hd_inflate_new2(&h->inflater, h->memory) != 0)
        return false;
    /* What the receiver allows is in its SETTINGS, but the sender repeats it in its blocks, at the place from which on it
     * holds (section 4.2). */
    (void)nghttp2_hd_inflate_change_table_size(h->inflater, HTTP2_MAX_TABLE);
    /* It is not known what was agreed on. */
    if (h->lost && nghttp2_hd_inflate_hd2(h->inflater, &field, &flags, largest, sizeof(largest), 0) != (ssize_t)sizeof(largest)) {
        http2_hpack_clear(h);
        return false;
    }
    return true;
}

static enum http2_hpack_result give(http2_field_fn *fn, void *ctx, struct td_slice name, struct td_slice value, unsigned flags)
{
    if (td_eq(name, TD_LIT(HTTP2_UNKNOWN))) /* perhaps of an entry that was inserted under a name that is not known */
        flags |= HTTP2_NAME_UNKNOWN;
    return fn(ctx, name, value, flags) ? HTTP2_HPACK_OK : HTTP2_HPACK_BAD;
}

static enum http2_hpack_result give_entry(http2_field_fn *fn, void *ctx, const nghttp2_nv *nv)
{
    unsigned flags = nv->flags & NGHTTP2_NV_FLAG_NO_INDEX ? HTTP2_NEVER_INDEXED : 0;
    return give(fn, ctx, td_bytes(nv->name, nv->namelen), td_bytes(nv->value, nv->valuelen), flags);
}

/* Feeds whole representations. */
static enum http2_hpack_result inflate_part(struct http2_hpack *h, struct td_slice part, http2_field_fn *fn, void *ctx)
{
    while (part.n) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(h->inflater, &nv, &flags, part.p, part.n, 0);
        if (n < 0)
            return n == NGHTTP2_ERR_NOMEM ? HTTP2_HPACK_NOMEM : HTTP2_HPACK_BAD;
        part = td_sub(part, (size_t)n, part.n);
        if (flags & NGHTTP2_HD_INFLATE_EMIT && give_entry(fn, ctx, &nv) != HTTP2_HPACK_OK)
            return HTTP2_HPACK_BAD;
        if (n == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))
            return HTTP2_HPACK_BAD;
    }
    return HTTP2_HPACK_OK;
}

/* A literal whose name is an entry that is not known: the value is read under a name that says so. */
static enum http2_hpack_result inflate_nameless(struct http2_hpack *h, const struct representation *r, http2_field_fn *fn, void *ctx)
{
    uint8_t name[2 + sizeof(HTTP2_UNKNOWN) - 1];
    enum http2_hpack_result result;
    name[0] = r->kind == INSERTED ? 0x40 : r->kind == NEVER ? 0x10 : 0;
    name[1] = sizeof(HTTP2_UNKNOWN) - 1;
    memcpy(name + 2, HTTP2_UNKNOWN, sizeof(HTTP2_UNKNOWN) - 1);
    result = inflate_part(h, td_bytes(name, sizeof(name)), fn, ctx);
    return result == HTTP2_HPACK_OK ? inflate_part(h, r->value, fn, ctx) : result;
}

/* An entry of the table, which changes nothing in it: it need not go through the inflater. */
static enum http2_hpack_result give_indexed(struct http2_hpack *h, uint32_t index, http2_field_fn *fn, void *ctx)
{
    const nghttp2_nv *entry = nghttp2_hd_inflate_get_table_entry(h->inflater, index);
    if (entry)
        return give_entry(fn, ctx, entry);
    if (index == 0 || !h->lost)
        return HTTP2_HPACK_BAD;
    return give(fn, ctx, TD_LIT(HTTP2_UNKNOWN), TD_LIT(HTTP2_UNKNOWN), HTTP2_VALUE_UNKNOWN);
}

static enum http2_hpack_result set_table_size(struct http2_hpack *h, const struct representation *r, http2_field_fn *fn, void *ctx)
{
    if (r->index <= HTTP2_MAX_TABLE)
        return inflate_part(h, r->all, fn, ctx);
    h->lost = true; /* its sender keeps more from now on than is kept here */
    return inflate_part(h, td_bytes(largest, sizeof(largest)), fn, ctx);
}

/* A literal that stays out of the table, of strings as they are: it need not go through the inflater either. */
static enum http2_hpack_result give_plain(struct http2_hpack *h, const struct representation *r, http2_field_fn *fn, void *ctx)
{
    struct td_slice name = r->name;
    if (r->index) {
        const nghttp2_nv *entry = nghttp2_hd_inflate_get_table_entry(h->inflater, r->index);
        if (!entry && !h->lost)
            return HTTP2_HPACK_BAD;
        name = entry ? td_bytes(entry->name, entry->namelen) : TD_LIT(HTTP2_UNKNOWN);
    }
    return give(fn, ctx, name, r->text, r->kind == NEVER ? HTTP2_NEVER_INDEXED : 0);
}

static enum http2_hpack_result give_literal(struct http2_hpack *h, const struct representation *r, http2_field_fn *fn, void *ctx)
{
    if (r->kind != INSERTED && !r->coded)
        return give_plain(h, r, fn, ctx);
    bool known = !h->lost || r->index <= nghttp2_hd_inflate_get_num_table_entries(h->inflater);
    return known ? inflate_part(h, r->all, fn, ctx) : inflate_nameless(h, r, fn, ctx);
}

static enum http2_hpack_result inflate(struct http2_hpack *h, struct td_slice block, http2_field_fn *fn, void *ctx)
{
    struct td_cursor c = td_cursor(block);
    struct representation r;
    enum http2_hpack_result result = HTTP2_HPACK_OK;
    bool fields = false;
    while (td_left(&c) && result == HTTP2_HPACK_OK) {
        if (*c.p > 0x80 && *c.p < 0xff) { /* an index in one byte: nearly all of them */
            result = give_indexed(h, *c.p++ & 0x7fu, fn, ctx);
            fields = true;
            continue;
        }
        if (!next_representation(&c, &r) || (r.kind == TABLE_SIZE && fields)) /* sizes stand at the beginning (section 4.2) */
            return HTTP2_HPACK_BAD;
        fields |= r.kind != TABLE_SIZE;
        if (r.kind == TABLE_SIZE)
            result = set_table_size(h, &r, fn, ctx);
        else
            result = r.kind == INDEXED ? give_indexed(h, r.index, fn, ctx) : give_literal(h, &r, fn, ctx);
    }
    return result;
}

enum http2_hpack_result http2_hpack_read(struct http2_hpack *h, struct td_slice block, http2_field_fn *fn, void *ctx)
{
    enum http2_hpack_result result = HTTP2_HPACK_NOMEM;
    if (make_inflater(h)) {
        result = inflate(h, block, fn, ctx);
        (void)nghttp2_hd_inflate_end_headers(h->inflater);
    }
    if (result != HTTP2_HPACK_OK)
        http2_hpack_lose(h);
    return result;
}
