#include "filter/scan.h"

#include "base/mem.h"
#include "filter/bits.h"
#include "filter/plan.h"
#include "filter/print.h"
#include "filter/record.h"
#include "filter/time.h"

/* What is known of a term for a chunk without looking at rows. */
enum outlook { OUTLOOK_OPEN, OUTLOOK_NONE, OUTLOOK_ALL };

/* The rows for which a plan is true, and those for which it is an error; the rest is false. */
struct outcome {
    struct filter_bits yes, error;
};

struct filter_scan {
    const struct field_registry *registry;
    struct arena arena; /* of the plan */
    struct arena texts; /* elements of the chunk's dictionaries that had to be made */
    struct plan *plan;
    struct filter_vm *vm;
    struct outcome *outcomes; /* two for each level: a chain's own, and its child's */
    uint8_t *verdicts;
    uint32_t verdict_cap;
    int32_t id_field;

    /* Of the chunk that is being looked at. */
    struct chunk *chunk;
    uint32_t rows;
    const struct chunk_column **columns; /* by field; NULL: not asked for yet */
    unsigned *parts;                     /* those that were */
    uint32_t row;                        /* of the record */
    struct td_slice text;                /* of the dictionary, while terms over texts run */
    bool pruned;
    bool ignore_statistics;
    int status;
    struct error *err;

    struct filter_scan_stats stats;
};

/* ---- Columns ---- */

static const struct chunk_column *column(struct filter_scan *s, uint32_t field, unsigned parts)
{
    if ((s->parts[field] & parts) != parts) {
        s->status = chunk_column(s->chunk, field, parts, &s->columns[field], s->err);
        if (s->status != TD_OK)
            return NULL;
        s->parts[field] |= parts;
        s->pruned = false;
    }
    return s->columns[field];
}

static bool has_bit(const uint64_t *bits, uint32_t row)
{
    return bits[row / 64] >> (row % 64) & 1;
}

/* ---- A row as a record ---- */

static bool row_has(const void *ctx, uint32_t field)
{
    struct filter_scan *s = (struct filter_scan *)(uintptr_t)ctx;
    struct chunk_stats stats;
    if ((int32_t)field == s->id_field)
        return true;
    chunk_stats(s->chunk, field, &stats);
    if (stats.present == 0 || stats.present == s->rows)
        return stats.present != 0;
    const struct chunk_column *col = column(s, field, CHUNK_PRESENT);
    return col && col->present && has_bit(col->present, s->row);
}

static struct filter_value row_list(struct filter_scan *s, uint32_t field, struct arena *arena)
{
    const struct chunk_column *col = column(s, field, CHUNK_VALUES | CHUNK_DICTIONARY);
    if (!col)
        return filter_fail(FILTER_E_LIMIT);
    uint32_t from = col->offsets[s->row], n = col->offsets[s->row + 1] - from;
    struct filter_list *list = filter_list_new(arena, n);
    if (!list)
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
        list->v[i] = filter_record_text(arena, chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, from + i)));
        if (list->v[i].kind == FILTER_ERROR)
            return list->v[i];
    }
    return (struct filter_value){.kind = FILTER_LIST, .list = list};
}

static struct filter_value row_map(struct filter_scan *s, const struct registry_field *f, uint32_t field, struct arena *arena)
{
    const struct chunk_column *col = column(s, field, CHUNK_VALUES | CHUNK_DICTIONARY | CHUNK_NAMES);
    if (!col)
        return filter_fail(FILTER_E_LIMIT);
    uint32_t from = col->offsets[s->row], n = col->offsets[s->row + 1] - from;
    struct td_slice *names = arena_alloc(arena, 2 * ((size_t)n + 1) * sizeof(*names), 8);
    if (!names)
        return filter_fail(FILTER_E_LIMIT);
    for (uint32_t i = 0; i < n; i++) {
        names[i] = chunk_text(&col->names, (uint32_t)chunk_lane(&col->name_ids, from + i));
        names[n + i] = chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, from + i));
    }
    return filter_record_map(arena, names, names + n, n, filter_folds_case(f));
}

