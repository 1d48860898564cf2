/* Stores that are not as they should be: foreign, newer, damaged, cut off, on a full disk, left by a writer that died. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call/store.h"
#include "call_maker.h"
#include "tap.h"

enum { CALLS = 20000 };

static char folder[] = "/tmp/store_test_XXXXXX";
static char path[sizeof(folder) + 16], other[sizeof(folder) + 16];
static struct error err;

static void must(int status)
{
    if (status == TD_OK)
        return;
    tap_diag("%s", err.text);
    exit(1);
}

static struct store_writer *create(const struct call_maker *m)
{
    struct store_create_options o = {.registry = m->registry,
                                     .components = m->components,
                                     .component_n = 2,
                                     .appenders = 1,
                                     .about = TD_LIT("{}"),
                                     .payloads = true,
                                     .replace = true};
    struct store_writer *w = NULL;
    must(store_create(path, &o, &w, &err));
    return w;
}

static void write_store(void)
{
    struct call_maker m;
    call_maker_init(&m, 3);
    m.headers = m.bodies = true;
    struct store_writer *w = create(&m);
    for (int i = 0; i < CALLS; i++)
        must(store_append(w, 0, call_maker_next(&m), &err));
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
    call_maker_clear(&m);
}

static void copy(const char *from, const char *to)
{
    static uint8_t bytes[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (ssize_t n; (n = read(in, bytes, sizeof(bytes))) > 0;)
        if (write(out, bytes, (size_t)n) != n)
            exit(1);
    close(in);
    close(out);
}

/* Runs SQL on a copy of the store, and opens that. */
static int open_changed(const char *sql)
{
    sqlite3 *db;
    struct store *s = NULL;
    copy(path, other);
    if (sqlite3_open(other, &db) != SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        tap_diag("%s: %s", sql, sqlite3_errmsg(db));
        exit(1);
    }
    sqlite3_close(db);
    int status = store_open(other, &s, &err);
    store_free(s);
    return status;
}

static void test_foreign(void)
{
    struct store *s;
    is_int(store_open("/nowhere.calls", &s, &err), TD_E_NOT_FOUND, "no file");
    like(err.text, "/nowhere.calls", "named");
    is_int(store_open(folder, &s, &err), TD_E_CORRUPT, "a folder");
    FILE *f = fopen(other, "w");
    fclose(f);
    is_int(store_open(other, &s, &err), TD_E_CORRUPT, "an empty file");
    f = fopen(other, "w");
    fprintf(f, "%5000s", "this is text");
    fclose(f);
    is_int(store_open(other, &s, &err), TD_E_CORRUPT, "text");
    like(err.text, "no call store", "told so");
    unlink(other);
    is_int(open_changed("SELECT 1"), TD_OK, "an unchanged copy opens");
    is_int(open_changed("PRAGMA application_id=1"), TD_E_CORRUPT, "an SQLite file of another program");
    like(err.text, "another program", "told so");
    is_int(open_changed("PRAGMA user_version=2"), TD_E_UNSUPPORTED, "a newer format");
    like(err.text, "written by a newer program: its format is 2, this one reads up to 1", "told so");
    is_int(open_changed("PRAGMA user_version=0"), TD_E_CORRUPT, "no format");
    is_int(open_changed("CREATE TABLE more(x)"), TD_E_CORRUPT, "another table");
    is_int(open_changed("CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT 1; END"), TD_E_CORRUPT, "a trigger");
    is_int(open_changed("DROP TABLE part; CREATE VIEW part AS SELECT 1 AS id, 2 AS data"), TD_E_CORRUPT, "a view for a table");
    is_int(open_changed("DROP TABLE page"), TD_E_CORRUPT, "a table is missing");
    is_int(open_changed("DELETE FROM meta WHERE key='registry'"), TD_E_CORRUPT, "no registry");
    is_int(open_changed("UPDATE meta SET value='[]' WHERE key='layout'"), TD_E_CORRUPT, "another list of fields");
    is_int(open_changed("UPDATE meta SET value='{}' WHERE key='registry'"), TD_E_UNSUPPORTED, "a registry of another kind");
    is_int(open_changed("UPDATE chunk SET calls=100000 WHERE id=1"), TD_E_CORRUPT, "a chunk that is too large");
    is_int(open_changed("UPDATE chunk SET first_ns=last_ns+1"), TD_E_CORRUPT, "a chunk that ends before it begins");
    is_int(open_changed("UPDATE chunk SET id=-5 WHERE id=1"), TD_E_CORRUPT, "a chunk below zero");
}

