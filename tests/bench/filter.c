/* Measures filters: `filter DIR [CALLS]`. The same generated calls stand in a call store and in a plain SQLite table; the same
 * question of four terms is asked of both. Prints what it measured and whether each bar holds; exit status 1 if one does not.
 * Processor time of one thread, the least of a few rounds. The files are left in DIR for the next time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "call/store.h"
#include "call_maker.h"
#include "filter/compiled.h"
#include "filter/record.h"
#include "filter/scan.h"
#include "plain_table.h"

enum { ROUNDS = 5, MAX_PATH = 4096 };

static const double SCAN_BAR = 5, NEWEST_BAR = 100, EVALUATE_BAR = 100, COMPILE_BAR_US = 30;

static void die(const char *what)
{
    fprintf(stderr, "filter: %s\n", what);
    exit(1);
}

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int bar(const char *what, double value, const char *unit, bool least, double limit)
{
    bool good = least ? value >= limit : value <= limit;
    printf("  %s  %s: %.2f%s, at %s %g%s\n", good ? "PASS" : "FAIL", what, value, unit, least ? "least" : "most", limit, unit);
    return good ? 0 : 1;
}

/* ---- The calls ---- */

static void fill(const char *store_path, const char *table_path, uint64_t n)
{
    static struct plain_table table;
    struct call_maker m;
    struct store_writer *w;
    struct error err;
    call_maker_init(&m, 1);
    struct store_create_options o = {
        .registry = m.registry, .components = m.components, .component_n = 2, .appenders = 1, .about = TD_LIT("{}"), .replace = true};
    unlink(table_path);
    plain_table_create(&table, table_path, m.registry, false);
    if (store_create(store_path, &o, &w, &err) != TD_OK)
        die(err.text);
    for (uint64_t i = 0; i < n; i++) {
        const struct td_call *call = call_maker_next(&m);
        plain_table_add(&table, call);
        if (store_append(w, 0, call, &err) != TD_OK)
            die(err.text);
    }
    plain_table_close(&table);
    if (store_finish(w, TD_LIT("{}"), &err) != TD_OK)
        die(err.text);
    store_writer_free(w);
    call_maker_clear(&m);
}

static struct filter *compile(const struct field_registry *fields, const char *text)
{
    struct filter_diagnostics diagnostics;
    struct filter *filter;
    struct error err;
    filter_diagnostics_init(&diagnostics);
    if (filter_compile(fields, td_str(text), 0, &filter, &diagnostics, &err) != TD_OK)
        die(err.text);
    filter_diagnostics_clear(&diagnostics);
    return filter;
}

/* ---- Scans ---- */

static uint64_t scan_store(const char *path, const char *text, uint64_t limit, double *ret_s)
{
    struct store *s;
    struct filter_scan *filter_scan;
    struct store_scan *scan;
    struct store_position p = {0};
    struct error err;
    uint64_t n = 0;
    double begin = processor_s();
    if (store_open(path, &s, &err) != TD_OK)
        die(err.text);
    struct filter *filter = compile(store_registry(s), text);
    if (filter_scan_new(filter, store_registry(s), &filter_scan, &err) != TD_OK)
        die(err.text);
    struct store_scan_options o = {.select = filter_scan_chunk, .ctx = filter_scan};
    if (store_scan_new(s, &o, &scan, &err) != TD_OK)
        die(err.text);
    for (; n < limit; n++) {
        if (store_scan_next(scan, &p, &err) != TD_OK)
            die(err.text);
        if (!p.id)
            break;
    }
    *ret_s = processor_s() - begin;
    store_scan_free(scan);
    filter_scan_free(filter_scan);
    filter_free(filter);
    store_free(s);
    return n;
}

static uint64_t scan_table(const char *path, const char *where, double *ret_s)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    char sql[1024];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM calls WHERE %s", where);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    sqlite3_exec(db, "PRAGMA mmap_size=17179869184", NULL, NULL, NULL); /* the best that it can */
    double begin = processor_s();
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        die(sqlite3_errmsg(db));
    uint64_t n = (uint64_t)sqlite3_column_int64(statement, 0);
    *ret_s = processor_s() - begin;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return n;
}

struct question {
    const char *name, *kfl, *sql;
};

