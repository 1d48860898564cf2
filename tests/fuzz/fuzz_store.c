/* Call stores from elsewhere. The first byte says what the rest is:
 *
 * 0: one chunk. Four bytes: the length of its directory, which follows; its checksum is mended. Then parts: two bytes for column
 *    and part as part_key() has them, two for the length, and the bytes. Checksums of parts are not looked at while fuzzing.
 * 1: a file, whole.
 *
 * Everything that can be read is read: columns and their parts, through filters, and calls with their payload. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "call/chunk_read.h"
#include "call/store.h"
#include "call_maker.h"
#include "filter/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const filters[] = {
    "http && status_code >= 400 && path.contains(\"a\")",
    "dns_questions.exists(q, q.endsWith(\"test\")) || request.headers[\"host\"] == \"x\" || has(method)",
};
enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

/* Made once: the fields of the dissectors, in the order in which the program has them. */
static struct call_maker maker;
static struct field_registry *registry;
static struct unpacker unpacker;

struct parts {
    struct td_slice bytes;
};

static int fetch(void *ctx, uint64_t key, uint32_t size, struct buf *ret, struct error *err)
{
    const struct parts *p = ctx;
    struct td_cursor in = td_cursor(p->bytes);
    while (td_left(&in)) {
        uint16_t low = td_le16(&in), n = td_le16(&in);
        struct td_slice bytes = td_take(&in, n);
        if (in.failed)
            break;
        if (low == (key & 0xffff) && n == size) {
            buf_put_slice(ret, bytes);
            return TD_OK;
        }
    }
    return error_set(err, TD_E_CORRUPT, "no such part");
}

static uint64_t touch_lanes(const struct chunk_lanes *l, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += chunk_lane(l, i);
    return sum;
}

/* Every id of a column leads to a text, and every byte of it can be read. */
static uint64_t touch_texts(const struct chunk_dictionary *d, const struct chunk_lanes *ids, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = chunk_lane(ids, i);
        if (id >= d->n)
            abort();
        struct td_slice text = chunk_text(d, (uint32_t)id);
        sum += text.n ? text.p[0] + text.p[text.n - 1] : 0;
    }
    return sum;
}

static void touch_column(struct chunk *c, uint32_t field, uint8_t type)
{
    uint64_t sink = 0;
    struct chunk_stats stats;
    const struct chunk_column *col;
    struct error err;
    uint32_t rows = chunk_rows(c);
    bool may;
    chunk_stats(c, field, &stats);
    if ((type == REGISTRY_STRING || type == REGISTRY_LIST) && chunk_may_have_text(c, field, TD_LIT("GET"), &may, &err) != TD_OK)
        return;
    if (chunk_column(c, field, CHUNK_PRESENT | CHUNK_VALUES | CHUNK_DICTIONARY | CHUNK_NAMES, &col, &err) != TD_OK)
        return;
    for (uint32_t i = 0; col->present && i < (rows + 63) / 64; i++)
        sink += col->present[i];
    if (type == REGISTRY_LIST || type == REGISTRY_MAP) {
        for (uint32_t i = 0; i < rows; i++)
            if (col->offsets[i] > col->offsets[i + 1])
                abort();
        uint32_t n = col->offsets[rows];
        sink += touch_texts(&col->texts, &col->ids, n);
        if (type == REGISTRY_MAP)
            sink += touch_texts(&col->names, &col->name_ids, n);
    } else if (type == REGISTRY_STRING || type == REGISTRY_BYTES) {
        sink += touch_texts(&col->texts, &col->ids, rows);
    } else {
        sink += touch_lanes(&col->numbers, rows);
    }
    __asm__ volatile("" : : "r"(sink)); /* all of it was wanted */
}

