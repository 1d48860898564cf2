/* A filter's text: parsed, checked against a few fields, printed, parsed again, folded, completed, compiled. What a right text is
 * printed as must be right, too, and print as itself; fixes must stay within the text.
 *
 * The first byte: bit 0: CEL alone, without aliases and advice. The second: where completion is asked for. The rest is the text. */
#include <stdlib.h>

#include "filter/check.h"
#include "filter/complete.h"
#include "filter/explain.h"
#include "filter/filter.h"
#include "filter/fold.h"
#include "filter/parse.h"
#include "filter/print.h"
#include "filter_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 64 << 20 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static const struct field_registry *usual_fields(void)
{
    static struct filter_rig rig; /* once for all inputs */
    if (!rig.fields)
        filter_rig_init(&rig, NULL);
    return rig.fields;
}

static void look_at_diagnostics(const struct filter_diagnostics *d, struct td_slice text)
{
    struct buf out;
    buf_init(&out, 0);
    for (uint32_t i = 0; i < d->n; i++) {
        require(d->v[i].span.from <= d->v[i].span.to && d->v[i].span.to <= text.n);
        for (uint32_t f = 0; f < d->v[i].fix_n; f++) {
            require(d->v[i].fixes[f].span.from <= d->v[i].fixes[f].span.to && d->v[i].fixes[f].span.to <= text.n);
            filter_put_fixed(&out, text, &d->v[i].fixes[f]);
        }
    }
    filter_diagnostics_put_text(&out, d, text);
    filter_diagnostics_put_json(&out, d, text);
    buf_clear(&out);
}

/* The text of a tree is right, and is its own text. */
static void print_and_parse(const struct filter_node *root, struct arena *arena)
{
    struct filter_diagnostics d;
    struct filter_node *again = NULL;
    struct buf text, second;
    filter_diagnostics_init(&d);
    buf_init(&text, 0);
    buf_init(&second, 0);
    filter_print(&text, root);
    if (text.n <= FILTER_MAX_TEXT) {
        int status = filter_parse(buf_slice(&text), arena, &d, &again);
        require(status == TD_OK || status == TD_E_NOMEM || strcmp(d.v[0].code, "too_large") == 0);
        if (status == TD_OK) {
            require(filter_rig_same(root, again));
            filter_print(&second, again);
            require(td_eq(buf_slice(&text), buf_slice(&second)));
        }
    }
    buf_clear(&text);
    buf_clear(&second);
    filter_diagnostics_clear(&d);
}

static void check_and_fold(struct td_slice text, struct filter_node *root, bool plain, struct arena *arena, struct filter_diagnostics *d)
{
    struct filter_env env = filter_registry_env(usual_fields());
    struct filter_node *folded;
    struct buf out;
    env.plain = plain;
    if (filter_check(&env, text, arena, &root, d) != TD_OK)
        return;
    buf_init(&out, 0);
    filter_print(&out, root);
    if (filter_fold(root, arena, 0, &folded, d) == TD_OK)
        filter_print(&out, folded);
    buf_clear(&out);
}

static void compile(struct td_slice text)
{
    struct filter_diagnostics d;
    struct filter *filter;
    struct error err;
    struct buf out;
    filter_diagnostics_init(&d);
    if (filter_compile(usual_fields(), text, 0, &filter, &d, &err) == TD_OK) {
        buf_init(&out, 0);
        filter_explain_put_text(&out, filter);
        filter_explain_put_json(&out, filter);
        buf_clear(&out);
        filter_free(filter);
    }
    filter_diagnostics_clear(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct filter_completion completion;
    struct filter_env env = filter_registry_env(usual_fields());
    struct filter_diagnostics d;
    struct filter_node *root = NULL;
    struct arena arena;
    if (size < 2)
        return 0;
    struct td_slice text = td_bytes(data + 2, size - 2);
    arena_init(&arena, MEMORY);
    filter_diagnostics_init(&d);
    if (filter_parse(text, &arena, &d, &root) == TD_OK) {
        print_and_parse(root, &arena);
        check_and_fold(text, root, data[0] & 1, &arena, &d);
    }
    look_at_diagnostics(&d, text);
    filter_diagnostics_clear(&d);
    arena_clear(&arena);
    if (filter_complete(&env, text, data[1], &arena, &completion) == TD_OK)
        require(completion.span.from <= completion.span.to && completion.span.to <= text.n);
    arena_clear(&arena);
    compile(text);
    return 0;
}
