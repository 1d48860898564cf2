#include "answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/units.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/yaml_out.h"

static void put_scalar(struct buf *out, const json_t *value)
{
    if (json_is_string(value))
        utf8_put_printable(out, td_bytes(json_string_value(value), json_string_length(value)), UTF8_CELL);
    else if (json_is_integer(value))
        buf_i64(out, json_integer_value(value));
    else if (json_is_real(value))
        buf_printf(out, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        buf_puts(out, json_is_true(value) ? "true" : "false");
}

void answer_put_value(struct buf *out, const json_t *value)
{
    size_t i;
    json_t *one;
    if (!json_is_array(value)) {
        put_scalar(out, value);
        return;
    }
    json_array_foreach((json_t *)value, i, one)
    {
        const json_t *name = json_object_get(one, "name");
        bool pair = name && json_object_get(one, "value"); /* a map: header fields */
        if (i)
            buf_puts(out, pair ? "; " : ",");
        put_scalar(out, name ? name : one);
        if (pair) {
            buf_lit(out, ": ");
            put_scalar(out, json_object_get(one, "value"));
        }
    }
}

static void put_nodes(struct buf *out, const json_t *nodes)
{
    size_t i, whole = 0, n = json_array_size(nodes);
    json_t *node;
    json_array_foreach((json_t *)nodes, i, node)
    {
        const char *state = client_text(node, "state");
        whole += !*state || strcasecmp(state, "complete") == 0;
    }
    if (whole == n)
        buf_u64(out, n);
    else
        buf_printf(out, "%zu of %zu", whole, n);
}

static void put_for_people(struct buf *out, const json_t *value, enum answer_kind kind)
{
    char text[UNITS_TEXT];
    size_t begin = out->n;
    if (kind == ANSWER_SIZE && json_is_integer(value) && json_integer_value(value) >= 0) {
        buf_puts(out, units_format_size((uint64_t)json_integer_value(value), text));
        return;
    }
    answer_put_value(out, value);
    if (kind == ANSWER_PERCENT && out->n > begin)
        buf_putc(out, '%');
    if (kind == ANSWER_TIME && !out->failed && out->n - begin > 20 && out->p[begin + 19] == '.') {
        out->n = begin + 19; /* without the fraction */
        buf_putc(out, 'Z');
    }
}

static void put_cell(struct buf *out, const json_t *object, const struct answer_column *column, bool people)
{
    const json_t *value = client_member(object, column->member);
    if (column->kind == ANSWER_NODES && json_is_array(value)) {
        put_nodes(out, value);
        return;
    }
    if (people)
        put_for_people(out, value, column->kind);
    else
        answer_put_value(out, value);
    if (column->kind == ANSWER_STATUS && json_is_false(json_object_get(object, "complete")))
        buf_lit(out, ", partial");
}

/* ---- Lists and objects ---- */

static void put_table(struct buf *out, const json_t *list, const struct answer_column *columns, size_t n, size_t indent)
{
    struct table table;
    struct buf cell;
    size_t i;
    json_t *one;
    buf_init(&cell, 0);
    table_init(&table, n);
    for (size_t c = 0; c < n; c++)
        table_cell(&table, columns[c].title);
    json_array_foreach((json_t *)list, i, one)
    {
        for (size_t c = 0; c < n; c++) {
            buf_reset(&cell);
            put_cell(&cell, one, &columns[c], true);
            table_cell(&table, buf_cstr(&cell));
        }
    }
    table_put(&table, indent, out);
    table_clear(&table);
    buf_clear(&cell);
}

static void put_tabs(struct buf *out, const json_t *list, const struct answer_column *columns, size_t n)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)list, i, one)
    {
        for (size_t c = 0; c < n; c++) {
            if (c)
                buf_putc(out, '\t');
            put_cell(out, one, &columns[c], false);
        }
        buf_putc(out, '\n');
    }
}

/* JSON or YAML, if that was asked for. */
static bool put_document(struct buf *out, const struct verb_args *args, const json_t *document)
{
    if (!args->output || strcmp(args->output, "table") == 0)
        return false;
    if (!args->json) {
        yaml_put_json(out, document);
        return true;
    }
    char *text = json_dumps(document, JSON_INDENT(2));
    if (text)
        buf_printf(out, "%s\n", text);
    else
        out->failed = true;
    free(text);
    return true;
}

static int finish(struct buf *out)
{
    int code = cli_write(out);
    buf_clear(out);
    return code;
}

int answer_print_list(const struct verb_args *args, const json_t *answer, const char *member, const struct answer_column *columns, size_t n)
{
    const json_t *list = json_object_get(answer, member);
    struct buf out;
    buf_init(&out, 0);
    if (!put_document(&out, args, answer)) {
        if (!isatty(STDOUT_FILENO))
            put_tabs(&out, list, columns, n);
        else if (json_array_size(list))
            put_table(&out, list, columns, n, 0);
        else
            fprintf(stderr, "there are no %s\n", member);
    }
    return finish(&out);
}

int answer_print_object(const struct verb_args *args, const json_t *object, const struct answer_column *lines, size_t line_n,
                        const char *member, const struct answer_column *columns, size_t n)
{
    bool people = isatty(STDOUT_FILENO);
    const json_t *list = member ? json_object_get(object, member) : NULL;
    struct buf out;
    buf_init(&out, 0);
    if (put_document(&out, args, object))
        return finish(&out);
    for (size_t i = 0; i < line_n; i++) {
        const json_t *value = client_member(object, lines[i].member);
        if (!value || json_is_null(value) || (json_is_string(value) && !json_string_length(value)))
            continue;
        buf_printf(&out, people ? "%-14s" : "%s\t", lines[i].title);
        put_cell(&out, object, &lines[i], people);
        buf_putc(&out, '\n');
    }
    if (json_array_size(list)) {
        buf_putc(&out, '\n');
        if (people)
            put_table(&out, list, columns, n, 0);
        else
            put_tabs(&out, list, columns, n);
    }
    return finish(&out);
}
