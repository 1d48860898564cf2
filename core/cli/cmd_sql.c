/* tapedeck sql: SQL over the calls of a call store. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"
#include "call/store_table.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"

const char sql_usage[] =
    "Usage: tapedeck sql FILE.calls [OPTION]... 'SELECT ...'\n"
    "\n"
    "Runs a query over the table `calls`, a row for each call of a call store (`tapedeck dissect -w`). Its columns are id, time_ns\n"
    "(ns since 1970) and the fields that `tapedeck fields` lists; names with dots go into double quotes: \"src.ip\". Lists and\n"
    "maps are JSON text, for json_each() and the like; what a call lacks is NULL. SQL as SQLite has it; nothing can be written.\n"
    "\n"
    "      tapedeck sql a.calls 'SELECT http_host, count(*), avg(elapsed_time) FROM calls WHERE http GROUP BY 1 ORDER BY 2 DESC'\n"
    "      tapedeck sql a.calls 'SELECT q.value, count(*) FROM calls, json_each(dns_questions) AS q GROUP BY 1'\n"
    "\n"
    "  -o, --output FORMAT  table (default) or json (an object a line). A table that does not go to a terminal has tabs between\n"
    "                       its columns, full values and no header\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit codes: 0 fine, 1 failed, 2 usage or SQL, 3 the store is not there, 4 it may not be read.\n";

enum {
    MAX_SQL = 1 << 20,
    MAX_CELL = 60,     /* columns of a cell on a terminal */
    TABLE_ROWS = 1000, /* that share their widths on a terminal */
    WRITE_BYTES = 256 << 10
};

enum sql_output { SQL_TABLE, SQL_TABS, SQL_JSON };

struct sql_command {
    const char *path, *sql;
    enum sql_output output;
    struct store *store;
    sqlite3 *db;
    sqlite3_stmt *query;
    int column_n;
    struct table table;
    size_t table_rows;
    struct buf out, cell;
};

/* ---- Options ---- */

static int parse_options(struct sql_command *cmd, int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    int opt;
    cmd->output = isatty(STDOUT_FILENO) ? SQL_TABLE : SQL_TABS;
    optind = 0;
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (opt == 'h') {
            fputs(sql_usage, stdout);
            return -1;
        }
        if (opt != 'o')
            return cli_bad_option("sql ", argv);
        if (strcmp(optarg, "json") == 0)
            cmd->output = SQL_JSON;
        else if (strcmp(optarg, "table") != 0)
            return cli_usage("sql ", "-o takes table or json, not \"%s\"", optarg);
    }
    if (argc - optind != 2)
        return cli_usage("sql ", argc - optind < 2 ? "a call store and a query are needed" : "one call store and one query, in quotes");
    cmd->path = argv[optind];
    cmd->sql = argv[optind + 1];
    return CLI_OK;
}

/* ---- The query ---- */

/* The line of the query in which the place is, and a caret under it. */
static void show_place(const char *sql, size_t at)
{
    struct buf line = {0};
    size_t from = at, to = at;
    while (from > 0 && sql[from - 1] != '\n')
        from--;
    to += strcspn(sql + at, "\n");
    buf_lit(&line, "    ");
    utf8_put_printable(&line, td_bytes(sql + from, to - from), UTF8_PROSE);
    buf_lit(&line, "\n    ");
    for (size_t i = from; i < at; i++)
        if (((unsigned char)sql[i] & 0xc0) != 0x80)
            buf_putc(&line, sql[i] == '\t' ? '\t' : ' ');
    buf_lit(&line, "^\n");
    fwrite(line.p, 1, line.n, stderr);
    buf_clear(&line);
}

static int sql_error(const struct sql_command *cmd)
{
    int at = sqlite3_error_offset(cmd->db);
    cli_error("the query: %s", sqlite3_errmsg(cmd->db));
    if (at >= 0 && (size_t)at <= strlen(cmd->sql))
        show_place(cmd->sql, (size_t)at);
    return CLI_USAGE;
}

