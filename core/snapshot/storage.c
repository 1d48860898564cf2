#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"
#include "base/utf8.h"

enum { COPY_BYTES = 1 << 20 };

struct storage {
    struct td_inst *inst;
    const struct td_storage *ops;
    uint64_t trial; /* number of the trial object; 0: none yet */
};

struct storage_upload {
    struct storage *storage;
    void *upload;
    struct error fault; /* of a write that failed; status TD_OK: none */
};

/* ---- Life ---- */

int storage_open(const struct registry *registry, const struct td_host *host, const char *name, const struct yaml_node *options,
                 struct storage **ret, struct error *err)
{
    const struct plugin_component *component = registry_find(registry, TD_KIND_STORAGE, name);
    if (!component)
        return error_set(err, TD_E_CONFIG, "there is no storage plugin \"%.64s\"; `tapedeck plugin list` lists all, also those refused",
                         name);
    struct storage *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    int status = instance_create(component, options, host, &s->inst, err);
    if (status != TD_OK) {
        mem_free(s);
        return status;
    }
    s->ops = &component->storage;
    *ret = s;
    return TD_OK;
}

/* The options of the plugin "local" as the text of a configuration: JSON is YAML, too. */
static int put_local_options(const char *dir, struct buf *ret, struct error *err)
{
    char path[STORAGE_MAX_PATH];
    size_t n = 0;
    if (dir[0] != '/') {
        if (!getcwd(path, sizeof(path)))
            return error_set(err, TD_E_CONFIG, "the current directory has no path: %s", strerror(errno));
        n = strlen(path);
        path[n++] = '/';
    }
    if (strlen(dir) >= sizeof(path) - n || !json_is_utf8(td_str(dir)))
        return error_set(err, TD_E_CONFIG, "%.400s: the path is too long, or not UTF-8", dir);
    memcpy(path + n, dir, strlen(dir) + 1);
    buf_puts(ret, "{\"path\":");
    json_put_string(ret, td_str(path));
    buf_putc(ret, '}');
    return ret->failed ? error_nomem(err) : TD_OK;
}

int storage_open_local(const struct registry *registry, const struct td_host *host, const char *dir, struct storage **ret,
                       struct error *err)
{
    struct buf text;
    struct yaml_tree *tree = NULL;
    buf_init(&text, 0);
    int status = put_local_options(dir, &text, err);
    if (status == TD_OK)
        status = yaml_tree_parse(buf_slice(&text), "local snapshots", &tree, err);
    if (status == TD_OK)
        status = storage_open(registry, host, "local", yaml_tree_root(tree), ret, err);
    yaml_tree_free(tree);
    buf_clear(&text);
    return status;
}

void storage_close(struct storage *s)
{
    if (!s)
        return;
    instance_destroy(s->inst);
    mem_free(s);
}

const char *storage_name(const struct storage *s)
{
    return s->inst->component->c.name;
}

void storage_cancel(struct storage *s)
{
    instance_cancel(s->inst);
}

/* ---- Before and after each call ---- */

static bool is_part(const char *p, size_t n)
{
    if (!n || n > STORAGE_MAX_PART || p[0] == '.')
        return false;
    for (size_t i = 0; i < n;) {
        const uint8_t *at = (const uint8_t *)p + i;
        size_t length = utf8_length(at, n - i);
        if (!length || *at < 0x20 || *at == 0x7f)
            return false;
        i += length;
    }
    return true;
}

bool storage_is_key(const char *key)
{
    if (strnlen(key, STORAGE_MAX_KEY + 1) > STORAGE_MAX_KEY)
        return false;
    for (size_t n = strcspn(key, "/"); is_part(key, n); n = strcspn(key, "/")) {
        if (!key[n])
            return true;
        key += n + 1;
    }
    return false;
}

static bool is_cancelled(const struct storage *s)
{
    return atomic_load_explicit(&s->inst->cancelled, memory_order_relaxed);
}

/* May a call begin? `key` may be NULL. */
static int begin(const struct storage *s, const char *key, struct error *err)
{
    if (is_cancelled(s))
        return error_set(err, TD_E_CANCELLED, "storage \"%s\" was told to stop", storage_name(s));
    if (!key || storage_is_key(key))
        return TD_OK;
    return error_set(err, TD_E_UNSUPPORTED,
                     "\"%.500s\" is no key of an object: parts between slashes are 1 to %d bytes of UTF-8 and do not begin with a dot", key,
                     STORAGE_MAX_PART);
}

