#include "call/store_table.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/store_reader.h"

enum {
    COLUMN_ID,
    COLUMN_TIME,
    COLUMN_FIELDS, /* the registry's, without `id` */
    MAX_TERMS = 16 /* that prune */
};

/* How the planner's choice is handed on: bits of idxNum; terms in idxStr. */
enum { PLAN_ONE = 1, PLAN_NEWEST = 2, PLAN_OLDEST = 4 };

struct calls_table {
    sqlite3_vtab base;
    struct store *store;
    const struct field_registry *registry;
    uint32_t *fields; /* by column less COLUMN_FIELDS */
    uint32_t column_n;
};

/* A term that a chunk can be judged by: column, comparison, constant. */
struct term {
    int column;
    unsigned char op;
    bool text;
    int64_t number;
    struct buf bytes;
};

struct calls_cursor {
    sqlite3_vtab_cursor base;
    const struct calls_table *table;
    struct store_scan *scan; /* in the order of time; or NULL: chunk by chunk */
    uint32_t next_chunk;
    struct chunk *chunk; /* of the current row, held */
    uint32_t row;
    bool end;
    struct term terms[MAX_TERMS];
    int term_n;
    struct buf text;
    struct store_call call; /* for payload */
    uint64_t call_id;
};

static int fail(struct calls_table *t, const struct error *err)
{
    sqlite3_free(t->base.zErrMsg);
    t->base.zErrMsg = sqlite3_mprintf("%s", err->text);
    return err->status == TD_E_NOMEM ? SQLITE_NOMEM : SQLITE_ERROR;
}

/* ---- The table ---- */

static const char *sql_type(const struct registry_field *f)
{
    if (f->payload)
        return "BLOB";
    switch (f->type) {
    case REGISTRY_BOOL:
    case REGISTRY_INT:
    case REGISTRY_DURATION: return "INTEGER";
    case REGISTRY_BYTES: return "BLOB";
    default: return "TEXT";
    }
}

/* A name in double quotes; quotes within are doubled. */
static void put_name(struct buf *sql, const char *name)
{
    buf_putc(sql, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_putc(sql, '"');
        buf_putc(sql, *name);
    }
    buf_putc(sql, '"');
}

static int declare(sqlite3 *db, struct calls_table *t)
{
    struct buf sql = {0};
    buf_lit(&sql, "CREATE TABLE calls(id INTEGER, time_ns INTEGER");
    for (uint32_t i = 0; i < field_registry_count(t->registry); i++) {
        const struct registry_field *f = field_registry_at(t->registry, i);
        if (sqlite3_stricmp(f->name, STORE_ID_FIELD) == 0 || sqlite3_stricmp(f->name, "time_ns") == 0)
            continue;
        t->fields[t->column_n++] = i;
        buf_lit(&sql, ", ");
        put_name(&sql, f->name);
        buf_printf(&sql, " %s", sql_type(f));
    }
    buf_lit(&sql, ")");
    const char *text = buf_cstr(&sql);
    int code = sql.failed ? SQLITE_NOMEM : sqlite3_declare_vtab(db, text);
    buf_clear(&sql);
    return code;
}

static int disconnect(sqlite3_vtab *base)
{
    struct calls_table *t = (struct calls_table *)base;
    mem_free(t->fields);
    mem_free(t);
    return SQLITE_OK;
}

static int connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_error)
{
    (void)argc, (void)argv;
    struct calls_table *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return SQLITE_NOMEM;
    t->store = aux;
    t->registry = store_registry(t->store);
    t->fields = mem_calloc(field_registry_count(t->registry), sizeof(*t->fields));
    int code = t->fields ? declare(db, t) : SQLITE_NOMEM;
    if (code != SQLITE_OK) {
        *ret_error = sqlite3_mprintf("%s", sqlite3_errmsg(db));
        disconnect(&t->base);
    } else {
        *ret = &t->base;
    }
    return code;
}

/* ---- Planning ---- */

static const struct registry_field *field_at(const struct calls_table *t, int column)
{
    return column < COLUMN_FIELDS ? NULL : field_registry_at(t->registry, t->fields[column - COLUMN_FIELDS]);
}

