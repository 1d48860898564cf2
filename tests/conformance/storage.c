/* What every storage backend must do, through the core's wrapper. A backend takes part by a row in the table at the end; one that needs
 * a server by the configuration of a hub, whose provider is used then, from an empty bucket or container:
 *
 *     storage FILE [KEYS]       KEYS: for the listing; default 600. What is in the bucket is removed!
 *     storage --check FILE      only what a hub does at its start; says what came of it
 *     storage --large [FILE]    only objects of 2 GiB and a byte more, which takes minutes; without a file those of `local` */
#include "snapshot/storage.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "plugin/host.h"
#include "snapshot/sha256.h"
#include "tap.h"

extern const struct td_plugin td_plugin_v1_local, td_plugin_v1_s3, td_plugin_v1_azblob;

enum { MIB = 1 << 20, LARGEST = 64 * MIB };

struct backend {
    const char *name;
    int (*open)(struct storage **ret);
    void (*clear)(void); /* what it leaves outside of itself */
    size_t many;         /* keys that take no more than a second or two */
    bool links;          /* put_file may link */
    size_t refuses;      /* as many of the odd keys may be TD_E_UNSUPPORTED here */
};

static struct {
    const struct backend *backend;
    struct registry *registry;
    struct td_host host;
    struct storage *s;
    char dir[64];
    uint8_t *bytes; /* LARGEST of them, all different at a distance */
    struct error err;
} t;

/* ---- Helpers ---- */

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[i] = (uint8_t)(x >> 32);
    }
}

static bool put(const char *key, struct td_slice bytes)
{
    if (storage_put_bytes(t.s, key, bytes, &t.err) == TD_OK)
        return true;
    tap_diag("%s", t.err.text);
    return false;
}

/* Compares what comes with what is expected, and counts it. */
struct compare {
    struct td_slice expected;
    size_t got, most_at_once;
    bool differs;
};

static int compare_sink(void *ctx, struct td_slice bytes)
{
    struct compare *c = ctx;
    if (bytes.n > c->expected.n - c->got || memcmp(c->expected.p + c->got, bytes.p, bytes.n) != 0)
        c->differs = true;
    else
        c->got += bytes.n;
    if (bytes.n > c->most_at_once)
        c->most_at_once = bytes.n;
    return TD_OK;
}

/* Are these the bytes of a range? */
static bool holds(const char *key, uint64_t offset, uint64_t n, struct td_slice expected)
{
    struct compare c = {.expected = expected};
    memset(&t.err, 0, sizeof(t.err));
    int status = storage_get(t.s, key, offset, n, compare_sink, &c, &t.err);
    if (status == TD_OK && !c.differs && c.got == expected.n)
        return true;
    tap_diag("%s: status %d %s, %zu of %zu bytes%s", key, status, t.err.text, c.got, expected.n, c.differs ? ", different" : "");
    return false;
}

static bool whole(const char *key, struct td_slice expected)
{
    return holds(key, 0, UINT64_MAX, expected);
}

static bool absent(const char *key)
{
    struct storage_object object;
    return storage_head(t.s, key, &object, &t.err) == TD_E_NOT_FOUND;
}

static bool absent_or_refused(const char *key)
{
    struct storage_object object;
    int status = storage_head(t.s, key, &object, &t.err);
    return status == TD_E_NOT_FOUND || status == TD_E_UNSUPPORTED;
}

/* ---- Lists ---- */

enum { MAX_KEYS = 8192 };

struct list {
    char *keys[MAX_KEYS];
    size_t n, stop_at; /* 0: never */
    bool remove;
    uint64_t bytes;
};

static int list_each(void *ctx, const char *key, const struct storage_object *object)
{
    struct list *l = ctx;
    if (l->n == MAX_KEYS)
        return 99;
    l->keys[l->n++] = strdup(key);
    l->bytes += object->bytes;
    if (l->remove && storage_remove(t.s, key, &t.err) != TD_OK)
        return 98;
    return l->stop_at && l->n == l->stop_at ? 7 : 0;
}

static void list_clear(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->keys[i]);
    l->n = 0;
}

static int list(const char *prefix, const char *after, struct list *l)
{
    memset(&t.err, 0, sizeof(t.err));
    list_clear(l);
    int status = storage_list(t.s, prefix, after, list_each, l, &t.err);
    if (status < 0)
        tap_diag("list \"%s\": %s", prefix, t.err.text);
    return status;
}

static size_t count(const char *prefix)
{
    struct list l = {0};
    size_t n = list(prefix, NULL, &l) == TD_OK ? l.n : SIZE_MAX;
    list_clear(&l);
    return n;
}

/* Removes all, while it is listed. */
static void clear(const char *what)
{
    struct list l = {.remove = true};
    bool good = list("", NULL, &l) == TD_OK && count("") == 0;
    ok(good, "%s: all %zu objects are removed while they are listed %s", what, l.n, t.err.text);
    list_clear(&l);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- One object ---- */

static void test_sizes(void)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 65537, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 8 * MIB, LARGEST};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct storage_upload *u;
        struct storage_object made = {0}, seen = {0};
        size_t n = sizes[i], step = n > MIB ? 3 * MIB + 1 : 1000;
        int status = storage_put_open(t.s, "sizes/object", i % 2 ? n : UINT64_MAX, &u, &t.err);
        for (size_t at = 0; status == TD_OK && at < n; at += step)
            status = storage_put_write(u, td_sub(td_bytes(t.bytes, n), at, at + step), &t.err);
        if (!ok(status == TD_OK && storage_put_commit(u, NULL, &made, &t.err) == TD_OK, "%zu bytes are written", n))
            tap_diag("%s", t.err.text);
        ok(storage_head(t.s, "sizes/object", &seen, &t.err) == TD_OK && seen.bytes == n && made.bytes == n, "  and counted");
        is_str(seen.etag, made.etag, "  with the same ETag");
        int64_t age_s = (int64_t)time(NULL) - seen.mtime_ns / 1000000000;
        ok(age_s > -60 && age_s < 600, "  written now");
        ok(whole("sizes/object", td_bytes(t.bytes, n)), "  and read");
    }
    clear("sizes");
}