/* What a function of the plugin returned. */
static int end(struct storage *s, int status, struct error *err)
{
    if (status == TD_OK)
        return TD_OK;
    if (status > 0)
        return error_set(err, TD_E_INTERNAL, "storage plugin \"%s\" returned a value that is no status", storage_name(s));
    return instance_error(s->inst, status, err);
}

static void take_object(const struct td_object *src, struct storage_object *ret)
{
    struct td_object object = {0};
    memcpy(&object, src, src->size < sizeof(object) ? src->size : sizeof(object));
    *ret = (struct storage_object){.bytes = object.bytes, .mtime_ns = object.mtime_ns, .has_sha256 = object.flags & TD_OBJECT_SHA256};
    memcpy(ret->sha256, object.sha256, sizeof(ret->sha256));
    size_t n = strnlen(object.etag, sizeof(ret->etag) - 1);
    memcpy(ret->etag, object.etag, n);
}

/* ---- Reading ---- */

int storage_head(struct storage *s, const char *key, struct storage_object *ret, struct error *err)
{
    struct td_object object = {.size = sizeof(object)};
    int status = begin(s, key, err);
    if (status == TD_OK)
        status = end(s, s->ops->head(s->inst->self, key, &object), err);
    if (status == TD_OK)
        take_object(&object, ret);
    return status;
}

struct reading {
    const struct storage *storage;
    td_sink_fn *sink;
    void *ctx;
    uint64_t left;     /* bytes that may still come */
    int stopped;       /* what the sink returned; 0: it goes on */
    const char *wrong; /* what the plugin did against its contract; NULL: nothing */
};

static int pass_on(void *ctx, struct td_slice bytes)
{
    struct reading *r = ctx;
    if (bytes.n > r->left)
        r->wrong = "gave more bytes than it was asked for";
    if (r->wrong)
        return TD_E_INTERNAL;
    if (is_cancelled(r->storage))
        return TD_E_CANCELLED;
    r->left -= r->left == UINT64_MAX ? 0 : bytes.n;
    return r->stopped = r->sink(r->ctx, bytes);
}

int storage_get(struct storage *s, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx, struct error *err)
{
    struct reading r = {.storage = s, .sink = sink, .ctx = ctx, .left = n};
    int status = begin(s, key, err);
    if (status != TD_OK)
        return status;
    status = s->ops->get(s->inst->self, key, offset, n, pass_on, &r);
    if (r.stopped)
        return r.stopped;
    if (status == TD_OK && n != UINT64_MAX && r.left)
        r.wrong = "gave fewer bytes than it was asked for";
    if (r.wrong)
        return error_set(err, TD_E_INTERNAL, "storage plugin \"%s\": %.500s: it %s", storage_name(s), key, r.wrong);
    return end(s, status, err);
}

struct collecting {
    struct buf *buf;
    size_t left;
};

static int collect(void *ctx, struct td_slice bytes)
{
    struct collecting *c = ctx;
    if (bytes.n > c->left)
        return TD_E_LIMIT;
    c->left -= bytes.n;
    buf_put_slice(c->buf, bytes);
    return c->buf->failed ? TD_E_NOMEM : TD_OK;
}

int storage_get_bytes(struct storage *s, const char *key, size_t max, struct buf *ret, struct error *err)
{
    struct error why = {0}; /* not touched if collect() stopped it */
    struct collecting c = {ret, max};
    size_t before = ret->n;
    int status = storage_get(s, key, 0, UINT64_MAX, collect, &c, &why);
    if (status == TD_OK)
        return TD_OK;
    ret->n = before;
    if (why.status)
        return error_set(err, status, "%s", why.text);
    if (status == TD_E_LIMIT)
        return error_set(err, status, "%.500s: is larger than the limit of %zu bytes", key, max);
    return error_nomem(err);
}

bool storage_path(struct storage *s, const char *key, char out[STORAGE_MAX_PATH])
{
    if (!s->ops->path || begin(s, key, NULL) != TD_OK)
        return false;
    return end(s, s->ops->path(s->inst->self, key, out, STORAGE_MAX_PATH), NULL) == TD_OK && out[0] == '/';
}

/* ---- Writing ---- */

