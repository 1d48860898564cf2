/* SQL over a call store: what the table says beside what a scan says; terms that prune, beside the same terms that cannot. */
#include "call/store_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/units.h"
#include "call_maker.h"
#include "tap.h"

enum { CALLS = 30000 };

static char folder[] = "/tmp/store_test_XXXXXX";
static char path[sizeof(folder) + 16];
static struct error err;
static sqlite3 *db;
static struct store *store;
static int64_t times[CALLS]; /* of the calls, as they were made */

static void must(int status)
{
    if (status == TD_OK)
        return;
    tap_diag("%s", err.text);
    exit(1);
}

static void write_store(void)
{
    struct call_maker m;
    struct store_writer *w;
    call_maker_init(&m, 9);
    m.headers = m.bodies = true;
    struct store_create_options o = {.registry = m.registry,
                                     .components = m.components,
                                     .component_n = 2,
                                     .appenders = 2,
                                     .about = TD_LIT("{}"),
                                     .payloads = true,
                                     .replace = true};
    must(store_create(path, &o, &w, &err));
    for (uint32_t i = 0; i < CALLS; i++) {
        const struct td_call *c = call_maker_next(&m);
        times[i] = call_time(c);
        must(store_append(w, i % 2, c, &err));
        if (i % 5000 == 4999)
            must(store_flush(w, i % 2, &err));
    }
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
    call_maker_clear(&m);
}

/* The first value of the first row, as text, valid for three more questions; "" for NULL, "error: ..." if it fails. */
static const char *ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *ask(const char *fmt, ...)
{
    static char answers[4][4096];
    static unsigned asked;
    char *answer = answers[asked++ % 4];
    char sql[2048];
    sqlite3_stmt *statement;
    va_list args;
    va_start(args, fmt);
    vsnprintf(sql, sizeof(sql), fmt, args);
    va_end(args);
    answer[0] = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) == SQLITE_ERROR) {
        snprintf(answer, sizeof(answers[0]), "error: %s", sqlite3_errmsg(db));
    } else {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        snprintf(answer, sizeof(answers[0]), "%s", text ? text : "");
    }
    sqlite3_finalize(statement);
    return answer;
}

static void test_rows(void)
{
    is_str(ask("SELECT count(*) FROM calls"), "30000", "a row for each call");
    is_str(ask("SELECT count(DISTINCT id) FROM calls"), "30000", "with an id each");
    is_str(ask("SELECT group_concat(DISTINCT protocol) FROM (SELECT protocol FROM calls ORDER BY protocol)"), "DNS,HTTP", "texts");
    is_str(ask("SELECT count(*) FROM calls WHERE http + dns = 1"), "30000", "truths");
    is_str(ask("SELECT count(*) FROM calls WHERE method IS NULL AND dns OR method IS NOT NULL AND http"), "30000",
           "NULL is what is not there");
    is_str(ask("SELECT typeof(time_ns)||typeof(timestamp)||typeof(latency)||typeof(\"src.ip\") FROM calls WHERE latency IS NOT NULL"),
           "integertextintegertext", "types");
    is_str(ask("SELECT count(*) FROM calls WHERE json_array_length(\"request.headers\") = 5"),
           ask("SELECT count(*) FROM calls WHERE \"request.headers\" IS NOT NULL"), "maps are JSON");
    is_str(ask("SELECT json_extract(\"request.headers\", '$[0].name') FROM calls WHERE \"request.headers\" IS NOT NULL"), "Host",
           "with names and values in order");
    is_str(ask("SELECT count(*) FROM calls, json_each(dns_questions) q WHERE q.value LIKE 'svc-%%'"),
           ask("SELECT count(*) FROM calls WHERE dns"), "lists are JSON");
    is_str(ask("SELECT typeof(\"response.body\") FROM calls WHERE \"response.body\" IS NOT NULL LIMIT 1"), "blob", "bodies are read");
    is_str(ask("SELECT substr(CAST(\"request.body\" AS TEXT), 1, 6) FROM calls WHERE method = 'POST' LIMIT 1"), "{\"id\":", "as they were");
    like(ask("SELECT colour FROM calls"), "no such column", "a column that there is not");
    like(ask("CREATE VIRTUAL TABLE mine USING calls"), "error", "no other such table can be made");
}