static struct filter_value row_number(struct filter_scan *s, uint8_t type, uint32_t field)
{
    const struct chunk_column *col = column(s, field, CHUNK_VALUES);
    int64_t number = col ? chunk_number(&col->numbers, s->row) : 0;
    switch (type) {
    case REGISTRY_BOOL: return filter_bool(number != 0);
    case REGISTRY_INT: return filter_int(number);
    case REGISTRY_TIMESTAMP: return filter_time_ns(number);
    default: return (struct filter_value){.kind = FILTER_DURATION, .i = number};
    }
}

static struct filter_value row_get(const void *ctx, uint32_t field, struct arena *arena)
{
    struct filter_scan *s = (struct filter_scan *)(uintptr_t)ctx;
    const struct registry_field *f = field_registry_at(s->registry, field);
    struct chunk_stats stats;
    if ((int32_t)field == s->id_field)
        return filter_int((int64_t)(chunk_first_id(s->chunk) + s->row));
    chunk_stats(s->chunk, field, &stats);
    if (!stats.present)
        return filter_record_absent(f);
    switch (f->type) {
    case REGISTRY_LIST: return row_list(s, field, arena);
    case REGISTRY_MAP: return row_map(s, f, field, arena);
    case REGISTRY_STRING:
    case REGISTRY_BYTES: {
        const struct chunk_column *col = column(s, field, CHUNK_VALUES | CHUNK_DICTIONARY);
        if (!col)
            return filter_fail(FILTER_E_LIMIT);
        struct td_slice text = chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, s->row));
        return f->type == REGISTRY_BYTES ? filter_bytes(text) : filter_record_text(arena, text);
    }
    default: return row_number(s, f->type, field);
    }
}

/* ---- An entry of a dictionary as a record ---- */

static bool text_has(const void *ctx, uint32_t field)
{
    (void)ctx, (void)field;
    return true; /* not asked: has() is no term over a text */
}

static struct filter_value text_get(const void *ctx, uint32_t field, struct arena *arena)
{
    (void)field;
    return filter_record_text(arena, ((const struct filter_scan *)ctx)->text);
}

static uint8_t verdict_of(const struct filter_value *v)
{
    if (v->kind != FILTER_BOOL)
        return VERDICT_ERROR;
    return v->b ? VERDICT_TRUE : VERDICT_FALSE;
}

static bool is_one_of(const struct plan *plan, struct td_slice text)
{
    for (uint32_t i = 0; i < plan->n; i++)
        if (td_eq(plan->texts[i], text))
            return true;
    return false;
}

static bool has_part(const struct plan *plan, struct td_slice text)
{
    struct td_slice part = plan->texts[0];
    if (part.n == 0 || part.n > text.n)
        return part.n == 0;
    switch (plan->part) {
    case PART_STARTS: return memcmp(text.p, part.p, part.n) == 0;
    case PART_ENDS: return memcmp(text.p + text.n - part.n, part.p, part.n) == 0;
    default: return memmem(text.p, text.n, part.p, part.n) != NULL;
    }
}

static bool room_for_verdicts(struct filter_scan *s, uint32_t n)
{
    if (n + 1 > s->verdict_cap) {
        uint8_t *verdicts = mem_realloc(s->verdicts, n + 1);
        if (!verdicts) {
            s->status = error_nomem(s->err);
            return false;
        }
        s->verdicts = verdicts;
        s->verdict_cap = n + 1;
    }
    return true;
}

