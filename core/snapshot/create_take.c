/* Taking a worker's segments: by a link, or over HTTP; from the work directory into storage. */
#include "snapshot/create_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "capture/segment_file.h"

enum { TRIES = 2 /* of data whose digest is wrong */, HOLDS = 5 /* that may get lost while a segment is fetched */ };

static const char trimmed_mark[] = ".trimmed", unfinished_mark[] = ".part";

const char *create_file_name(const struct piece *p, enum create_file file, bool unfinished, char out[CREATE_FILE])
{
    enum segment_file_kind kind = file == CREATE_INDEX ? SEGMENT_FILE_INDEX : p->compressed ? SEGMENT_FILE_COMPRESSED : SEGMENT_FILE_PLAIN;
    char name[SEGMENT_NAME];
    segment_file_name(p->said.sequence, kind, false, name);
    int digits = (int)strcspn(name, ".");
    snprintf(out, CREATE_FILE, "%.*s%s%s%s", digits, name, p->said.whole ? "" : trimmed_mark, name + digits,
             unfinished ? unfinished_mark : "");
    return out;
}

/* ---- What an earlier run has left ---- */

/* False: not a whole data file. */
static bool parse_name(const char *file, struct piece *ret)
{
    char name[CREATE_FILE];
    enum segment_file_kind kind;
    bool unfinished;
    size_t digits = strcspn(file, "."), mark = sizeof(trimmed_mark) - 1;
    bool trimmed = strncmp(file + digits, trimmed_mark, mark) == 0;
    if (strlen(file) >= sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s%s", (int)digits, file, file + digits + (trimmed ? mark : 0));
    *ret = (struct piece){.kept = true, .said.whole = !trimmed};
    if (!segment_file_parse(name, &ret->said.sequence, &kind, &unfinished) || unfinished || kind == SEGMENT_FILE_INDEX)
        return false;
    ret->compressed = ret->said.compressed = kind == SEGMENT_FILE_COMPRESSED;
    return ret->said.sequence <= INT64_MAX && !(trimmed && ret->compressed);
}

static struct piece *find_piece(struct create_node *n, uint64_t sequence)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->pieces[i].said.sequence == sequence)
            return &n->pieces[i];
    return NULL;
}

static void remove_files(struct create_node *n, const struct piece *p)
{
    char name[CREATE_FILE];
    unlinkat(n->dir_fd, create_file_name(p, CREATE_DATA, false, name), 0);
    unlinkat(n->dir_fd, create_file_name(p, CREATE_INDEX, false, name), 0);
}

