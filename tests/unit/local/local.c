/* What the storage backend `local` owes besides what all backends do: what it leaves on the disk, and when, and what it makes of what
 * others have put there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "plugin/host.h"
#include "snapshot/storage.h"
#include "tap.h"

extern const struct td_plugin td_plugin_v1_local;

enum { MIB = 1 << 20 };

static struct {
    struct registry *registry;
    struct td_host host;
    struct storage *s;
    char dir[64];
    uint8_t *bytes; /* 8 MiB */
    struct error err;
} t;

/* ---- The calls that reach the disk, as a transcript, and failing on demand ---- */

static struct {
    int look_failure; /* of fstatat() */
    char text[1024];
    bool on;
    int fail_at, failure; /* the call that fails, counted from 1, and with which errno */
    int calls;
    int link_failure;
    unsigned flushes; /* of folders, also when it is not on */
} disk;

static bool note(const char *what)
{
    if (!disk.on)
        return true;
    size_t n = strlen(disk.text);
    snprintf(disk.text + n, sizeof(disk.text) - n, "%s%s", n ? ", " : "", what);
    errno = disk.failure;
    return ++disk.calls != disk.fail_at;
}

int fsync(int fd)
{
    struct stat st;
    bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    disk.flushes += folder;
    return note(folder ? "flush folder" : "flush file") ? (int)syscall(SYS_fsync, fd) : -1;
}

int syncfs(int fd)
{
    return note("flush all") ? (int)syscall(SYS_syncfs, fd) : -1;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return note("rename") ? (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0) : -1;
}

int mkdirat(int fd, const char *name, mode_t mode)
{
    return note("make folder") ? (int)syscall(SYS_mkdirat, fd, name, mode) : -1;
}

int unlinkat(int fd, const char *name, int flags)
{
    return note(flags & AT_REMOVEDIR ? "remove folder" : "remove file") ? (int)syscall(SYS_unlinkat, fd, name, flags) : -1;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    if (disk.link_failure) {
        errno = disk.link_failure;
        return -1;
    }
    return note("link") ? (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags) : -1;
}

int fstatat(int fd, const char *name, struct stat *ret, int flags)
{
    struct statx x;
    errno = disk.look_failure;
    if (errno || syscall(SYS_statx, fd, name, flags, STATX_BASIC_STATS, &x) != 0)
        return -1;
    *ret = (struct stat){.st_mode = x.stx_mode, .st_ino = x.stx_ino, .st_nlink = x.stx_nlink, .st_size = (off_t)x.stx_size};
    ret->st_mtim = (struct timespec){x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec};
    return 0;
}

static void watch(int fail_at, int failure)
{
    disk.text[0] = 0;
    disk.calls = 0;
    disk.fail_at = fail_at;
    disk.failure = failure;
    disk.on = true;
}

static const char *watched(void)
{
    disk.on = false;
    return disk.text;
}

/* ---- Helpers ---- */

static const char *path(const char *name)
{
    static char out[4][256];
    static unsigned next;
    char *p = out[next++ % 4];
    snprintf(p, sizeof(out[0]), "%s/%s", t.dir, name);
    return p;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(name);
}