/* Reading is allowed, and looking at the table's columns; all else is not. */
static int authorize(void *ctx, int action, const char *first, const char *second, const char *database, const char *trigger)
{
    static const char *const functions[] = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"};
    (void)ctx, (void)database, (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_FUNCTION:
        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
            if (second && sqlite3_stricmp(second, functions[i]) == 0)
                return SQLITE_DENY;
        return SQLITE_OK;
    case SQLITE_PRAGMA:
        return first && (sqlite3_stricmp(first, "table_info") == 0 || sqlite3_stricmp(first, "table_xinfo") == 0) ? SQLITE_OK : SQLITE_DENY;
    default: return SQLITE_DENY;
    }
}

/* An empty database in memory, which has the table and nothing else. */
static int open_database(struct sql_command *cmd)
{
    struct error err;
    if (store_open(cmd->path, &cmd->store, &err) != TD_OK)
        return cli_fail(&err);
    int code = sqlite3_open_v2(":memory:", &cmd->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        cli_error("SQLite: %s", sqlite3_errstr(code));
        return CLI_FAILURE;
    }
    sqlite3_db_config(cmd->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(cmd->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL); /* "no such column" is an error, not a text */
    sqlite3_limit(cmd->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(cmd->db, SQLITE_LIMIT_SQL_LENGTH, MAX_SQL);
    if (store_table_register(cmd->db, cmd->store, &err) != TD_OK)
        return cli_fail(&err);
    /* The table is made when it is first named, which takes rights that the query is not to have. */
    if (sqlite3_exec(cmd->db, "SELECT 1 FROM calls LIMIT 0", NULL, NULL, NULL) != SQLITE_OK) {
        cli_error("%s: %s", cmd->path, sqlite3_errmsg(cmd->db));
        return CLI_FAILURE;
    }
    sqlite3_set_authorizer(cmd->db, authorize, NULL);
    return CLI_OK;
}

static int prepare(struct sql_command *cmd)
{
    const char *rest;
    if (strlen(cmd->sql) > MAX_SQL)
        return cli_usage("sql ", "the query has more than %d bytes", MAX_SQL);
    int code = sqlite3_prepare_v2(cmd->db, cmd->sql, -1, &cmd->query, &rest);
    if (code == SQLITE_AUTH) {
        cli_error("the query: only SELECT is possible here; a call store is never changed");
        return CLI_USAGE;
    }
    if (code != SQLITE_OK)
        return sql_error(cmd);
    if (!cmd->query)
        return cli_usage("sql ", "the query is empty");
    rest += strspn(rest, " \t\r\n;");
    if (*rest) {
        cli_error("the query: one statement at a time; here begins another");
        show_place(cmd->sql, (size_t)(rest - cmd->sql));
        return CLI_USAGE;
    }
    cmd->column_n = sqlite3_column_count(cmd->query);
    if (cmd->column_n > TABLE_MAX_COLUMNS && cmd->output == SQL_TABLE)
        cmd->output = SQL_TABS;
    return CLI_OK;
}

/* ---- Output ---- */

static struct td_slice column_bytes(sqlite3_stmt *query, int i)
{
    const void *p = sqlite3_column_type(query, i) == SQLITE_BLOB ? sqlite3_column_blob(query, i) : sqlite3_column_text(query, i);
    return td_bytes(p, p ? (size_t)sqlite3_column_bytes(query, i) : 0);
}

static void put_json_value(struct buf *out, sqlite3_stmt *query, int i)
{
    double number;
    switch (sqlite3_column_type(query, i)) {
    case SQLITE_INTEGER: buf_i64(out, sqlite3_column_int64(query, i)); break;
    case SQLITE_FLOAT:
        number = sqlite3_column_double(query, i);
        if (isfinite(number))
            buf_printf(out, "%.17g", number);
        else
            buf_lit(out, "null");
        break;
    case SQLITE_TEXT: json_put_string(out, column_bytes(query, i)); break;
    case SQLITE_BLOB: json_put_base64(out, column_bytes(query, i)); break;
    default: buf_lit(out, "null"); break;
    }
}

static void put_json_row(struct sql_command *cmd)
{
    for (int i = 0; i < cmd->column_n; i++) {
        buf_putc(&cmd->out, i ? ',' : '{');
        json_put_string(&cmd->out, td_str(sqlite3_column_name(cmd->query, i)));
        buf_putc(&cmd->out, ':');
        put_json_value(&cmd->out, cmd->query, i);
    }
    buf_lit(&cmd->out, "}\n");
}

static void put_tabs_row(struct sql_command *cmd)
{
    for (int i = 0; i < cmd->column_n; i++) {
        if (i)
            buf_putc(&cmd->out, '\t');
        utf8_put_printable(&cmd->out, column_bytes(cmd->query, i), UTF8_CELL);
    }
    buf_putc(&cmd->out, '\n');
}

/* At most MAX_CELL characters of it; a cut is shown. */
static size_t cut_cell(struct buf *cell)
{
    size_t count = 0, at = 0;
    for (; at < cell->n; at++)
        if ((cell->p[at] & 0xc0) != 0x80 && count++ == MAX_CELL - 3)
            break;
    return at;
}

static void put_cell(struct sql_command *cmd, struct td_slice text)
{
    buf_reset(&cmd->cell);
    utf8_put_printable(&cmd->cell, text, UTF8_CELL);
    size_t keep = cut_cell(&cmd->cell);
    if (keep < cmd->cell.n) {
        cmd->cell.n = keep;
        buf_lit(&cmd->cell, "...");
    }
    table_cell(&cmd->table, buf_cstr(&cmd->cell));
}

static void put_header(struct sql_command *cmd)
{
    table_init(&cmd->table, (size_t)cmd->column_n);
    cmd->table_rows = 0;
    for (int i = 0; i < cmd->column_n; i++)
        put_cell(cmd, td_str(sqlite3_column_name(cmd->query, i)));
}

static void put_table_row(struct sql_command *cmd)
{
    if (cmd->table_rows == TABLE_ROWS) {
        table_put(&cmd->table, 0, &cmd->out);
        table_clear(&cmd->table);
        table_init(&cmd->table, (size_t)cmd->column_n);
        cmd->table_rows = 0;
    }
    cmd->table_rows++;
    for (int i = 0; i < cmd->column_n; i++) {
        if (sqlite3_column_type(cmd->query, i) == SQLITE_NULL)
            table_cell(&cmd->table, NULL);
        else
            put_cell(cmd, column_bytes(cmd->query, i));
    }
}

static int flush(struct sql_command *cmd)
{
    int code = cli_write(&cmd->out);
    buf_reset(&cmd->out);
    return code;
}

static int run(struct sql_command *cmd)
{
    int step, code = CLI_OK;
    if (cmd->output == SQL_TABLE)
        put_header(cmd);
    while (code == CLI_OK && (step = sqlite3_step(cmd->query)) == SQLITE_ROW) {
        if (cmd->output == SQL_JSON)
            put_json_row(cmd);
        else if (cmd->output == SQL_TABLE)
            put_table_row(cmd);
        else
            put_tabs_row(cmd);
        if (cmd->out.n >= WRITE_BYTES || cmd->out.failed)
            code = flush(cmd);
    }
    if (cmd->output == SQL_TABLE && cmd->table_rows)
        table_put(&cmd->table, 0, &cmd->out);
    if (code == CLI_OK)
        code = flush(cmd);
    if (code == CLI_OK && step != SQLITE_DONE) {
        cli_error("%s", sqlite3_errmsg(cmd->db));
        code = CLI_FAILURE;
    }
    return code;
}

static void cleanup(struct sql_command *cmd)
{
    sqlite3_finalize(cmd->query);
    sqlite3_close(cmd->db);
    store_free(cmd->store);
    if (cmd->output == SQL_TABLE)
        table_clear(&cmd->table);
    buf_clear(&cmd->out);
    buf_clear(&cmd->cell);
}

int cmd_sql(int argc, char **argv)
{
    struct sql_command cmd = {0};
    int code = parse_options(&cmd, argc, argv);
    if (code != CLI_OK)
        return code < 0 ? CLI_OK : code;
    code = open_database(&cmd);
    if (code == CLI_OK)
        code = prepare(&cmd);
    if (code == CLI_OK)
        code = run(&cmd);
    if (code == CLI_OK && store_state(cmd.store) == STORE_INCOMPLETE)
        cli_error("warning: %s is incomplete: its writer ended before the dissection did. All that it had committed is there", cmd.path);
    cleanup(&cmd);
    return code;
}