static void test_ranges(void)
{
    enum { N = 700001 };
    static const uint64_t good[][2] = {{0, 0},           {0, 1},     {N - 1, 1}, {N, 0},         {262143, 2},
                                       {262144, 262144}, {5, N - 5}, {0, N},     {N, UINT64_MAX}};
    static const uint64_t bad[][2] = {{0, N + 1}, {N, 1}, {N + 1, 0}, {N + 1, UINT64_MAX}, {UINT64_MAX - 1, 2}, {1, UINT64_MAX - 1}};
    struct td_slice all = td_bytes(t.bytes, N);
    ok(put("range", all), "an object for ranges");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t from = good[i][0], n = good[i][1];
        ok(holds("range", from, n, td_sub(all, from, n == UINT64_MAX ? N : from + n)), "%llu bytes at %llu", (unsigned long long)n,
           (unsigned long long)from);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct compare c = {.expected = all};
        is_int(storage_get(t.s, "range", bad[i][0], bad[i][1], compare_sink, &c, &t.err), TD_E_LIMIT, "%llu bytes at %llu are not there",
               (unsigned long long)bad[i][1], (unsigned long long)bad[i][0]);
        ok(c.got == 0 && !c.differs && strstr(t.err.text, "range"), "  and nothing comes, but the reason: %s", t.err.text);
    }
    struct buf b;
    buf_init(&b, 0);
    buf_lit(&b, "x");
    ok(storage_get_bytes(t.s, "range", N, &b, &t.err) == TD_OK && b.n == N + 1 && memcmp(b.p + 1, t.bytes, N) == 0, "a whole object");
    is_int(storage_get_bytes(t.s, "range", N - 1, &b, &t.err), TD_E_LIMIT, "is refused if it is too large");
    ok(b.n == N + 1 && strstr(t.err.text, "limit of 700000 bytes"), "  with the reason: %s", t.err.text);
    is_int(storage_get_bytes(t.s, "rage", N, &b, &t.err), TD_E_NOT_FOUND, "or if it is not there: %s", t.err.text);
    buf_clear(&b);
    clear("ranges");
}

static int stopping_sink(void *ctx, struct td_slice bytes)
{
    (void)bytes;
    int *calls_and_status = ctx;
    calls_and_status[0]++;
    return calls_and_status[1];
}

static void test_stopping(void)
{
    int sink[2] = {0, 5};
    ok(put("stop", td_bytes(t.bytes, 3 * MIB)), "an object");
    t.err = (struct error){.status = 77};
    is_int(storage_get(t.s, "stop", 0, UINT64_MAX, stopping_sink, sink, &t.err), 5, "reading is stopped by a number");
    sink[1] = TD_E_NOT_FOUND;
    is_int(storage_get(t.s, "stop", 0, 3 * MIB, stopping_sink, sink, &t.err), TD_E_NOT_FOUND, "or by a status");
    ok(sink[0] == 2 && t.err.status == 77, "at once; the error is the sink's own affair");
    clear("stopping");
}

static void test_absent(void)
{
    struct compare c = {0};
    char path[STORAGE_MAX_PATH];
    ok(absent("no"), "what is not there is not found: %s", t.err.text);
    like(t.err.text, "no", "  by its name");
    ok(absent("no/such/object") && absent("no/such"), "nor below");
    is_int(storage_get(t.s, "no", 0, UINT64_MAX, compare_sink, &c, &t.err), TD_E_NOT_FOUND, "nor read");
    is_int(storage_remove(t.s, "no", &t.err), TD_OK, "and removing it is no failure");
    is_int(storage_remove(t.s, "no/such/object", &t.err), TD_OK, "nor below");
    ok(!storage_path(t.s, "no", path), "it has no file");
    is_int((int64_t)count("no"), 0, "and is not listed");
    ok(put("folder/object", TD_LIT("x")), "a folder of objects");
    ok(absent("folder") && absent("folder/object/below"), "is no object, nor is there one below an object");
    is_int(storage_get(t.s, "folder", 0, UINT64_MAX, compare_sink, &c, &t.err), TD_E_NOT_FOUND, "and cannot be read");
    is_int(storage_remove(t.s, "folder", &t.err), TD_OK, "removing it");
    ok(whole("folder/object", TD_LIT("x")), "removes nothing");
    is_int(storage_remove(t.s, "folder/object/below", &t.err), TD_OK, "nor does removing below an object");
    ok(whole("folder/object", TD_LIT("x")), "which stays");
    clear("absent");
}

static void test_abort(void)
{
    struct storage_upload *u = NULL, *v = NULL;
    ok(storage_put_open(t.s, "abort/a", UINT64_MAX, &u, &t.err) == TD_OK && storage_put_open(t.s, "abort/b", 5, &v, &t.err) == TD_OK,
       "two uploads");
    ok(storage_put_write(u, td_bytes(t.bytes, 9 * MIB), &t.err) == TD_OK && storage_put_write(v, TD_LIT("hello"), &t.err) == TD_OK,
       "are written");
    ok(absent("abort/a") && absent("abort/b") && count("") == 0, "and seen by nobody");
    storage_put_abort(u);
    ok(absent("abort/a") && count("") == 0, "one is aborted and leaves nothing");
    is_int(storage_put_commit(v, NULL, NULL, &t.err), TD_OK, "the other one is committed");
    ok(whole("abort/b", TD_LIT("hello")) && count("") == 1, "and is there");
    ok(storage_put_open(t.s, "abort/b", 5, &u, &t.err) == TD_OK && storage_put_write(u, TD_LIT("other"), &t.err) == TD_OK, "a new one");
    ok(whole("abort/b", TD_LIT("hello")), "does not touch the old one");
    storage_put_abort(u);
    ok(whole("abort/b", TD_LIT("hello")) && count("") == 1, "nor when it is aborted");
    clear("abort");
}

/* Replaces the object that is being read. */
static int replacing_sink(void *ctx, struct td_slice bytes)
{
    struct compare *c = ctx;
    if (!c->got && storage_put_bytes(t.s, "replaced", td_bytes(t.bytes + MIB, 2 * MIB), &t.err) != TD_OK)
        return 6;
    return compare_sink(ctx, bytes);
}

static void test_replace(void)
{
    struct storage_object first = {0}, second = {0};
    ok(put("replaced", td_bytes(t.bytes, 3 * MIB)) && storage_head(t.s, "replaced", &first, &t.err) == TD_OK, "an object");
    struct compare c = {.expected = td_bytes(t.bytes, 3 * MIB)};
    int status = storage_get(t.s, "replaced", 0, 3 * MIB, replacing_sink, &c, &t.err);
    ok(status == TD_OK ? !c.differs && c.got == 3 * MIB : status == TD_E_RETRY && !c.differs, "is read to its end or not, never mixed");
    ok(whole("replaced", td_bytes(t.bytes + MIB, 2 * MIB)), "though it was replaced by a shorter one meanwhile");
    ok(storage_head(t.s, "replaced", &second, &t.err) == TD_OK && second.bytes == 2 * MIB, "which has its own size");
    ok(!*first.etag || strcmp(first.etag, second.etag) != 0, "and its own ETag: %s, %s", first.etag, second.etag);
    unsigned same = 0;
    for (unsigned i = 0; i < 20; i++) {
        uint8_t byte = (uint8_t)i;
        first = second;
        if (!put("replaced", td_bytes(&byte, 1)) || storage_head(t.s, "replaced", &second, &t.err) != TD_OK)
            break;
        same += *first.etag && strcmp(first.etag, second.etag) == 0;
    }
    is_int(same, 0, "no two of the same size in quick succession have the same ETag");
    clear("replace");
}

/* ---- Keys ---- */