/* Reads all that there is: every column of every chunk, every call. The first failure. */
static int read_all(const char *name)
{
    struct store *s;
    struct store_scan *scan = NULL;
    struct store_position p = {0};
    struct store_call call = {0};
    int status = store_open(name, &s, &err);
    if (status != TD_OK)
        return status;
    for (uint32_t i = 0; i < store_chunk_count(s) && status == TD_OK; i++) {
        struct chunk *c;
        const struct chunk_column *col;
        status = store_chunk(s, i, &c, &err);
        if (status != TD_OK)
            break;
        for (uint32_t f = 0; f < field_registry_count(store_registry(s)) && status == TD_OK; f++)
            if (!field_registry_at(store_registry(s), f)->payload)
                status = chunk_column(c, f, CHUNK_PRESENT | CHUNK_VALUES | CHUNK_DICTIONARY | CHUNK_NAMES, &col, &err);
        store_release(s, c);
    }
    if (status == TD_OK)
        status = store_scan_new(s, &(struct store_scan_options){0}, &scan, &err);
    while (status == TD_OK) {
        status = store_scan_next(scan, &p, &err);
        if (status != TD_OK || !p.id)
            break;
        status = store_read_call(s, p.id, true, &call, &err);
    }
    store_call_clear(&call);
    store_scan_free(scan);
    store_free(s);
    return status;
}

static void test_told(void)
{
    is_int(read_all(path), TD_OK, "a whole store is read");
    is_int(open_changed("UPDATE part SET data=zeroblob(length(data)) WHERE id=(SELECT min(id) FROM part WHERE id>16384)"), TD_OK,
           "with a damaged part a store opens");
    is_int(read_all(other), TD_E_CORRUPT, "but the damage is seen");
    like(err.text, other, "the file is named ...");
    like(err.text, "chunk 1, column ", "... and the chunk and the column");
    like(err.text, "checksum", "... and what is wrong");
    open_changed("UPDATE part SET data=zeroblob(length(data)) WHERE id=16384");
    is_int(read_all(other), TD_E_CORRUPT, "a damaged directory");
    like(err.text, "chunk 1, column directory", "is named");
    open_changed("DELETE FROM part WHERE id=(SELECT max(id) FROM part)");
    is_int(read_all(other), TD_E_CORRUPT, "a part is missing");
    open_changed("UPDATE part SET data=data||x'00' WHERE id=(SELECT max(id) FROM part)");
    is_int(read_all(other), TD_E_CORRUPT, "a part is too long");
    open_changed("UPDATE page SET data=zeroblob(length(data))");
    is_int(read_all(other), TD_E_CORRUPT, "damaged payload");
    like(err.text, "a page of its payload is damaged", "is named");
    open_changed("DELETE FROM page");
    is_int(read_all(other), TD_E_CORRUPT, "payload is missing");
    open_changed("UPDATE part SET data=(SELECT data FROM part WHERE id=16384) WHERE id=32768; UPDATE chunk SET id=9 WHERE id=1");
    is_int(read_all(other), TD_E_CORRUPT, "a chunk in the place of another");
}

/* Bytes are changed, anywhere, and the end is cut off: all is either read or refused. */
static void test_random(void)
{
    uint64_t random = 7;
    struct stat info;
    int refused = 0, read = 0;
    if (stat(path, &info) != 0)
        exit(1);
    for (int i = 0; i < 60; i++) {
        copy(path, other);
        int file = open(other, O_RDWR);
        for (int k = 0; k < 1 + i % 4; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint8_t byte = (uint8_t)(random >> 56);
            /* Every fourth time near the beginning, where SQLite's own words stand. */
            off_t at = (off_t)((random >> 20) % (uint64_t)(i % 4 ? info.st_size : 40000));
            if (pwrite(file, &byte, 1, at) != 1)
                exit(1);
        }
        if (i % 5 == 4 && ftruncate(file, (off_t)((random >> 20) % (uint64_t)info.st_size)) != 0)
            exit(1);
        close(file);
        int status = read_all(other);
        read += status == TD_OK;
        refused += status != TD_OK;
    }
    ok(refused > 20, "of 60 damaged files %d are refused, %d are read", refused, read);
}

