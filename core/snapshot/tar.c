#include "snapshot/tar.h"

#include <stdio.h>
#include <string.h>

/* ---- The header: where its fields are ---- */

enum {
    NAME_AT = 0,
    NAME_BYTES = 100,
    MODE_AT = 100,
    UID_AT = 108,
    GID_AT = 116,
    SIZE_AT = 124,
    MTIME_AT = 136,
    NUMBER_BYTES = 12, /* of size and time; the others have 8 */
    CHECKSUM_AT = 148,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_BYTES = 155
};

/* What 11 octal digits can say. */
static const uint64_t max_octal = ((uint64_t)1 << 33) - 1;

/* ---- Writing ---- */

static uint32_t checksum(const uint8_t *h)
{
    uint32_t sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + 8 ? ' ' : h[i];
    return sum;
}

static void put_octal(uint8_t *field, size_t n, uint64_t v)
{
    field[n - 1] = 0;
    for (size_t i = n - 1; i-- > 0; v >>= 3)
        field[i] = (uint8_t)('0' + (v & 7));
}

static void put_header(struct buf *b, const char *name, uint64_t bytes, int64_t mtime_s, char type)
{
    uint8_t h[TAR_BLOCK] = {0};
    size_t n = strlen(name);
    memcpy(h + NAME_AT, name, n < NAME_BYTES ? n : NAME_BYTES);
    put_octal(h + MODE_AT, 8, 0644);
    put_octal(h + UID_AT, 8, 0);
    put_octal(h + GID_AT, 8, 0);
    put_octal(h + SIZE_AT, NUMBER_BYTES, bytes > max_octal ? 0 : bytes);
    put_octal(h + MTIME_AT, NUMBER_BYTES, mtime_s > 0 && (uint64_t)mtime_s <= max_octal ? (uint64_t)mtime_s : 0);
    h[TYPE_AT] = (uint8_t)type;
    memcpy(h + MAGIC_AT, "ustar\00000", 8);
    put_octal(h + CHECKSUM_AT, 7, checksum(h));
    h[CHECKSUM_AT + 7] = ' ';
    buf_put(b, h, sizeof(h));
}

static size_t decimal_digits(size_t v)
{
    size_t n = 1;
    for (; v >= 10; v /= 10)
        n++;
    return n;
}

/* "27 path=some/name\n": the number counts itself. */
static void put_record(struct buf *b, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, n = rest + 1;
    while (rest + decimal_digits(n) != n)
        n = rest + decimal_digits(n);
    buf_printf(b, "%zu %s=%s\n", n, key, value);
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text >= 0x80)
            return false;
    return true;
}

void tar_put_file(struct buf *b, const char *name, uint64_t bytes, int64_t mtime_s)
{
    struct buf records = {.max = TAR_MAX_EXTENSION};
    if (strlen(name) > NAME_BYTES || !is_ascii(name))
        put_record(&records, "path", name);
    if (bytes > max_octal) {
        char text[24];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
        put_record(&records, "size", text);
    }
    if (records.n) {
        put_header(b, "pax_header", records.n, mtime_s, 'x');
        buf_put_slice(b, buf_slice(&records));
        tar_put_padding(b, records.n);
    }
    if (records.failed)
        b->failed = true;
    put_header(b, name, bytes, mtime_s, '0');
    buf_clear(&records);
}

static void put_zeros(struct buf *b, size_t n)
{
    if (n && buf_reserve(b, n)) {
        memset(b->p + b->n, 0, n);
        b->n += n;
    }
}

void tar_put_padding(struct buf *b, uint64_t bytes)
{
    put_zeros(b, (size_t)(-bytes % TAR_BLOCK));
}

void tar_put_end(struct buf *b)
{
    put_zeros(b, (size_t)2 * TAR_BLOCK);
}

/* ---- Reading ---- */

void tar_reader_init(struct tar_reader *r, int (*read)(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err), void *ctx)
{
    *r = (struct tar_reader){.read = read, .ctx = ctx, .extension = {.max = TAR_MAX_EXTENSION + 1}};
}