/* A verdict for each entry of the dictionary; how many are not false. */
static uint32_t judge(struct filter_scan *s, const struct plan *plan, const struct chunk_dictionary *d, uint32_t *ret_last)
{
    const struct filter_record record = {.ctx = s, .has = text_has, .get = text_get};
    uint32_t n = 0;
    for (uint32_t id = 0; id < d->n; id++) {
        s->text = chunk_text(d, id);
        if (plan->program.code_n) {
            if (plan->kind == PLAN_ELEMENT) {
                /* The arena of a run is emptied at its beginning, so that the text is made in another one. */
                filter_vm_set(s->vm, plan->slot, filter_record_text(&s->texts, s->text));
            }
            struct filter_value v = filter_vm_run(s->vm, &plan->program, &record);
            s->verdicts[id] = verdict_of(&v);
        } else if (plan->kind == PLAN_PART) {
            s->verdicts[id] = has_part(plan, s->text);
        } else {
            s->verdicts[id] = is_one_of(plan, s->text) != plan->negated;
        }
        n += s->verdicts[id] != VERDICT_FALSE;
        if (s->verdicts[id])
            *ret_last = id;
    }
    return n;
}

/* ---- Terms ---- */

static enum outlook opposite(enum outlook o)
{
    return o == OUTLOOK_OPEN ? o : o == OUTLOOK_ALL ? OUTLOOK_NONE : OUTLOOK_ALL;
}

static enum outlook numbers_outlook(const struct filter_scan *s, const struct plan *plan)
{
    struct chunk_stats stats;
    enum outlook o = OUTLOOK_NONE;
    chunk_stats(s->chunk, plan->field, &stats);
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct plan_range *r = &plan->ranges[i];
        if (r->low <= stats.min && stats.max <= r->high)
            return plan->negated ? OUTLOOK_NONE : OUTLOOK_ALL;
        if (r->low <= stats.max && stats.min <= r->high)
            o = OUTLOOK_OPEN;
    }
    return plan->negated ? opposite(o) : o;
}

static enum outlook texts_outlook(struct filter_scan *s, const struct plan *plan)
{
    struct chunk_stats stats;
    chunk_stats(s->chunk, plan->field, &stats);
    if (!stats.present) /* every row has "" or no element */
        return plan->kind == PLAN_EQUAL && is_one_of(plan, (struct td_slice){0}) != plan->negated ? OUTLOOK_ALL : OUTLOOK_NONE;
    for (uint32_t i = 0; i < plan->n; i++) {
        bool may;
        s->status = chunk_may_have_text(s->chunk, plan->field, plan->texts[i], &may, s->err);
        if (s->status != TD_OK || may)
            return OUTLOOK_OPEN;
    }
    return plan->negated ? OUTLOOK_ALL : OUTLOOK_NONE;
}

static enum outlook outlook(struct filter_scan *s, const struct plan *plan);

/* && or ||: one child may decide, or all together. */
static enum outlook chain_outlook(struct filter_scan *s, const struct plan *plan)
{
    enum outlook deciding = plan->kind == PLAN_AND ? OUTLOOK_NONE : OUTLOOK_ALL;
    bool open = false;
    for (uint32_t i = 0; i < plan->n && s->status == TD_OK; i++) {
        enum outlook o = outlook(s, plan->children[i]);
        if (o == deciding)
            return o;
        open |= o == OUTLOOK_OPEN;
    }
    return open ? OUTLOOK_OPEN : opposite(deciding);
}