/* ---- Writers that end badly ---- */

/* Appends and commits until it is killed; says after each commit how much it has committed. */
static void write_until_killed(int pipe)
{
    struct call_maker m;
    call_maker_init(&m, 4);
    m.bodies = true;
    struct store_writer *w = create(&m);
    for (uint64_t n = 0;;) {
        for (int i = 0; i < 500; i++)
            must(store_append(w, 0, call_maker_next(&m), &err));
        n += 500;
        must(store_flush(w, 0, &err));
        must(store_commit(w, &err));
        if (write(pipe, &n, sizeof(n)) != sizeof(n))
            _exit(1);
    }
}

static void test_kill(void)
{
    for (int round = 0; round < 4; round++) {
        int ends[2], status;
        uint64_t committed = 0, n;
        if (pipe(ends) != 0)
            exit(1);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            write_until_killed(ends[1]);
        }
        close(ends[1]);
        for (int i = 0; i < 3 + round && read(ends[0], &n, sizeof(n)) == sizeof(n); i++)
            committed = n;
        usleep((useconds_t)(round * 1700)); /* somewhere between two commits, or within one */
        struct store *s;
        must(store_open(path, &s, &err));
        if (round == 0)
            is_int(store_state(s), STORE_WRITING, "while it is written, a store says so to another process");
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        while (read(ends[0], &n, sizeof(n)) == sizeof(n))
            committed = n;
        close(ends[0]);
        bool more;
        must(store_refresh(s, &more, &err));
        is_int(store_state(s), STORE_INCOMPLETE, "the writer was killed: the store is incomplete, says a reader that was there");
        ok(store_count(s) >= committed && store_count(s) <= committed + 500, "it has what was committed: %llu, at least %llu",
           (unsigned long long)store_count(s), (unsigned long long)committed);
        store_free(s);
        is_int(read_all(path), TD_OK, "all of which can be read anew");
    }
}

/* A file that may not grow any more stands for a full disk. */
static void test_full_disk(void)
{
    struct rlimit before, limit;
    struct call_maker m;
    call_maker_init(&m, 5);
    m.bodies = true;
    struct store_writer *w = create(&m);
    for (int i = 0; i < 3000; i++)
        must(store_append(w, 0, call_maker_next(&m), &err));
    must(store_flush(w, 0, &err));
    must(store_commit(w, &err));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    struct stat info;
    stat(path, &info);
    limit.rlim_cur = (rlim_t)info.st_size + 100000;
    setrlimit(RLIMIT_FSIZE, &limit);
    int status = TD_OK, i;
    for (i = 0; i < 200000 && status == TD_OK; i++)
        status = store_append(w, 0, call_maker_next(&m), &err);
    is_int(status, TD_E_LIMIT, "a full disk ends the writing");
    like(err.text, path, "named: the file");
    like(err.text, "no room is left", "and why");
    err.text[0] = 0;
    is_int(store_append(w, 0, call_maker_next(&m), &err), TD_E_LIMIT, "more is not taken");
    like(err.text, "no room is left", "for the same reason");
    is_int(store_commit(w, &err), TD_E_LIMIT, "nor committed");
    is_int(store_finish(w, TD_LIT("{}"), &err), TD_E_LIMIT, "nor finished");
    store_writer_free(w);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    struct store *s;
    must(store_open(path, &s, &err));
    is_int(store_state(s), STORE_INCOMPLETE, "the store is incomplete");
    ok(store_count(s) >= 3000, "and has what was committed before");
    store_free(s);
    is_int(read_all(path), TD_OK, "which can be read");
    call_maker_clear(&m);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/a.calls", folder);
    snprintf(other, sizeof(other), "%s/b.calls", folder);
    write_store();
    test_foreign();
    test_told();
    test_random();
    test_kill();
    test_full_disk();
    unlink(path);
    unlink(other);
    rmdir(folder);
    return tap_done();
}
