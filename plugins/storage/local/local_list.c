#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Of a folder's names, as many are kept at once, the first ones; then it is read again. */
enum { BATCH = 16384 };

/* A folder that is being listed. */
struct level {
    size_t path; /* length of its path in walk.key, with the slash at its end */
    char *text;  /* names, each with a zero behind it; those of folders with a slash at their end */
    size_t text_n, text_cap;
    uint32_t *names; /* where in `text` they begin; sorted */
    size_t n, cap, next;
    bool cut;                       /* there are more behind the last one */
    char last[TD_KEY_PART_MAX + 2]; /* the last that was taken; "": none */
};

/* No recursion: a level for each folder on the way to where we are. */
struct walk {
    struct local *local;
    const char *prefix, *after;
    td_list_fn *each; /* NULL: folders that are empty are removed */
    void *ctx;
    struct level *levels;
    size_t n, cap;
    int fd; /* the folder of the last level; -1: not open */
    char key[TD_KEY_MAX + TD_KEY_PART_MAX + 3];
};

/* ---- Which names ---- */

static int compare_names(const void *a, const void *b, void *text)
{
    return strcmp((const char *)text + *(const uint32_t *)a, (const char *)text + *(const uint32_t *)b);
}

/* Can keys that begin with w->key be among those asked for? All of them are as long or, if it ends with a slash, longer. */
static bool is_wanted(const struct walk *w)
{
    size_t n = strlen(w->key), prefix = strlen(w->prefix);
    bool folder = n && w->key[n - 1] == '/';
    if (folder && n < prefix ? memcmp(w->key, w->prefix, n) != 0 : strncmp(w->key, w->prefix, prefix) != 0)
        return false;
    if (!w->after || (folder && strncmp(w->after, w->key, n) == 0))
        return true;
    return strcmp(w->key, w->after) > 0;
}

/* Is it a file or a folder? Neither: links and what else there is. What cannot be looked at counts as a file: tell() says why. */
static bool entry_kind(int fd, const struct dirent *entry, bool *ret_folder)
{
    struct stat st;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_LNK;
    else if (type == DT_UNKNOWN)
        type = DT_REG;
    *ret_folder = type == DT_DIR;
    return type == DT_DIR || type == DT_REG;
}

/* ---- Reading a folder ---- */

static bool add_name(struct level *v, const char *name, size_t n)
{
    if (v->text_cap - v->text_n <= n) {
        size_t cap = v->text_cap ? 2 * v->text_cap : 4096;
        char *grown = realloc(v->text, cap);
        if (!grown)
            return false;
        v->text = grown;
        v->text_cap = cap;
    }
    if (v->n == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 64;
        uint32_t *grown = realloc(v->names, cap * sizeof(*grown));
        if (!grown)
            return false;
        v->names = grown;
        v->cap = cap;
    }
    memcpy(v->text + v->text_n, name, n + 1);
    v->names[v->n++] = (uint32_t)v->text_n;
    v->text_n += n + 1;
    return true;
}

/* Sorts, and drops what is more than a batch. */
static bool cut_batch(struct level *v)
{
    if (v->n)
        qsort_r(v->names, v->n, sizeof(v->names[0]), compare_names, v->text);
    if (v->n <= BATCH)
        return true;
    struct level kept = {0};
    bool fits = true;
    for (size_t i = 0; i < BATCH && fits; i++)
        fits = add_name(&kept, v->text + v->names[i], strlen(v->text + v->names[i]));
    free(v->text);
    free(v->names);
    v->text = kept.text;
    v->text_n = kept.text_n;
    v->text_cap = kept.text_cap;
    v->names = kept.names;
    v->n = kept.n;
    v->cap = kept.cap;
    v->cut = true;
    return fits;
}

/* Adds a directory entry if it is asked for. False: memory is short. */
static bool take_entry(struct walk *w, struct level *v, const struct dirent *entry)
{
    bool folder;
    size_t n = strlen(entry->d_name);
    if (entry->d_name[0] == '.' || n > TD_KEY_PART_MAX || v->path + n > TD_KEY_MAX || !entry_kind(w->fd, entry, &folder))
        return true;
    char *name = w->key + v->path;
    memcpy(name, entry->d_name, n + 1);
    if (folder)
        memcpy(name + n++, "/", 2);
    if (strcmp(name, v->last) <= 0 || !is_wanted(w))
        return true;
    if (!add_name(v, name, n))
        return false;
    return v->n < 2 * BATCH || cut_batch(v);
}