static void test_keys(void)
{
    char longest[STORAGE_MAX_KEY + 1], part[STORAGE_MAX_PART + 1], wide[STORAGE_MAX_PART + 1];
    memset(part, 'p', sizeof(part) - 1);
    part[sizeof(part) - 1] = 0;
    for (size_t i = 0; i + 3 < sizeof(wide); i += 3)
        memcpy(wide + i, "\xe2\x82\xac", 4);
    memset(longest, 'x', sizeof(longest) - 1);
    for (size_t i = 200; i < sizeof(longest) - 1; i += 201)
        longest[i] = '/';
    longest[sizeof(longest) - 1] = 0;
    const char *const keys[] = {
        "a",
        "a-b",
        "a b/c  d",
        " ",
        "%",
        "%2e%2e/%2F",
        "100%25",
        "gr\xc3\xbc\xc3\x9f/\xe6\x97\xa5\xe6\x9c\xac.idx",
        "e\xcc\x81",
        "\xc3\xa9",
        "\xf0\x9f\x9a\x80",
        "back\\slash",
        "q?u=e&r#y",
        "a+b",
        "'\"`$(x);|<>*",
        "~",
        "-rf",
        "a.",
        "a..b",
        "x...",
        "CON",
        "UPPER",
        "upper",
        "tail/a.pcapng.zst",
        "tail/a",
        "tail-",
        "tail0",
        part,
        wide,
        longest,
    };
    enum { N = sizeof(keys) / sizeof(keys[0]) };
    char *sorted[N];
    struct list l = {0};
    size_t n = 0, refused_n = 0;
    for (size_t i = 0; i < N; i++) {
        bool kept = put(keys[i], td_str(keys[i]));
        refused_n += !kept && t.err.status == TD_E_UNSUPPORTED && absent_or_refused(keys[i]);
        if (kept)
            sorted[n++] = (char *)(uintptr_t)keys[i];
    }
    is_int(n + refused_n, N, "keys with all sorts of letters");
    ok(refused_n <= t.backend->refuses, "%zu that this backend cannot keep are refused", refused_n);
    for (size_t i = 0; i < n; i++)
        if (!whole(sorted[i], td_str(sorted[i])))
            ok(false, "\"%s\" has its own bytes", sorted[i]);
    qsort(sorted, n, sizeof(sorted[0]), by_bytes);
    ok(list("", NULL, &l) == TD_OK && l.n == n, "all are listed");
    for (size_t i = 0; i < n && i < l.n; i++)
        if (strcmp(l.keys[i], sorted[i]) != 0)
            is_str(l.keys[i], sorted[i], "in the order of their bytes");
    for (size_t i = 0; i + 1 < n; i++) {
        struct list rest = {.stop_at = 1};
        if (list("", sorted[i], &rest) != 7 || strcmp(rest.keys[0], sorted[i + 1]) != 0)
            ok(false, "behind \"%s\" comes \"%s\"", sorted[i], sorted[i + 1]);
        list_clear(&rest);
    }
    list_clear(&l);
    clear("keys");
}

static void refused(const char *key, const char *what)
{
    struct storage_object object;
    struct storage_upload *u = NULL;
    struct compare c = {0};
    char path[STORAGE_MAX_PATH];
    int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool all =
        storage_put_open(t.s, key, 1, &u, &t.err) == TD_E_UNSUPPORTED && storage_head(t.s, key, &object, &t.err) == TD_E_UNSUPPORTED &&
        storage_get(t.s, key, 0, 0, compare_sink, &c, &t.err) == TD_E_UNSUPPORTED && storage_remove(t.s, key, &t.err) == TD_E_UNSUPPORTED &&
        storage_put_bytes(t.s, key, TD_LIT("x"), &t.err) == TD_E_UNSUPPORTED &&
        storage_put_file(t.s, key, dir, "x", NULL, &t.err) == TD_E_UNSUPPORTED && !storage_path(t.s, key, path);
    close(dir);
    ok(all, "no key: %s", what);
}

static void test_bad_keys(void)
{
    char text[STORAGE_MAX_KEY + 2];
    refused("", "nothing");
    refused("/", "a slash");
    refused("/etc/passwd", "from the root");
    refused("a/", "a part is missing at the end");
    refused("a//b", "a part is missing");
    refused(".", "a dot");
    refused("..", "two dots");
    refused("../x", "up");
    refused("a/../../x", "up and up");
    refused("a/./b", "here");
    refused(".tmp/x", "hidden");
    refused("a/.b", "hidden below");
    refused("a\nb", "a line break");
    refused("a\x7f", "a control character");
    refused("\xc3", "half of a letter");
    refused("\xc0\xaf", "a slash in disguise");
    refused("\xed\xa0\x80", "a surrogate");
    memset(text, 'a', sizeof(text));
    text[STORAGE_MAX_PART + 1] = 0;
    refused(text, "a part that is too long");
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? '/' : 'a';
    text[STORAGE_MAX_KEY + 1] = 0;
    refused(text, "all too long");
    is_int((int64_t)count("../"), 0, "a prefix that is no key finds nothing");
    is_int((int64_t)count("/"), 0, "nor does a slash");
    is_int((int64_t)count(".tmp"), 0, "nor a hidden one");
}

static void test_folder_and_object(void)
{
    ok(put("both", TD_LIT("object")), "an object");
    int status = storage_put_bytes(t.s, "both/below", TD_LIT("below"), &t.err);
    ok(status == TD_E_EXISTS ? absent("both/below") && count("") == 1 : status == TD_OK && whole("both/below", TD_LIT("below")),
       "one below it is there, or refused: %s", status == TD_OK ? "" : t.err.text);
    ok(whole("both", TD_LIT("object")), "the first stays");
    ok(put("deep/er/object", TD_LIT("object")), "an object below");
    status = storage_put_bytes(t.s, "deep", TD_LIT("above"), &t.err);
    ok(status == TD_E_EXISTS ? absent("deep") : status == TD_OK && whole("deep", TD_LIT("above")), "one above it is there, or refused: %s",
       status == TD_OK ? "" : t.err.text);
    ok(whole("deep/er/object", TD_LIT("object")), "the first stays");
    is_int(storage_remove(t.s, "deep/er/object", &t.err), TD_OK, "without it");
    ok(put("deep", TD_LIT("above")), "there is room for the other one");
    clear("folder and object");
}

/* ---- Listing ---- */

static size_t expect(char *const *sorted, size_t n, const char *prefix, const char *after, char **ret)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(sorted[i], prefix, strlen(prefix)) == 0 && (!after || strcmp(sorted[i], after) > 0))
            ret[found++] = sorted[i];
    return found;
}

static void check_list(char *const *sorted, size_t n, const char *prefix, const char *after)
{
    static struct list l;
    static char *want[MAX_KEYS];
    size_t found = expect(sorted, n, prefix, after, want), i = 0;
    int status = list(prefix, after, &l);
    while (i < found && i < l.n && strcmp(want[i], l.keys[i]) == 0)
        i++;
    ok(status == TD_OK && l.n == found && i == found, "\"%s\" behind %s: %zu keys", prefix, after ? after : "nothing", found);
    if (i < found || i < l.n)
        tap_diag("at %zu: got %s, want %s", i, i < l.n ? l.keys[i] : "the end", i < found ? want[i] : "the end");
    list_clear(&l);
}