/* A term alone, and so that it cannot be pushed down (+column). */
static void same(const char *column, const char *rest)
{
    is_str(ask("SELECT count(*)||' '||total(id) FROM calls WHERE %s %s", column, rest),
           ask("SELECT count(*)||' '||total(id) FROM calls WHERE +%s %s", column, rest), "%s %s", column, rest);
}

static void test_terms(void)
{
    static const char *const operators[] = {"=", "<", "<=", ">", ">="};
    char rest[200], text[UNITS_TEXT], id[32];
    for (int i = 0; i < 5; i++) {
        units_format_time(times[12345], text);
        snprintf(rest, sizeof(rest), "%s %lld", operators[i], (long long)times[12345]);
        same("time_ns", rest);
        snprintf(rest, sizeof(rest), "%s '%s'", operators[i], text);
        same("timestamp", rest);
        snprintf(rest, sizeof(rest), "%s '%.19s'", operators[i], text); /* not as the column writes it */
        same("timestamp", rest);
        snprintf(rest, sizeof(rest), "%s 404", operators[i]);
        same("status_code", rest);
        is_str(ask("SELECT count(*) FROM calls WHERE status_code %s '404'", operators[i]),
               ask("SELECT count(*) FROM calls WHERE +status_code %s 404", operators[i]), "status_code %s '404'", operators[i]);
        snprintf(rest, sizeof(rest), "%s 404.5", operators[i]);
        same("status_code", rest);
        snprintf(rest, sizeof(rest), "%s 'POST'", operators[i]);
        same("method", rest);
        snprintf(rest, sizeof(rest), "%s 2000000", operators[i]);
        same("latency", rest);
        snprintf(rest, sizeof(rest), "%s 32773", operators[i]);
        same("id", rest);
    }
    same("method", "= 'post' COLLATE NOCASE");
    same("method", "IN ('PUT', 'DELETE', 'nothing')");
    same("path", "= '/healthz'");
    same("path", "= '/not/there'");
    same("method", "= NULL");
    same("id", "= -1");
    same("id", "= 'x'");
    snprintf(id, sizeof(id), "%s", ask("SELECT id FROM calls LIMIT 1 OFFSET 7777"));
    is_str(ask("SELECT count(*) FROM calls WHERE id = %s", id), "1", "one call by its id");
    is_str(ask("SELECT count(*) FROM calls a, calls b WHERE a.id = b.id AND a.method = 'DELETE'"),
           ask("SELECT count(*) FROM calls WHERE method = 'DELETE'"), "a join of the table with itself");
}

static void test_order(void)
{
    for (int newest = 0; newest < 2; newest++) {
        const char *direction = newest ? "DESC" : "ASC";
        is_str(
            ask("SELECT count(*) FROM (SELECT time_ns - lag(time_ns) OVER () AS step FROM (SELECT time_ns FROM calls ORDER BY time_ns %s)) "
                "WHERE step %s 0",
                direction, newest ? ">" : "<"),
            "0", "ORDER BY time_ns %s", direction);
        is_str(ask("SELECT time_ns FROM calls ORDER BY timestamp %s", direction),
               newest ? ask("SELECT max(time_ns) FROM calls") : ask("SELECT min(time_ns) FROM calls"), "ORDER BY timestamp %s", direction);
        is_str(ask("SELECT count(*) FROM (SELECT id FROM calls WHERE method = 'PUT' ORDER BY time_ns %s)", direction),
               ask("SELECT count(*) FROM calls WHERE method = 'PUT'"), "with a term, %s", direction);
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/a.calls", folder);
    write_store();
    must(store_open(path, &store, &err));
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        return 1;
    must(store_table_register(db, store, &err));
    test_rows();
    test_terms();
    test_order();
    sqlite3_close(db);
    store_free(store);
    unlink(path);
    rmdir(folder);
    return tap_done();
}