/* The next batch of a level whose folder is open. */
static int read_folder(struct walk *w, struct level *v)
{
    struct local *l = w->local;
    int fd = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        local_close(fd);
        if (errno == ENOENT) { /* removed by now */
            v->cut = false;
            return TD_OK;
        }
        w->key[v->path] = 0;
        return local_fail(l, *w->key ? w->key : NULL, "cannot be listed");
    }
    bool fits = true;
    const struct dirent *entry = NULL;
    v->n = v->next = v->text_n = 0;
    v->cut = false;
    do {
        errno = 0;
        entry = readdir(dir);
        fits = !entry || take_entry(w, v, entry);
    } while (entry && fits && !l->host->cancelled(l->inst));
    int number = errno;
    closedir(dir);
    errno = number;
    if (l->host->cancelled(l->inst))
        return TD_E_CANCELLED;
    w->key[v->path] = 0;
    if (fits && !entry && number)
        return local_fail(l, *w->key ? w->key : NULL, "cannot be listed");
    return fits && cut_batch(v) ? TD_OK : l->host->fail(l->inst, TD_E_NOMEM, "out of memory");
}

/* ---- Walking ---- */

static void close_folder(struct walk *w)
{
    local_close(w->fd);
    w->fd = -1;
}

/* Into the folder whose path, with a slash at its end, is the first `n` bytes of w->key. */
static int enter(struct walk *w, size_t n)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 8;
        struct level *grown = realloc(w->levels, cap * sizeof(*grown));
        if (!grown)
            return w->local->host->fail(w->local->inst, TD_E_NOMEM, "out of memory");
        w->levels = grown;
        w->cap = cap;
    }
    close_folder(w);
    w->levels[w->n++] = (struct level){.path = n, .cut = true};
    return TD_OK;
}

static void leave(struct walk *w)
{
    struct level *v = &w->levels[--w->n];
    const char *base;
    close_folder(w);
    free(v->text);
    free(v->names);
    if (w->each || !v->path)
        return;
    w->key[v->path - 1] = 0; /* if it has something in it, it stays */
    int fd = local_open_parent(w->local, w->key, false, &base);
    if (fd >= 0)
        (void)unlinkat(fd, base, AT_REMOVEDIR);
    local_close(fd);
}

/* Opens the last level's folder. False: it is not there (any more), or nobody's but the file system's. */
static bool open_level(struct walk *w, int *ret_status)
{
    const struct level *v = &w->levels[w->n - 1];
    if (w->fd < 0)
        w->fd = local_open_folder(w->local, w->key, v->path ? v->path - 1 : 0, false);
    if (w->fd >= 0)
        return true;
    w->key[v->path] = 0;
    bool gone = errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG;
    bool foreign = errno == EACCES && strcmp(w->key, "lost+found/") == 0;
    *ret_status = gone || foreign ? TD_OK : local_fail(w->local, *w->key ? w->key : NULL, "cannot be listed");
    return false;
}

/* An object, if it is still there. One that is only out of reach must not be passed over: who finds no manifest removes the rest. */
static int tell(struct walk *w, const char *name)
{
    struct stat st;
    struct td_object object = {.size = sizeof(object)};
    if (!w->each)
        return TD_OK;
    if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? TD_OK : local_fail(w->local, w->key, "cannot be listed");
    if (!S_ISREG(st.st_mode))
        return TD_OK;
    local_object(&st, &object);
    return w->each(w->ctx, w->key, &object);
}

static int step(struct walk *w)
{
    struct level *v = &w->levels[w->n - 1];
    int status = TD_OK;
    if (!open_level(w, &status) || (v->next == v->n && !v->cut)) {
        leave(w);
        return status;
    }
    if (v->next == v->n)
        return read_folder(w, v);
    const char *name = v->text + v->names[v->next++];
    size_t n = strlen(name);
    memcpy(v->last, name, n + 1);
    memcpy(w->key + v->path, name, n + 1);
    return name[n - 1] == '/' ? enter(w, v->path + n) : tell(w, name);
}

static int run(struct walk *w)
{
    const struct td_host *host = w->local->host;
    const char *slash = strrchr(w->prefix, '/');
    size_t n = slash ? (size_t)(slash - w->prefix) + 1 : 0;
    int status = TD_OK;
    if (n > TD_KEY_MAX || (local_root(w->local, false) < 0 && errno == ENOENT))
        return TD_OK;
    memcpy(w->key, w->prefix, n);
    status = enter(w, n);
    while (status == TD_OK && w->n) {
        status = step(w);
        if (status == TD_OK && host->cancelled(w->local->inst))
            status = TD_E_CANCELLED;
    }
    close_folder(w);
    while (w->n) {
        struct level *v = &w->levels[--w->n];
        free(v->text);
        free(v->names);
    }
    free(w->levels);
    return status;
}

int local_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    struct local *l = self;
    struct walk w = {.local = l, .prefix = prefix, .after = after, .each = each, .ctx = ctx, .fd = -1};
    struct local_listing listing = {.n = 0};
    local_listing_begin(l, &listing);
    int status = run(&w);
    int synced = local_listing_end(l, &listing);
    return status == TD_OK && synced != 0 ? local_fail(l, NULL, "cannot be rid of objects for good") : status;
}

int local_remove_empty(struct local *l)
{
    struct walk w = {.local = l, .prefix = "", .fd = -1};
    return run(&w);
}