void tar_reader_clear(struct tar_reader *r)
{
    buf_clear(&r->extension);
}

static int damaged(const struct tar_reader *r, struct error *err, const char *what)
{
    return error_set(err, TD_E_CORRUPT, "offset %llu of the archive: %s; it is damaged, or cut", (unsigned long long)r->offset, what);
}

/* Exactly `n` bytes. */
static int read_fully(struct tar_reader *r, void *p, size_t n, struct error *err)
{
    uint8_t *to = p;
    while (n) {
        size_t got = 0;
        int status = r->read(r->ctx, to, n, &got, err);
        if (status != TD_OK)
            return status;
        if (!got)
            return damaged(r, err, "it ends here");
        to += got;
        n -= got;
        r->offset += got;
    }
    return TD_OK;
}

static int skip(struct tar_reader *r, uint64_t n, struct error *err)
{
    uint8_t away[16 << 10];
    while (n) {
        size_t one = n < sizeof(away) ? (size_t)n : sizeof(away);
        int status = read_fully(r, away, one, err);
        if (status != TD_OK)
            return status;
        n -= one;
    }
    return TD_OK;
}

int tar_read(struct tar_reader *r, void *p, size_t n, size_t *ret_n, struct error *err)
{
    size_t got = 0;
    n = n < r->left ? n : (size_t)r->left;
    int status = n ? r->read(r->ctx, p, n, &got, err) : TD_OK;
    if (status != TD_OK)
        return status;
    if (n && !got)
        return damaged(r, err, "it ends within a file");
    r->offset += got;
    r->left -= got;
    *ret_n = got;
    return TD_OK;
}

/* Octal digits between spaces and zeros; or, as GNU has it for big ones, with the first bit set a binary number. */
static bool read_number(const uint8_t *field, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;
    if (field[0] & 0x80) {
        for (i = 0; i < n; i++) {
            uint8_t byte = i ? field[i] : field[i] & 0x7f;
            if (v >> 55)
                return false;
            v = v << 8 | byte;
        }
        *ret = v;
        return true;
    }
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++) {
        if (v >> 60)
            return false;
        v = v << 3 | (uint64_t)(field[i] - '0');
    }
    *ret = v;
    return i == n || field[i] == ' ' || field[i] == 0;
}

static bool is_zero(const uint8_t *h)
{
    for (int i = 0; i < TAR_BLOCK; i++)
        if (h[i])
            return false;
    return true;
}

/* What stands in front of a member for it. */
struct ahead {
    bool has_name, has_size;
    char name[TAR_MAX_NAME];
    uint64_t size;
};

static bool take_name(struct ahead *a, struct td_slice name)
{
    while (name.n && name.p[name.n - 1] == 0)
        name.n--;
    if (name.n >= sizeof(a->name) || (name.n && memchr(name.p, 0, name.n)))
        return false;
    if (name.n)
        memcpy(a->name, name.p, name.n);
    a->name[name.n] = 0;
    a->has_name = true;
    return true;
}

static bool take_decimal(struct td_slice text, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return text.n > 0;
}

/* "27 path=some/name\n" ... */
static bool take_records(struct ahead *a, struct td_slice all)
{
    while (all.n) {
        const uint8_t *space = memchr(all.p, ' ', all.n);
        uint64_t n;
        if (!space || !take_decimal(td_bytes(all.p, (size_t)(space - all.p)), &n) || n > all.n || n < (size_t)(space - all.p) + 3)
            return false;
        struct td_slice record = td_sub(all, (size_t)(space - all.p) + 1, (size_t)n);
        const uint8_t *equals = memchr(record.p, '=', record.n);
        if (!equals || record.p[record.n - 1] != '\n')
            return false;
        struct td_slice key = td_bytes(record.p, (size_t)(equals - record.p)), value = td_sub(record, key.n + 1, record.n - 1);
        if (td_eq(key, TD_LIT("path")) && !take_name(a, value))
            return false;
        if (td_eq(key, TD_LIT("size"))) {
            if (!take_decimal(value, &a->size))
                return false;
            a->has_size = true;
        }
        all = td_sub(all, (size_t)n, all.n);
    }
    return true;
}