static int open_upload(struct storage *s, const char *key, uint64_t expected, uint32_t flags, struct storage_upload **ret,
                       struct error *err)
{
    struct td_put put = {.size = sizeof(put), .flags = flags, .expected = expected};
    int status = begin(s, key, err);
    if (status != TD_OK)
        return status;
    struct storage_upload *u = mem_calloc(1, sizeof(*u));
    if (!u)
        return error_nomem(err);
    u->storage = s;
    status = end(s, s->ops->put_open(s->inst->self, key, &put, &u->upload), err);
    if (status == TD_OK)
        *ret = u;
    else
        mem_free(u);
    return status;
}

int storage_put_open(struct storage *s, const char *key, uint64_t expected, struct storage_upload **ret, struct error *err)
{
    return open_upload(s, key, expected, 0, ret, err);
}

int storage_put_write(struct storage_upload *u, struct td_slice bytes, struct error *err)
{
    struct storage *s = u->storage;
    int status = u->fault.status;
    if (status == TD_OK)
        status = begin(s, NULL, &u->fault);
    if (status == TD_OK && bytes.n)
        status = end(s, s->ops->put_write(u->upload, bytes), &u->fault);
    return status == TD_OK ? TD_OK : error_set(err, status, "%s", u->fault.text);
}

int storage_put_commit(struct storage_upload *u, const uint8_t *sha256, struct storage_object *ret, struct error *err)
{
    struct td_object object = {.size = sizeof(object)};
    struct storage *s = u->storage;
    int status = storage_put_write(u, td_bytes(NULL, 0), err); /* what has failed before, or a stop */
    if (status == TD_OK)
        status = end(s, s->ops->put_commit(u->upload, sha256, &object), err);
    else
        s->ops->put_abort(u->upload);
    if (status == TD_OK && ret)
        take_object(&object, ret);
    mem_free(u);
    return status;
}

void storage_put_abort(struct storage_upload *u)
{
    if (!u)
        return;
    u->storage->ops->put_abort(u->upload);
    mem_free(u);
}

int storage_put_bytes(struct storage *s, const char *key, struct td_slice bytes, struct error *err)
{
    struct storage_upload *u = NULL;
    int status = storage_put_open(s, key, bytes.n, &u, err);
    if (status != TD_OK)
        return status;
    status = storage_put_write(u, bytes, err);
    if (status == TD_OK)
        return storage_put_commit(u, NULL, NULL, err);
    storage_put_abort(u);
    return status;
}

/* ---- Files ---- */

static int write_file(int fd, uint64_t expected, const char *name, const struct storage_put *how, struct storage_upload *u,
                      struct error *err)
{
    uint8_t *bytes = mem_alloc(COPY_BYTES);
    uint64_t copied = 0;
    ssize_t n = 1;
    int status = bytes ? TD_OK : error_nomem(err);
    while (status == TD_OK && n > 0) {
        do {
            n = read(fd, bytes, COPY_BYTES);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
            status = error_set(err, TD_E_CORRUPT, "%.500s: cannot be read: %s", name, strerror(errno));
        else if (how->progress && how->progress(how->ctx, copied) != 0)
            status = error_set(err, TD_E_CANCELLED, "%.500s: was told to stop", name);
        else
            status = storage_put_write(u, td_bytes(bytes, (size_t)n), err);
        copied += status == TD_OK ? (uint64_t)n : 0;
    }
    mem_free(bytes);
    if (status == TD_OK && copied != expected)
        status = error_set(err, TD_E_CORRUPT, "%.500s: has changed its size while it was copied", name);
    return status;
}

static int copy_file(struct storage *s, const char *key, int dir_fd, const char *name, const struct storage_put *how, struct error *err)
{
    struct storage_upload *u = NULL;
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "%.500s: cannot be opened: %s", name, strerror(errno));
    int status = TD_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = error_set(err, TD_E_UNSUPPORTED, "%.500s: is no regular file", name);
    if (status == TD_OK)
        status = open_upload(s, key, (uint64_t)st.st_size, how->later ? TD_PUT_LATER : 0, &u, err);
    if (status == TD_OK) {
        status = write_file(fd, (uint64_t)st.st_size, name, how, u, err);
        if (status == TD_OK)
            status = storage_put_commit(u, how->sha256, NULL, err);
        else
            storage_put_abort(u);
    }
    close(fd);
    return status;
}