static const struct question questions[] = {
    {"numbers and a text", "http && status_code >= 400 && method == \"GET\" && elapsed_time > 1000",
     "http = 1 AND status_code >= 400 AND method = 'GET' AND elapsed_time > 1000"},
    {"parts of texts", "http && path.contains(\"/v1/\") && src.ip.startsWith(\"10.\") && status_code != 200",
     "http = 1 AND instr(path, '/v1/') > 0 AND substr(\"src.ip\", 1, 3) = '10.' AND ifnull(status_code, 0) <> 200"},
};
enum { QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

static double least(double a, double b)
{
    return a < b ? a : b;
}

static int compare_scans(const char *store_path, const char *table_path, uint64_t n)
{
    int failed = 0;
    double table_least = 1e9;
    for (int q = 0; q < QUESTIONS; q++) {
        double ours = 1e9, theirs = 1e9, took;
        uint64_t our_n = 0, their_n = 0;
        for (int i = 0; i < ROUNDS; i++) {
            our_n = scan_store(store_path, questions[q].kfl, UINT64_MAX, &took);
            ours = least(ours, took);
            if (i < 2) {
                their_n = scan_table(table_path, questions[q].sql, &took);
                theirs = least(theirs, took);
            }
        }
        printf("%s: %s\n  store: %.2f ns a call, %" PRIu64 " match; SQLite table: %.2f ns, %" PRIu64 " match\n", questions[q].name,
               questions[q].kfl, ours / (double)n * 1e9, our_n, theirs / (double)n * 1e9, their_n);
        if (our_n != their_n)
            failed += bar("matches that one has and the other has not", (double)our_n - (double)their_n, "", false, 0);
        failed += bar("a full scan beside SQLite's", theirs / ours, " times as fast", true, SCAN_BAR);
        table_least = least(table_least, theirs);
    }
    return failed;
}

/* The newest hundred of a question that one call in a thousand answers. */
static int newest(const char *store_path, const char *table_path, uint64_t n)
{
    static const char *const kfl = "http && status_code == 401 && method == \"POST\" && elapsed_time >= 0";
    static const char *const sql = "http = 1 AND status_code = 401 AND method = 'POST' AND elapsed_time >= 0";
    double ours = 1e9, theirs, took;
    for (int i = 0; i < ROUNDS; i++) {
        scan_store(store_path, kfl, 100, &took);
        ours = least(ours, took);
    }
    uint64_t all = scan_table(table_path, sql, &theirs);
    printf("the newest 100 of %" PRIu64 " (%.3f %%): %.2f ms; SQLite's full scan: %.0f ms\n", all, (double)all / (double)n * 100,
           ours * 1e3, theirs * 1e3);
    return bar("the newest 100 beside a full scan", theirs / ours, " times as fast", true, NEWEST_BAR);
}

/* ---- One record, one text ---- */

struct plain_record {
    struct filter_value v[512];
};

static bool plain_has(const void *ctx, uint32_t field)
{
    (void)ctx, (void)field;
    return true;
}

static struct filter_value plain_get(const void *ctx, uint32_t field, struct arena *arena)
{
    (void)arena;
    return ((const struct plain_record *)ctx)->v[field];
}

/* What cannot be optimized away or run side by side: each addition waits for the one before. */
static double addition_ns(void)
{
    enum { N = 100000000 };
    uint64_t x = (uint64_t)time(NULL);
    double begin = processor_s();
    for (int i = 0; i < N; i += 10)
        __asm__ volatile("add $1, %0\n add $1, %0\n add $1, %0\n add $1, %0\n add $1, %0\n"
                         "add $1, %0\n add $1, %0\n add $1, %0\n add $1, %0\n add $1, %0\n"
                         : "+r"(x));
    return (processor_s() - begin) / N * 1e9;
}

static int evaluate(const struct field_registry *fields)
{
    enum { N = 5000000 };
    static struct plain_record plain;
    static const char *const text = "http && status_code >= 500 && method == \"POST\" && src.ip == \"10.1.2.3\"";
    struct filter *filter = compile(fields, text);
    struct filter_run *run;
    struct error err;
    if (filter_run_new(filter, &run, &err) != TD_OK)
        die(err.text);
    for (uint32_t i = 0; i < field_registry_count(fields) && i < 512; i++)
        plain.v[i] = filter_record_absent(field_registry_at(fields, i));
    plain.v[field_registry_find(fields, TD_LIT("http"))] = filter_bool(true);
    plain.v[field_registry_find(fields, TD_LIT("status_code"))] = filter_int(503);
    plain.v[field_registry_find(fields, TD_LIT("method"))] = filter_string(TD_LIT("POST"));
    plain.v[field_registry_find(fields, TD_LIT("src.ip"))] = filter_string(TD_LIT("10.1.2.3"));
    struct filter_record record = {.ctx = &plain, .has = plain_has, .get = plain_get};
    double took = 1e9, addition = addition_ns();
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t matches = 0;
        double begin = processor_s();
        for (int i = 0; i < N; i++)
            matches += filter_match(run, &record);
        took = least(took, processor_s() - begin);
        if (matches != N)
            die("the record does not match");
    }
    printf("one evaluation of four terms, all of them true: %.1f ns; an addition that waits for the one before: %.3f ns\n", took / N * 1e9,
           addition);
    filter_run_free(run);
    filter_free(filter);
    return bar("one evaluation, in additions", took / N * 1e9 / addition, "", false, EVALUATE_BAR);
}

static int compiling(const struct field_registry *fields)
{
    enum { N = 20000 };
    char hundred[101];
    double took = 1e9;
    snprintf(hundred, sizeof(hundred), "%-100s",
             "http && status_code >= 500 && path.startsWith(\"/api/v1/orders/\") && src.ip != \"10.0.0.1\"");
    for (int round = 0; round < ROUNDS; round++) {
        double begin = processor_s();
        for (int i = 0; i < N / ROUNDS; i++)
            filter_free(compile(fields, hundred));
        took = least(took, (processor_s() - begin) / (N / ROUNDS));
    }
    return bar("compiling a filter of 100 bytes", took * 1e6, " us", false, COMPILE_BAR_US);
}

int main(int argc, char **argv)
{
    char store_path[MAX_PATH], table_path[MAX_PATH];
    struct call_maker m;
    if (argc < 2) {
        fprintf(stderr, "usage: filter DIR [CALLS]\n");
        return 2;
    }
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    snprintf(store_path, sizeof(store_path), "%s/filter-%" PRIu64 ".calls", argv[1], n);
    snprintf(table_path, sizeof(table_path), "%s/filter-%" PRIu64 ".sqlite", argv[1], n);
    if (access(store_path, F_OK) != 0 || access(table_path, F_OK) != 0)
        fill(store_path, table_path, n);
    call_maker_init(&m, 1);
    int failed =
        compare_scans(store_path, table_path, n) + newest(store_path, table_path, n) + evaluate(m.registry) + compiling(m.registry);
    call_maker_clear(&m);
    return failed != 0;
}
