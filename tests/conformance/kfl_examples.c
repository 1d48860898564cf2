/* Compiles documented filters: kfl_examples DIR, where DIR has
 *  - variables.json: [{"name": "src.ip", "type": "string"}, ...], the documented fields;
 *  - kfl_examples.jsonl: one {"expr": text, "valid": bool} a line.
 * Those that are valid must compile; the others, which are old spellings, must compile too, or have a fix that does. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/filter.h"
#include "tap.h"

static struct field_registry *read_fields(const char *path)
{
    json_error_t why;
    json_t *variables = json_load_file(path, 0, &why), *fields = json_array(), *one;
    struct field_registry *registry = NULL;
    struct error err = {0};
    size_t i;
    json_array_foreach(variables, i, one)
        json_array_append_new(fields, json_pack("{s:s, s:s, s:s, s:s}", "name", json_string_value(json_object_get(one, "name")), "type",
                                                json_string_value(json_object_get(one, "type")), "owner", "core", "doc", "documented"));
    json_t *table = json_pack("{s:i, s:o, s:[]}", "format", 1, "fields", fields, "components");
    char *text = json_dumps(table, JSON_COMPACT);
    ok(variables && field_registry_parse_json(td_str(text), &registry, &err) == TD_OK, "fields of %s: %s%s", path, why.text, err.text);
    free(text);
    json_decref(table);
    json_decref(variables);
    return registry;
}

static bool compiles(const struct field_registry *fields, struct td_slice text, struct filter_diagnostics *diagnostics)
{
    struct filter *filter;
    struct error err;
    if (filter_compile(fields, text, 0, &filter, diagnostics, &err) != TD_OK)
        return false;
    filter_free(filter);
    return true;
}

/* Does a fix of the first fault make it right? */
static bool fix_compiles(const struct field_registry *fields, struct td_slice text, const struct filter_diagnostics *diagnostics)
{
    bool right = false;
    for (uint32_t i = 0; i < diagnostics->n; i++)
        for (uint32_t f = 0; f < diagnostics->v[i].fix_n && !right; f++) {
            struct filter_diagnostics again;
            struct buf fixed;
            filter_diagnostics_init(&again);
            buf_init(&fixed, 0);
            filter_put_fixed(&fixed, text, &diagnostics->v[i].fixes[f]);
            right = compiles(fields, buf_slice(&fixed), &again);
            buf_clear(&fixed);
            filter_diagnostics_clear(&again);
        }
    return right;
}

static void run(const struct field_registry *fields, FILE *file, unsigned counts[2])
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        json_t *example = json_loads(line, 0, NULL);
        const char *expr = json_string_value(json_object_get(example, "expr"));
        bool valid = json_is_true(json_object_get(example, "valid"));
        struct filter_diagnostics diagnostics;
        filter_diagnostics_init(&diagnostics);
        bool right = expr && compiles(fields, td_str(expr), &diagnostics);
        if (expr && !right && !valid)
            right = fix_compiles(fields, td_str(expr), &diagnostics);
        counts[valid] += right;
        ok(right, "%s%s%s", expr ? expr : "a damaged line", right ? "" : ": ", right || !diagnostics.n ? "" : diagnostics.v[0].message);
        filter_diagnostics_clear(&diagnostics);
        json_decref(example);
    }
    free(line);
}

int main(int argc, char **argv)
{
    char path[1024];
    unsigned counts[2] = {0};
    if (argc < 2) {
        tap_skip("give the folder with variables.json and kfl_examples.jsonl");
        return tap_done();
    }
    snprintf(path, sizeof(path), "%s/variables.json", argv[1]);
    struct field_registry *fields = read_fields(path);
    snprintf(path, sizeof(path), "%s/kfl_examples.jsonl", argv[1]);
    FILE *file = fopen(path, "r");
    ok(file != NULL, "%s", path);
    if (file && fields)
        run(fields, file, counts);
    if (file)
        fclose(file);
    field_registry_free(fields);
    tap_diag("%u valid filters compile, %u old spellings compile or have a fix that does", counts[1], counts[0]);
    return tap_done();
}
