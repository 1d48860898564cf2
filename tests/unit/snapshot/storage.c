/* The core's wrapper around a backend that does not keep its contract: nothing that it says is believed. */
#include "snapshot/storage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/host.h"
#include "tap.h"

/* ---- A backend that does what a test wants ---- */

struct fake {
    struct td_inst *inst;
    const struct td_host *host;
};

static struct {
    int status;       /* what every function returns, with a text if that is an error */
    const char *text; /* NULL: none */
    size_t gives;     /* bytes that get() gives, in pieces of 10 */
    const char *const *lists;
    struct td_object object;
    struct td_put put;
    size_t written;
    unsigned commits, aborts, checks, opens;
    int write_status, remove_status;
    bool keeps; /* as a good one, one object: for storage_check() */
    char key[STORAGE_MAX_KEY + 1];
    struct buf kept;
    bool has;
    const char *path;
} fake;

static int result(struct fake *f)
{
    return fake.status < 0 && fake.text ? f->host->fail(f->inst, fake.status, "%s", fake.text) : fake.status;
}

static int fake_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct fake *f = malloc(sizeof(*f));
    (void)config;
    if (!f)
        return TD_E_NOMEM;
    *f = (struct fake){inst, host};
    *ret_self = f;
    return TD_OK;
}

static int fake_check(void *self)
{
    fake.checks++;
    return result(self);
}

static int fake_head(void *self, const char *key, struct td_object *ret)
{
    if (fake.keeps && (!fake.has || strcmp(key, fake.key) != 0))
        return TD_E_NOT_FOUND;
    uint32_t size = ret->size;
    *ret = fake.object;
    ret->size = size;
    if (fake.keeps)
        ret->bytes = fake.kept.n + fake.object.bytes;
    return result(self);
}

static int fake_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    (void)key;
    if (fake.keeps)
        return sink(ctx, td_sub(buf_slice(&fake.kept), offset, n == UINT64_MAX ? fake.kept.n : offset + n));
    for (size_t i = 0; i < fake.gives; i += 10) {
        int status = sink(ctx, td_bytes("0123456789", fake.gives - i < 10 ? fake.gives - i : 10));
        if (status != TD_OK)
            return TD_E_DENIED; /* not what the sink returned */
    }
    return result(self);
}

static int fake_put_open(void *self, const char *key, const struct td_put *put, void **ret_upload)
{
    int status = result(self);
    fake.put = *put;
    snprintf(fake.key, sizeof(fake.key), "%s", key);
    fake.written = 0;
    buf_reset(&fake.kept);
    if (status == TD_OK) {
        fake.opens++;
        *ret_upload = self;
    }
    return status;
}

static int fake_put_write(void *upload, struct td_slice bytes)
{
    struct fake *f = upload;
    fake.written += bytes.n;
    buf_put_slice(&fake.kept, bytes);
    return fake.write_status ? f->host->fail(f->inst, fake.write_status, "write %zu", fake.written) : TD_OK;
}

static int fake_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    uint32_t size = ret->size;
    (void)sha256;
    fake.commits++;
    fake.has = true;
    *ret = fake.object;
    ret->size = size;
    return result(upload);
}

static void fake_put_abort(void *upload)
{
    (void)upload;
    fake.aborts++;
}

static int fake_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    (void)prefix, (void)after;
    struct td_object object = fake.object;
    object.bytes = fake.keeps ? fake.kept.n : object.bytes;
    if (fake.keeps && fake.has)
        return each(ctx, fake.key, &object);
    for (size_t i = 0; fake.lists && fake.lists[i]; i++)
        if (each(ctx, fake.lists[i], &fake.object) != TD_OK)
            return TD_E_RETRY; /* not what it returned */
    return result(self);
}

static int fake_remove(void *self, const char *key)
{
    (void)self, (void)key;
    if (!fake.remove_status)
        fake.has = false;
    return fake.remove_status < 0 ? fake.remove_status : TD_OK;
}

static int fake_path(void *self, const char *key, char *out, size_t n)
{
    (void)key;
    snprintf(out, n, "%s", fake.path);
    return result(self);
}

static const struct td_storage ops = {
    .size = sizeof(struct td_storage),
    .check = fake_check,
    .head = fake_head,
    .get = fake_get,
    .put_open = fake_put_open,
    .put_write = fake_put_write,
    .put_commit = fake_put_commit,
    .put_abort = fake_put_abort,
    .list = fake_list,
    .remove = fake_remove,
    .path = fake_path,
};
static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_STORAGE,
    .name = "fake",
    .summary = "Storage that does as it is told",
    .create = fake_create,
    .destroy = free,
    .ops = &ops,
};
static const struct td_component *const components[] = {&component, NULL};
static const struct td_plugin plugin = {sizeof(struct td_plugin), 1, TD_ABI_MINOR, "fake", "1", "Apache-2.0", components};