int storage_put_file_as(struct storage *s, const char *key, int dir_fd, const char *name, const struct storage_put *how, bool *ret_linked,
                        struct error *err)
{
    const struct td_put put = {.size = sizeof(put),
                               .flags = how->later ? TD_PUT_LATER : 0,
                               .expected = UINT64_MAX,
                               .sha256 = how->sha256,
                               .state = how->state ? how->state : "",
                               .save = how->save,
                               .progress = how->progress,
                               .ctx = how->ctx};
    bool linked = false;
    int status = begin(s, key, err);
    if (status != TD_OK)
        return status;
    status = s->ops->put_file ? end(s, s->ops->put_file(s->inst->self, key, dir_fd, name, &put, &linked), err) : TD_E_UNSUPPORTED;
    if (status == TD_E_UNSUPPORTED) {
        linked = false;
        status = copy_file(s, key, dir_fd, name, how, err);
    }
    if (status == TD_OK && ret_linked)
        *ret_linked = linked;
    return status;
}

int storage_put_file(struct storage *s, const char *key, int dir_fd, const char *name, bool *ret_linked, struct error *err)
{
    return storage_put_file_as(s, key, dir_fd, name, &(struct storage_put){0}, ret_linked, err);
}

int storage_put_file_later(struct storage *s, const char *key, int dir_fd, const char *name, bool *ret_linked, struct error *err)
{
    return storage_put_file_as(s, key, dir_fd, name, &(struct storage_put){.later = true}, ret_linked, err);
}

int storage_forget(struct storage *s, const char *key, const char *state, struct error *err)
{
    int status = begin(s, key, err);
    return status == TD_OK && s->ops->forget ? end(s, s->ops->forget(s->inst->self, key, state), err) : status;
}

int storage_sweep(struct storage *s, const char *prefix, struct error *err)
{
    int status = begin(s, NULL, err);
    return status == TD_OK && s->ops->sweep ? end(s, s->ops->sweep(s->inst->self, prefix), err) : status;
}

int storage_flush(struct storage *s, const char *prefix, struct error *err)
{
    int status = begin(s, NULL, err);
    return status == TD_OK && s->ops->flush ? end(s, s->ops->flush(s->inst->self, prefix), err) : status;
}

/* ---- Listing and removing ---- */

struct listing {
    const struct storage *storage;
    const char *prefix;
    storage_list_fn *each;
    void *ctx;
    int stopped;
    const char *wrong;              /* as in struct reading */
    char last[STORAGE_MAX_KEY + 1]; /* "": none yet */
};

static int tell(void *ctx, const char *key, const struct td_object *object)
{
    struct listing *l = ctx;
    struct storage_object o;
    if (is_cancelled(l->storage))
        return TD_E_CANCELLED;
    if (!storage_is_key(key))
        return TD_OK; /* none of ours */
    if (strncmp(key, l->prefix, strlen(l->prefix)) != 0)
        l->wrong = "listed a key without the prefix";
    else if (strcmp(key, l->last) <= 0)
        l->wrong = "did not list keys in ascending order";
    if (l->wrong)
        return TD_E_INTERNAL;
    memcpy(l->last, key, strlen(key) + 1);
    take_object(object, &o);
    return l->stopped = l->each(l->ctx, key, &o);
}

int storage_list(struct storage *s, const char *prefix, const char *after, storage_list_fn *each, void *ctx, struct error *err)
{
    struct listing l = {.storage = s, .prefix = prefix, .each = each, .ctx = ctx};
    int status = begin(s, NULL, err);
    if (status != TD_OK)
        return status;
    if (strnlen(prefix, sizeof(l.last)) == sizeof(l.last) || (after && strnlen(after, sizeof(l.last)) == sizeof(l.last)))
        return error_set(err, TD_E_UNSUPPORTED, "a prefix or a key to list from is longer than %d bytes", STORAGE_MAX_KEY);
    if (after)
        memcpy(l.last, after, strlen(after) + 1);
    status = s->ops->list(s->inst->self, prefix, after, tell, &l);
    if (l.stopped)
        return l.stopped;
    if (l.wrong)
        return error_set(err, TD_E_INTERNAL, "storage plugin \"%s\" %s", storage_name(s), l.wrong);
    return end(s, status, err);
}

int storage_remove(struct storage *s, const char *key, struct error *err)
{
    int status = begin(s, key, err);
    return status == TD_OK ? end(s, s->ops->remove(s->inst->self, key), err) : status;
}

