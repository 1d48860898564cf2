#include "filter/filter.h"

#include "base/mem.h"
#include "filter/check.h"
#include "filter/compiled.h"
#include "filter/fold.h"
#include "filter/parse.h"
#include "filter/print.h"
#include "filter/regex.h"

/* Of one filter's tree: FILTER_MAX_NODES nodes with their texts and literals. */
enum { TREE_MEMORY = 32 << 20 };

struct filter_run {
    const struct filter *filter;
    struct filter_vm *vm;
    struct filter_run_errors errors;
};

/* Compiling a pattern only to know whether it can be. */
static int check_regex(struct td_slice pattern, struct error *err)
{
    struct filter_regex *regex;
    int status = filter_regex_new(pattern, &regex, NULL, err);
    if (status == TD_OK)
        filter_regex_free(regex);
    return status;
}

static int make_tree(struct filter *f, const struct field_registry *registry, struct filter_diagnostics *diagnostics)
{
    struct filter_env env = filter_registry_env(registry);
    env.check_regex = check_regex;
    int status = filter_parse(f->text, &f->arena, diagnostics, &f->root);
    if (status == TD_OK)
        status = filter_check(&env, f->text, &f->arena, &f->root, diagnostics);
    f->written = f->root;
    if (status == TD_OK)
        status = filter_fold(f->written, &f->arena, f->now_ns, &f->root, diagnostics);
    return status;
}

int filter_compile(const struct field_registry *registry, struct td_slice text, int64_t now_ns, struct filter **ret,
                   struct filter_diagnostics *diagnostics, struct error *err)
{
    struct filter *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return error_nomem(err);
    arena_init(&f->arena, TREE_MEMORY);
    f->now_ns = now_ns;
    int status = TD_E_NOMEM;
    const char *copy = arena_strndup(&f->arena, text.n ? (const char *)text.p : "", text.n);
    if (copy) {
        f->text = td_bytes(copy, text.n);
        status = make_tree(f, registry, diagnostics);
    }
    if (status == TD_E_CONFIG)
        filter_diagnostics_error(diagnostics, text, err);
    else if (status != TD_OK)
        error_nomem(err);
    else
        status = filter_program_make(&f->program, f->root, now_ns, err);
    if (status != TD_OK) {
        filter_free(f);
        return status;
    }
    *ret = f;
    return TD_OK;
}

void filter_free(struct filter *f)
{
    if (!f)
        return;
    filter_program_clear(&f->program);
    arena_clear(&f->arena);
    mem_free(f);
}

void filter_put_text(struct buf *out, const struct filter *f)
{
    filter_print(out, f->written);
}

/* ---- Running ---- */

int filter_run_new(const struct filter *f, struct filter_run **ret, struct error *err)
{
    const struct filter_program *program = &f->program;
    struct filter_run *run = mem_calloc(1, sizeof(*run));
    if (!run)
        return error_nomem(err);
    run->filter = f;
    int status = filter_vm_new(&program, 1, &run->vm, err);
    if (status != TD_OK) {
        mem_free(run);
        return status;
    }
    *ret = run;
    return TD_OK;
}

void filter_run_free(struct filter_run *run)
{
    if (!run)
        return;
    filter_vm_free(run->vm);
    mem_free(run);
}

bool filter_match(struct filter_run *run, const struct filter_record *record)
{
    struct filter_value v = filter_vm_run(run->vm, &run->filter->program, record);
    if (v.kind == FILTER_BOOL)
        return v.b;
    if (run->errors.count++ == 0) {
        run->errors.first = v.kind == FILTER_ERROR ? v.error : FILTER_E_NOT_BOOL;
        run->errors.place = v.kind == FILTER_ERROR ? v.nanos : 0;
    }
    return false;
}

const struct filter_run_errors *filter_run_errors(const struct filter_run *run)
{
    return &run->errors;
}