static void test_listing(void)
{
    static char *keys[MAX_KEYS];
    static struct list page;
    size_t n = t.backend->many, written = 0, pages = 0, seen = 0;
    for (size_t i = 0; i < n; i++) {
        char key[64];
        static const char *const forms[] = {"s%zu/manifest.json", "s%zu/node-1/%05zu.idx", "s%zu/node-10/%05zu.idx", "s%zu/node/%05zu.idx",
                                            "s%zu-%zu"};
        snprintf(key, sizeof(key), forms[i % 5], i % 5 ? i / 5 % 13 : i, i);
        keys[i] = strdup(key);
        written += put(key, td_str(key));
    }
    is_int((int64_t)written, (int64_t)n, "%zu objects", n);
    qsort(keys, n, sizeof(keys[0]), by_bytes);
    static const char *const prefixes[] = {
        "", "s1", "s1/", "s1/node", "s1/node-1", "s1/node-1/", "s1/node-1/0", "s1-", "t", "s1/node/00003.idx", "r"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        check_list(keys, n, prefixes[i], NULL);
        check_list(keys, n, prefixes[i], keys[n / 2]);
        check_list(keys, n, prefixes[i], "s1/node-1");
        check_list(keys, n, prefixes[i], "s1/node-1/");
        check_list(keys, n, prefixes[i], "zzz");
        check_list(keys, n, prefixes[i], "s1/node-10/99999.idx");
    }
    char after[STORAGE_MAX_KEY + 1] = "";
    bool right = true;
    for (int status = 7; status == 7; pages++) {
        page.stop_at = 97;
        status = list("", pages ? after : NULL, &page);
        for (size_t i = 0; i < page.n; i++)
            right = right && seen < n && strcmp(page.keys[i], keys[seen++]) == 0;
        if (page.n)
            snprintf(after, sizeof(after), "%s", page.keys[page.n - 1]);
        right = right && status >= 0;
    }
    ok(right && seen == n, "page by page: %zu pages, %zu keys", pages, seen);
    list_clear(&page);
    for (size_t i = 0; i < n; i++)
        free(keys[i]);
    clear("listing");
}

/* ---- At once ---- */

enum { WRITERS = 4, ROUNDS = 15, MOST_ROUNDS = 2000, SHARED_MAX = 300000 };

static struct {
    atomic_uint wrong, read, left;
} race;

/* Objects of one letter, whose length tells which. */
static size_t shared_size(uint8_t letter)
{
    return 1000 + (size_t)letter * 1100;
}

static void *write_shared(void *arg)
{
    uint8_t *bytes = malloc(SHARED_MAX);
    struct error err;
    /* On a busy machine the reader comes late. */
    for (unsigned i = 0; bytes && (i < ROUNDS || (i < MOST_ROUNDS && !atomic_load(&race.read))); i++) {
        uint8_t letter = (uint8_t)((uintptr_t)arg * ROUNDS + i % ROUNDS);
        memset(bytes, letter, shared_size(letter));
        if (storage_put_bytes(t.s, "shared/folder/object", td_bytes(bytes, shared_size(letter)), &err) != TD_OK) {
            tap_diag("%s", err.text);
            atomic_fetch_add(&race.wrong, 1);
        }
        if (i % 4 == 3 && storage_remove(t.s, "shared/folder/object", &err) != TD_OK) {
            tap_diag("%s", err.text);
            atomic_fetch_add(&race.wrong, 1);
        }
    }
    free(bytes);
    atomic_fetch_sub(&race.left, 1);
    return NULL;
}

static void *read_shared(void *arg)
{
    struct error err;
    struct buf b;
    (void)arg;
    buf_init(&b, 0);
    while (atomic_load(&race.left)) {
        buf_reset(&b);
        int status = storage_get_bytes(t.s, "shared/folder/object", SHARED_MAX, &b, &err);
        if (status == TD_E_NOT_FOUND || status == TD_E_RETRY)
            continue;
        size_t same = 0;
        while (same < b.n && b.p[same] == b.p[0])
            same++;
        if (status != TD_OK || !b.n || same != b.n || b.n != shared_size(b.p[0])) {
            tap_diag("status %d, %zu bytes, %zu of them equal", status, b.n, same);
            atomic_fetch_add(&race.wrong, 1);
        }
        atomic_fetch_add(&race.read, 1);
    }
    buf_clear(&b);
    return NULL;
}

static void test_writers(void)
{
    pthread_t threads[WRITERS + 1];
    atomic_store(&race.wrong, 0);
    atomic_store(&race.read, 0);
    atomic_store(&race.left, WRITERS);
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_shared, (void *)i);
    pthread_create(&threads[WRITERS], NULL, read_shared, NULL);
    for (size_t i = 0; i <= WRITERS; i++)
        pthread_join(threads[i], NULL);
    ok(atomic_load(&race.wrong) == 0 && atomic_load(&race.read) > 0,
       "%d writers of one key, who also remove it, and a reader: %u were read", WRITERS, atomic_load(&race.read));
    ok(count("") <= 1, "the last one wins");
    clear("writers");
}

/* ---- Files ---- */

static void make_file(const char *name, struct td_slice bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", t.dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
        ok(false, "the test's file cannot be written");
    close(fd);
}

static void test_files(void)
{
    bool linked = !t.backend->links;
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file("file", td_bytes(t.bytes, 3 * MIB + 5));
    make_file("empty", td_bytes(NULL, 0));
    if (!ok(storage_put_file(t.s, "files/one", dir, "file", &linked, &t.err) == TD_OK, "a file becomes an object"))
        tap_diag("%s", t.err.text);
    ok(whole("files/one", td_bytes(t.bytes, 3 * MIB + 5)), "with its bytes");
    is_int(linked, t.backend->links, "by a link, or not");
    ok(storage_put_file(t.s, "files/one", dir, "file", NULL, &t.err) == TD_OK && whole("files/one", td_bytes(t.bytes, 3 * MIB + 5)),
       "twice");
    ok(storage_put_file(t.s, "files/two", dir, "file", NULL, &t.err) == TD_OK && count("") == 2, "under two names");
    ok(storage_put_file(t.s, "files/one", dir, "empty", NULL, &t.err) == TD_OK && whole("files/one", td_bytes(NULL, 0)),
       "an empty one replaces");
    linked = !t.backend->links;
    ok(storage_put_file_later(t.s, "files/later", dir, "file", &linked, &t.err) == TD_OK && linked == t.backend->links &&
           whole("files/later", td_bytes(t.bytes, 3 * MIB + 5)) && storage_flush(t.s, "files/", &t.err) == TD_OK,
       "one that is flushed later");
    is_int(storage_remove(t.s, "files/later", &t.err), TD_OK, "and removed");
    is_int(faccessat(dir, "file", R_OK, 0), 0, "the file stays where it is");
    ok(unlinkat(dir, "file", 0) == 0 && whole("files/two", td_bytes(t.bytes, 3 * MIB + 5)), "without it, the object remains");
    is_int(storage_put_file(t.s, "files/three", dir, "file", NULL, &t.err), TD_E_NOT_FOUND, "a file that is not there: %s", t.err.text);
    ok(symlinkat("empty", dir, "link") == 0 && storage_put_file(t.s, "files/three", dir, "link", NULL, &t.err) < 0, "a link: %s",
       t.err.text);
    ok(mkfifoat(dir, "fifo", 0600) == 0 && storage_put_file(t.s, "files/three", dir, "fifo", NULL, &t.err) < 0, "a fifo: %s", t.err.text);
    ok(storage_put_file(t.s, "files/three", dir, ".", NULL, &t.err) < 0, "a folder: %s", t.err.text);
    ok(absent("files/three") && count("") == 2, "are refused");
    char path[STORAGE_MAX_PATH];
    struct stat st;
    if (storage_path(t.s, "files/two", path))
        ok(stat(path, &st) == 0 && st.st_size == 3 * MIB + 5, "an object's file can be found");
    else
        tap_skip("the backend has no files");
    unlinkat(dir, "fifo", 0);
    unlinkat(dir, "link", 0);
    unlinkat(dir, "empty", 0);
    close(dir);
    clear("files");
}