/* An extended header or a long name, which is about the member behind it. */
static int read_ahead(struct tar_reader *r, struct ahead *a, char type, uint64_t bytes, struct error *err)
{
    if (bytes > TAR_MAX_EXTENSION)
        return damaged(r, err, "a header that is too long");
    buf_reset(&r->extension);
    if (!buf_reserve(&r->extension, (size_t)bytes + 1))
        return error_nomem(err);
    int status = read_fully(r, r->extension.p, (size_t)bytes, err);
    if (status == TD_OK)
        status = skip(r, -bytes % TAR_BLOCK, err);
    if (status != TD_OK)
        return status;
    struct td_slice all = td_bytes(r->extension.p, (size_t)bytes);
    bool good = true; /* what is for all members (g), and long names of links (K), do not matter here */
    if (type == 'x')
        good = take_records(a, all);
    else if (type == 'L')
        good = take_name(a, all);
    return good ? TD_OK : damaged(r, err, "a header that cannot be read");
}

static void copy_name(const uint8_t *h, struct tar_member *m)
{
    size_t n = strnlen((const char *)h + NAME_AT, NAME_BYTES), at = 0;
    if (memcmp(h + MAGIC_AT, "ustar\0", 6) == 0) { /* GNU keeps something else there */
        at = strnlen((const char *)h + PREFIX_AT, PREFIX_BYTES);
        memcpy(m->name, h + PREFIX_AT, at);
        if (at)
            m->name[at++] = '/';
    }
    memcpy(m->name + at, h + NAME_AT, n);
    m->name[at + n] = 0;
}

static int read_header(struct tar_reader *r, uint8_t h[TAR_BLOCK], uint64_t *ret_bytes, struct error *err)
{
    bool first = r->offset == 0;
    uint64_t sum;
    int status = read_fully(r, h, TAR_BLOCK, err);
    if (status != TD_OK)
        return status;
    if (is_zero(h) && !first)
        return 0;
    bool good = memcmp(h + MAGIC_AT, "ustar", 5) == 0 && read_number(h + CHECKSUM_AT, 8, &sum) && sum == checksum(h) &&
                read_number(h + SIZE_AT, NUMBER_BYTES, ret_bytes);
    if (!good && first)
        return error_set(err, TD_E_UNSUPPORTED, "is no tar archive");
    return good ? 1 : damaged(r, err, "no header of a file");
}

int tar_next(struct tar_reader *r, struct tar_member *m, struct error *err)
{
    enum { MAX_AHEAD = 8 };
    struct ahead ahead = {0};
    uint8_t h[TAR_BLOCK];
    int status = skip(r, r->left, err);
    if (status == TD_OK)
        status = skip(r, r->padding, err);
    r->left = r->padding = 0;
    for (int i = 0; status == TD_OK && i < MAX_AHEAD; i++) {
        uint64_t bytes = 0;
        int found = read_header(r, h, &bytes, err);
        if (found <= 0)
            return found;
        char type = h[TYPE_AT] ? (char)h[TYPE_AT] : '0';
        if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
            status = read_ahead(r, &ahead, type, bytes, err);
            continue;
        }
        copy_name(h, m);
        if (ahead.has_name)
            memcpy(m->name, ahead.name, sizeof(m->name));
        m->type = type == '7' ? '0' : type;
        m->bytes = ahead.has_size ? ahead.size : bytes;
        if (m->bytes > INT64_MAX)
            return damaged(r, err, "a file with a size that cannot be");
        if (m->type >= '1' && m->type <= '6') /* links, devices and folders have no bytes, whatever their headers say */
            m->bytes = 0;
        r->left = m->bytes;
        r->padding = -m->bytes % TAR_BLOCK;
        return 1;
    }
    return status == TD_OK ? damaged(r, err, "headers without a file") : status;
}