int storage_remove_many(struct storage *s, const char *const *keys, size_t n, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0; i < n && status == TD_OK; i++)
        status = s->ops->remove_many ? begin(s, keys[i], err) : storage_remove(s, keys[i], err);
    if (!s->ops->remove_many)
        return status;
    for (size_t i = 0; i < n && status == TD_OK; i += TD_REMOVE_MAX) {
        status = begin(s, NULL, err);
        if (status == TD_OK)
            status = end(s, s->ops->remove_many(s->inst->self, keys + i, n - i < TD_REMOVE_MAX ? n - i : TD_REMOVE_MAX), err);
    }
    return status;
}

/* ---- Folders ---- */

struct folders {
    const struct storage *storage;
    const char *prefix;
    storage_folder_fn *each;
    void *ctx;
    int stopped;
    const char *wrong;               /* as in struct reading */
    char last[STORAGE_MAX_PART + 2]; /* "": none yet */
    bool found;                      /* the list was ended since it came to a folder */
};

/* `last` is kept with its slash, by which folders are in order as their keys are: "a-b/" comes before "a/". */
static int tell_folder(void *ctx, const char *name)
{
    struct folders *f = ctx;
    char now[STORAGE_MAX_PART + 2];
    size_t n = strnlen(name, sizeof(now));
    if (is_cancelled(f->storage))
        return TD_E_CANCELLED;
    if (!is_part(name, n) || memchr(name, '/', n))
        return TD_OK; /* none of ours */
    memcpy(now, name, n);
    memcpy(now + n, "/", 2);
    if (strcmp(now, f->last) <= 0) {
        f->wrong = "did not list folders in ascending order";
        return TD_E_INTERNAL;
    }
    memcpy(f->last, now, n + 2);
    return f->stopped = f->each(f->ctx, name);
}

/* Of a backend that lists keys only: the first one of a folder, behind which the next list begins. */
static int tell_first(void *ctx, const char *key, const struct storage_object *object)
{
    struct folders *f = ctx;
    char name[STORAGE_MAX_PART + 1];
    const char *rest = key + strlen(f->prefix);
    size_t n = strcspn(rest, "/");
    (void)object;
    if (rest[n] != '/')
        return TD_OK;
    memcpy(name, rest, n);
    name[n] = 0;
    int status = tell_folder(f, name);
    f->found = status == TD_OK;
    return f->found ? 1 : status;
}

/* '0' is the byte behind '/', so that "name0" is behind all that the folder holds, and before all that follows. */
static int jump_folders(struct storage *s, struct folders *f, struct error *err)
{
    char after[STORAGE_MAX_KEY + STORAGE_MAX_PART + 2];
    int status;
    do {
        f->found = false;
        int n = snprintf(after, sizeof(after), "%s%s", f->prefix, f->last);
        if (*f->last)
            after[n - 1] = '0';
        status = storage_list(s, f->prefix, *f->last ? after : NULL, tell_first, f, err);
    } while (f->found);
    return status;
}

int storage_folders(struct storage *s, const char *prefix, const char *after, storage_folder_fn *each, void *ctx, struct error *err)
{
    struct folders f = {.storage = s, .prefix = prefix, .each = each, .ctx = ctx};
    int status = begin(s, NULL, err);
    if (status != TD_OK)
        return status;
    size_t n = strlen(prefix);
    if (n > STORAGE_MAX_KEY || (n && prefix[n - 1] != '/') || (after && !is_part(after, strlen(after))))
        return error_set(err, TD_E_UNSUPPORTED, "\"%.500s\" and \"%.255s\" are no folders to list from", prefix, after ? after : "");
    if (after)
        snprintf(f.last, sizeof(f.last), "%s/", after);
    status = s->ops->folders ? s->ops->folders(s->inst->self, prefix, after, tell_folder, &f) : jump_folders(s, &f, err);
    if (f.stopped)
        return f.stopped;
    if (f.wrong)
        return error_set(err, TD_E_INTERNAL, "storage plugin \"%s\" %s", storage_name(s), f.wrong);
    return s->ops->folders ? end(s, status, err) : status;
}

/* ---- Checking ---- */

enum { STALE_S = 3600 /* nobody tries so long */ };

struct probe {
    struct storage *storage;
    char key[STORAGE_MAX_KEY + 1];
    size_t common;    /* bytes that the keys of all trials below this prefix have in common */
    int64_t mtime_ns; /* of the object; by the backend's clock, as that of others */
    unsigned listed;
};