static void sum_of(struct td_slice bytes, uint8_t ret[SHA256_BYTES])
{
    struct sha256 *sum = sha256_new();
    sha256_begin(sum);
    sha256_add(sum, bytes);
    ok(sha256_end(sum, ret), "a sum");
    sha256_free(sum);
}

/* A put that is watched, and stopped at some byte. */
struct watching {
    uint64_t last, stop_at;
    bool backwards;
};

static int watch(void *ctx, uint64_t bytes)
{
    struct watching *w = ctx;
    w->backwards |= bytes < w->last;
    w->last = bytes;
    return bytes >= w->stop_at;
}

static void test_watched_files(void)
{
    uint8_t sum[SHA256_BYTES];
    struct storage_object object;
    struct watching w = {.stop_at = UINT64_MAX};
    struct storage_put put = {.sha256 = sum, .progress = watch, .ctx = &w};
    const struct td_slice bytes = td_bytes(t.bytes, 3 * MIB + 5);
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sum_of(bytes, sum);
    make_file("file", bytes);
    ok(storage_put_file_as(t.s, "files/one", dir, "file", &put, NULL, &t.err) == TD_OK && whole("files/one", bytes) && !w.backwards &&
           w.last <= bytes.n,
       "a file with its sum, watched %s", t.err.text);
    ok(storage_head(t.s, "files/one", &object, &t.err) == TD_OK && (!object.has_sha256 || memcmp(object.sha256, sum, SHA256_BYTES) == 0),
       "if a sum is kept, it is this one");
    w = (struct watching){.stop_at = 0};
    int status = storage_put_file_as(t.s, "files/two", dir, "file", &put, NULL, &t.err);
    ok(status == TD_E_CANCELLED ? absent("files/two") : status == TD_OK && t.backend->links, "it can be stopped, unless it is a link");
    sum[0] ^= 1;
    w.stop_at = UINT64_MAX;
    status = storage_put_file_as(t.s, "files/three", dir, "file", &put, NULL, &t.err);
    ok(status == TD_E_CORRUPT ? absent("files/three") : status == TD_OK, "a wrong sum is found, or not looked at");
    is_int(storage_sweep(t.s, "files/", &t.err), TD_OK, "swept %s", t.err.text);
    ok(whole("files/one", bytes), "which leaves what is whole");
    unlinkat(dir, "file", 0);
    close(dir);
    clear("watched files");
}

/* ---- Files whose putting is resumed ---- */

enum { RESUMED = 40 * MIB + 5, TRIES = 40 };

struct resuming {
    struct watching w;
    char state[TD_PUT_STATE_MAX + 1];
    unsigned saves;
};

static int save_state(void *ctx, const char *state)
{
    struct resuming *r = ctx;
    if (strlen(state) > TD_PUT_STATE_MAX)
        return 1;
    snprintf(r->state, sizeof(r->state), "%s", state);
    r->saves++;
    return 0;
}

static int watch_resuming(void *ctx, uint64_t bytes)
{
    struct resuming *r = ctx;
    return watch(&r->w, bytes);
}

/* Puts the file until `stop_at` bytes of it are there, going on from what `r` holds. */
static int resume(struct resuming *r, const char *key, int dir, const uint8_t *sum, uint64_t stop_at, struct error *err)
{
    char state[TD_PUT_STATE_MAX + 1];
    struct storage_put put = {.sha256 = sum, .state = state, .save = save_state, .progress = watch_resuming, .ctx = r};
    memcpy(state, r->state, sizeof(state));
    r->w = (struct watching){.stop_at = stop_at};
    return storage_put_file_as(t.s, key, dir, "file", &put, NULL, err);
}

static void *put_same(void *arg)
{
    static const struct timespec pause = {.tv_nsec = 20000000};
    struct resuming r = {.state = ""};
    struct error err;
    int dir = *(const int *)arg, status = TD_E_RETRY;
    for (int i = 0; i < TRIES && status == TD_E_RETRY; i++) {
        status = resume(&r, "files/same", dir, NULL, UINT64_MAX, &err);
        nanosleep(&pause, NULL);
    }
    if (status != TD_OK) {
        tap_diag("%s", err.text);
        atomic_fetch_add(&race.wrong, 1);
    }
    return NULL;
}

/* Half of `bytes` is put, then others of the same size, with the state of the former. */
static void test_resuming_changed(int dir, struct td_slice bytes)
{
    uint8_t sum[SHA256_BYTES];
    struct resuming r = {.state = ""};
    struct storage_object object = {.has_sha256 = false};
    const struct td_slice changed = td_bytes(bytes.p + 7, bytes.n);
    sum_of(bytes, sum);
    is_int(resume(&r, "files/changed", dir, sum, bytes.n / 2, &t.err), TD_E_CANCELLED, "half of another one");
    sum_of(changed, sum);
    make_file("file", changed);
    ok(resume(&r, "files/changed", dir, sum, UINT64_MAX, &t.err) == TD_OK && whole("files/changed", changed),
       "goes on with other bytes, as it notices %s", t.err.text);
    ok(storage_head(t.s, "files/changed", &object, &t.err) == TD_OK && (!object.has_sha256 || memcmp(object.sha256, sum, sizeof(sum)) == 0),
       "and has their sum");
    if (object.has_sha256) {
        sum[0] ^= 1;
        is_int(resume(&r, "files/damaged", dir, sum, UINT64_MAX, &t.err), TD_E_CORRUPT, "what is not as its sum says: %s", t.err.text);
        ok(absent("files/damaged"), "becomes no object");
    }
    make_file("file", bytes);
}