static bool is_timestamp(const struct calls_table *t, int column)
{
    return column >= COLUMN_FIELDS && strcmp(field_at(t, column)->name, "timestamp") == 0;
}

/* Can a chunk be judged by this term? Whether the constant fits is seen when it is known. */
static bool is_useful(const struct calls_table *t, sqlite3_index_info *info, int i)
{
    const struct sqlite3_index_constraint *c = &info->aConstraint[i];
    if (!c->usable || c->iColumn < 0 || (uint32_t)c->iColumn >= COLUMN_FIELDS + t->column_n)
        return false;
    bool equal = c->op == SQLITE_INDEX_CONSTRAINT_EQ;
    bool order = c->op == SQLITE_INDEX_CONSTRAINT_GT || c->op == SQLITE_INDEX_CONSTRAINT_GE || c->op == SQLITE_INDEX_CONSTRAINT_LT ||
                 c->op == SQLITE_INDEX_CONSTRAINT_LE;
    if (!equal && !order)
        return false;
    if (c->iColumn < COLUMN_FIELDS)
        return true;
    const struct registry_field *f = field_at(t, c->iColumn);
    if (f->payload)
        return false;
    if (f->type == REGISTRY_STRING)
        return equal && sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") == 0;
    if (f->type == REGISTRY_TIMESTAMP)
        return is_timestamp(t, c->iColumn) && sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") == 0;
    return f->type == REGISTRY_BOOL || f->type == REGISTRY_INT || f->type == REGISTRY_DURATION;
}

static void plan_order(const struct calls_table *t, sqlite3_index_info *info)
{
    if (info->nOrderBy != 1)
        return;
    int column = info->aOrderBy[0].iColumn;
    if (column != COLUMN_TIME && !is_timestamp(t, column))
        return;
    info->idxNum |= info->aOrderBy[0].desc ? PLAN_NEWEST : PLAN_OLDEST;
    info->orderByConsumed = 1;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const struct calls_table *t = (const struct calls_table *)base;
    sqlite3_str *terms = sqlite3_str_new(NULL);
    double rows = (double)store_count(t->store);
    int n = 0;
    info->idxNum = 0;
    for (int i = 0; i < info->nConstraint && n < MAX_TERMS; i++) {
        if (!is_useful(t, info, i))
            continue;
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        info->aConstraintUsage[i].argvIndex = ++n;
        sqlite3_str_appendf(terms, "%d %d ", c->iColumn, c->op);
        if (c->iColumn == COLUMN_ID && c->op == SQLITE_INDEX_CONSTRAINT_EQ)
            info->idxNum |= PLAN_ONE;
        rows /= c->op == SQLITE_INDEX_CONSTRAINT_EQ ? 8 : 2;
    }
    plan_order(t, info);
    if (info->idxNum & PLAN_ONE)
        rows = 1;
    info->idxStr = sqlite3_str_finish(terms);
    info->needToFreeIdxStr = 1;
    info->estimatedRows = (sqlite3_int64)rows + 1;
    info->estimatedCost = rows + 10;
    return n && !info->idxStr ? SQLITE_NOMEM : SQLITE_OK;
}

/* ---- Terms ---- */

static void clear_terms(struct calls_cursor *c)
{
    for (int i = 0; i < c->term_n; i++)
        buf_clear(&c->terms[i].bytes);
    c->term_n = 0;
}

/* Times as text compare as text; a bound is good only if it is written as the column writes them. */
static bool parse_timestamp(struct td_slice text, int64_t *ret)
{
    char written[UNITS_TEXT], copy[UNITS_TEXT];
    if (text.n >= sizeof(copy))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    return units_parse_time(copy, 0, ret) && td_eq(td_bytes(written, units_format_time(*ret, written)), text);
}