static enum outlook outlook(struct filter_scan *s, const struct plan *plan)
{
    struct chunk_stats stats;
    if (s->ignore_statistics && plan->kind != PLAN_CONST && plan->kind != PLAN_PRESENT)
        return OUTLOOK_OPEN;
    switch (plan->kind) {
    case PLAN_CONST: return plan->value ? OUTLOOK_ALL : OUTLOOK_NONE;
    case PLAN_AND:
    case PLAN_OR: return chain_outlook(s, plan);
    case PLAN_NOT: return opposite(outlook(s, plan->children[0]));
    case PLAN_NUMBER: return numbers_outlook(s, plan);
    case PLAN_PRESENT:
        chunk_stats(s->chunk, plan->field, &stats);
        return stats.present == 0 ? OUTLOOK_NONE : stats.present == s->rows ? OUTLOOK_ALL : OUTLOOK_OPEN;
    case PLAN_EQUAL: return texts_outlook(s, plan);
    case PLAN_PART:
        chunk_stats(s->chunk, plan->field, &stats);
        return stats.present ? OUTLOOK_OPEN : has_part(plan, (struct td_slice){0}) ? OUTLOOK_ALL : OUTLOOK_NONE;
    case PLAN_ELEMENT:
        chunk_stats(s->chunk, plan->field, &stats);
        if (!stats.elements)
            return OUTLOOK_NONE;
        return plan->program.code_n ? OUTLOOK_OPEN : texts_outlook(s, plan);
    default: return OUTLOOK_OPEN;
    }
}

/* Of the rows in `active`, those that the term is true for. */
static void keep_active(struct outcome *o, const struct filter_bits *active, bool negate)
{
    for (uint32_t i = 0; i < CHUNK_BITS; i++) {
        o->yes.v[i] = (negate ? ~o->yes.v[i] & ~o->error.v[i] : o->yes.v[i]) & active->v[i];
        o->error.v[i] &= active->v[i];
    }
}

static void run_numbers(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    const struct chunk_column *col = column(s, plan->field, CHUNK_VALUES);
    struct filter_bits more;
    if (!col)
        return;
    for (uint32_t i = 0; i < plan->n; i++) {
        filter_bits_range(&col->numbers, s->rows, plan->ranges[i].low, plan->ranges[i].high, &more);
        for (uint32_t k = 0; k < CHUNK_BITS; k++)
            ret->yes.v[k] |= more.v[k];
    }
    keep_active(ret, active, plan->negated);
}

static void run_present(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    const struct chunk_column *col = column(s, plan->field, CHUNK_PRESENT);
    if (!col || !col->present)
        return;
    memcpy(ret->yes.v, col->present, (s->rows + 63) / 64 * sizeof(uint64_t));
    keep_active(ret, active, false);
}

static void run_texts(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    uint32_t only = 0;
    const struct chunk_column *col = column(s, plan->field, CHUNK_DICTIONARY);
    if (!col || !room_for_verdicts(s, col->texts.n))
        return;
    uint32_t n = judge(s, plan, &col->texts, &only);
    if (n == 0)
        return;
    col = column(s, plan->field, CHUNK_VALUES);
    if (!col)
        return;
    if (plan->kind == PLAN_ELEMENT)
        filter_bits_elements(&col->ids, col->offsets, s->rows, s->verdicts, &ret->yes, &ret->error);
    else if (n == 1 && s->verdicts[only] == VERDICT_TRUE)
        filter_bits_id(&col->ids, s->rows, only, &ret->yes);
    else
        filter_bits_verdicts(&col->ids, s->rows, s->verdicts, &ret->yes, &ret->error);
    keep_active(ret, active, false);
}

static void run_rows(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    const struct filter_record record = {.ctx = s, .has = row_has, .get = row_get};
    for (uint32_t w = 0; w < CHUNK_BITS; w++)
        for (uint64_t left = active->v[w]; left && s->status == TD_OK; left &= left - 1) {
            s->row = w * 64 + (uint32_t)__builtin_ctzll(left);
            struct filter_value v = filter_vm_run(s->vm, &plan->program, &record);
            uint8_t verdict = verdict_of(&v);
            s->stats.rows_single++;
            if (verdict == VERDICT_TRUE)
                ret->yes.v[w] |= left & -left;
            else if (verdict == VERDICT_ERROR)
                ret->error.v[w] |= left & -left;
        }
}

/* ---- Chains ---- */

static void run(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret);

