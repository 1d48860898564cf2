/* Measures the call store against a plain SQLite table with the same rows, inserted with one prepared statement in one
 * transaction: `store DIR [CALLS [THREADS]]`. Prints what it measured and whether each bar holds; exit status 1 if one does not.
 * The same generated calls go both ways; what it costs to make them is measured by itself and taken off. Processor time,
 * the least of a few rounds.
 *
 * `store DIR scan CALLS` writes a store of so many calls once and keeps it, then opens it, scans it whole and in order of
 * time, and tells times and memory: the test of 50 million calls. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "call/store.h"
#include "call_maker.h"
#include "plain_table.h"

enum { ROUNDS = 8, MAX_PATH = 4096 };

static const double APPEND_BAR = 3, SIZE_BAR = 0.25, MEMORY_BAR_MB = 200;

static void die(const char *what)
{
    fprintf(stderr, "store: %s\n", what);
    exit(1);
}

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double megabytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (double)info.st_size / 1e6 : 0;
}

static void remove_file(const char *path)
{
    char journal[MAX_PATH + 16];
    snprintf(journal, sizeof(journal), "%s-journal", path);
    unlink(path);
    unlink(journal);
}

static int bar(const char *what, double value, const char *unit, bool least, double limit)
{
    bool good = least ? value >= limit : value <= limit;
    printf("  %s  %s: %.2f%s, at %s %g%s\n", good ? "PASS" : "FAIL", what, value, unit, least ? "least" : "most", limit, unit);
    return good ? 0 : 1;
}

/* ---- The two ways ---- */

static double make_only(uint64_t n, bool headers)
{
    struct call_maker m;
    call_maker_init(&m, 1);
    m.headers = headers;
    double begin = processor_s();
    for (uint64_t i = 0; i < n; i++)
        call_maker_next(&m);
    double took = processor_s() - begin;
    call_maker_clear(&m);
    return took;
}

static double fill_store(const char *path, uint64_t n, bool headers)
{
    struct call_maker m;
    struct store_writer *w;
    struct error err;
    call_maker_init(&m, 1);
    m.headers = headers;
    struct store_create_options o = {
        .registry = m.registry, .components = m.components, .component_n = 2, .appenders = 1, .about = TD_LIT("{}"), .replace = true};
    double begin = processor_s();
    if (store_create(path, &o, &w, &err) != TD_OK)
        die(err.text);
    for (uint64_t i = 0; i < n; i++)
        if (store_append(w, 0, call_maker_next(&m), &err) != TD_OK)
            die(err.text);
    if (store_finish(w, TD_LIT("{}"), &err) != TD_OK)
        die(err.text);
    store_writer_free(w);
    double took = processor_s() - begin;
    call_maker_clear(&m);
    return took;
}

static double fill_table(const char *path, uint64_t n, bool headers)
{
    static struct plain_table t;
    struct call_maker m;
    remove_file(path);
    call_maker_init(&m, 1);
    m.headers = headers;
    double begin = processor_s();
    plain_table_create(&t, path, m.registry, headers);
    for (uint64_t i = 0; i < n; i++)
        plain_table_add(&t, call_maker_next(&m));
    plain_table_close(&t);
    double took = processor_s() - begin;
    call_maker_clear(&m);
    return took;
}