static void test_resuming(void)
{
    uint8_t sum[SHA256_BYTES];
    struct storage_object object;
    struct resuming r = {.state = ""};
    const struct td_slice bytes = td_bytes(t.bytes, RESUMED);
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sum_of(bytes, sum);
    make_file("file", bytes);
    int status = resume(&r, "files/resumed", dir, sum, RESUMED / 2, &t.err);
    if (status == TD_OK) {
        ok(t.backend->links && whole("files/resumed", bytes) && !r.state[0], "a put that takes no time needs no second try");
    } else {
        ok(status == TD_E_CANCELLED && absent("files/resumed") && count("") == 0, "half of a file is put: %s", t.err.text);
        ok(r.saves ? r.w.last >= RESUMED / 2 : true, "with a state to go on from: \"%s\"", r.state);
        storage_close(t.s);
        is_int(t.backend->open(&t.s), TD_OK, "another process");
        status = resume(&r, "files/resumed", dir, sum, UINT64_MAX, &t.err);
        ok(status == TD_OK && whole("files/resumed", bytes) && !r.w.backwards && r.w.last == RESUMED, "puts the rest %s", t.err.text);
        ok(storage_head(t.s, "files/resumed", &object, &t.err) == TD_OK && object.bytes == RESUMED &&
               (!object.has_sha256 || memcmp(object.sha256, sum, sizeof(sum)) == 0),
           "with its sum");
        ok(resume(&r, "files/resumed", dir, sum, UINT64_MAX, &t.err) == TD_OK && whole("files/resumed", bytes),
           "once more, as after a kill, though it is there");
        is_int(storage_forget(t.s, "files/resumed", r.state, &t.err), TD_OK, "what it left is forgotten");
        ok(whole("files/resumed", bytes), "which is not the object");
        test_resuming_changed(dir, bytes);
        snprintf(r.state, sizeof(r.state), "nonsense of another backend");
        is_int(storage_forget(t.s, "files/other", r.state, &t.err), TD_OK, "a state that is none is forgotten %s", t.err.text);
        ok(resume(&r, "files/other", dir, NULL, UINT64_MAX, &t.err) == TD_OK && whole("files/other", bytes), "and begins anew %s",
           t.err.text);
        r.state[0] = 0;
        is_int(resume(&r, "files/forgotten", dir, sum, RESUMED / 2, &t.err), TD_E_CANCELLED, "half of another one");
        ok(storage_forget(t.s, "files/forgotten", r.state, &t.err) == TD_OK &&
               storage_forget(t.s, "files/forgotten", r.state, &t.err) == TD_OK && absent("files/forgotten") &&
               whole("files/resumed", bytes),
           "is forgotten %s", t.err.text);
        is_int(resume(&r, "files/forgotten", dir, sum, RESUMED / 2, &t.err), TD_E_CANCELLED, "half of it again");
        ok(storage_sweep(t.s, "files/", &t.err) == TD_OK && absent("files/forgotten") && count("") == 3, "is swept away %s", t.err.text);
        ok(resume(&r, "files/forgotten", dir, sum, UINT64_MAX, &t.err) == TD_OK && whole("files/forgotten", bytes),
           "and put from its beginning %s", t.err.text);
        ok(storage_sweep(t.s, "", &t.err) == TD_OK && count("") == 4, "sweeping leaves what is whole");
        pthread_t threads[2];
        atomic_store(&race.wrong, 0);
        for (size_t i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, put_same, &dir);
        for (size_t i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        ok(!atomic_load(&race.wrong) && whole("files/same", bytes), "two put the same file at once, trying again");
    }
    unlinkat(dir, "file", 0);
    close(dir);
    clear("resuming");
}

/* ---- Folders, and many at once ---- */

struct names {
    char text[256];
    const char *stop_at;
};

static int folder_each(void *ctx, const char *name)
{
    struct names *n = ctx;
    snprintf(n->text + strlen(n->text), sizeof(n->text) - strlen(n->text), "%s ", name);
    return n->stop_at && strcmp(name, n->stop_at) == 0 ? 9 : 0;
}

static void is_folders(const char *prefix, const char *after, const char *stop_at, int status, const char *expected, const char *what)
{
    struct names n = {.stop_at = stop_at};
    memset(&t.err, 0, sizeof(t.err));
    is_int(storage_folders(t.s, prefix, after, folder_each, &n, &t.err), status, "%s: ends %s", what, t.err.text);
    is_str(n.text, expected, "%s", what);
}

static void test_folders(void)
{
    static const char *const keys[] = {"a/1", "a/2", "a/b/c", "a-b/1", "a0/1", "b/c/1", "b/c/2", "b/d/1", "\303\251/1", "zz"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put(keys[i], td_str(keys[i]));
    is_folders("", NULL, NULL, TD_OK, "a-b a a0 b \303\251 ", "folders");
    is_folders("", "a", NULL, TD_OK, "a0 b \303\251 ", "behind one");
    is_folders("", "a-", NULL, TD_OK, "a-b a a0 b \303\251 ", "behind one that is not there");
    is_folders("", NULL, "a", 9, "a-b a ", "until one");
    is_folders("b/", NULL, NULL, TD_OK, "c d ", "in a folder");
    is_folders("b/d/", NULL, NULL, TD_OK, "", "in one without folders");
    is_folders("none/", NULL, NULL, TD_OK, "", "in none");
    is_folders("b", NULL, NULL, TD_E_UNSUPPORTED, "", "in half a name");
    is_int(storage_remove_many(t.s, (const char *const[]){"a/1", "none", "b/c/2", "a/b/c"}, 4, &t.err), TD_OK, "several are removed %s",
           t.err.text);
    ok(count("") == sizeof(keys) / sizeof(keys[0]) - 3 && absent("a/1") && absent("a/b/c") && whole("a/2", td_str("a/2")), "and no others");
    is_int(storage_remove_many(t.s, (const char *const[]){"a/2", "../x"}, 2, &t.err), TD_E_UNSUPPORTED, "with one that is no key");
    clear("folders");
}

/* ---- Large objects ---- */

/* Zeros, but for a number at the beginning of each mebibyte: a file of them has holes, and no two mebibytes are the same. */
static const uint64_t two_gib = UINT64_C(1) << 31;
enum { MARK = 8, MOST_MEMORY_KIB = 512 << 10 };

static void put_mark(uint64_t mebibyte, uint8_t ret[MARK])
{
    fill(ret, MARK, mebibyte + 1);
}

static bool make_large_file(uint64_t bytes)
{
    char path[128];
    uint8_t mark[MARK];
    snprintf(path, sizeof(path), "%s/large", t.dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    bool good = fd >= 0;
    for (uint64_t at = 0; at < bytes && good; at += MIB) {
        put_mark(at / MIB, mark);
        ssize_t n = bytes - at < MARK ? (ssize_t)(bytes - at) : MARK;
        good = pwrite(fd, mark, (size_t)n, (off_t)at) == n;
    }
    good = good && ftruncate(fd, (off_t)bytes) == 0;
    close(fd);
    return good;
}

/* Bytes of the object come; each must be what it should be. */
struct large {
    uint64_t at, n;
    bool differs;
    struct sha256 *sum;
};

static int large_sink(void *ctx, struct td_slice bytes)
{
    static const uint8_t zeros[MIB];
    struct large *l = ctx;
    sha256_add(l->sum, bytes);
    l->n += bytes.n;
    while (bytes.n) {
        uint64_t place = l->at % MIB;
        uint8_t mark[MARK];
        put_mark(l->at / MIB, mark);
        const uint8_t *expected = place < MARK ? mark + place : zeros;
        size_t n = place < MARK ? (size_t)(MARK - place) : (size_t)(MIB - place);
        n = n < bytes.n ? n : bytes.n;
        l->differs |= memcmp(bytes.p, expected, n) != 0;
        l->at += n;
        bytes = td_sub(bytes, n, bytes.n);
    }
    return TD_OK;
}

static bool gets_large(const char *key, uint64_t offset, uint64_t n, uint64_t expected, uint8_t sum[SHA256_BYTES])
{
    struct large l = {.at = offset, .sum = sha256_new()};
    memset(&t.err, 0, sizeof(t.err));
    sha256_begin(l.sum);
    int status = storage_get(t.s, key, offset, n, large_sink, &l, &t.err);
    bool good = sha256_end(l.sum, sum) && status == TD_OK && !l.differs && l.n == expected;
    sha256_free(l.sum);
    if (!good)
        tap_diag("%s: status %d %s, %llu of %llu bytes%s", key, status, t.err.text, (unsigned long long)l.n, (unsigned long long)expected,
                 l.differs ? ", different" : "");
    return good;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int count_sink(void *ctx, struct td_slice bytes)
{
    *(uint64_t *)ctx += bytes.n;
    return TD_OK;
}

static void test_large_ranges(const char *key, uint64_t bytes)
{
    const uint64_t ranges[][2] = {
        {two_gib - 5, 5}, {two_gib - 1, 1},       {two_gib - 1, UINT64_MAX}, {two_gib - MIB - 3, MIB + 3},        {bytes - 1, 1},
        {bytes, 0},       {two_gib / 2 - 1, MIB}, {bytes, UINT64_MAX},       {two_gib - 5, bytes - (two_gib - 5)}};
    uint8_t sum[SHA256_BYTES];
    uint64_t got = 0;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint64_t offset = ranges[i][0], n = ranges[i][1];
        ok(gets_large(key, offset, n, n == UINT64_MAX ? bytes - offset : n, sum), "from %llu on, %lld bytes", (unsigned long long)offset,
           (long long)n);
    }
    is_int(storage_get(t.s, key, bytes - 1, 2, count_sink, &got, &t.err), TD_E_LIMIT, "a byte more than there is: %s", t.err.text);
    is_int(storage_get(t.s, key, bytes + 1, UINT64_MAX, count_sink, &got, &t.err), TD_E_LIMIT, "behind its end");
    is_int((int64_t)got, 0, "gives nothing");
}

/* Reads the file piece by piece; into an upload, if there is one. */
static bool read_large_file(struct storage_upload *u, uint8_t sum[SHA256_BYTES])
{
    char path[128];
    struct sha256 *s = sha256_new();
    snprintf(path, sizeof(path), "%s/large", t.dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC), status = TD_OK;
    sha256_begin(s);
    for (ssize_t n = 1; n > 0 && status == TD_OK;) {
        n = read(fd, t.bytes, MIB);
        if (n > 0)
            sha256_add(s, td_bytes(t.bytes, (size_t)n));
        if (n > 0 && u)
            status = storage_put_write(u, td_bytes(t.bytes, (size_t)n), &t.err);
        if (n < 0)
            status = TD_E_CORRUPT;
    }
    close(fd);
    bool good = sha256_end(s, sum) && status == TD_OK;
    sha256_free(s);
    return good;
}

static bool put_large(const char *key, bool as_stream, const uint8_t sum[SHA256_BYTES])
{
    struct storage_put put = {.sha256 = sum};
    struct storage_object object;
    struct storage_upload *u = NULL;
    uint8_t seen[SHA256_BYTES];
    memset(&t.err, 0, sizeof(t.err));
    if (as_stream)
        return storage_put_open(t.s, key, UINT64_MAX, &u, &t.err) == TD_OK && read_large_file(u, seen) &&
               storage_put_commit(u, sum, &object, &t.err) == TD_OK;
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = storage_put_file_as(t.s, key, dir, "large", &put, NULL, &t.err);
    close(dir);
    return status == TD_OK;
}

static void test_large_object(uint64_t bytes, bool as_stream)
{
    static const char key[] = "large/object";
    uint8_t sum[SHA256_BYTES], seen[SHA256_BYTES];
    struct storage_object object;
    struct rusage used;
    ok(make_large_file(bytes) && read_large_file(NULL, sum), "%llu bytes", (unsigned long long)bytes);
    double began = seconds();
    ok(put_large(key, as_stream, sum), "are put as a %s %s", as_stream ? "stream" : "file", t.err.text);
    double put = seconds();
    ok(storage_head(t.s, key, &object, &t.err) == TD_OK && object.bytes == bytes &&
           (!object.has_sha256 || memcmp(object.sha256, sum, sizeof(sum)) == 0),
       "there are as many, with their sum %s", t.err.text);
    double get = seconds();
    ok(gets_large(key, 0, UINT64_MAX, bytes, seen) && memcmp(seen, sum, sizeof(sum)) == 0, "and come back");
    tap_diag("put in %.1f s, got in %.1f s", put - began, seconds() - get);
    test_large_ranges(key, bytes);
    is_int(storage_remove(t.s, key, &t.err), TD_OK, "removed %s", t.err.text);
    ok(getrusage(RUSAGE_SELF, &used) == 0 && used.ru_maxrss < MOST_MEMORY_KIB, "in %ld MiB of memory", used.ru_maxrss >> 10);
}

static void test_large(const struct backend *backend)
{
    t.backend = backend;
    tap_diag("---- %s", backend->name);
    if (ok(backend->open(&t.s) == TD_OK, "%s is opened %s", backend->name, t.err.text)) {
        ok(storage_check(t.s, &t.err) == TD_OK, "it checks itself %s", t.err.text);
        test_large_object(two_gib, false);
        test_large_object(two_gib + 1, false);
        test_large_object(two_gib + 1, true);
        is_int((int64_t)count(""), 0, "nothing is left there");
        storage_close(t.s);
    }
    backend->clear();
}

/* ---- The whole ---- */

static int cancelling_sink(void *ctx, struct td_slice bytes)
{
    (void)bytes;
    if (++*(int *)ctx == 1)
        storage_cancel(t.s);
    return TD_OK;
}

/* The last of a backend's tests. */
static void test_cancel(void)
{
    struct storage_upload *u = NULL;
    struct storage_object object;
    int calls = 0;
    ok(put("cancel", td_bytes(t.bytes, 8 * MIB)), "an object");
    ok(storage_put_open(t.s, "cancelled", UINT64_MAX, &u, &t.err) == TD_OK, "and an upload");
    is_int(storage_get(t.s, "cancel", 0, UINT64_MAX, cancelling_sink, &calls, &t.err), TD_E_CANCELLED, "reading is cancelled: %s",
           t.err.text);
    is_int(calls, 1, "at once");
    is_int(storage_put_write(u, TD_LIT("x"), &t.err), TD_E_CANCELLED, "as is writing");
    is_int(storage_put_commit(u, NULL, NULL, &t.err), TD_E_CANCELLED, "and the commit");
    is_int(storage_head(t.s, "cancel", &object, &t.err), TD_E_CANCELLED, "and all later calls");
    storage_close(t.s);
    is_int(t.backend->open(&t.s), TD_OK, "opened anew");
    ok(storage_check(t.s, &t.err) == TD_OK && count("") == 1 && absent("cancelled"), "nothing of the upload is left");
    clear("cancel");
}

static void test_backend(const struct backend *backend)
{
    t.backend = backend;
    tap_diag("---- %s", backend->name);
    if (!ok(backend->open(&t.s) == TD_OK, "%s is opened", backend->name)) {
        tap_diag("%s", t.err.text);
        return;
    }
    ok(storage_check(t.s, &t.err) == TD_OK && storage_check(t.s, &t.err) == TD_OK, "it checks itself %s", t.err.text);
    is_int((int64_t)count(""), 0, "and leaves nothing");
    test_sizes();
    test_ranges();
    test_stopping();
    test_absent();
    test_abort();
    test_replace();
    test_keys();
    test_bad_keys();
    test_folder_and_object();
    test_listing();
    test_writers();
    test_files();
    test_watched_files();
    test_resuming();
    test_folders();
    test_cancel();
    storage_close(t.s);
    backend->clear();
}

/* ---- Local ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int open_local(struct storage **ret)
{
    char dir[128];
    snprintf(dir, sizeof(dir), "%s/made/by/it", t.dir);
    return storage_open_local(t.registry, &t.host, dir, ret, &t.err);
}

static int open_unflushed(struct storage **ret)
{
    char text[256];
    struct yaml_tree *tree;
    snprintf(text, sizeof(text), "{path: %s/unflushed/, sync: false}", t.dir);
    int status = yaml_tree_parse(td_str(text), "c.yaml", &tree, &t.err);
    if (status != TD_OK)
        return status;
    status = storage_open(t.registry, &t.host, "local", yaml_tree_root(tree), ret, &t.err);
    yaml_tree_free(tree);
    return status;
}

static void clear_local(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/made", t.dir);
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    snprintf(path, sizeof(path), "%s/unflushed", t.dir);
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Local storage as the core sees a backend that has neither files nor links. */
static struct td_storage remote_ops;
static struct td_component remote_component;
static const struct td_component *const remote_components[] = {&remote_component, NULL};
static struct td_plugin remote_plugin;

static void make_remote(void)
{
    remote_plugin = td_plugin_v1_local;
    remote_component = *remote_plugin.components[0];
    memcpy(&remote_ops, remote_component.ops, sizeof(remote_ops));
    remote_ops.put_file = NULL;
    remote_ops.path = NULL;
    remote_ops.flush = NULL;
    remote_component.ops = &remote_ops;
    remote_component.name = "remote";
    remote_plugin.components = remote_components;
}

static int open_remote(struct storage **ret)
{
    char text[256];
    struct yaml_tree *tree;
    snprintf(text, sizeof(text), "{path: %s/unflushed/, sync: false}", t.dir);
    int status = yaml_tree_parse(td_str(text), "c.yaml", &tree, &t.err);
    if (status != TD_OK)
        return status;
    status = storage_open(t.registry, &t.host, "remote", yaml_tree_root(tree), ret, &t.err);
    yaml_tree_free(tree);
    return status;
}

static const struct backend backends[] = {
    {"local", open_local, clear_local, 150, true, 0},
    {"local, not flushed", open_unflushed, clear_local, 4000, true, 0},
    {"local, without files", open_remote, clear_local, 150, false, 0},
};

/* ---- A provider of a configuration ---- */

static struct {
    struct yaml_tree *tree;
    const struct yaml_node *cloud;
    const char *provider;
} configured;

static int add_plugins(void)
{
    const struct td_plugin *const plugins[] = {&td_plugin_v1_local, &td_plugin_v1_s3, &td_plugin_v1_azblob, &remote_plugin};
    int status = registry_new(&t.registry, &t.err);
    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]) && status == TD_OK; i++)
        status = registry_add_static(t.registry, plugins[i], &t.err);
    return status;
}