/* &&: a row that one child denies is out, also if it was an error before. `left`: rows that no child has denied. */
static void run_and(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    struct outcome *child = &s->outcomes[2 * plan->level + 1];
    struct filter_bits left = *active;
    ret->yes = *active;
    for (uint32_t i = 0; i < plan->n && s->status == TD_OK && filter_bits_any(&left); i++) {
        run(s, plan->children[i], &left, child);
        for (uint32_t w = 0; w < CHUNK_BITS; w++) {
            uint64_t denied = left.v[w] & ~child->yes.v[w] & ~child->error.v[w];
            ret->yes.v[w] &= child->yes.v[w];
            ret->error.v[w] = (ret->error.v[w] | child->error.v[w]) & ~denied;
            left.v[w] &= ~denied;
        }
    }
}

/* ||: the same the other way round. */
static void run_or(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    struct outcome *child = &s->outcomes[2 * plan->level + 1];
    struct filter_bits left = *active;
    for (uint32_t i = 0; i < plan->n && s->status == TD_OK && filter_bits_any(&left); i++) {
        run(s, plan->children[i], &left, child);
        for (uint32_t w = 0; w < CHUNK_BITS; w++) {
            ret->yes.v[w] |= child->yes.v[w];
            ret->error.v[w] = (ret->error.v[w] | child->error.v[w]) & ~child->yes.v[w];
            left.v[w] &= ~child->yes.v[w];
        }
    }
}

static void run_open(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    switch (plan->kind) {
    case PLAN_AND: run_and(s, plan, active, ret); break;
    case PLAN_OR: run_or(s, plan, active, ret); break;
    case PLAN_NOT:
        run(s, plan->children[0], active, ret);
        keep_active(ret, active, true);
        break;
    case PLAN_NUMBER: run_numbers(s, plan, active, ret); break;
    case PLAN_PRESENT: run_present(s, plan, active, ret); break;
    case PLAN_EQUAL:
    case PLAN_PART:
    case PLAN_TEXT:
    case PLAN_ELEMENT: run_texts(s, plan, active, ret); break;
    default: run_rows(s, plan, active, ret); break;
    }
}

/* The outcome for the rows in `active`. The recursion is as deep as the tree. */
static void run(struct filter_scan *s, const struct plan *plan, const struct filter_bits *active, struct outcome *ret)
{
    enum outlook o = outlook(s, plan);
    filter_bits_clear(&ret->yes);
    filter_bits_clear(&ret->error);
    if (o == OUTLOOK_ALL)
        ret->yes = *active;
    else if (o == OUTLOOK_OPEN && s->status == TD_OK)
        run_open(s, plan, active, ret);
}

/* ---- Chunks ---- */

int filter_scan_chunk(void *scan, struct chunk *chunk, uint64_t *bits, struct error *err)
{
    struct filter_scan *s = scan;
    struct filter_bits active = {0};
    struct outcome *result = &s->outcomes[0];
    uint32_t fields = field_registry_count(s->registry);
    s->chunk = chunk;
    s->rows = chunk_rows(chunk);
    s->err = err;
    s->status = TD_OK;
    s->pruned = true;
    arena_clear(&s->texts);
    memset(s->parts, 0, fields * sizeof(*s->parts));
    memcpy(active.v, bits, (s->rows + 63) / 64 * sizeof(*bits));
    run(s, s->plan, &active, result);
    if (s->status != TD_OK)
        return s->status;
    memcpy(bits, result->yes.v, (s->rows + 63) / 64 * sizeof(*bits));
    s->stats.chunks++;
    s->stats.pruned += s->pruned;
    s->stats.rows += s->rows;
    s->stats.errors += filter_bits_count(&result->error);
    return TD_OK;
}

void filter_scan_ignore_statistics(struct filter_scan *s)
{
    s->ignore_statistics = true;
}

const struct filter_scan_stats *filter_scan_stats(const struct filter_scan *s)
{
    return &s->stats;
}

/* ---- Life ---- */