static const char probe_bytes[] = "Tapedeck checks that it can keep objects here. This one can be removed.\n";

static int count_listed(void *ctx, const char *key, const struct storage_object *object)
{
    struct probe *p = ctx;
    p->listed += strcmp(key, p->key) == 0 && object->bytes == sizeof(probe_bytes) - 1;
    int64_t older_ns = object->mtime_ns > 0 ? p->mtime_ns - object->mtime_ns : 0;
    if (older_ns > (int64_t)STALE_S * NS_PER_S) /* of a process that was killed, or lost its connection */
        (void)!storage_remove(p->storage, key, NULL);
    return TD_OK;
}

static int differs(struct error *err, const char *what)
{
    return error_set(err, TD_E_CORRUPT, "%s is not what was written", what);
}

/* Only what differs twice was not damaged on its way. */
static int probe_part(struct probe *p, struct error *err)
{
    enum { FROM = 9, LENGTH = 6, TRIES = 2 };
    struct buf bytes;
    bool same = false;
    int status = TD_OK;
    buf_init(&bytes, 0);
    for (int i = 0; i < TRIES && status == TD_OK && !same; i++) {
        struct collecting part = {&bytes, LENGTH};
        bytes.n = 0;
        status = storage_get(p->storage, p->key, FROM, LENGTH, collect, &part, err);
        same = td_eq(buf_slice(&bytes), td_bytes(probe_bytes + FROM, LENGTH));
    }
    buf_clear(&bytes);
    return status == TD_OK && !same ? differs(err, "a part of it") : status;
}

static int probe_reading(struct probe *p, struct error *err)
{
    struct storage_object object;
    int status = storage_head(p->storage, p->key, &object, err);
    if (status == TD_OK && object.bytes != sizeof(probe_bytes) - 1)
        status = differs(err, "its size");
    p->mtime_ns = status == TD_OK ? object.mtime_ns : 0;
    return status == TD_OK ? probe_part(p, err) : status;
}

static int probe_absence(struct probe *p, struct error *err)
{
    struct storage_object object;
    int status = storage_head(p->storage, p->key, &object, err);
    if (status == TD_OK)
        return error_set(err, TD_E_CORRUPT, "it is still there");
    return status == TD_E_NOT_FOUND ? TD_OK : status;
}

static int probe(struct probe *p, struct error *err)
{
    const char *step = "written";
    int status = storage_put_bytes(p->storage, p->key, td_bytes(probe_bytes, sizeof(probe_bytes) - 1), err);
    if (status == TD_OK) {
        step = "read";
        status = probe_reading(p, err);
    }
    if (status == TD_OK) {
        step = "listed";
        char trials[STORAGE_MAX_KEY + 1];
        snprintf(trials, sizeof(trials), "%.*s", (int)p->common, p->key);
        status = storage_list(p->storage, trials, NULL, count_listed, p, err);
        if (status == TD_OK && p->listed != 1)
            status = error_set(err, TD_E_CORRUPT, "it was listed %u times", p->listed);
    }
    if (status == TD_OK) {
        step = "removed";
        status = storage_remove(p->storage, p->key, err);
        if (status == TD_OK)
            status = probe_absence(p, err);
    }
    if (status == TD_OK)
        return TD_OK;
    (void)!storage_remove(p->storage, p->key, NULL);
    if (err)
        error_prefix(err, "storage \"%s\" cannot be used: a trial object could not be %s: ", storage_name(p->storage), step);
    return status;
}

int storage_check_below(struct storage *s, const char *prefix, struct error *err)
{
    struct probe p = {.storage = s, .common = strlen(prefix) + sizeof(STORAGE_TRIAL) - 1};
    int status = begin(s, NULL, err);
    if (status == TD_OK)
        status = end(s, s->ops->check(s->inst->self), err);
    if (status != TD_OK)
        return status;
    /* One that could not be removed is overwritten when this is tried again. */
    if (!s->trial && getrandom(&s->trial, sizeof(s->trial), 0) != (ssize_t)sizeof(s->trial))
        return error_set(err, TD_E_INTERNAL, "no random numbers: %s", strerror(errno));
    snprintf(p.key, sizeof(p.key), "%s" STORAGE_TRIAL "%016llx", prefix, (unsigned long long)s->trial);
    return probe(&p, err);
}

int storage_check(struct storage *s, struct error *err)
{
    return storage_check_below(s, "", err);
}
