/* Functions over text and bytes. Positions in text count code points. */
#include "filter/cache.h"
#include "filter/function_table.h"
#include "filter/text.h"

#include "base/utf8.h"

/* What compiling a regular expression counts as, besides its length. */
enum { REGEX_STEPS = 500 };

/* Pays for looking at some bytes; false: the record has had its share. */
static bool pay(struct filter_context *ctx, size_t bytes)
{
    return filter_spend(ctx->fuel, bytes / FILTER_BYTES_PER_STEP);
}

/* Where `part` begins in `text` at or after `from`, in bytes; SIZE_MAX if nowhere. */
static size_t find(struct td_slice text, struct td_slice part, size_t from)
{
    struct td_slice rest = td_sub(text, from, text.n);
    if (!part.n)
        return from;
    const uint8_t *at = rest.n ? memmem(rest.p, rest.n, part.p, part.n) : NULL;
    return at ? (size_t)(at - text.p) : SIZE_MAX;
}

/* The last place at or before `from`. */
static size_t find_last(struct td_slice text, struct td_slice part, size_t from)
{
    if (part.n > text.n)
        return SIZE_MAX;
    if (from > text.n - part.n)
        from = text.n - part.n;
    for (size_t at = from + 1; at-- > 0;)
        if (td_starts(td_sub(text, at, text.n), part))
            return at;
    return SIZE_MAX;
}