static int read_configured(const char *path)
{
    int status = yaml_tree_load(path, &configured.tree, &t.err);
    if (status != TD_OK)
        return status;
    configured.cloud = yaml_get(yaml_get(yaml_get(yaml_tree_root(configured.tree), "tap"), "snapshots"), "cloud");
    const struct yaml_node *provider = yaml_get(configured.cloud, "provider");
    if (!provider || provider->kind != YAML_TEXT)
        return error_set(&t.err, TD_E_CONFIG, "tap.snapshots.cloud.provider is missing");
    configured.provider = provider->text;
    return TD_OK;
}

static int open_configured(struct storage **ret)
{
    return storage_open(t.registry, &t.host, configured.provider, yaml_get(configured.cloud, configured.provider), ret, &t.err);
}

static void leave_configured(void)
{
}

static void test_configured(const char *path, size_t many, bool large)
{
    struct backend backend = {.open = open_configured, .clear = leave_configured, .many = many};
    if (ok(many > 0 && many <= MAX_KEYS, "a number of keys") && ok(read_configured(path) == TD_OK, "%s is read %s", path, t.err.text)) {
        backend.name = configured.provider;
        backend.refuses = strcmp(configured.provider, "azblob") == 0;
        if (large)
            test_large(&backend);
        else
            test_backend(&backend);
    }
    yaml_tree_free(configured.tree);
}