static void add_term(const struct calls_table *t, struct calls_cursor *c, int column, int op, sqlite3_value *value)
{
    struct term *term = &c->terms[c->term_n];
    const struct registry_field *f = field_at(t, column);
    struct td_slice text = {0};
    *term = (struct term){.column = column, .op = (unsigned char)op};
    if (sqlite3_value_type(value) == SQLITE_TEXT)
        text = td_bytes(sqlite3_value_text(value), (size_t)sqlite3_value_bytes(value));
    if (f && f->type == REGISTRY_STRING) {
        if (sqlite3_value_type(value) != SQLITE_TEXT)
            return;
        term->text = true;
        buf_put_slice(&term->bytes, text);
        if (term->bytes.failed) {
            buf_clear(&term->bytes);
            return;
        }
    } else if (f && f->type == REGISTRY_TIMESTAMP) {
        if (!parse_timestamp(text, &term->number))
            return;
        term->column = COLUMN_TIME;
    } else if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        term->number = sqlite3_value_int64(value);
    } else {
        return;
    }
    c->term_n++;
}

static bool numbers_may_match(const struct term *term, int64_t min, int64_t max)
{
    switch (term->op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return min <= term->number && term->number <= max;
    case SQLITE_INDEX_CONSTRAINT_GT: return max > term->number;
    case SQLITE_INDEX_CONSTRAINT_GE: return max >= term->number;
    case SQLITE_INDEX_CONSTRAINT_LT: return min < term->number;
    default: return min <= term->number;
    }
}

/* May the chunk have a row that all terms hold for? */
static int may_match(const struct calls_table *t, const struct calls_cursor *c, struct chunk *chunk, bool *ret, struct error *err)
{
    *ret = true;
    for (int i = 0; i < c->term_n && *ret; i++) {
        const struct term *term = &c->terms[i];
        struct chunk_stats stats;
        if (term->column == COLUMN_ID) {
            int64_t first = (int64_t)chunk_first_id(chunk);
            *ret = numbers_may_match(term, first, first + chunk_rows(chunk) - 1);
            continue;
        }
        if (term->column == COLUMN_TIME) {
            *ret = numbers_may_match(term, chunk_min_time(chunk), chunk_max_time(chunk));
            continue;
        }
        uint32_t field = t->fields[term->column - COLUMN_FIELDS];
        chunk_stats(chunk, field, &stats);
        if (stats.present == 0)
            *ret = false; /* NULLs only */
        else if (!term->text)
            *ret = numbers_may_match(term, stats.min, stats.max);
        else {
            int status = chunk_may_have_text(chunk, field, buf_slice(&term->bytes), ret, err);
            if (status != TD_OK)
                return status;
        }
    }
    return TD_OK;
}

static int select_rows(void *ctx, struct chunk *chunk, uint64_t *bits, struct error *err)
{
    const struct calls_cursor *c = ctx;
    bool may;
    int status = may_match(c->table, c, chunk, &may, err);
    if (status == TD_OK && !may)
        memset(bits, 0, CHUNK_BITS * sizeof(*bits));
    return status;
}

/* ---- Moving ---- */

static void let_go(const struct calls_table *t, struct calls_cursor *c)
{
    if (c->chunk)
        store_release(t->store, c->chunk);
    c->chunk = NULL;
}

static int next_ordered(const struct calls_table *t, struct calls_cursor *c, struct error *err)
{
    struct store_position p;
    int status = store_scan_next(c->scan, &p, err);
    let_go(t, c);
    if (status != TD_OK)
        return status;
    c->end = p.id == 0;
    return c->end ? TD_OK : store_locate(t->store, p.id, &c->chunk, &c->row, err);
}

static int next_by_chunk(const struct calls_table *t, struct calls_cursor *c, struct error *err)
{
    if (c->chunk && ++c->row < chunk_rows(c->chunk))
        return TD_OK;
    let_go(t, c);
    c->row = 0;
    while (c->next_chunk < store_chunk_count(t->store)) {
        bool may = false;
        int status = store_chunk(t->store, c->next_chunk++, &c->chunk, err);
        if (status == TD_OK)
            status = may_match(t, c, c->chunk, &may, err);
        if (status != TD_OK || may)
            return status;
        let_go(t, c);
    }
    c->end = true;
    return TD_OK;
}