struct filter_value call_contains(struct filter_context *ctx, const struct filter_value *args)
{
    if (!pay(ctx, args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    return filter_bool(find(args[0].bytes, args[1].bytes, 0) != SIZE_MAX);
}

struct filter_value call_starts_with(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_bool(td_starts(args[0].bytes, args[1].bytes));
}

struct filter_value call_ends_with(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    struct td_slice text = args[0].bytes, part = args[1].bytes;
    return filter_bool(part.n <= text.n && td_eq(td_sub(text, text.n - part.n, text.n), part));
}

struct filter_value call_matches(struct filter_context *ctx, const struct filter_value *args)
{
    const struct filter_regex *regex = ctx->prepared;
    bool made = false;
    if (!regex)
        regex = filter_cache_regex(ctx->cache, args[1].bytes, &made);
    if ((made && !filter_spend(ctx->fuel, REGEX_STEPS + args[1].bytes.n)) || !pay(ctx, 4 * args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    return regex ? filter_bool(filter_regex_match(regex, args[0].bytes)) : filter_fail(FILTER_E_BAD_REGEX);
}

struct filter_value call_size_string(struct filter_context *ctx, const struct filter_value *args)
{
    if (!pay(ctx, args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    return filter_int((int64_t)filter_utf8_count(args[0].bytes));
}

struct filter_value call_size_bytes(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int((int64_t)args[0].bytes.n);
}

/* The byte at which a position begins; false if it is negative or beyond the end. */
static bool position(const struct filter_value *text, const struct filter_value *index, size_t *ret)
{
    if (index->i < 0)
        return false;
    *ret = filter_utf8_offset(text->bytes, (uint64_t)index->i);
    return *ret != SIZE_MAX;
}

struct filter_value call_char_at(struct filter_context *ctx, const struct filter_value *args)
{
    struct td_slice text = args[0].bytes;
    size_t at;
    if (!pay(ctx, text.n))
        return filter_fail(FILTER_E_LIMIT);
    if (!position(&args[0], &args[1], &at))
        return filter_fail(FILTER_E_BAD_INDEX);
    return filter_string(td_sub(text, at, at < text.n ? filter_utf8_next(text, at) : at));
}

/* Bytes to code points. */
static struct filter_value index_value(struct td_slice text, size_t at)
{
    return filter_int(at == SIZE_MAX ? -1 : (int64_t)filter_utf8_count(td_sub(text, 0, at)));
}

struct filter_value call_index_of(struct filter_context *ctx, const struct filter_value *args)
{
    if (!pay(ctx, args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    return index_value(args[0].bytes, find(args[0].bytes, args[1].bytes, 0));
}

struct filter_value call_index_of_from(struct filter_context *ctx, const struct filter_value *args)
{
    size_t from;
    if (!pay(ctx, args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    if (!position(&args[0], &args[2], &from))
        return filter_fail(FILTER_E_BAD_INDEX);
    return index_value(args[0].bytes, find(args[0].bytes, args[1].bytes, from));
}

struct filter_value call_last_index_of(struct filter_context *ctx, const struct filter_value *args)
{
    if (!pay(ctx, args[0].bytes.n * (args[1].bytes.n / FILTER_BYTES_PER_STEP + 1)))
        return filter_fail(FILTER_E_LIMIT);
    return index_value(args[0].bytes, find_last(args[0].bytes, args[1].bytes, args[0].bytes.n));
}

struct filter_value call_last_index_of_from(struct filter_context *ctx, const struct filter_value *args)
{
    size_t from;
    if (!pay(ctx, args[0].bytes.n * (args[1].bytes.n / FILTER_BYTES_PER_STEP + 1)))
        return filter_fail(FILTER_E_LIMIT);
    if (!position(&args[0], &args[2], &from))
        return filter_fail(FILTER_E_BAD_INDEX);
    return index_value(args[0].bytes, find_last(args[0].bytes, args[1].bytes, from));
}

static struct filter_value join(struct filter_context *ctx, const struct filter_list *list, struct td_slice separator)
{
    struct filter_text t = {.arena = ctx->arena};
    if (!filter_spend(ctx->fuel, list->n))
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->v[i].kind != FILTER_STRING)
            return filter_fail(FILTER_E_NO_OVERLOAD);
        if (i)
            filter_text_put(&t, separator);
        filter_text_put(&t, list->v[i].bytes);
        if (!pay(ctx, list->v[i].bytes.n + separator.n))
            return filter_fail(FILTER_E_LIMIT);
    }
    return filter_text_value(&t);
}

struct filter_value call_join(struct filter_context *ctx, const struct filter_value *args)
{
    return join(ctx, args[0].list, td_bytes(NULL, 0));
}

struct filter_value call_join_with(struct filter_context *ctx, const struct filter_value *args)
{
    return join(ctx, args[0].list, args[1].bytes);
}

/* With the letters from `first` to `first` + 25 in the other case. */
static struct filter_value fold(struct filter_context *ctx, struct td_slice text, char first)
{
    uint8_t *p = filter_room(ctx->arena, text.n);
    if (!p || !pay(ctx, text.n))
        return filter_fail(FILTER_E_LIMIT);
    for (size_t i = 0; i < text.n; i++)
        p[i] = (uint8_t)(text.p[i] - first) < 26u ? text.p[i] ^ 0x20u : text.p[i];
    return filter_string(td_bytes(p, text.n));
}

struct filter_value call_lower_ascii(struct filter_context *ctx, const struct filter_value *args)
{
    return fold(ctx, args[0].bytes, 'A');
}

struct filter_value call_upper_ascii(struct filter_context *ctx, const struct filter_value *args)
{
    return fold(ctx, args[0].bytes, 'a');
}

/* Where the next thing to replace or to split at begins. An empty one stands before each character, and `first` is false once
 * the place at `from` was taken. */
static size_t next_place(struct td_slice text, struct td_slice part, size_t from, bool first)
{
    if (part.n)
        return find(text, part, from);
    if (first)
        return from;
    return from < text.n ? filter_utf8_next(text, from) : SIZE_MAX;
}

static struct filter_value replace(struct filter_context *ctx, const struct filter_value *args, uint64_t limit)
{
    struct td_slice text = args[0].bytes, old = args[1].bytes, new = args[2].bytes;
    struct filter_text t = {.arena = ctx->arena};
    size_t done = 0;
    if (!pay(ctx, text.n))
        return filter_fail(FILTER_E_LIMIT);
    for (uint64_t i = 0; i < limit; i++) {
        size_t at = next_place(text, old, done, i == 0);
        if (at == SIZE_MAX)
            break;
        filter_text_put(&t, td_sub(text, done, at));
        filter_text_put(&t, new);
        done = at + old.n;
        if (t.failed || !filter_spend(ctx->fuel, 1 + new.n / FILTER_BYTES_PER_STEP))
            return filter_fail(FILTER_E_LIMIT);
    }
    filter_text_put(&t, td_sub(text, done, text.n));
    return filter_text_value(&t);
}

struct filter_value call_replace(struct filter_context *ctx, const struct filter_value *args)
{
    return replace(ctx, args, UINT64_MAX);
}

struct filter_value call_replace_n(struct filter_context *ctx, const struct filter_value *args)
{
    return replace(ctx, args, args[3].i < 0 ? UINT64_MAX : (uint64_t)args[3].i);
}

/* Splits into at most `limit` parts: counts them if `list` is NULL, else fills it. An empty separator splits between all
 * characters. */
static uint64_t split_into(struct td_slice text, struct td_slice separator, uint64_t limit, struct filter_list *list)
{
    uint64_t n = 0;
    size_t start = 0;
    while (n + 1 < limit) {
        size_t at = next_place(text, separator, start, false);
        if (at == SIZE_MAX || (!separator.n && at == text.n))
            break;
        if (list)
            list->v[n] = filter_string(td_sub(text, start, at));
        start = at + separator.n;
        n++;
    }
    if (limit && (separator.n || text.n)) {
        if (list)
            list->v[n] = filter_string(td_sub(text, start, text.n));
        n++;
    }
    return n;
}

static struct filter_value split(struct filter_context *ctx, const struct filter_value *args, uint64_t limit)
{
    uint64_t n = split_into(args[0].bytes, args[1].bytes, limit, NULL);
    if (!pay(ctx, 2 * args[0].bytes.n) || !filter_spend(ctx->fuel, n))
        return filter_fail(FILTER_E_LIMIT);
    struct filter_list *list = filter_list_new(ctx->arena, (uint32_t)n);
    if (!list)
        return filter_fail(FILTER_E_LIMIT);
    split_into(args[0].bytes, args[1].bytes, limit, list);
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

struct filter_value call_split(struct filter_context *ctx, const struct filter_value *args)
{
    return split(ctx, args, UINT64_MAX);
}

struct filter_value call_split_n(struct filter_context *ctx, const struct filter_value *args)
{
    return split(ctx, args, args[2].i < 0 ? UINT64_MAX : (uint64_t)args[2].i);
}

struct filter_value call_substring(struct filter_context *ctx, const struct filter_value *args)
{
    size_t from;
    if (!pay(ctx, args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    if (!position(&args[0], &args[1], &from))
        return filter_fail(FILTER_E_BAD_INDEX);
    return filter_string(td_sub(args[0].bytes, from, args[0].bytes.n));
}

struct filter_value call_substring_to(struct filter_context *ctx, const struct filter_value *args)
{
    size_t from, to;
    if (!pay(ctx, 2 * args[0].bytes.n))
        return filter_fail(FILTER_E_LIMIT);
    if (!position(&args[0], &args[1], &from) || !position(&args[0], &args[2], &to) || from > to)
        return filter_fail(FILTER_E_BAD_INDEX);
    return filter_string(td_sub(args[0].bytes, from, to));
}

static struct filter_value part_of_bytes(struct td_slice bytes, int64_t from, int64_t to)
{
    if (from < 0 || to < from || (uint64_t)to > bytes.n)
        return filter_fail(FILTER_E_BAD_INDEX);
    return filter_bytes(td_sub(bytes, (size_t)from, (size_t)to));
}

struct filter_value call_substring_bytes(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return part_of_bytes(args[0].bytes, args[1].i, (int64_t)args[0].bytes.n);
}

struct filter_value call_substring_bytes_to(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return part_of_bytes(args[0].bytes, args[1].i, args[2].i);
}

static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The code point that begins at p, of which `n` bytes are there. */
static uint32_t decode(const uint8_t *p, size_t n)
{
    if (p[0] < 0x80 || n < 2)
        return p[0];
    if (p[0] < 0xe0)
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (p[0] < 0xf0 && n >= 3)
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return 0xfffd; /* nothing of four bytes is white space */
}

struct filter_value call_trim(struct filter_context *ctx, const struct filter_value *args)
{
    struct td_slice s = args[0].bytes;
    if (!pay(ctx, s.n))
        return filter_fail(FILTER_E_LIMIT);
    while (s.n && is_space(decode(s.p, s.n)))
        s = td_sub(s, filter_utf8_next(s, 0), s.n);
    while (s.n) {
        size_t last = s.n - 1;
        while (last && (s.p[last] & 0xc0) == 0x80)
            last--;
        if (!is_space(decode(s.p + last, s.n - last)))
            break;
        s.n = last;
    }
    return filter_string(s);
}

struct filter_value call_reverse(struct filter_context *ctx, const struct filter_value *args)
{
    struct td_slice s = args[0].bytes;
    uint8_t *p = filter_room(ctx->arena, s.n);
    if (!p || !pay(ctx, s.n))
        return filter_fail(FILTER_E_LIMIT);
    for (size_t at = 0, next; at < s.n; at = next) {
        next = filter_utf8_next(s, at);
        memcpy(p + s.n - next, s.p + at, next - at);
    }
    return filter_string(td_bytes(p, s.n));
}

struct filter_value call_quote(struct filter_context *ctx, const struct filter_value *args)
{
    static const char plain[] = "\a\b\f\n\r\t\v\\\"", escaped[] = "abfnrtv\\\"";
    struct td_slice s = args[0].bytes;
    struct filter_text t = {.arena = ctx->arena};
    if (!pay(ctx, s.n))
        return filter_fail(FILTER_E_LIMIT);
    filter_text_putc(&t, '"');
    for (size_t i = 0; i < s.n;) {
        const char *special = s.p[i] ? strchr(plain, s.p[i]) : NULL;
        size_t n = utf8_length(s.p + i, s.n - i);
        if (special) {
            filter_text_putc(&t, '\\');
            filter_text_putc(&t, escaped[special - plain]);
        } else if (n) {
            filter_text_put(&t, td_sub(s, i, i + n));
        } else {
            filter_text_lit(&t, "\xef\xbf\xbd");
        }
        i += n ? n : 1;
    }
    filter_text_putc(&t, '"');
    return filter_text_value(&t);
}
