/* Header blocks: the vectors of RFC 7541, and all public test cases of HPACK if they are at hand (SUITES, else ../shared/corpus/suites: see
 * hpack-test-case). Each story is read whole, and from each of its first blocks on, as if those before were lost: then each field is as it
 * is, or said to be unknown. */
#include "tap.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../plugins/dissectors/http2/http2_hpack.h"

enum { MAX_FIELDS = 256, LOST_BLOCKS = 6 };

struct field {
    char *name, *value;
    unsigned flags;
};

struct fields {
    struct field v[MAX_FIELDS];
    size_t n;
};

static void *take(size_t n, void *user)
{
    (void)user;
    return malloc(n);
}

static void give_back(void *p, void *user)
{
    (void)user;
    free(p);
}

static void *take_zeroed(size_t n, size_t size, void *user)
{
    (void)user;
    return calloc(n, size);
}

static void *take_more(void *p, size_t n, void *user)
{
    (void)user;
    return realloc(p, n);
}

static nghttp2_mem memory = {NULL, take, give_back, take_zeroed, take_more};

static bool add_field(void *ctx, struct td_slice name, struct td_slice value, unsigned flags)
{
    struct fields *f = (struct fields *)ctx;
    if (f->n == MAX_FIELDS)
        return false;
    f->v[f->n++] =
        (struct field){strndup(name.n ? (const char *)name.p : "", name.n), strndup(value.n ? (const char *)value.p : "", value.n), flags};
    return true;
}

static void clear(struct fields *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].name);
        free(f->v[i].value);
    }
    f->n = 0;
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;
    for (; hex[0] && hex[1]; hex += 2) {
        char two[3] = {hex[0], hex[1], 0};
        byte = (unsigned)strtoul(two, NULL, 16);
        out[n++] = (uint8_t)byte;
    }
    return n;
}

/* ---- RFC 7541 appendix C ------------------------------------------------------------------------------------------------ */