/* One call, by its id. */
static int find_one(const struct calls_table *t, struct calls_cursor *c, int64_t id, struct error *err)
{
    int status = id > 0 ? store_locate(t->store, (uint64_t)id, &c->chunk, &c->row, err) : TD_E_NOT_FOUND;
    c->end = status != TD_OK;
    c->next_chunk = UINT32_MAX; /* nothing follows */
    return status == TD_E_NOT_FOUND ? TD_OK : status;
}

static int next(sqlite3_vtab_cursor *base)
{
    struct calls_table *t = (struct calls_table *)base->pVtab;
    struct calls_cursor *c = (struct calls_cursor *)base;
    struct error err;
    int status = TD_OK;
    if (c->next_chunk == UINT32_MAX)
        c->end = true;
    else
        status = c->scan ? next_ordered(t, c, &err) : next_by_chunk(t, c, &err);
    return status == TD_OK ? SQLITE_OK : fail(t, &err);
}

static int begin_scan(struct calls_table *t, struct calls_cursor *c, int plan, struct error *err)
{
    struct store_scan_options o = {.oldest_first = plan & PLAN_OLDEST, .select = select_rows, .ctx = c};
    if (!(plan & (PLAN_NEWEST | PLAN_OLDEST)))
        return TD_OK;
    return store_scan_new(t->store, &o, &c->scan, err);
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv)
{
    struct calls_table *t = (struct calls_table *)base->pVtab;
    struct calls_cursor *c = (struct calls_cursor *)base;
    struct error err;
    char *at = (char *)(uintptr_t)text;
    int status = TD_OK;
    bool one = false;
    clear_terms(c);
    let_go(t, c);
    store_scan_free(c->scan);
    c->scan = NULL;
    c->row = c->next_chunk = 0;
    c->end = false;
    for (int i = 0; i < argc && !one; i++) {
        int column = (int)strtol(at, &at, 10), op = (int)strtol(at, &at, 10);
        add_term(t, c, column, op, argv[i]);
        one = column == COLUMN_ID && op == SQLITE_INDEX_CONSTRAINT_EQ && sqlite3_value_type(argv[i]) == SQLITE_INTEGER;
        if (one)
            status = find_one(t, c, sqlite3_value_int64(argv[i]), &err);
    }
    if (status == TD_OK && !one)
        status = begin_scan(t, c, plan, &err);
    if (status != TD_OK)
        return fail(t, &err);
    return one ? SQLITE_OK : next(base);
}

static int at_end(sqlite3_vtab_cursor *base)
{
    return ((struct calls_cursor *)base)->end;
}

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    const struct calls_cursor *c = (const struct calls_cursor *)base;
    *ret = (sqlite3_int64)(chunk_first_id(c->chunk) + c->row);
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    struct calls_cursor *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return SQLITE_NOMEM;
    c->table = (const struct calls_table *)base;
    *ret = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    struct calls_cursor *c = (struct calls_cursor *)base;
    clear_terms(c);
    let_go(c->table, c);
    store_scan_free(c->scan);
    store_call_clear(&c->call);
    buf_clear(&c->text);
    mem_free(c);
    return SQLITE_OK;
}

/* ---- Values ---- */