/* Of a segment that the worker has no more, or cannot give. */
static int keep(struct create *c, struct create_node *n, struct piece *p)
{
    char name[CREATE_FILE];
    struct stat data, index;
    if (fstatat(n->dir_fd, create_file_name(p, CREATE_DATA, false, name), &data, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstatat(n->dir_fd, create_file_name(p, CREATE_INDEX, false, name), &index, AT_SYMLINK_NOFOLLOW) != 0) {
        remove_files(n, p);
        return TD_OK;
    }
    struct piece *v = mem_realloc(n->pieces, (n->n + 1) * sizeof(*v));
    if (!v)
        return create_fail(c, TD_E_NOMEM, "out of memory");
    n->pieces = v;
    p->said.bytes = p->bytes = (uint64_t)data.st_size;
    p->said.index_bytes = (uint64_t)index.st_size;
    p->said.estimated_bytes = p->said.bytes;
    n->pieces[n->n++] = *p;
    return TD_OK;
}

/* What is not whole, not as the worker has it, or cut anew, goes; the rest stays where take_whole() finds it. */
static int look_at_file(struct create *c, struct create_node *n, const char *file)
{
    struct piece p;
    struct stat st;
    size_t length = strlen(file), mark = sizeof(unfinished_mark) - 1;
    if (length > mark && strcmp(file + length - mark, unfinished_mark) == 0)
        unlinkat(n->dir_fd, file, 0);
    if (!parse_name(file, &p))
        return TD_OK;
    const struct piece *wanted = find_piece(n, p.said.sequence);
    if (!wanted)
        return keep(c, n, &p);
    if (wanted->kept) { /* both forms are there; one is enough */
        remove_files(n, &p);
        return TD_OK;
    }
    bool same = wanted->said.whole && p.said.whole && wanted->compressed == p.compressed &&
                fstatat(n->dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_size == wanted->said.bytes;
    if (!same)
        remove_files(n, &p);
    return TD_OK;
}

int create_open_folder(struct create *c, struct create_node *n)
{
    if (!*n->name || (n->missing && faccessat(c->work_fd, n->name, F_OK, 0) != 0))
        return TD_OK;
    if (mkdirat(c->work_fd, n->name, 0750) != 0 && errno != EEXIST)
        return create_fail(c, errno == ENOSPC ? TD_E_LIMIT : TD_E_DENIED, "%s/%s/%s: %s", c->request->work_dir, c->request->id, n->name,
                           strerror(errno));
    n->dir_fd = openat(c->work_fd, n->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int fd = n->dir_fd < 0 ? -1 : openat(n->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int status = create_fail(c, TD_E_DENIED, "%s/%s/%s: %s", c->request->work_dir, c->request->id, n->name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    int status = TD_OK;
    for (const struct dirent *e; status == TD_OK && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            status = look_at_file(c, n, e->d_name);
    closedir(dir);
    return status;
}

/* ---- Linking ---- */

/* The worker's directory, if it is on this machine. */
static int open_ring(const struct create_node *n)
{
    struct stat st;
    int fd = *n->offer.directory ? open(n->offer.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == n->offer.device)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool link_file(const struct create_node *n, int ring_fd, const struct piece *p, enum create_file file, uint64_t inode,
                      uint64_t bytes)
{
    char name[CREATE_FILE];
    struct stat st;
    create_file_name(p, file, false, name);
    if (!inode || (linkat(ring_fd, name, n->dir_fd, name, 0) != 0 && errno != EEXIST))
        return false;
    return fstatat(n->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_dev == n->offer.device &&
           st.st_ino == inode && (uint64_t)st.st_size == bytes;
}

/* Both files, and the index says what the worker said: on another machine there may be a directory of this name, too. */
static void link_piece(struct create_node *n, int ring_fd, struct piece *p)
{
    p->bytes = p->said.bytes;
    p->linked = link_file(n, ring_fd, p, CREATE_DATA, p->said.inode, p->said.bytes) &&
                link_file(n, ring_fd, p, CREATE_INDEX, p->said.index_inode, p->said.index_bytes) && create_is_promised(n, p);
}

/* All at once, before the ring needs their room. */
static void link_pieces(struct create *c, struct create_node *n)
{
    char name[CREATE_FILE];
    int ring_fd = open_ring(n);
    for (size_t i = 0; ring_fd >= 0 && i < n->n && !atomic_load(&c->stop); i++) {
        struct piece *p = &n->pieces[i];
        if (!p->said.whole || p->kept)
            continue;
        bool there = faccessat(n->dir_fd, create_file_name(p, CREATE_DATA, false, name), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        link_piece(n, ring_fd, p);
        p->quick = p->linked;
        if (!p->linked && !there)
            remove_files(n, p);
    }
    if (ring_fd >= 0)
        close(ring_fd);
}

/* ---- Fetching ---- */

static int open_part(struct create *c, struct create_node *n, const struct piece *p, enum create_file file, int *ret_fd)
{
    char name[CREATE_FILE];
    create_file_name(p, file, true, name);
    *ret_fd = openat(n->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    return *ret_fd >= 0
               ? TD_OK
               : create_fail(c, errno == ENOSPC || errno == EDQUOT ? TD_E_LIMIT : TD_E_DENIED, "%s/%s: %s", n->name, name, strerror(errno));
}

/* It is whole, and gets its name when its bytes are on the disk. */
static int end_part(struct create *c, struct create_node *n, const struct piece *p, enum create_file file, int fd)
{
    char from[CREATE_FILE], to[CREATE_FILE];
    create_file_name(p, file, true, from);
    create_file_name(p, file, false, to);
    if (fdatasync(fd) == 0 && renameat(n->dir_fd, from, n->dir_fd, to) == 0)
        return TD_OK;
    return create_fail(c, errno == ENOSPC || errno == EDQUOT ? TD_E_LIMIT : TD_E_DENIED, "%s/%s: %s", n->name, to, strerror(errno));
}

static int fetch_file(struct create *c, struct create_node *n, struct http_client *client, struct piece *p, enum create_file file,
                      const char *what, struct fetch *f, struct error *err)
{
    uint64_t size = !p->said.whole ? UINT64_MAX : file == CREATE_DATA ? p->said.bytes : p->said.index_bytes;
    *f = (struct fetch){.create = c, .node = n, .client = client, .piece = p, .counts = file == CREATE_DATA, .size = size};
    int status = open_part(c, n, p, file, &f->fd);
    if (status != TD_OK)
        return status;
    status = create_fetch(f, what, err);
    if (status == TD_OK)
        status = end_part(c, n, p, file, f->fd);
    close(f->fd);
    return status;
}

static int fetch_data(struct create *c, struct create_node *n, struct http_client *client, struct piece *p, struct error *err)
{
    struct fetch f;
    int status = TD_E_CORRUPT;
    for (int i = 0; i < TRIES; i++) {
        status = fetch_file(c, n, client, p, CREATE_DATA, "data", &f, err);
        if (status != TD_OK || !p->said.hashed || memcmp(f.sha256, p->said.sha256, MANIFEST_SHA256) == 0)
            break;
        status = error_set(err, TD_E_CORRUPT, "its bytes have another SHA-256 than the worker said");
    }
    if (status == TD_OK)
        memcpy(p->sha256, f.sha256, MANIFEST_SHA256);
    return status;
}

/* ---- One segment ---- */

/* Opens a file that is there. -1: it is not. */
static int open_file(const struct create_node *n, const struct piece *p, enum create_file file)
{
    char name[CREATE_FILE];
    return openat(n->dir_fd, create_file_name(p, file, false, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* The data is there, linked or from an earlier run. *ret_good: it is what the worker has. */
static int accept_data(struct create *c, const struct create_node *n, struct piece *p, bool *ret_good)
{
    uint64_t bytes = p->said.bytes;
    int status = TD_OK, fd = open_file(n, p, CREATE_DATA);
    *ret_good = fd >= 0;
    if (p->linked && p->said.hashed)
        memcpy(p->sha256, p->said.sha256, MANIFEST_SHA256);
    else if (fd >= 0)
        status = create_hash(c, fd, p->sha256, &bytes);
    if (fd >= 0)
        close(fd);
    if (status == TD_OK && *ret_good)
        *ret_good = bytes == p->said.bytes && (!p->said.hashed || memcmp(p->sha256, p->said.sha256, MANIFEST_SHA256) == 0);
    return status;
}

static int hash_index(struct create *c, const struct create_node *n, struct piece *p)
{
    int fd = open_file(n, p, CREATE_INDEX);
    if (fd < 0)
        return create_fail(c, TD_E_DENIED, "the index of segment %llu of %s is gone: %s", (unsigned long long)p->said.sequence, n->name,
                           strerror(errno));
    int status = create_hash(c, fd, p->index_sha256, &p->index_bytes);
    close(fd);
    return status;
}

static int take_whole(struct create *c, struct create_node *n, struct http_client *client, struct piece *p, struct error *err)
{
    struct fetch f;
    bool good;
    int status = accept_data(c, n, p, &good);
    if (status == TD_OK && !good) {
        p->linked = false;
        remove_files(n, p);
        status = fetch_data(c, n, client, p, err);
    }
    p->bytes = p->said.bytes;
    if (status == TD_OK && !p->linked && !create_is_promised(n, p))
        status = fetch_file(c, n, client, p, CREATE_INDEX, "index", &f, err);
    return status == TD_OK ? create_check(c, n, p, err) : status;
}

static int take_trimmed(struct create *c, struct create_node *n, struct http_client *client, struct piece *p, struct error *err)
{
    char what[128], start[UNITS_TEXT], end[UNITS_TEXT];
    struct fetch f;
    units_format_time(c->request->start_ns, start);
    units_format_time(c->request->end_ns, end);
    snprintf(what, sizeof(what), "window?start=%s&end=%s", start, end);
    int status = fetch_file(c, n, client, p, CREATE_DATA, what, &f, err);
    if (status != TD_OK)
        return status;
    p->bytes = f.at;
    memcpy(p->sha256, f.sha256, MANIFEST_SHA256);
    if (p->bytes)
        status = create_check(c, n, p, err);
    if (status == TD_OK && (!p->bytes || !p->packets)) {
        remove_files(n, p);
        p->state = PIECE_EMPTY;
    }
    return status;
}

static int take_kept(struct create *c, struct create_node *n, struct piece *p, struct error *err)
{
    bool good;
    int status = accept_data(c, n, p, &good);
    return status == TD_OK ? create_check(c, n, p, err) : status;
}

/* Into storage; durable from create_finish() on. */
static int put_files(struct create *c, struct create_node *n, struct piece *p)
{
    char key[STORAGE_MAX_KEY + 1], name[CREATE_FILE], file[SEGMENT_NAME];
    struct error err;
    int status = TD_OK;
    for (int i = CREATE_DATA; status == TD_OK && i <= CREATE_INDEX; i++) {
        enum segment_file_kind kind = i == CREATE_INDEX ? SEGMENT_FILE_INDEX : p->compressed ? SEGMENT_FILE_COMPRESSED : SEGMENT_FILE_PLAIN;
        snprintf(key, sizeof(key), "%s/%s/%s", c->request->id, n->name, segment_file_name(p->said.sequence, kind, false, file));
        status = storage_put_file_later(snapshots_storage(c->snapshots), key, n->dir_fd,
                                        create_file_name(p, (enum create_file)i, false, name), NULL, &err);
    }
    return status == TD_OK ? TD_OK : create_fail_error(c, &err);
}

static int take_once(struct create *c, struct create_node *n, struct http_client *client, struct piece *p, struct error *err)
{
    int status = p->kept ? take_kept(c, n, p, err) : p->said.whole ? take_whole(c, n, client, p, err) : take_trimmed(c, n, client, p, err);
    if (status != TD_OK || p->state == PIECE_EMPTY)
        return status;
    status = hash_index(c, n, p);
    if (status == TD_OK)
        status = create_reserve(c, p, p->bytes + p->index_bytes);
    if (status == TD_OK)
        status = put_files(c, n, p);
    if (status == TD_OK)
        p->state = PIECE_DONE;
    return status;
}

/* The hold was lost, by a restart of the worker, say: what does another one say of the segment? */
static int promise_again(struct create *c, struct create_node *n, struct http_client *client, struct piece *p, unsigned *generation,
                         struct error *err)
{
    int status = create_hold_again(c, n, client, *generation, err);
    if (status != TD_OK)
        return status;
    pthread_mutex_lock(&n->lock);
    const struct offer_segment *said = offer_find(&n->offer, p->said.sequence);
    bool there = said && said->whole >= p->said.whole;
    *generation = n->generation;
    if (there) {
        p->said = *said;
        p->compressed = said->compressed;
    }
    pthread_mutex_unlock(&n->lock);
    if (!there)
        return error_set(err, TD_E_NOT_FOUND, "it was recycled before it could be taken");
    return create_reserve(c, p, p->said.estimated_bytes + p->said.index_bytes); /* it may be another size that is told now */
}

/* What is kept needs no client. */
static void take_piece(struct create *c, struct create_node *n, struct http_client *client, struct piece *p)
{
    struct error err = {0};
    pthread_mutex_lock(&n->lock);
    unsigned generation = n->generation;
    pthread_mutex_unlock(&n->lock);
    int status = take_once(c, n, client, p, &err);
    for (int i = 0; status == TD_E_NOT_FOUND && !p->kept && i < HOLDS && !atomic_load(&c->stop); i++) {
        status = promise_again(c, n, client, p, &generation, &err);
        if (status == TD_OK)
            status = take_once(c, n, client, p, &err);
        else if (status == TD_E_NOT_FOUND)
            break;
    }
    if (status == TD_OK) {
        create_count(c, p, p->said.estimated_bytes);
        return;
    }
    p->state = PIECE_FAILED;
    manifest_cut_text(p->why, sizeof(p->why), err.text);
    if (!atomic_load(&c->stop)) /* else another run may want it */
        remove_files(n, p);
}

/* ---- One worker ---- */

struct transfer {
    struct create *c;
    struct create_node *n;
    bool quick_first; /* so that what is linked neither waits for what is fetched, nor lets it wait */
};

static void take_pieces_that_are(const struct transfer *t, bool quick, struct http_client *client, const struct error *no_client)
{
    for (size_t i; (i = atomic_fetch_add(&t->n->next[quick], 1)) < t->n->n && !atomic_load(&t->c->stop);) {
        struct piece *p = &t->n->pieces[i];
        if (p->quick != quick)
            continue;
        if (p->kept || (client && (quick || !atomic_load(&t->n->lost)))) {
            take_piece(t->c, t->n, client, p);
        } else {
            p->state = PIECE_FAILED;
            manifest_cut_text(p->why, sizeof(p->why), client ? "the worker does not answer any more" : no_client->text);
        }
    }
}

static void *take_pieces(void *arg)
{
    const struct transfer *t = arg;
    struct http_client *client = NULL;
    struct error err = {0};
    if (create_client(t->c, t->n, &client, &err) != TD_OK)
        client = NULL;
    take_pieces_that_are(t, t->quick_first, client, &err);
    take_pieces_that_are(t, !t->quick_first, client, &err);
    http_client_free(client);
    return NULL;
}

void create_take(struct create *c, struct create_node *n)
{
    struct transfer transfer = {c, n, false}, others = {c, n, true};
    pthread_t threads[CREATE_TRANSFERS - 1];
    size_t started = 0;
    if (n->dir_fd < 0)
        return;
    atomic_store(&n->active_ns, create_now());
    if (!n->missing)
        link_pieces(c, n);
    while (started < CREATE_TRANSFERS - 1 && started + 1 < n->n && pthread_create(&threads[started], NULL, take_pieces, &others) == 0)
        started++;
    take_pieces(&transfer);
    while (started)
        pthread_join(threads[--started], NULL);
    create_release(c, n);
}