static struct storage *s;
static struct error err;

static void reset(void)
{
    buf_clear(&fake.kept);
    memset(&fake, 0, sizeof(fake));
    fake.object.size = sizeof(fake.object);
    memset(&err, 0, sizeof(err));
}

/* ---- Tests ---- */

static void test_errors(void)
{
    struct storage_object object;
    struct storage_upload *u;
    reset();
    fake.status = TD_E_RETRY;
    fake.text = "PUT: HTTP 503";
    is_int(storage_head(s, "key", &object, &err), TD_E_RETRY, "a backend's error");
    is_str(err.text, "storage plugin \"fake\": PUT: HTTP 503", "has its words");
    is_int(storage_put_open(s, "key", 1, &u, &err), TD_E_RETRY, "also when an upload is begun");
    fake.text = NULL;
    is_int(storage_remove(s, "key", &err), TD_OK, "(this one works)");
    is_int(storage_list(s, "", NULL, NULL, NULL, &err), TD_E_RETRY, "without a word");
    is_str(err.text, "storage plugin \"fake\": temporary failure", "it is the status's name");
    fake.status = 3;
    is_int(storage_head(s, "key", &object, &err), TD_E_INTERNAL, "what is no status");
    is_str(err.text, "storage plugin \"fake\" returned a value that is no status", "is a defect");
    is_int(storage_check(s, &err), TD_E_INTERNAL, "anywhere");
}

static void test_objects(void)
{
    struct storage_object object;
    reset();
    memset(fake.object.etag, 'e', sizeof(fake.object.etag));
    fake.object.bytes = 5;
    fake.object.mtime_ns = -7;
    ok(storage_head(s, "key", &object, &err) == TD_OK && object.bytes == 5 && object.mtime_ns == -7, "an object");
    is_int((int64_t)strlen(object.etag), STORAGE_ETAG - 1, "whose ETag has no end");
    reset();
    fake.path = "relative";
    char out[STORAGE_MAX_PATH];
    ok(!storage_path(s, "key", out), "a path that is not absolute is none");
    fake.path = "/absolute";
    ok(storage_path(s, "key", out), "but this one is");
    fake.status = TD_E_NOT_FOUND;
    ok(!storage_path(s, "key", out), "if it is there");
}

static int count_sink(void *ctx, struct td_slice bytes)
{
    *(size_t *)ctx += bytes.n;
    return *(size_t *)ctx >= 1000 ? 42 : TD_OK;
}

static void test_reading(void)
{
    size_t got = 0;
    struct buf b;
    reset();
    fake.gives = 25;
    is_int(storage_get(s, "key", 0, 24, count_sink, &got, &err), TD_E_INTERNAL, "more bytes than asked for");
    is_str(err.text, "storage plugin \"fake\": key: it gave more bytes than it was asked for", "are a defect");
    is_int((int64_t)got, 20, "and do not arrive");
    is_int(storage_get(s, "key", 0, 26, count_sink, &got, &err), TD_E_INTERNAL, "fewer");
    is_str(err.text, "storage plugin \"fake\": key: it gave fewer bytes than it was asked for", "as well");
    ok(storage_get(s, "key", 0, 25, count_sink, &got, &err) == TD_OK &&
           storage_get(s, "key", 0, UINT64_MAX, count_sink, &got, &err) == TD_OK,
       "as many are right");
    got = 990;
    is_int(storage_get(s, "key", 0, 25, count_sink, &got, &err), 42, "what the sink returns is returned, whatever the backend says");
    buf_init(&b, 0);
    for (unsigned long nth = 1; nth < 3; nth++) {
        mem_fail_at(nth);
        int status = storage_get_bytes(s, "key", 100, &b, &err);
        bool hit = mem_failed();
        mem_fail_at(0);
        ok(hit ? status == TD_E_NOMEM && b.n == 0 : status == TD_OK && b.n == 25, "allocation %lu may fail: %s", nth, error_name(status));
        buf_clear(&b);
    }
    buf_clear(&b);
}