static int check_configured(const char *path)
{
    int status = add_plugins();
    if (status == TD_OK)
        status = read_configured(path);
    if (status == TD_OK)
        status = open_configured(&t.s);
    if (status == TD_OK)
        status = storage_check(t.s, &t.err);
    printf("%s: %s\n", status == TD_OK ? "usable" : error_name(status), status == TD_OK ? "" : t.err.text);
    storage_close(t.s);
    yaml_tree_free(configured.tree);
    registry_free(t.registry);
    return status == TD_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    log_set_level(TD_LOG_WARN);
    snprintf(t.dir, sizeof(t.dir), "/tmp/tapedeck-storage-XXXXXX");
    host_init_control(&t.host);
    make_remote();
    if (argc == 3 && strcmp(argv[1], "--check") == 0)
        return check_configured(argv[2]);
    t.bytes = malloc(LARGEST);
    if (!ok(t.bytes && mkdtemp(t.dir) && add_plugins() == TD_OK, "made ready %s", t.err.text))
        return tap_done();
    fill(t.bytes, LARGEST, 1);
    bool large = argc > 1 && strcmp(argv[1], "--large") == 0;
    if (large && argc == 2)
        test_large(&backends[0]);
    else if (argc > 1)
        test_configured(argv[large ? 2 : 1], argc > 2 && !large ? strtoul(argv[2], NULL, 10) : 600, large);
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]) && argc == 1; i++)
        test_backend(&backends[i]);
    registry_free(t.registry);
    free(t.bytes);
    ok(nftw(t.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "nothing is left behind");
    return tap_done();
}