struct programs {
    const struct filter_program **v;
    uint32_t n;
};

static void collect_program(void *ctx, const struct filter_program *program)
{
    struct programs *p = ctx;
    if (p->v)
        p->v[p->n] = program;
    p->n++;
}

/* One machine for all terms. */
static int make_machine(struct filter_scan *s, struct error *err)
{
    struct programs programs = {0};
    plan_each_program(s->plan, collect_program, &programs);
    programs.v = mem_calloc(programs.n + 1, sizeof(struct filter_program *));
    if (!programs.v)
        return error_nomem(err);
    programs.n = 0;
    plan_each_program(s->plan, collect_program, &programs);
    int status = filter_vm_new(programs.v, programs.n, &s->vm, err);
    mem_free(programs.v);
    return status;
}

int filter_scan_new(const struct filter *filter, const struct field_registry *registry, struct filter_scan **ret, struct error *err)
{
    enum { MEMORY = 64 << 20 };
    struct filter_scan *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    uint32_t fields = field_registry_count(registry);
    int status = TD_E_NOMEM;
    s->registry = registry;
    s->id_field = field_registry_find(registry, TD_LIT("id"));
    arena_init(&s->arena, MEMORY);
    arena_init(&s->texts, MEMORY);
    s->plan = filter_plan_make(filter, registry, &s->arena, err);
    if (!s->plan)
        goto fail;
    status = make_machine(s, err);
    if (status != TD_OK)
        goto fail;
    s->columns = mem_calloc(fields + 1, sizeof(struct chunk_column *));
    s->parts = mem_calloc(fields + 1, sizeof(*s->parts));
    s->outcomes = mem_calloc(2 * (plan_levels(s->plan) + 1), sizeof(*s->outcomes));
    if (!s->columns || !s->parts || !s->outcomes) {
        status = error_nomem(err);
        goto fail;
    }
    *ret = s;
    return TD_OK;

fail:
    filter_scan_free(s);
    return status;
}

void filter_scan_free(struct filter_scan *s)
{
    if (!s)
        return;
    filter_vm_free(s->vm);
    filter_plan_clear(s->plan);
    arena_clear(&s->arena);
    arena_clear(&s->texts);
    mem_free(s->columns);
    mem_free(s->parts);
    mem_free(s->outcomes);
    mem_free(s->verdicts);
    mem_free(s);
}

/* ---- For people ---- */

static void explain(struct buf *out, const struct filter_scan *s, const struct plan *plan, unsigned indent)
{
    static const char *const how[] = {[PLAN_CONST] = "constant",
                                      [PLAN_AND] = "all of, in this order",
                                      [PLAN_OR] = "any of, in this order",
                                      [PLAN_NOT] = "not",
                                      [PLAN_NUMBER] = "numbers of the column; least and greatest tell for whole chunks",
                                      [PLAN_PRESENT] = "who has the field; its count tells for whole chunks",
                                      [PLAN_EQUAL] = "ids of the dictionary; its Bloom filter tells for whole chunks",
                                      [PLAN_PART] = "a search in each text of the dictionary",
                                      [PLAN_TEXT] = "once for each text of the dictionary",
                                      [PLAN_ELEMENT] = "once for each text of the dictionary, then by element",
                                      [PLAN_ROW] = "row by row"};
    bool chain = plan->children != NULL;
    buf_printf(out, "%*s", (int)(2 * indent), "");
    if (chain) {
        buf_puts(out, how[plan->kind]);
        buf_putc(out, '\n');
    } else {
        filter_print(out, plan->node);
        buf_printf(out, "  # %s\n", how[plan->kind]);
    }
    for (uint32_t i = 0; chain && i < plan->n; i++)
        explain(out, s, plan->children[i], indent + 1);
}

void filter_scan_explain(struct buf *out, const struct filter_scan *s)
{
    explain(out, s, s->plan, 1);
}