static void test_writing(void)
{
    struct storage_upload *u = NULL;
    struct storage_object object;
    reset();
    ok(storage_put_open(s, "key", 77, &u, &err) == TD_OK && fake.put.expected == 77 && fake.put.size >= 16,
       "an upload, and what is expected");
    fake.write_status = TD_E_LIMIT;
    is_int(storage_put_write(u, TD_LIT("12345"), &err), TD_E_LIMIT, "fails");
    fake.write_status = 0;
    is_int(storage_put_write(u, TD_LIT("678"), &err), TD_E_LIMIT, "and stays so");
    is_str(err.text, "storage plugin \"fake\": write 5", "with the first reason");
    is_int((int64_t)fake.written, 5, "the backend is not asked again");
    is_int(storage_put_commit(u, NULL, &object, &err), TD_E_LIMIT, "the commit fails");
    is_str(err.text, "storage plugin \"fake\": write 5", "for the same reason");
    ok(fake.aborts == 1 && !fake.commits, "and is an abort");
    ok(storage_put_bytes(s, "key", td_bytes(NULL, 0), &err) == TD_OK && fake.commits == 1 && fake.aborts == 1,
       "nothing at all can be written");
    fake.write_status = TD_E_DENIED;
    ok(storage_put_bytes(s, "key", TD_LIT("x"), &err) == TD_E_DENIED && fake.commits == 1 && fake.aborts == 2, "or not");
    fake.write_status = 0;
    for (unsigned long nth = 1; nth < 3; nth++) {
        mem_fail_at(nth);
        int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int status = storage_put_file(s, "key", dir, "proc/self/status", NULL, &err);
        bool hit = mem_failed();
        mem_fail_at(0);
        close(dir);
        ok(hit && status == TD_E_NOMEM, "allocation %lu may fail", nth);
    }
    is_int(fake.opens, fake.commits + fake.aborts, "what was opened was committed or aborted");
    storage_put_abort(NULL);
}

static int list_each(void *ctx, const char *key, const struct storage_object *object)
{
    char *out = ctx;
    size_t n = strlen(out);
    (void)object;
    snprintf(out + n, 100 - n, "%s%s", n ? " " : "", key);
    return strcmp(key, "stop") == 0 ? 9 : TD_OK;
}

static void listed(const char *const *keys, const char *prefix, const char *after, int status, const char *what, const char *text)
{
    char out[100] = "";
    reset();
    fake.lists = keys;
    is_int(storage_list(s, prefix, after, list_each, out, &err), status, "%s", text);
    is_str(out, what, "  %s", err.text);
}

static void test_listing(void)
{
    char longest[STORAGE_MAX_KEY + 2];
    listed((const char *const[]){"a", "b/c", NULL}, "", NULL, TD_OK, "a b/c", "keys");
    listed((const char *const[]){"a", "a", NULL}, "", NULL, TD_E_INTERNAL, "a", "the same twice is a defect");
    listed((const char *const[]){"b", "a", NULL}, "", NULL, TD_E_INTERNAL, "b", "as is a wrong order");
    listed((const char *const[]){"b", NULL}, "", "b", TD_E_INTERNAL, "", "or one that is not behind");
    listed((const char *const[]){"b", NULL}, "a", NULL, TD_E_INTERNAL, "", "or one without the prefix");
    listed((const char *const[]){"a/", "a/.x", "b", "folder//", "\xff", NULL}, "", NULL, TD_OK, "b", "what is no key is passed over");
    listed((const char *const[]){"a", "stop", "z", NULL}, "", NULL, 9, "a stop", "stopped");
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    listed((const char *const[]){"a", NULL}, longest, NULL, TD_E_UNSUPPORTED, "", "a prefix that is too long");
    listed((const char *const[]){"a", NULL}, "", longest, TD_E_UNSUPPORTED, "", "or a key");
}

static void checked(int status, const char *text, const char *what)
{
    int got = storage_check(s, &err);
    ok(got == status, "a check: %s", what);
    like(got == TD_OK ? "" : err.text, text, "  %s", error_name(got));
    reset();
    fake.keeps = true;
}

static void test_check(void)
{
    reset();
    fake.keeps = true;
    checked(TD_OK, "", "all is well");
    fake.status = TD_E_DENIED;
    fake.text = "HTTP 403: wrong key";
    checked(TD_E_DENIED, "storage plugin \"fake\": HTTP 403: wrong key", "the backend's own");
    fake.write_status = TD_E_LIMIT;
    checked(TD_E_LIMIT, "storage \"fake\" cannot be used: a trial object could not be written: storage plugin \"fake\": write", "writing");
    fake.object.bytes = 1;
    checked(TD_E_CORRUPT, "a trial object could not be read: its size is not what was written", "the size");
    fake.remove_status = 1;
    checked(TD_E_CORRUPT, "a trial object could not be removed: it is still there", "removing that does nothing");
    fake.remove_status = TD_E_DENIED;
    checked(TD_E_DENIED, "a trial object could not be removed: storage plugin \"fake\": not allowed", "removing");
}

int main(void)
{
    struct registry *registry = NULL;
    struct td_host host;
    host_init_control(&host);
    if (registry_new(&registry, &err) != TD_OK || registry_add_static(registry, &plugin, &err) != TD_OK ||
        storage_open(registry, &host, "fake", NULL, &s, &err) != TD_OK) {
        ok(false, "made ready: %s", err.text);
        return tap_done();
    }
    is_str(storage_name(s), "fake", "the backend's name");
    test_errors();
    test_objects();
    test_reading();
    test_writing();
    test_listing();
    test_check();
    storage_close(s);
    storage_close(NULL);
    reset();
    registry_free(registry);
    return tap_done();
}
