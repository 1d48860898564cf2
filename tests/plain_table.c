#include "plain_table.h"

#include <stdio.h>
#include <stdlib.h>

#include "call_maker.h"

static void check(struct plain_table *t, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        fprintf(stderr, "plain table: %s\n", sqlite3_errmsg(t->db));
        exit(1);
    }
}

/* The fields that some of the first calls have. */
static void choose_fields(struct plain_table *t, bool headers)
{
    struct call_maker m;
    uint32_t n;
    bool used[1000] = {false};
    call_maker_init(&m, 1);
    m.headers = headers;
    n = field_registry_count(m.registry);
    for (int i = 0; i < 10000; i++) {
        const struct td_call *c = call_maker_next(&m);
        for (uint32_t f = 0; f < n; f++)
            used[f] |= field_registry_has(m.registry, f, c);
    }
    t->field_n = 0;
    for (uint32_t f = 0; f < n; f++)
        if (used[f])
            t->fields[t->field_n++] = f;
    call_maker_clear(&m);
}

void plain_table_create(struct plain_table *t, const char *path, const struct field_registry *registry, bool headers)
{
    struct buf sql = {0};
    *t = (struct plain_table){.registry = registry};
    choose_fields(t, headers);
    check(t, sqlite3_open_v2(path, &t->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    buf_puts(&sql, "CREATE TABLE calls(id INTEGER PRIMARY KEY, request_first, request_last, response_first, response_last, frames");
    for (uint32_t i = 0; i < t->field_n; i++)
        buf_printf(&sql, ", \"%s\"", field_registry_at(registry, t->fields[i])->name);
    buf_puts(&sql, "); BEGIN");
    check(t, sqlite3_exec(t->db, buf_cstr(&sql), NULL, NULL, NULL));
    buf_reset(&sql);
    buf_puts(&sql, "INSERT INTO calls VALUES(NULL,?,?,?,?,?");
    for (uint32_t i = 0; i < t->field_n; i++)
        buf_puts(&sql, ",?");
    buf_puts(&sql, ")");
    check(t, sqlite3_prepare_v2(t->db, buf_cstr(&sql), -1, &t->insert, NULL));
    buf_clear(&sql);
}

static void bind_text(struct plain_table *t, int column, struct td_slice text)
{
    check(t, sqlite3_bind_text(t->insert, column, (const char *)text.p, (int)text.n, SQLITE_STATIC));
}

static void bind_field(struct plain_table *t, uint32_t i, int column, const struct td_call *c)
{
    const struct field_registry *registry = t->registry;
    struct registry_value *v = &t->values[i];
    const struct registry_field *f = field_registry_at(registry, t->fields[i]);
    if (f->type == REGISTRY_LIST || f->type == REGISTRY_MAP) {
        buf_reset(&t->text[i]);
        for (uint32_t at = 0; field_registry_next(registry, t->fields[i], c, &at, v);) {
            buf_put_slice(&t->text[i], v->name);
            buf_put_slice(&t->text[i], v->bytes);
            buf_putc(&t->text[i], '\n');
        }
        if (t->text[i].n)
            bind_text(t, column, buf_slice(&t->text[i]));
        else
            sqlite3_bind_null(t->insert, column);
    } else if (!field_registry_get(registry, t->fields[i], c, v)) {
        sqlite3_bind_null(t->insert, column);
    } else if (f->type == REGISTRY_STRING || f->type == REGISTRY_BYTES) {
        bind_text(t, column, v->bytes);
    } else {
        sqlite3_bind_int64(t->insert, column, v->number);
    }
}

void plain_table_add(struct plain_table *t, const struct td_call *c)
{
    int column = 1;
    buf_reset(&t->frames);
    for (int dir = 0; dir < 2; dir++) {
        uint64_t frame = 0;
        sqlite3_bind_int64(t->insert, column++, c->half[dir].first_ns);
        sqlite3_bind_int64(t->insert, column++, c->half[dir].last_ns);
        for (size_t at = 0; call_next_frame(&c->half[dir].frames, &at, &frame);) {
            buf_u64(&t->frames, frame);
            buf_putc(&t->frames, dir ? ';' : ',');
        }
    }
    bind_text(t, column++, buf_slice(&t->frames));
    for (uint32_t i = 0; i < t->field_n; i++)
        bind_field(t, i, column++, c);
    check(t, sqlite3_step(t->insert));
    check(t, sqlite3_reset(t->insert));
}

void plain_table_close(struct plain_table *t)
{
    check(t, sqlite3_exec(t->db, "COMMIT", NULL, NULL, NULL));
    sqlite3_finalize(t->insert);
    sqlite3_close(t->db);
    for (uint32_t i = 0; i < t->field_n; i++)
        buf_clear(&t->text[i]);
    buf_clear(&t->frames);
}