static void touch_chunk(struct chunk *c, const struct field_registry *fields)
{
    const struct chunk_lanes *times;
    struct error err;
    for (uint32_t i = 0; i < field_registry_count(fields); i++)
        if (!field_registry_at(fields, i)->payload && strcmp(field_registry_at(fields, i)->name, "id") != 0)
            touch_column(c, i, field_registry_at(fields, i)->type);
    if (chunk_times(c, &times, &err) == TD_OK)
        (void)touch_lanes(times, chunk_rows(c));
}

static void run_filters(struct chunk *c, const struct field_registry *fields)
{
    for (int i = 0; i < FILTERS; i++) {
        struct filter_diagnostics diagnostics;
        struct filter *filter;
        struct filter_scan *scan;
        struct error err;
        uint64_t bits[CHUNK_BITS];
        memset(bits, 0xff, sizeof(bits));
        filter_diagnostics_init(&diagnostics);
        if (filter_compile(fields, td_str(filters[i]), 0, &filter, &diagnostics, &err) == TD_OK) {
            if (filter_scan_new(filter, fields, &scan, &err) == TD_OK) {
                (void)!filter_scan_chunk(scan, c, bits, &err);
                filter_scan_free(scan);
            }
            filter_free(filter);
        }
        filter_diagnostics_clear(&diagnostics);
    }
}

static void fuzz_chunk(struct td_slice input)
{
    struct td_cursor in = td_cursor(input);
    struct td_slice directory = td_take(&in, td_le32(&in));
    struct parts parts;
    struct chunk_source source = {&parts, fetch, registry, &unpacker, "input"};
    struct chunk *c;
    struct buf bytes = {0};
    struct error err;
    if (in.failed || directory.n < 8)
        return;
    parts.bytes = td_rest(&in);
    buf_put_slice(&bytes, directory);
    uint64_t checksum = hash_bytes(bytes.p + 8, bytes.n - 8, CHUNK_SEED);
    for (int i = 0; i < 8; i++)
        bytes.p[i] = (uint8_t)(checksum >> (8 * i));
    if (chunk_new(&source, &c, &err) != TD_OK)
        abort();
    if (chunk_load(c, 1, &bytes, &err) == TD_OK) {
        touch_chunk(c, registry);
        run_filters(c, registry);
    }
    chunk_free(c);
    buf_clear(&bytes);
}

static void fuzz_file(struct td_slice input)
{
    char path[64];
    struct store *s;
    struct store_scan *scan;
    struct store_call call = {0};
    struct store_position p = {0};
    struct error err;
    int fd = memfd_create("store", MFD_CLOEXEC);
    if (fd < 0 || write(fd, input.p, input.n) != (ssize_t)input.n)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (store_open(path, &s, &err) == TD_OK) {
        for (uint32_t i = 0; i < store_chunk_count(s) && i < 4; i++) {
            struct chunk *c;
            if (store_chunk(s, i, &c, &err) != TD_OK)
                continue;
            touch_chunk(c, store_registry(s));
            store_release(s, c);
        }
        if (store_scan_new(s, &(struct store_scan_options){0}, &scan, &err) == TD_OK) {
            for (int i = 0; i < 100 && store_scan_next(scan, &p, &err) == TD_OK && p.id; i++)
                (void)!store_read_call(s, p.id, true, &call, &err);
            store_scan_free(scan);
        }
        store_call_clear(&call);
        store_free(s);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!registry) {
        static const struct registry_protocol protocols[] = {{"DNS", NULL}, {"HTTP", NULL}};
        call_maker_init(&maker, 1);
        const struct field_set *const components[] = {maker.components[1], maker.components[0]};
        if (field_registry_new(components, protocols, 2, &registry, NULL) != TD_OK || unpacker_init(&unpacker, NULL) != TD_OK)
            abort();
    }
    if (size == 0 || data[0] > 1)
        return 0;
    struct td_slice rest = td_bytes(data + 1, size - 1);
    if (data[0] == 0)
        fuzz_chunk(rest);
    else
        fuzz_file(rest);
    return 0;
}