static void remove_tree(const char *name)
{
    nftw(name, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct storage *open_at(const char *dir)
{
    struct storage *s = NULL;
    if (storage_open_local(t.registry, &t.host, dir, &s, &t.err) != TD_OK)
        ok(false, "%s is opened: %s", dir, t.err.text);
    return s;
}

/* An empty one in <dir>/store, replacing the one before. */
static void fresh(void)
{
    storage_close(t.s);
    remove_tree(path("store"));
    t.s = open_at(path("store"));
}

static void write_path(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        ok(false, "%s is written", name);
    close(fd);
}

/* Entries of a folder besides . and .. */
static int entries(const char *name)
{
    int n = 0;
    DIR *dir = opendir(name);
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (!dir)
        return -1;
    closedir(dir);
    return n;
}

static int list_each(void *ctx, const char *key, const struct storage_object *object)
{
    char *out = ctx;
    size_t n = strlen(out);
    (void)object;
    snprintf(out + n, 1024 - n, "%s%s", n ? " " : "", key);
    return TD_OK;
}

/* All keys, with spaces between. */
static const char *listed(void)
{
    static char out[1024];
    out[0] = 0;
    return storage_list(t.s, "", NULL, list_each, out, &t.err) == TD_OK ? out : t.err.text;
}

static int remove_listed(void *ctx, const char *key, const struct storage_object *o)
{
    (void)ctx;
    (void)o;
    return storage_remove(t.s, key, &t.err);
}

static int put(const char *key, const char *text)
{
    return storage_put_bytes(t.s, key, td_str(text), &t.err);
}

static const char *text_of(const char *key)
{
    static struct buf b;
    buf_clear(&b);
    return storage_get_bytes(t.s, key, 1000, &b, &t.err) == TD_OK ? buf_cstr(&b) : t.err.text;
}

/* ---- On the disk ---- */

static void test_options(void)
{
    struct storage *s = NULL;
    struct yaml_tree *tree = NULL;
    is_int(storage_open(t.registry, &t.host, "local", NULL, &s, &t.err), TD_E_CONFIG, "without a path: %s", t.err.text);
    like(t.err.text, "\"path\"", "  the option is named");
    ok(yaml_tree_parse(TD_LIT("path: here"), "c.yaml", &tree, &t.err) == TD_OK, "a relative path");
    is_int(storage_open(t.registry, &t.host, "local", yaml_tree_root(tree), &s, &t.err), TD_E_CONFIG, "is refused");
    is_str(t.err.text,
           "c.yaml:1:1: storage plugin \"local\": path \"here\" must be absolute, beginning with a slash, and at most 3070 bytes long",
           "  with its place");
    yaml_tree_free(tree);
    is_int(storage_open(t.registry, &t.host, "lokal", NULL, &s, &t.err), TD_E_CONFIG, "no such plugin: %s", t.err.text);
    char old[256], odd[] = "odd \"name\": {x} #1\t\xc3\xbc";
    if (!getcwd(old, sizeof(old)) || chdir(t.dir) != 0)
        return;
    s = open_at(odd);
    ok(s && storage_put_bytes(s, "a/b", TD_LIT("x"), &t.err) == TD_OK, "the core may name a relative one, with any letters");
    ok(faccessat(AT_FDCWD, path("odd \"name\": {x} #1\t\xc3\xbc/a/b"), R_OK, 0) == 0, "which is where it should be");
    storage_close(s);
    remove_tree(path(odd));
    is_int(storage_open_local(t.registry, &t.host, "\xff", &s, &t.err), TD_E_CONFIG, "but for what is not UTF-8: %s", t.err.text);
    ok(chdir(old) == 0, "back");
}

static void test_layout(void)
{
    struct stat st;
    char found[STORAGE_MAX_PATH];
    fresh();
    is_int(entries(path("store")), -1, "opening does nothing on the disk");
    is_str(listed(), "", "what is not there is empty");
    is_int(entries(path("store")), -1, "reading makes nothing");
    is_int(storage_check(t.s, &t.err), TD_OK, "checking makes the directory");
    is_int(put("id/node/0000000001.idx", "text"), TD_OK, "an object");
    ok(stat(path("store/id/node/0000000001.idx"), &st) == 0 && (st.st_mode & 07777) == 0640, "is a file that others cannot read");
    ok(stat(path("store/id"), &st) == 0 && (st.st_mode & 07777) == 0750, "in folders that others cannot open");
    ok(storage_path(t.s, "id/node/0000000001.idx", found), "its path is told");
    is_str(found, path("store/id/node/0000000001.idx"), "  as it is");
    is_int(entries(path("store/.tmp")), 0, "nothing temporary is left");
    ok(put("id/other", "x") == TD_OK && storage_remove(t.s, "id/node/0000000001.idx", &t.err) == TD_OK, "an object is removed");
    is_int(entries(path("store/id")), 1, "and the folder that is empty now");
    ok(storage_remove(t.s, "id/other", &t.err) == TD_OK && entries(path("store")) == 1, "and the last, up to the top");
    ok(mkdir(path("store/a"), 0700) == 0 && put("a", "x") == TD_OK, "an empty folder does not stand in an object's way");
    is_str(text_of("a"), "x", "which is there");
}

static void test_remove_many(void)
{
    enum { MANY = 2000, FOLDERS = 4 };
    char key[64];
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = TD_OK;
    write_path(path("file"), "text");
    for (int i = 0; i < MANY && status == TD_OK; i++) {
        snprintf(key, sizeof(key), "id/node-%d/%d", i % FOLDERS, i);
        status = storage_put_file_later(t.s, key, dir, "file", NULL, &t.err);
    }
    close(dir);
    is_int(status, TD_OK, "%d objects", MANY);
    disk.flushes = 0;
    is_int(storage_list(t.s, "id/", NULL, remove_listed, NULL, &t.err), TD_OK, "are removed");
    is_int(entries(path("store")), 1, "all of them");
    ok(disk.flushes <= 2 * FOLDERS + 1, "with %u flushes", disk.flushes);
}

/* Trial objects of others, who were killed while they checked: an hour later nobody misses them. */
static void test_trials(void)
{
    const struct timespec long_ago[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    ok(put(STORAGE_TRIAL "old", "x") == TD_OK && put(STORAGE_TRIAL "young", "x") == TD_OK && put("tapedeck", "x") == TD_OK,
       "trial objects");
    ok(utimensat(AT_FDCWD, path("store/" STORAGE_TRIAL "old"), long_ago, 0) == 0 &&
           utimensat(AT_FDCWD, path("store/tapedeck"), long_ago, 0) == 0,
       "one is old, as is another object");
    is_int(storage_check(t.s, &t.err), TD_OK, "the next check");
    is_str(listed(), "tapedeck " STORAGE_TRIAL "young", "removes the old one");
}

static void test_order(void)
{
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    watch(0, 0);
    is_int(put("a/b/c", "x"), TD_OK, "an object in new folders");
    is_str(watched(), "flush file, make folder, flush folder, make folder, flush folder, rename, flush folder",
           "is flushed before it is seen");
    watch(0, 0);
    is_int(put("a/b/c", "y"), TD_OK, "a new one in its place");
    is_str(watched(), "flush file, rename, flush folder", "as well");
    watch(0, 0);
    is_int(storage_remove(t.s, "a/b/c", &t.err), TD_OK, "without it");
    is_str(watched(), "remove file, remove folder, remove folder, flush folder", "its folders go, and the last one that stays is flushed");
    ok(put("id/a/1", "x") == TD_OK && put("id/a/2", "x") == TD_OK && put("id/b/1", "x") == TD_OK && put("id/c", "x") == TD_OK,
       "several objects");
    watch(0, 0);
    is_int(storage_list(t.s, "id/", "id/a/1", remove_listed, NULL, &t.err), TD_OK, "those behind the first are removed as they are listed");
    is_str(watched(),
           "remove file, remove folder, remove file, remove folder, remove folder, flush folder, remove file, remove folder, flush folder",
           "their folders are flushed when they are done");
    watch(4, EIO);
    is_int(storage_list(t.s, "id/", NULL, remove_listed, NULL, &t.err), TD_E_CORRUPT, "that it cannot be flushed at the end");
    is_str(watched(), "remove file, remove folder, remove folder, flush folder", "is told");
    write_path(path("file"), "text");
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    watch(0, 0);
    is_int(storage_put_file(t.s, "file", dir, "file", NULL, &t.err), TD_OK, "a file");
    is_str(watched(), "flush file, link, rename, flush folder, remove file", "is flushed and linked");
    watch(0, 0);
    is_int(storage_put_file_later(t.s, "later", dir, "file", NULL, &t.err), TD_OK, "one that may be flushed later");
    is_str(watched(), "link, rename, remove file", "is not");
    watch(0, 0);
    ok(storage_flush(t.s, "", &t.err) == TD_OK && storage_remove(t.s, "later", &t.err) == TD_OK, "until that is said, and it is removed");
    is_str(watched(), "flush all, remove file, flush folder", "all at once");
    disk.link_failure = EXDEV;
    bool linked = true;
    watch(0, 0);
    ok(storage_put_file(t.s, "copy", dir, "file", &linked, &t.err) == TD_OK && !linked, "from another file system");
    is_str(watched(), "flush file, flush file, rename, flush folder", "it is copied");
    watch(0, 0);
    ok(storage_put_file_later(t.s, "copy", dir, "file", &linked, &t.err) == TD_OK && !linked, "also later");
    is_str(watched(), "rename", "and not flushed then");
    watch(1, EIO);
    is_int(storage_flush(t.s, "", &t.err), TD_E_CORRUPT, "flushing that fails is told: %s", t.err.text);
    (void)watched();
    disk.link_failure = EIO;
    is_int(storage_put_file(t.s, "none", dir, "file", &linked, &t.err), TD_E_CORRUPT, "a link that fails otherwise: %s", t.err.text);
    disk.link_failure = 0;
    is_str(listed(), "copy file", "is no object");
    close(dir);
}

static void test_failing_disk(void)
{
    static const struct {
        int number, status;
        const char *text;
    } faults[] = {
        {EIO, TD_E_CORRUPT, "the disk fails"},
        {ENOSPC, TD_E_LIMIT, "the disk is full; make room"},
        {EDQUOT, TD_E_LIMIT, "quota is used up"},
        {EACCES, TD_E_DENIED, "not allowed; give"},
        {EPERM, TD_E_DENIED, "not permitted"},
        {EROFS, TD_E_DENIED, "mounted read-only"},
        {ENFILE, TD_E_RETRY, "too many open files"},
        {EBUSY, TD_E_RETRY, "busy"},
        {ENOMEM, TD_E_NOMEM, "memory"},
        {EUCLEAN, TD_E_CORRUPT, "is damaged"},
        {EXDEV, TD_E_INTERNAL, "cross-device"},
    };
    enum { CALLS = 7 }; /* see test_order() */
    fresh();
    ok(storage_check(t.s, &t.err) == TD_OK && put("old", "old") == TD_OK, "a store");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        bool good = true;
        for (int call = 1; call <= CALLS && good; call++) {
            watch(call, faults[i].number);
            int status = put("a/b/c", "x");
            (void)watched();
            good = status == faults[i].status && strcasestr(t.err.text, faults[i].text) && strstr(t.err.text, "a/b/c: cannot be") &&
                   strcmp(listed(), "old") == 0 && entries(path("store/.tmp")) == 0 && entries(path("store")) == 2;
            if (!good)
                tap_diag("call %d: status %d, %s; there are %s; %d and %d entries", call, status, t.err.text, listed(),
                         entries(path("store/.tmp")), entries(path("store")));
        }
        ok(good, "when any of the calls fails with %s, it is told as %s, and nothing is left", strerror(faults[i].number),
           error_name(faults[i].status));
    }
    for (int call = 1; call <= 3; call++) {
        watch(call, EIO);
        int status = put("old", "new");
        (void)watched();
        ok(status == TD_E_CORRUPT && strcmp(listed(), call == 3 ? "" : "old") == 0, "call %d of a replacement fails: %s", call, t.err.text);
    }
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_path(path("file"), "text");
    for (int call = 1; call <= 4; call++) {
        watch(call, ENOSPC);
        int status = storage_put_file(t.s, "a/file", dir, "file", NULL, &t.err);
        (void)watched();
        ok(status == TD_E_LIMIT && !*listed() && entries(path("store/.tmp")) == 0 && entries(path("store")) == 1,
           "call %d of a link fails: %s", call, t.err.text);
    }
    close(dir);
}

/* Who is told of no manifest takes the rest for what a crash has left, and removes it. */
static void test_failing_look(void)
{
    fresh();
    ok(storage_check(t.s, &t.err) == TD_OK && put("id/manifest.json", "{}") == TD_OK && put("id/node/1", "x") == TD_OK, "a store");
    disk.look_failure = EIO;
    t.bytes[0] = 0;
    int status = storage_list(t.s, "", NULL, list_each, t.bytes, &t.err);
    disk.look_failure = 0;
    is_int(status, TD_E_CORRUPT, "an object that cannot be looked at is not passed over: %s", t.err.text);
    disk.look_failure = ENOENT;
    is_int(storage_list(t.s, "", NULL, list_each, t.bytes, &t.err), TD_OK, "one that is gone by then is");
    disk.look_failure = 0;
    is_str(listed(), "id/manifest.json id/node/1", "both are there");
}

/* ---- What others have put there ---- */

static void test_links(void)
{
    struct storage_object object;
    char found[STORAGE_MAX_PATH];
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    mkdir(path("outside"), 0700);
    write_path(path("outside/secret"), "secret");
    ok(symlink(path("outside"), path("store/folder")) == 0 && symlink(path("outside/secret"), path("store/file")) == 0 &&
           mkfifo(path("store/fifo"), 0600) == 0 && symlink("..", path("store/up")) == 0,
       "with links out of it");
    static const char *const keys[] = {"folder/secret", "file", "fifo", "up/outside/secret", "folder"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ok(storage_head(t.s, keys[i], &object, &t.err) == TD_E_NOT_FOUND && !storage_path(t.s, keys[i], found), "%s is no object", keys[i]);
        like(text_of(keys[i]), "there is no such object", "  and is not read");
        ok(storage_remove(t.s, keys[i], &t.err) == TD_OK, "  nor removed");
    }
    is_int(put("folder/new", "x"), TD_E_EXISTS, "nothing is written behind a link: %s", t.err.text);
    is_int(put("up/new", "x"), TD_E_EXISTS, "nor above");
    is_str(listed(), "", "nothing is listed");
    ok(entries(path("outside")) == 1 && entries(path("store")) == 5, "and all is as it was");
    is_int(put("file", "mine"), TD_OK, "an object replaces a link");
    is_str(text_of("file"), "mine", "and is there");
    int fd = open(path("outside/secret"), O_RDONLY);
    char text[16] = "";
    ok(read(fd, text, sizeof(text)) == 6 && memcmp(text, "secret", 6) == 0, "not what the link led to");
    close(fd);
    ok(mkdir(path("store/lost+found"), 0) == 0 && put("zz", "x") == TD_OK, "a folder of the file system");
    is_str(listed(), "file zz", "is passed over");
    write_path(path("store/\xff\xfe"), "x");
    write_path(path("store/line\nbreak"), "x");
    write_path(path("store/.hidden"), "x");
    is_str(listed(), "file zz", "as are names that no key can have");
    remove_tree(path("outside"));
}

struct ascending {
    size_t n;
    char last[64];
    bool right;
};

static int check_ascending(void *ctx, const char *key, const struct storage_object *object)
{
    struct ascending *a = ctx;
    a->right = a->right && strcmp(key, a->last) > 0 && object->bytes == 0;
    snprintf(a->last, sizeof(a->last), "%s", key);
    a->n++;
    return TD_OK;
}

/* More in one folder than are kept at once, so that it is read more than once. */
static void test_many(void)
{
    enum { MANY = 40000 };
    char name[64];
    struct ascending a = {.right = true};
    unsigned made = 0;
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    mkdir(path("store/many"), 0700);
    int dir = open(path("store/many"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%08x", i * 2654435761u);
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        made += fd >= 0;
        close(fd);
    }
    is_int(made, MANY, "%d objects in a folder", MANY);
    ok(storage_list(t.s, "", NULL, check_ascending, &a, &t.err) == TD_OK && a.right && a.n == MANY, "are listed in order: %zu", a.n);
    snprintf(name, sizeof(name), "%s", a.last);
    a = (struct ascending){.right = true};
    ok(storage_list(t.s, "many/8", "many/8fe00000", check_ascending, &a, &t.err) == TD_OK && a.right && a.n > 9 && a.n < 40 &&
           a.last[5] == '8',
       "or some of them: %zu", a.n);
    a = (struct ascending){.right = true};
    ok(storage_list(t.s, "", name, check_ascending, &a, &t.err) == TD_OK && a.n == 0, "none is behind the last");
    close(dir);
}

/* ---- Processes that die ---- */

/* Runs `what` in a child, which is killed when it has written a byte to its pipe, or after `delay_us` if that is not 0. */
static bool kill_during(void (*what)(int pipe), long delay_us)
{
    int pipes[2], status = 0;
    char byte;
    if (pipe(pipes) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        close(pipes[0]);
        what(pipes[1]);
        _exit(1);
    }
    close(pipes[1]);
    bool good = child > 0 && read(pipes[0], &byte, 1) == 1;
    close(pipes[0]);
    struct timespec delay = {.tv_nsec = delay_us * 1000};
    nanosleep(&delay, NULL);
    kill(child, SIGKILL);
    return waitpid(child, &status, 0) == child && good && WIFSIGNALED(status);
}

static void tell_parent(int pipe)
{
    if (write(pipe, "", 1) != 1)
        _exit(2);
}

static void half_put(int pipe)
{
    struct storage_upload *u = NULL;
    struct storage *s = open_at(path("store"));
    if (storage_put_open(s, "half", UINT64_MAX, &u, &t.err) == TD_OK && storage_put_write(u, td_bytes(t.bytes, 5 * MIB), &t.err) == TD_OK)
        tell_parent(pipe);
    pause();
}

static void many_puts(int pipe)
{
    struct storage *s = open_at(path("store"));
    tell_parent(pipe);
    for (uint32_t i = 0; i < 100000; i++) {
        size_t n = 1000 + i * 7919 % (2 * MIB);
        memset(t.bytes, (int)(i % 251), n);
        if (storage_put_bytes(s, "deep/down/again", td_bytes(t.bytes, n), &t.err) != TD_OK ||
            (i % 5 == 4 && storage_remove(s, "deep/down/again", &t.err) != TD_OK))
            _exit(3);
    }
}

static void test_kills(void)
{
    enum { KILLS = 25 };
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    ok(kill_during(half_put, 0), "a process is killed while it writes");
    is_int(entries(path("store/.tmp")), 1, "what it has written is there");
    is_str(listed(), "", "and seen by nobody");
    is_int(storage_check(t.s, &t.err), TD_OK, "the next one to start");
    is_int(entries(path("store/.tmp")), 0, "removes it");
    unsigned whole = 0, none = 0;
    struct buf b;
    buf_init(&b, 0);
    for (unsigned i = 0; i < KILLS; i++) {
        bool killed = kill_during(many_puts, 1 + (long)i * 977 % 19000 + (whole ? 0 : (long)i * 8000)); /* a busy machine takes longer */
        storage_close(t.s);
        t.s = open_at(path("store"));
        buf_reset(&b);
        size_t same = 0;
        int status = storage_check(t.s, &t.err) == TD_OK ? storage_get_bytes(t.s, "deep/down/again", 4 * MIB, &b, &t.err) : TD_E_INTERNAL;
        while (same < b.n && b.p[same] == b.p[0])
            same++;
        whole += killed && status == TD_OK && same == b.n && b.n >= 1000 && entries(path("store")) == 2;
        none += killed && status == TD_E_NOT_FOUND && entries(path("store")) == 1; /* not even its folders */
        if (entries(path("store/.tmp")) != 0)
            ok(false, "kill %u: something is left", i);
    }
    buf_clear(&b);
    ok(whole + none == KILLS && whole, "%d kills at any instant: the object is whole (%u) or not there (%u), and nothing else", KILLS,
       whole, none);
}

static void test_leftovers(void)
{
    struct storage_upload *u = NULL;
    fresh();
    ok(storage_check(t.s, &t.err) == TD_OK && storage_put_open(t.s, "mine", 1, &u, &t.err) == TD_OK &&
           storage_put_write(u, TD_LIT("mine"), &t.err) == TD_OK,
       "an upload of this process");
    int pipes[2];
    char byte;
    if (pipe(pipes) != 0)
        return;
    pid_t child = fork();
    if (child == 0)
        half_put(pipes[1]);
    ok(child > 0 && read(pipes[0], &byte, 1) == 1 && entries(path("store/.tmp")) == 2, "one of another process");
    write_path(path("store/.tmp/0123456789abcdef"), "left over");
    mkdir(path("store/empty"), 0700);
    mkdir(path("store/empty/too"), 0700);
    mkdir(path("store/empty/three"), 0700);
    ok(put("full/of/objects", "x") == TD_OK && put("full/a", "x") == TD_OK, "objects, and empty folders");
    mkdir(path("store/full/empty"), 0700);
    struct storage *other = open_at(path("store"));
    is_int(storage_check(other, &t.err), TD_OK, "a third one cleans up");
    storage_close(other);
    is_int(entries(path("store/.tmp")), 2, "and leaves what is being written");
    is_int(entries(path("store")), 2, "but not what is empty");
    is_int(entries(path("store/full")), 2, "on any level");
    ok(storage_put_commit(u, NULL, NULL, &t.err) == TD_OK && strcmp(text_of("mine"), "mine") == 0, "the upload goes on");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
    ok(storage_check(t.s, &t.err) == TD_OK && entries(path("store/.tmp")) == 0, "the other is removed when its process is gone");
    is_str(listed(), "full/a full/of/objects mine", "the rest is there");
}

/* ---- No room, no rights ---- */

/* Runs checks in a child; how many have failed. */
static int in_child(int (*what)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(what());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

enum { UNABLE = 77 };

static int failed(const char *what)
{
    fprintf(stderr, "# failed: %s: %s\n", what, t.err.text);
    return 1;
}

static bool mount_small(const char *where)
{
    bool root = unshare(CLONE_NEWNS) == 0;
    if (!root && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", where, "tmpfs", 0, "size=2m") == 0;
}

static int fill_disk(void)
{
    mkdir(path("small"), 0700);
    if (!mount_small(path("small")))
        return UNABLE;
    char first[STORAGE_MAX_PATH];
    int failures = 0;
    t.s = open_at(path("small/store"));
    if (storage_check(t.s, &t.err) != TD_OK || storage_put_bytes(t.s, "old", td_bytes(t.bytes, MIB), &t.err) != TD_OK)
        failures += failed("an object that has room");
    if (storage_put_bytes(t.s, "new", td_bytes(t.bytes, 4 * MIB), &t.err) != TD_E_LIMIT ||
        !strstr(t.err.text, "/small/store/new: cannot be written: the disk is full; make room or choose another place"))
        failures += failed("one that has none");
    if (storage_put_bytes(t.s, "old", td_bytes(t.bytes, 4 * MIB), &t.err) != TD_E_LIMIT || strcmp(listed(), "old") != 0 ||
        entries(path("small/store/.tmp")) != 0)
        failures += failed("nothing is left of it, and the old one stays");
    if (storage_put_bytes(t.s, "new", td_bytes(t.bytes, MIB / 2), &t.err) != TD_OK || !storage_path(t.s, "new", first))
        failures += failed("there is room again");
    storage_close(t.s);
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool linked = true;
    t.s = open_at(path("small/store"));
    if (storage_put_file(t.s, "copy", dir, "file", &linked, &t.err) != TD_OK || linked || strcmp(text_of("copy"), "text") != 0)
        failures += failed("a file of another file system is copied");
    storage_close(t.s);
    return failures;
}

static int exceed_limit(void)
{
    struct rlimit limit = {.rlim_cur = MIB, .rlim_max = MIB};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int failures = 0;
    if (storage_put_bytes(t.s, "large", td_bytes(t.bytes, 2 * MIB), &t.err) != TD_E_LIMIT || !strstr(t.err.text, "limit on files"))
        failures += failed("an object that is too large");
    if (entries(path("store/.tmp")) != 0 || strcmp(listed(), "") != 0)
        failures += failed("nothing is left of it");
    return failures;
}

static int lack_rights(void)
{
    struct storage_object object;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return UNABLE;
    struct storage *s = open_at(path("rights/none"));
    int failures = 0;
    if (storage_check(s, &t.err) != TD_E_DENIED || !strstr(t.err.text, "/rights/none: cannot be opened as storage: not allowed; give"))
        failures += failed("a directory that cannot be made");
    storage_close(s);
    s = open_at(path("rights/read"));
    if (storage_head(s, "object", &object, &t.err) != TD_OK)
        failures += failed("an object that may be seen");
    if (storage_put_bytes(s, "object", TD_LIT("x"), &t.err) != TD_E_DENIED || storage_remove(s, "object", &t.err) != TD_E_DENIED)
        failures += failed("but not changed");
    if (storage_head(s, "closed/object", &object, &t.err) != TD_E_DENIED ||
        storage_list(s, "", NULL, list_each, t.bytes, &t.err) != TD_E_DENIED)
        failures += failed("a folder that is closed");
    storage_close(s);
    return failures;
}

static void report(int failures, const char *what)
{
    if (failures == UNABLE)
        tap_skip(what);
    else
        is_int(failures, 0, "%s", what);
}

static void test_limits(void)
{
    fresh();
    is_int(storage_check(t.s, &t.err), TD_OK, "a store");
    write_path(path("file"), "text");
    report(in_child(fill_disk), "a full disk");
    report(in_child(exceed_limit), "a limit on files");
    mkdir(path("rights"), 0755);
    mkdir(path("rights/read"), 0755);
    mkdir(path("rights/read/.tmp"), 0755);
    mkdir(path("rights/read/closed"), 0700);
    write_path(path("rights/read/object"), "x");
    chmod(t.dir, 0755);
    if (geteuid() != 0) {
        chmod(path("rights/read/closed"), 0);
        chmod(path("rights/read/.tmp"), 0555);
        chmod(path("rights/read"), 0555);
        chmod(path("rights"), 0555);
    }
    t.bytes[0] = 0;
    report(in_child(lack_rights), "a lack of rights");
    chmod(path("rights"), 0755);
    chmod(path("rights/read"), 0755);
    chmod(path("rights/read/closed"), 0700);
}

int main(void)
{
    log_set_level(TD_LOG_WARN);
    snprintf(t.dir, sizeof(t.dir), "/tmp/tapedeck-local-XXXXXX");
    host_init_control(&t.host);
    t.bytes = calloc(8, MIB);
    if (!ok(t.bytes && mkdtemp(t.dir) && registry_new(&t.registry, &t.err) == TD_OK &&
                registry_add_static(t.registry, &td_plugin_v1_local, &t.err) == TD_OK,
            "made ready %s", t.err.text))
        return tap_done();
    test_options();
    test_layout();
    test_trials();
    test_order();
    test_remove_many();
    test_failing_disk();
    test_links();
    test_many();
    test_failing_look();
    test_leftovers();
    test_kills();
    test_limits();
    storage_close(t.s);
    registry_free(t.registry);
    free(t.bytes);
    chmod(path("store/lost+found"), 0700);
    ok(nftw(t.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "nothing is left behind");
    return tap_done();
}