static int compare(const char *dir, uint64_t n, bool headers)
{
    char store[MAX_PATH], table[MAX_PATH];
    double make = 1e9, in_store = 1e9, in_table = 1e9;
    snprintf(store, sizeof(store), "%s/store.calls", dir);
    snprintf(table, sizeof(table), "%s/store.sqlite", dir);
    for (int i = 0; i < ROUNDS; i++) {
        double a = make_only(n, headers), b = fill_store(store, n, headers), c = fill_table(table, n, headers);
        make = a < make ? a : make;
        in_store = b < in_store ? b : in_store;
        in_table = c < in_table ? c : in_table;
    }
    double calls = (double)n, store_mb = megabytes(store), table_mb = megabytes(table);
    printf("%" PRIu64 " calls, %s header maps; making them takes %.0f ns each\n", n, headers ? "with" : "without", make / calls * 1e9);
    printf("  store: %.0f ns and %.1f bytes a call; SQLite table: %.0f ns and %.1f bytes\n", (in_store - make) / calls * 1e9,
           store_mb * 1e6 / calls, (in_table - make) / calls * 1e9, table_mb * 1e6 / calls);
    double ratio = (in_table - make) / (in_store - make);
    int failed = 0;
    if (headers) /* payload, to which the bar does not apply */
        printf("        appending to a store beside a table: %.2f times as fast\n", ratio);
    else
        failed += bar("appending to a store beside a table", ratio, " times as fast", true, APPEND_BAR);
    failed += bar("size of a store beside a table", store_mb / table_mb, "", false, SIZE_BAR);
    remove_file(store);
    remove_file(table);
    return failed;
}

/* ---- Large stores ---- */

static double peak_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024 / 1e6;
}

static int scan_store(const char *path)
{
    struct store *s;
    struct store_scan *scan;
    struct store_position p;
    struct error err;
    double begin = processor_s();
    if (store_open(path, &s, &err) != TD_OK)
        die(err.text);
    printf("  opened %" PRIu64 " calls (%.0f MB) in %.1f ms\n", store_count(s), megabytes(path), (processor_s() - begin) * 1e3);
    int32_t status_code = field_registry_find(store_registry(s), TD_LIT("status_code"));
    begin = processor_s();
    uint64_t failures = 0;
    for (uint32_t i = 0; i < store_chunk_count(s); i++) {
        struct chunk *c;
        const struct chunk_column *column;
        if (store_chunk(s, i, &c, &err) != TD_OK || chunk_column(c, (uint32_t)status_code, CHUNK_VALUES, &column, &err) != TD_OK)
            die(err.text);
        for (uint32_t row = 0; row < chunk_rows(c); row++)
            failures += chunk_number(&column->numbers, row) >= 500;
        store_release(s, c);
    }
    printf("  %" PRIu64 " calls with a status of 500 and above, in %.2f ns a call\n", failures,
           (processor_s() - begin) / (double)store_count(s) * 1e9);
    begin = processor_s();
    uint64_t n = 0;
    if (store_scan_new(s, &(struct store_scan_options){0}, &scan, &err) != TD_OK)
        die(err.text);
    do {
        if (store_scan_next(scan, &p, &err) != TD_OK)
            die(err.text);
        n += p.id != 0;
    } while (p.id);
    printf("  all in the order of time, newest first: %" PRIu64 " in %.1f ns a call\n", n, (processor_s() - begin) / (double)n * 1e9);
    store_scan_free(scan);
    store_free(s);
    return bar("memory at its peak", peak_mb(), " MB", false, MEMORY_BAR_MB);
}

static int large(const char *dir, uint64_t n)
{
    char path[MAX_PATH];
    snprintf(path, sizeof(path), "%s/large-%" PRIu64 ".calls", dir, n);
    if (access(path, F_OK) == 0)
        return scan_store(path);
    pid_t child = fork();
    if (child == 0) { /* by itself, so that its memory is not the scan's */
        double took = fill_store(path, n, false);
        printf("wrote %" PRIu64 " calls in %.1f s, %.0f MB of memory\n", n, took, peak_mb());
        fflush(stdout);
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
        die("the store was not written");
    return scan_store(path);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: store DIR [CALLS] | store DIR scan CALLS\n");
        return 2;
    }
    if (argc == 4 && strcmp(argv[2], "scan") == 0)
        return large(argv[1], strtoull(argv[3], NULL, 10)) != 0;
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 500000;
    int failed = compare(argv[1], n, false) + compare(argv[1], n / 4, true);
    return failed != 0;
}
