#include "evaluate.h"

#include <stdio.h>

#include "filter/convert.h"
#include "filter/parse.h"
#include "filter/time.h"

enum { NOW_NS = 1767323045 }; /* seconds after 1970, as nanoseconds: anything will do */

static struct filter_eval *eval;
static struct arena arena;
static struct filter_text shown;

static void show(const struct filter_value *v);

static void show_quoted(const struct filter_value *v)
{
    filter_text_put(&shown, v->kind == FILTER_BYTES ? TD_LIT("b\"") : TD_LIT("\""));
    for (size_t i = 0; i < v->bytes.n; i++) {
        uint8_t c = v->bytes.p[i];
        char escape[5];
        snprintf(escape, sizeof escape, "\\x%02x", c);
        bool plain = c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || v->kind == FILTER_STRING);
        filter_text_put(&shown, plain ? td_bytes(&c, 1) : td_str(escape));
    }
    filter_text_putc(&shown, '"');
}

static void show_double(double d)
{
    size_t start = shown.n;
    filter_put_double(&shown, d, DECIMAL_GENERAL, 0);
    for (size_t i = start; i < shown.n; i++)
        if (strchr(".enNI", shown.p[i]))
            return;
    filter_text_lit(&shown, ".0");
}

static void show_parts(const struct filter_value *v)
{
    uint32_t n = v->kind == FILTER_LIST ? v->list->n : v->map->n;
    filter_text_putc(&shown, v->kind == FILTER_LIST ? '[' : '{');
    for (uint32_t i = 0; i < n; i++) {
        struct filter_value key, value;
        if (i)
            filter_text_lit(&shown, ", ");
        if (v->kind == FILTER_LIST) {
            show(&v->list->v[i]);
            continue;
        }
        filter_map_at(v->map, i, &key, &value);
        show(&key);
        filter_text_lit(&shown, ": ");
        show(&value);
    }
    filter_text_putc(&shown, v->kind == FILTER_LIST ? ']' : '}');
}

static void show(const struct filter_value *v)
{
    switch (v->kind) {
    case FILTER_NULL: filter_text_lit(&shown, "null"); break;
    case FILTER_BOOL: filter_text_put(&shown, v->b ? TD_LIT("true") : TD_LIT("false")); break;
    case FILTER_INT: filter_text_i64(&shown, v->i); break;
    case FILTER_UINT:
        filter_text_u64(&shown, v->u);
        filter_text_putc(&shown, 'u');
        break;
    case FILTER_DOUBLE: show_double(v->d); break;
    case FILTER_STRING:
    case FILTER_BYTES: show_quoted(v); break;
    case FILTER_LIST:
    case FILTER_MAP: show_parts(v); break;
    case FILTER_TYPE: filter_text_put(&shown, filter_type_name(v->type->kind)); break;
    case FILTER_TIMESTAMP: filter_time_put(&shown, v); break;
    case FILTER_DURATION: filter_duration_put(&shown, v->i); break;
    case FILTER_IP:
    case FILTER_CIDR: filter_put_ip(&shown, v); break;
    case FILTER_OPTIONAL:
        filter_text_put(&shown, v->content ? TD_LIT("optional(") : TD_LIT("none"));
        if (v->content) {
            show(v->content);
            filter_text_putc(&shown, ')');
        }
        break;
    default: filter_text_lit(&shown, "error: "); filter_text_put(&shown, td_str(filter_error_text(v->error)));
    }
}

static bool find_nothing(const void *ctx, struct td_slice name, struct filter_symbol *ret)
{
    (void)ctx;
    (void)name;
    (void)ret;
    return false;
}

/* The value, or an error of class UNDECLARED and the diagnostic in `shown`. */
static struct filter_value run(const char *expr, bool checked)
{
    struct filter_diagnostics diagnostics;
    struct filter_node *root = NULL;
    struct error err = {0};
    struct filter_env env = {.find = find_nothing, .plain = true, .dynamic = !checked};
    struct filter_value v = filter_fail(FILTER_E_UNDECLARED);
    arena_clear(&arena);
    arena_init(&arena, 16 << 20);
    shown = (struct filter_text){.arena = &arena};
    filter_diagnostics_init(&diagnostics);
    int status = filter_parse(td_str(expr), &arena, &diagnostics, &root);
    if (status == TD_OK)
        status = filter_check(&env, td_str(expr), &arena, &root, &diagnostics);
    if (status == TD_OK && (eval || filter_eval_new(&eval, &err) == TD_OK)) {
        v = filter_eval(eval, root, &(struct filter_record){0}, NOW_NS);
    } else {
        filter_diagnostics_error(&diagnostics, td_str(expr), &err);
        filter_text_lit(&shown, "refused: ");
        filter_text_put(&shown, td_str(err.text));
    }
    filter_diagnostics_clear(&diagnostics);
    return v;
}

const char *evaluate(const char *expr, bool checked)
{
    struct filter_value v = run(expr, checked);
    if (!shown.n)
        show(&v);
    filter_text_putc(&shown, '\0');
    return shown.failed ? "(too long)" : (const char *)shown.p;
}

enum filter_error evaluate_error(const char *expr)
{
    struct filter_value v = run(expr, false);
    return v.kind == FILTER_ERROR ? v.error : 0;
}

void evaluate_all(const struct expectation *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        is_str(evaluate(e[i].expr, false), e[i].want, "%s", e[i].expr);
        const char *got = evaluate(e[i].expr, true);
        /* What types forbid may be an error sooner. */
        bool sooner = strncmp(e[i].want, "error: ", 7) == 0 && strncmp(got, "refused: ", 9) == 0;
        is_str(sooner ? e[i].want : got, e[i].want, "%s, with types", e[i].expr);
    }
}

void evaluate_untyped(const struct expectation *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        is_str(evaluate(e[i].expr, false), e[i].want, "%s", e[i].expr);
        like(evaluate(e[i].expr, true), "refused: ", "%s, with types", e[i].expr);
    }
}

void evaluate_end(void)
{
    filter_eval_free(eval);
    arena_clear(&arena);
    eval = NULL;
}