static void test_vectors(void)
{
    static const struct {
        const char *block, *fields;
    } requests[] = {
        /* C.4: with Huffman coding */
        {"828684418cf1e3c2e5f23a6ba0ab90f4ff", ":method=GET :scheme=http :path=/ :authority=www.example.com"},
        {"828684be5886a8eb10649cbf", ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache"},
        {"828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
         ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value"},
    };
    static const char *const lossy = ":method=GET :scheme=https :path=/index.html <unknown>=<unknown> custom-key=custom-value";
    struct http2_hpack h, late;
    struct fields f = {.n = 0};
    http2_hpack_init(&h, &memory, false);
    http2_hpack_init(&late, &memory, true);
    for (size_t i = 0; i < 3; i++) {
        uint8_t block[64];
        size_t n = from_hex(requests[i].block, block);
        for (int lost = 0; lost < (i == 2 ? 2 : 1); lost++) {
            char text[512] = "";
            is_int(http2_hpack_read(lost ? &late : &h, td_bytes(block, n), add_field, &f), HTTP2_HPACK_OK, "block %zu is read", i + 1);
            for (size_t k = 0; k < f.n; k++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s=%s", k ? " " : "", f.v[k].name, f.v[k].value);
            is_str(text, lost ? lossy : requests[i].fields, lost ? "what an unknown block inserted is unknown" : "its fields");
            clear(&f);
        }
        is_int(http2_hpack_side(td_bytes(block, n)), 1, "it is a request's");
        ok(http2_hpack_plausible(td_bytes(block, n), false), "and looks like a block");
        for (size_t cut = 1; cut < n; cut++)
            ok(http2_hpack_plausible(td_bytes(block, cut), true), "cut at %zu as well", cut);
    }
    http2_hpack_clear(&h);
    http2_hpack_clear(&late);
}

static enum http2_hpack_result read_hex(struct http2_hpack *h, const char *hex, struct fields *f)
{
    uint8_t block[64];
    return http2_hpack_read(h, td_bytes(block, from_hex(hex, block)), add_field, f);
}

static void test_large_table(void)
{
    enum { ENTRIES = 40, SIZE = 2000 };
    static uint8_t block[ENTRIES * (SIZE + 8)];
    struct http2_hpack h;
    struct fields f = {.n = 0};
    size_t n = 0;
    http2_hpack_init(&h, &memory, false);
    is_int(read_hex(&h, "828684418cf1e3c2e5f23a6ba0ab90f4ff", &f), HTTP2_HPACK_OK, "a block");
    clear(&f);
    is_int(read_hex(&h, "3fe1ff3f828684be", &f), HTTP2_HPACK_OK, "one whose sender keeps 1 MiB");
    is_int((int64_t)f.n, 4, "is read");
    is_str(f.n == 4 ? f.v[3].value : "", "www.example.com", "and what was inserted before is known");
    clear(&f);
    for (int i = 0; i < ENTRIES; i++) {
        static const uint8_t literal[] = {0x40, 1, 'n', 0x7f, 0xd1, 0x0e}; /* inserted, a value of 2000 bytes */
        memcpy(block + n, literal, sizeof(literal));
        memset(block + n + sizeof(literal), 'a' + i % 26, SIZE);
        n += sizeof(literal) + SIZE;
    }
    is_int(http2_hpack_read(&h, td_bytes(block, n), add_field, &f), HTTP2_HPACK_OK, "the table grows");
    clear(&f);
    is_int(read_hex(&h, "82bee4", &f), HTTP2_HPACK_OK, "references to it");
    ok(f.n == 3 && f.v[1].value[0] == 'n', "are known as far as it is kept here");
    ok(f.n == 3 && f.v[2].flags & HTTP2_VALUE_UNKNOWN, "and else unknown");
    clear(&f);
    http2_hpack_clear(&h);
}

static void test_faults(void)
{
    static const char *const faults[] = {"80", "be", "ff80ffffffff0f", "418cf1e3", "3fe1ffffff7f"};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct http2_hpack h;
        struct fields f = {.n = 0};
        uint8_t block[64];
        size_t n = from_hex(faults[i], block);
        http2_hpack_init(&h, &memory, false);
        is_int(http2_hpack_read(&h, td_bytes(block, n), add_field, &f), HTTP2_HPACK_BAD, "%s is no block", faults[i]);
        ok(h.lost, "and what comes after it is read as behind a loss");
        is_int(http2_hpack_read(&h, td_bytes("\x82", 1), add_field, &f), HTTP2_HPACK_OK, "which is possible");
        is_int((int64_t)f.n, 1, "with its field");
        clear(&f);
        http2_hpack_clear(&h);
    }
}

/* ---- Stories ---------------------------------------------------------------------------------------------------------------- */

static bool is_same(const struct fields *f, json_t *headers, bool lossy, size_t *known)
{
    size_t i;
    json_t *header;
    if (f->n != json_array_size(headers))
        return false;
    json_array_foreach(headers, i, header)
    {
        const char *name = json_object_iter_key(json_object_iter(header));
        const char *value = json_string_value(json_object_get(header, name));
        bool no_name = f->v[i].flags & HTTP2_NAME_UNKNOWN, no_value = f->v[i].flags & HTTP2_VALUE_UNKNOWN;
        if ((no_name || no_value) && !lossy)
            return false;
        if ((!no_name && strcmp(f->v[i].name, name) != 0) || (!no_value && strcmp(f->v[i].value, value) != 0))
            return false;
        *known += !no_name && !no_value;
    }
    return true;
}

struct count {
    size_t cases, right, late, late_right, fields, known;
};

/* Reads a story from its block `from` on. */
static void tell(json_t *cases, size_t from, struct count *count)
{
    struct http2_hpack h;
    struct fields f = {.n = 0};
    size_t i;
    json_t *one;
    http2_hpack_init(&h, &memory, from > 0);
    json_array_foreach(cases, i, one)
    {
        json_t *headers = json_object_get(one, "headers");
        const char *wire = json_string_value(json_object_get(one, "wire"));
        uint8_t *block = malloc(strlen(wire) / 2 + 1);
        size_t n = from_hex(wire, block), known = 0;
        if (i >= from) {
            bool read = http2_hpack_read(&h, td_bytes(block, n), add_field, &f) == HTTP2_HPACK_OK;
            bool right = read && is_same(&f, headers, from > 0, &known);
            *(from ? &count->late : &count->cases) += 1;
            *(from ? &count->late_right : &count->right) += right;
            count->fields += from ? json_array_size(headers) : 0;
            count->known += from ? known : 0;
            clear(&f);
        }
        free(block);
    }
    http2_hpack_clear(&h);
}

static void tell_stories(const char *folder, const char *name)
{
    struct count count = {0};
    for (int number = 0; number < 40; number++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s/story_%02d.json", folder, name, number);
        json_t *story = json_load_file(path, 0, NULL), *cases = json_object_get(story, "cases");
        if (cases && json_object_get(json_array_get(cases, 0), "wire"))
            for (size_t from = 0; from < LOST_BLOCKS && from < json_array_size(cases); from++)
                tell(cases, from, &count);
        json_decref(story);
    }
    if (!count.cases)
        return;
    is_int((int64_t)count.right, (int64_t)count.cases, "%s: all blocks", name);
    is_int((int64_t)count.late_right, (int64_t)count.late, "%s: behind lost blocks, nothing is wrong", name);
    ok(count.known * 10 > count.fields * 3, "%s: and %zu of %zu fields are known", name, count.known, count.fields);
}

static void test_stories(void)
{
    const char *suites = getenv("SUITES") ? getenv("SUITES") : "../shared/corpus/suites";
    char command[2048], folder[] = "/tmp/hpack-XXXXXX";
    snprintf(command, sizeof(command), "%s/hpack-test-case.tar.xz", suites);
    struct stat st;
    if (stat(command, &st) != 0 || !mkdtemp(folder)) {
        ok(true, "the public test cases # SKIP not at hand");
        return;
    }
    snprintf(command, sizeof(command), "tar -xJf '%s/hpack-test-case.tar.xz' -C %s", suites, folder);
    ok(system(command) == 0, "the public test cases are unpacked");
    char inner[64];
    snprintf(inner, sizeof(inner), "%s/hpack-test-case", folder);
    DIR *dir = opendir(inner);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            tell_stories(inner, entry->d_name);
    if (dir)
        closedir(dir);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    ok(system(command) == 0, "and removed");
}

int main(void)
{
    test_vectors();
    test_large_table();
    test_faults();
    test_stories();
    return tap_done();
}