static void put_list(struct buf *out, const struct chunk_column *col, uint32_t row)
{
    bool map = col->type == REGISTRY_MAP;
    buf_reset(out);
    buf_putc(out, '[');
    for (uint32_t i = col->offsets[row]; i < col->offsets[row + 1]; i++) {
        if (i != col->offsets[row])
            buf_putc(out, ',');
        if (map) {
            buf_lit(out, "{\"name\":");
            json_put_string(out, chunk_text(&col->names, (uint32_t)chunk_lane(&col->name_ids, i)));
            buf_lit(out, ",\"value\":");
        }
        json_put_string(out, chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, i)));
        if (map)
            buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void result_text(sqlite3_context *context, struct td_slice text, bool blob)
{
    const char *p = text.n ? (const char *)text.p : "";
    if (blob)
        sqlite3_result_blob64(context, p, text.n, SQLITE_TRANSIENT);
    else
        sqlite3_result_text64(context, p, text.n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void result_number(sqlite3_context *context, uint8_t type, int64_t number)
{
    char text[UNITS_TEXT];
    if (type == REGISTRY_TIMESTAMP)
        sqlite3_result_text(context, text, (int)units_format_time(number, text), SQLITE_TRANSIENT);
    else
        sqlite3_result_int64(context, number);
}

static int result_field(sqlite3_context *context, struct calls_cursor *c, uint32_t field, struct error *err)
{
    const struct chunk_column *col;
    struct chunk_stats stats;
    chunk_stats(c->chunk, field, &stats);
    if (stats.present == 0)
        return TD_OK;
    int status = chunk_column(c->chunk, field, CHUNK_PRESENT | CHUNK_VALUES | CHUNK_DICTIONARY | CHUNK_NAMES, &col, err);
    if (status != TD_OK || (col->present && !(col->present[c->row / 64] >> (c->row % 64) & 1)))
        return status;
    switch (col->type) {
    case REGISTRY_STRING:
    case REGISTRY_BYTES:
        result_text(context, chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, c->row)), col->type == REGISTRY_BYTES);
        break;
    case REGISTRY_LIST:
    case REGISTRY_MAP:
        put_list(&c->text, col, c->row);
        if (c->text.failed)
            return error_nomem(err);
        result_text(context, buf_slice(&c->text), false);
        break;
    default: result_number(context, col->type, chunk_number(&col->numbers, c->row)); break;
    }
    return TD_OK;
}

static int result_payload(sqlite3_context *context, struct calls_cursor *c, uint32_t field, struct error *err)
{
    const struct store_layout *layout = &c->table->store->layout;
    uint64_t id = chunk_first_id(c->chunk) + c->row;
    if (c->call_id != id) {
        c->call_id = 0;
        int status = store_read_call(c->table->store, id, true, &c->call, err);
        if (status != TD_OK)
            return status;
        c->call_id = id;
    }
    const struct registry_component *declared = layout->components[c->call.call.component].declared;
    for (uint32_t i = 0; i < declared->n; i++) {
        const struct call_body *body = declared->fields[i] == field ? call_get_body(&c->call.call, i) : NULL;
        if (body)
            result_text(context, buf_slice(&body->bytes), true);
    }
    return TD_OK;
}

static int result_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    struct calls_cursor *c = (struct calls_cursor *)base;
    const struct chunk_lanes *times;
    struct error err;
    int status = TD_OK;
    if (column == COLUMN_ID) {
        sqlite3_result_int64(context, (sqlite3_int64)(chunk_first_id(c->chunk) + c->row));
    } else if (column == COLUMN_TIME) {
        status = chunk_times(c->chunk, &times, &err);
        if (status == TD_OK)
            sqlite3_result_int64(context, chunk_number(times, c->row));
    } else if (field_at(c->table, column)->payload) {
        status = result_payload(context, c, c->table->fields[column - COLUMN_FIELDS], &err);
    } else {
        status = result_field(context, c, c->table->fields[column - COLUMN_FIELDS], &err);
    }
    if (status == TD_OK)
        return SQLITE_OK;
    sqlite3_result_error(context, err.text, -1);
    return SQLITE_ERROR;
}

int store_table_register(sqlite3 *db, struct store *store, struct error *err)
{
    /* Without xCreate: the table is there by its name, and no other can be made. */
    static const sqlite3_module module = {
        .iVersion = 1,
        .xConnect = connect,
        .xBestIndex = best_index,
        .xDisconnect = disconnect,
        .xOpen = open_cursor,
        .xClose = close_cursor,
        .xFilter = filter,
        .xNext = next,
        .xEof = at_end,
        .xColumn = result_column,
        .xRowid = row_id,
    };
    int code = sqlite3_create_module_v2(db, "calls", &module, store, NULL);
    return code == SQLITE_OK ? TD_OK : store_sqlite_error(db, code, "cannot make the table of calls", err);
}
