/* Filters over a call store: random filters over generated calls give the same matches in four ways - the plain evaluator on the
 * call, the bytecode on the call, the scan of the chunks, and the scan of chunks with the statistics' help taken away. */
#include "filter/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "call/store.h"
#include "call_maker.h"
#include "filter/compiled.h"
#include "filter/eval.h"
#include "filter/record.h"
#include "tap.h"

enum { CALLS = 3000, FILTERS = 1500, MAX_DEPTH = 4 };

static struct call_maker maker;
static char path[] = "/tmp/tapedeck-test-XXXXXX";
static uint64_t random_state = 88172645463325252ull;

static uint32_t pick(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

/* ---- Random filters ---- */

/* Texts and numbers that calls really have, so that comparisons hold now and then. */
struct sample {
    uint32_t field;
    char text[80];
    int64_t number;
};
static struct sample samples[400];
static uint32_t sample_n;

static void take_samples(void)
{
    struct registry_value v;
    for (int i = 0; i < 60; i++) {
        const struct td_call *call = call_maker_next(&maker);
        for (int k = 0; k < 12 && sample_n < 400; k++) {
            uint32_t field = pick(field_registry_count(maker.registry)), at = 0;
            uint8_t type = field_registry_at(maker.registry, field)->type;
            bool has = type == REGISTRY_LIST || type == REGISTRY_MAP ? field_registry_next(maker.registry, field, call, &at, &v)
                                                                     : field_registry_get(maker.registry, field, call, &v);
            if (!has)
                continue;
            struct sample *s = &samples[sample_n++];
            s->field = field;
            s->number = v.number;
            size_t n = 0;
            for (size_t j = 0; j < v.bytes.n && n < sizeof(s->text) - 1; j++)
                if (v.bytes.p[j] >= ' ' && v.bytes.p[j] < 127 && v.bytes.p[j] != '"' && v.bytes.p[j] != '\\')
                    s->text[n++] = (char)v.bytes.p[j];
        }
    }
}

static void put_text_literal(struct buf *out, const struct sample *s)
{
    size_t n = strlen(s->text), from = n ? pick((uint32_t)n) : 0, to = from + (n ? pick((uint32_t)(n - from) + 1) : 0);
    if (pick(2)) {
        from = 0;
        to = n;
    }
    buf_printf(out, "\"%.*s\"", (int)(to - from), s->text + from);
}

static void put_number_term(struct buf *out, const char *name, const struct sample *s)
{
    static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
    long long number = (long long)s->number + (int)pick(3) - 1;
    switch (pick(8)) {
    case 0: buf_printf(out, "%s in [%lld, %u]", name, number, pick(1000)); break;
    case 1: buf_printf(out, "%lld %s %s", number, ops[pick(6)], name); break;
    case 2: buf_printf(out, "%s %% 3 == 0", name); break;
    case 3: buf_printf(out, "%s * 4000000000000000000 > 0", name); break; /* overflows */
    case 4: buf_printf(out, "100 / (%s - %lld) > 1", name, number); break;
    default: buf_printf(out, "%s %s %lld", name, ops[pick(6)], number); break;
    }
}

static void put_string_term(struct buf *out, const char *name, const struct sample *s)
{
    static const char *const ops[] = {"==", "!=", "<", ">="}, *const methods[] = {"contains", "startsWith", "endsWith"};
    switch (pick(9)) {
    case 0:
        buf_printf(out, "%s.%s(", name, methods[pick(3)]);
        put_text_literal(out, s);
        buf_putc(out, ')');
        break;
    case 1:
        buf_printf(out, "%s in [\"x\", ", name);
        put_text_literal(out, s);
        buf_putc(out, ']');
        break;
    case 2: buf_printf(out, "size(%s) %s %u", name, pick(2) ? ">" : "<=", pick(30)); break;
    case 3: buf_printf(out, "%s.matches(\"[a-f]+[0-9]?\")", name); break;
    case 4: buf_printf(out, "int(%s) > 5", name); break; /* an error mostly */
    case 5:
        put_text_literal(out, s);
        buf_printf(out, " == %s", name);
        break;
    default:
        buf_printf(out, "%s %s ", name, ops[pick(4)]);
        put_text_literal(out, s);
        break;
    }
}

static void put_list_term(struct buf *out, const char *name, const struct sample *s)
{
    switch (pick(6)) {
    case 0:
        put_text_literal(out, s);
        buf_printf(out, " in %s", name);
        break;
    case 1:
        buf_printf(out, "%s.exists(x, x.contains(", name);
        put_text_literal(out, s);
        buf_puts(out, "))");
        break;
    case 2: buf_printf(out, "%s.all(x, size(x) > %u)", name, pick(10)); break;
    case 3:
        buf_printf(out, "%s[0] == ", name);
        put_text_literal(out, s);
        break;
    case 4: buf_printf(out, "%s.exists(x, int(x) == 1)", name); break;
    default: buf_printf(out, "size(%s) == %u", name, pick(4)); break;
    }
}

static void put_map_term(struct buf *out, const char *name, const struct sample *s)
{
    static const char *const keys[] = {"host", "content-type", "user-agent", "x"};
    const char *key = keys[pick(4)];
    switch (pick(4)) {
    case 0: buf_printf(out, "\"%s\" in %s", key, name); break;
    case 1:
        buf_printf(out, "%s[\"%s\"] == ", name, key);
        put_text_literal(out, s);
        break;
    case 2:
        buf_printf(out, "map_get(%s, \"%s\", \"\").startsWith(", name, key);
        put_text_literal(out, s);
        buf_putc(out, ')');
        break;
    default: buf_printf(out, "%s.exists(k, k == \"%s\")", name, key); break;
    }
}

static void put_term(struct buf *out)
{
    const struct sample *s = &samples[pick(sample_n)];
    uint32_t field = pick(5) ? s->field : pick(field_registry_count(maker.registry));
    const struct registry_field *f = field_registry_at(maker.registry, field);
    if (f->payload) {
        buf_puts(out, "http");
        return;
    }
    if (pick(12) == 0) {
        buf_printf(out, "has(%s)", f->name);
        return;
    }
    switch (f->type) {
    case REGISTRY_BOOL: buf_printf(out, pick(3) ? "%s" : "%s == false", f->name); break;
    case REGISTRY_INT: put_number_term(out, f->name, s); break;
    case REGISTRY_STRING: put_string_term(out, f->name, s); break;
    case REGISTRY_TIMESTAMP:
        buf_printf(out, "%s %s timestamp(%lld)", f->name, pick(2) ? "<" : ">=", (long long)(maker.time_ns / 1000000000));
        break;
    case REGISTRY_DURATION: buf_printf(out, "%s > duration(\"%uus\")", f->name, pick(3000)); break;
    case REGISTRY_LIST: put_list_term(out, f->name, s); break;
    case REGISTRY_MAP: put_map_term(out, f->name, s); break;
    default: buf_puts(out, "true"); break;
    }
}

static void put_filter(struct buf *out, int depth)
{
    uint32_t shape = depth == 0 ? 0 : pick(8);
    if (shape < 2) {
        put_term(out);
    } else if (shape == 2) {
        buf_puts(out, "!(");
        put_filter(out, depth - 1);
        buf_putc(out, ')');
    } else if (shape == 3) {
        buf_putc(out, '(');
        put_filter(out, depth - 1);
        buf_puts(out, " ? ");
        put_filter(out, depth - 1);
        buf_puts(out, " : ");
        put_filter(out, depth - 1);
        buf_putc(out, ')');
    } else {
        uint32_t n = 2 + pick(3);
        buf_putc(out, '(');
        for (uint32_t i = 0; i < n; i++) {
            if (i)
                buf_puts(out, shape & 1 ? " && " : " || ");
            put_filter(out, depth - 1);
        }
        buf_putc(out, ')');
    }
}

/* ---- The ways ---- */

/* What each call is by the plain evaluator and by the bytecode, in the order of the maker: 'y', 'n' or 'e'. */
static char letter(const struct filter_value *v)
{
    return v->kind == FILTER_BOOL ? (v->b ? 'y' : 'n') : 'e';
}

static struct store *open_store(void)
{
    struct store *s;
    struct error err;
    if (store_open(path, &s, &err) != TD_OK) {
        tap_diag("%s", err.text);
        exit(1);
    }
    return s;
}

static void fill_store(void)
{
    struct store_writer *w;
    struct error err;
    struct store_create_options o = {.registry = maker.registry,
                                     .components = maker.components,
                                     .component_n = 2,
                                     .appenders = 1,
                                     .about = TD_LIT("{}"),
                                     .payloads = true,
                                     .replace = true};
    int status = store_create(path, &o, &w, &err);
    for (int i = 0; status == TD_OK && i < CALLS; i++) {
        status = store_append(w, 0, call_maker_next(&maker), &err);
        if (i % 700 == 699 && status == TD_OK)
            status = store_flush(w, 0, &err); /* several chunks, and the statistics of each its own */
    }
    if (status == TD_OK)
        status = store_finish(w, TD_LIT("{}"), &err);
    is_int(status, TD_OK, "a store of generated calls");
    store_writer_free(w);
}

/* Matches of a scan, as ids in the order of time. */
static void scan_ids(struct store *s, const struct filter *f, bool statistics, struct buf *ret)
{
    struct filter_scan *filter_scan;
    struct store_scan *scan;
    struct store_position p;
    struct error err;
    buf_reset(ret);
    if (filter_scan_new(f, store_registry(s), &filter_scan, &err) != TD_OK)
        return;
    if (!statistics)
        filter_scan_ignore_statistics(filter_scan);
    struct store_scan_options o = {.oldest_first = true, .select = filter_scan_chunk, .ctx = filter_scan};
    if (store_scan_new(s, &o, &scan, &err) == TD_OK) {
        while (store_scan_next(scan, &p, &err) == TD_OK && p.id)
            buf_put(ret, &p.id, sizeof(p.id));
        store_scan_free(scan);
    }
    filter_scan_free(filter_scan);
}

/* The same by looking at each call by itself. Calls come from the store, so that ids are known. */
struct whole {
    uint64_t ids[CALLS];
    struct store_call calls[CALLS];
    uint32_t n;
};

static void read_all(struct store *s, struct whole *all)
{
    struct store_scan *scan;
    struct store_position p;
    struct error err;
    struct store_scan_options o = {.oldest_first = true};
    if (store_scan_new(s, &o, &scan, &err) != TD_OK)
        return;
    while (all->n < CALLS && store_scan_next(scan, &p, &err) == TD_OK && p.id) {
        all->ids[all->n] = p.id;
        if (store_read_call(s, p.id, false, &all->calls[all->n], &err) != TD_OK)
            tap_diag("%s", err.text);
        all->n++;
    }
    store_scan_free(scan);
}

static uint64_t decided, errors, matched;

static void check_filter(struct store *s, const struct whole *all, const char *text)
{
    struct filter_diagnostics diagnostics;
    struct filter *f, *direct;
    struct filter_run *run;
    struct filter_eval *eval;
    struct filter_vm *vm;
    struct error err;
    struct buf want = {0}, got = {0};
    filter_diagnostics_init(&diagnostics);
    if (filter_compile(store_registry(s), td_str(text), 0, &f, &diagnostics, &err) != TD_OK ||
        filter_compile(maker.registry, td_str(text), 0, &direct, &diagnostics, &err) != TD_OK) {
        ok(false, "it compiles: %s: %s", text, err.text);
        filter_diagnostics_clear(&diagnostics);
        return;
    }
    filter_diagnostics_clear(&diagnostics);
    const struct filter_program *program = &direct->program;
    if (filter_run_new(direct, &run, &err) != TD_OK || filter_eval_new(&eval, &err) != TD_OK ||
        filter_vm_new(&program, 1, &vm, &err) != TD_OK)
        exit(1);
    uint32_t differ = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        /* The calls were read back, so that their fields are the store's; the maker's registry has the same numbers. */
        const struct filter_call record = {maker.registry, &all->calls[i].call};
        struct filter_record view = filter_call_record(&record);
        struct filter_value plain = filter_eval(eval, direct->root, &view, 0);
        char a = letter(&plain);
        struct filter_value fast = filter_vm_run(vm, program, &view);
        char b = letter(&fast);
        if (a != b && differ++ == 0)
            tap_diag("%s: call %u: evaluator %c, bytecode %c", text, i, a, b);
        if (a == 'y')
            buf_put(&want, &all->ids[i], sizeof(all->ids[i]));
        decided++;
        errors += a == 'e';
        matched += a == 'y';
    }
    bool same = differ == 0;
    for (int statistics = 1; same && statistics >= 0; statistics--) {
        scan_ids(s, f, statistics, &got);
        same = want.n == got.n && (want.n == 0 || memcmp(want.p, got.p, want.n) == 0);
    }
    if (!same)
        ok(false, "one by one %zu match, by columns %zu: %s", want.n / 8, got.n / 8, text);
    buf_clear(&want);
    buf_clear(&got);
    filter_run_free(run);
    filter_eval_free(eval);
    filter_vm_free(vm);
    filter_free(f);
    filter_free(direct);
}

int main(void)
{
    static struct whole all;
    struct buf text = {0};
    int fd = mkstemp(path);
    close(fd);
    call_maker_init(&maker, 7);
    maker.headers = true;
    take_samples();
    fill_store();
    struct store *s = open_store();
    read_all(s, &all);
    is_int(all.n, CALLS, "all calls are read back");
    for (int i = 0; i < FILTERS; i++) {
        buf_reset(&text);
        put_filter(&text, (int)pick(MAX_DEPTH));
        check_filter(s, &all, buf_cstr(&text));
    }
    tap_diag("%d filters, %llu evaluations: %llu true, %llu errors", FILTERS, (unsigned long long)decided, (unsigned long long)matched,
             (unsigned long long)errors);
    ok(matched > decided / 100 && matched < decided, "some match and some do not");
    ok(errors > decided / 1000, "some are errors");
    for (uint32_t i = 0; i < all.n; i++)
        store_call_clear(&all.calls[i]);
    store_free(s);
    call_maker_clear(&maker);
    buf_clear(&text);
    unlink(path);
    return tap_done();
}
