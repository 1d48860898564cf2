#include "filter/plan.h"

#include "filter/record.h"

enum {
    PLAN_MAX_RANGES = 64, /* of `field in [...]` over numbers */
    COST_CONST = 0,
    COST_STATS = 1,
    COST_NUMBER = 2,
    COST_EQUAL = 3,
    COST_PART = 6,
    COST_TEXT = 20,
    COST_ELEMENT = 30,
    COST_ROW = 200
};

struct planner {
    const struct filter *filter;
    const struct field_registry *registry;
    struct arena *arena;
    struct error *err;
    struct plan *made; /* all that have been, the last one first */
    bool failed;
};

static struct plan *new_plan(struct planner *p, enum plan_kind kind, uint8_t cost, const struct filter_node *node)
{
    struct plan *plan = arena_alloc(p->arena, sizeof(*plan), 16);
    if (!plan) {
        p->failed = true;
        return NULL;
    }
    plan->kind = (uint8_t)kind;
    plan->cost = cost;
    plan->node = node;
    plan->before = p->made;
    p->made = plan;
    return plan;
}

static const struct registry_field *field_of(const struct planner *p, const struct filter_node *node)
{
    return node->kind == FILTER_FIELD ? field_registry_at(p->registry, node->index) : NULL;
}

/* ---- Numbers ---- */

/* A literal as the number that its field's column has; times outside of what fits are as good as the end of the line. */
static bool literal_number(const struct filter_node *node, uint8_t type, int64_t *ret)
{
    const struct filter_value *v = &node->value;
    if (node->kind != FILTER_LITERAL)
        return false;
    if ((type == REGISTRY_INT && v->kind == FILTER_INT) || (type == REGISTRY_DURATION && v->kind == FILTER_DURATION)) {
        *ret = v->i;
        return true;
    }
    if (type != REGISTRY_TIMESTAMP || v->kind != FILTER_TIMESTAMP)
        return false;
    return !__builtin_mul_overflow(v->i, INT64_C(1000000000), ret) && !__builtin_add_overflow(*ret, (int64_t)v->nanos, ret);
}

static uint8_t mirrored(uint8_t op)
{
    switch (op) {
    case FILTER_LT: return FILTER_GT;
    case FILTER_LE: return FILTER_GE;
    case FILTER_GT: return FILTER_LT;
    case FILTER_GE: return FILTER_LE;
    default: return op;
    }
}

static struct plan *number_plan(struct planner *p, const struct filter_node *node, uint32_t field, uint32_t range_n)
{
    struct plan *plan = new_plan(p, PLAN_NUMBER, COST_NUMBER, node);
    struct plan_range *ranges = arena_alloc(p->arena, (range_n + 1) * sizeof(*ranges), 8);
    p->failed |= !ranges;
    if (!plan || !ranges)
        return NULL;
    plan->field = field;
    plan->ranges = ranges;
    return plan;
}

static void add_range(struct plan *plan, int64_t low, int64_t high)
{
    plan->ranges[plan->n++] = (struct plan_range){low, high};
}

/* The column `id` does not exist: ids are made from the row. */
static bool has_column(const struct registry_field *f)
{
    return strcmp(f->name, "id") != 0;
}

/* field OP literal over numbers. NULL: it is something else. */
static struct plan *plan_comparison(struct planner *p, const struct filter_node *node)
{
    const struct filter_node *a = node->args[0], *b = node->args[1];
    uint8_t op = node->op;
    int64_t number;
    if (a->kind == FILTER_LITERAL) {
        const struct filter_node *swap = a;
        a = b;
        b = swap;
        op = mirrored(op);
    }
    const struct registry_field *f = field_of(p, a);
    if (!f || !has_column(f) || !literal_number(b, f->type, &number))
        return NULL;
    struct plan *plan = number_plan(p, node, a->index, 1);
    if (!plan)
        return NULL;
    plan->negated = op == FILTER_NE;
    switch (op) {
    case FILTER_LT:
        if (number > INT64_MIN)
            add_range(plan, INT64_MIN, number - 1);
        break;
    case FILTER_LE: add_range(plan, INT64_MIN, number); break;
    case FILTER_GT:
        if (number < INT64_MAX)
            add_range(plan, number + 1, INT64_MAX);
        break;
    case FILTER_GE: add_range(plan, number, INT64_MAX); break;
    default: add_range(plan, number, number); break;
    }
    return plan;
}

/* The elements of a literal list, or NULL. */
static bool list_element(const struct filter_node *list, uint32_t i, struct filter_value *ret)
{
    if (list->kind == FILTER_LITERAL && list->value.kind == FILTER_LIST && i < list->value.list->n) {
        *ret = list->value.list->v[i];
        return true;
    }
    if (list->kind == FILTER_NEW_LIST && i < list->arg_n && list->args[i]->kind == FILTER_LITERAL) {
        *ret = list->args[i]->value;
        return true;
    }
    return false;
}

static bool list_length(const struct filter_node *list, uint32_t *ret)
{
    if (list->kind == FILTER_LITERAL && list->value.kind == FILTER_LIST)
        *ret = list->value.list->n;
    else if (list->kind == FILTER_NEW_LIST)
        *ret = list->arg_n;
    else
        return false;
    return true;
}

/* A text that sanitizing leaves alone: U+FFFD may stand for any byte. */
static bool is_plain_text(const struct filter_value *v)
{
    return v->kind == FILTER_STRING && !memmem(v->bytes.p, v->bytes.n, "\xef\xbf\xbd", 3);
}

static struct plan *equal_plan(struct planner *p, const struct filter_node *node, uint32_t field, uint32_t n)
{
    struct plan *plan = new_plan(p, PLAN_EQUAL, COST_EQUAL, node);
    struct td_slice *texts = arena_alloc(p->arena, (n + 1) * sizeof(*texts), 8);
    p->failed |= !texts;
    if (!plan || !texts)
        return NULL;
    plan->field = field;
    plan->texts = texts;
    return plan;
}

/* field in [literal, ...] */
static struct plan *plan_membership(struct planner *p, const struct filter_node *node)
{
    const struct registry_field *f = field_of(p, node->args[0]);
    uint32_t n, field = node->args[0]->index;
    struct filter_value v;
    if (!f || !has_column(f) || !list_length(node->args[1], &n) || n > PLAN_MAX_RANGES)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (!list_element(node->args[1], i, &v) ||
            !(f->type == REGISTRY_INT ? v.kind == FILTER_INT : f->type == REGISTRY_STRING && is_plain_text(&v)))
            return NULL;
    struct plan *plan = f->type == REGISTRY_INT ? number_plan(p, node, field, n) : equal_plan(p, node, field, n);
    for (uint32_t i = 0; plan && i < n && list_element(node->args[1], i, &v); i++) {
        if (f->type == REGISTRY_INT)
            add_range(plan, v.i, v.i);
        else
            plan->texts[plan->n++] = v.bytes;
    }
    return plan;
}

/* ---- Texts and elements ---- */

/* What an expression looks at. */
struct reach {
    uint32_t field;     /* FIELD nodes, all of them this one */
    uint32_t field_n;   /* how many FIELD nodes */
    bool others;        /* other fields, or whether there is one */
    uint32_t slot_from; /* variables of macros around the expression have lower slots than this */
    uint32_t slot;      /* the one of them that may be read */
    bool outside;       /* another one is */
};

static void look(const struct filter_node *node, struct reach *r)
{
    switch (node->kind) {
    case FILTER_FIELD:
        r->others |= r->field_n && r->field != node->index;
        r->field = node->index;
        r->field_n++;
        break;
    case FILTER_HAS: r->others |= node->args[0]->kind == FILTER_FIELD && !node->name.n; break;
    case FILTER_VARIABLE: r->outside |= node->index < r->slot_from && node->index != r->slot; break;
    default: break;
    }
    for (uint32_t i = 0; i < node->arg_n; i++)
        look(node->args[i], r);
}

static bool make_program(struct planner *p, struct plan *plan, const struct filter_node *node)
{
    if (plan && filter_program_make(&plan->program, node, p->filter->now_ns, p->err) != TD_OK)
        p->failed = true;
    return plan && !p->failed;
}

/* field == literal, field != literal over texts. */
static struct plan *plan_equality(struct planner *p, const struct filter_node *node)
{
    const struct filter_node *a = node->args[0], *b = node->args[1];
    if (node->op > FILTER_NE)
        return NULL;
    if (a->kind == FILTER_LITERAL) {
        const struct filter_node *swap = a;
        a = b;
        b = swap;
    }
    const struct registry_field *f = field_of(p, a);
    if (!f || f->type != REGISTRY_STRING || b->kind != FILTER_LITERAL || !is_plain_text(&b->value))
        return NULL;
    struct plan *plan = equal_plan(p, node, a->index, 1);
    if (plan) {
        plan->texts[plan->n++] = b->value.bytes;
        plan->negated = node->op == FILTER_NE;
    }
    return plan;
}

/* field.contains(literal) and its like. */
static struct plan *plan_part(struct planner *p, const struct filter_node *node)
{
    static const char *const names[] = {[PART_CONTAINS] = "contains", [PART_STARTS] = "startsWith", [PART_ENDS] = "endsWith"};
    const struct registry_field *f = node->arg_n == 2 && node->receiver ? field_of(p, node->args[0]) : NULL;
    uint8_t part = 0;
    while (part < 3 && !td_eq(node->name, td_str(names[part])))
        part++;
    if (part == 3 || !f || f->type != REGISTRY_STRING || node->args[1]->kind != FILTER_LITERAL || !is_plain_text(&node->args[1]->value))
        return NULL;
    struct plan *plan = equal_plan(p, node, node->args[0]->index, 1);
    if (plan) {
        plan->kind = PLAN_PART;
        plan->cost = COST_PART;
        plan->part = part;
        plan->texts[plan->n++] = node->args[1]->value.bytes;
    }
    return plan;
}

/* Any expression that looks at one text and nothing else. */
static struct plan *plan_text(struct planner *p, const struct filter_node *node)
{
    struct reach r = {0};
    look(node, &r);
    if (!r.field_n || r.others || field_registry_at(p->registry, r.field)->type != REGISTRY_STRING)
        return NULL;
    struct plan *plan = new_plan(p, PLAN_TEXT, COST_TEXT, node);
    if (!make_program(p, plan, node))
        return NULL;
    plan->field = r.field;
    return plan;
}

/* list.exists(x, predicate of x alone) */
static struct plan *plan_exists(struct planner *p, const struct filter_node *node)
{
    const struct registry_field *f = field_of(p, node->args[0]);
    if (node->op != FILTER_EXISTS || node->var[1].n || !f || f->type != REGISTRY_LIST)
        return NULL;
    struct reach r = {.slot_from = node->index + 1, .slot = node->index};
    look(node->args[1], &r);
    if (r.field_n || r.others || r.outside)
        return NULL;
    struct plan *plan = new_plan(p, PLAN_ELEMENT, COST_ELEMENT, node);
    if (!make_program(p, plan, node->args[1]))
        return NULL;
    plan->field = node->args[0]->index;
    plan->slot = node->index;
    return plan;
}

/* literal in list */
static struct plan *plan_element(struct planner *p, const struct filter_node *node)
{
    const struct registry_field *f = field_of(p, node->args[1]);
    if (!f || f->type != REGISTRY_LIST || node->args[0]->kind != FILTER_LITERAL || !is_plain_text(&node->args[0]->value))
        return NULL;
    struct plan *plan = equal_plan(p, node, node->args[1]->index, 1);
    if (!plan)
        return NULL;
    plan->kind = PLAN_ELEMENT;
    plan->texts[plan->n++] = node->args[0]->value.bytes;
    return plan;
}

/* ---- The tree ---- */

static struct plan *make(struct planner *p, const struct filter_node *node);

static void sort_by_cost(struct plan **v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) { /* insertion: stable, and chains are short */
        struct plan *moved = v[i];
        uint32_t at = i;
        for (; at && v[at - 1]->cost > moved->cost; at--)
            v[at] = v[at - 1];
        v[at] = moved;
    }
}

static struct plan *plan_logic(struct planner *p, const struct filter_node *node)
{
    static const uint8_t kinds[] = {[FILTER_AND] = PLAN_AND, [FILTER_OR] = PLAN_OR, [FILTER_NOT] = PLAN_NOT};
    struct plan *plan = new_plan(p, kinds[node->op], 0, node);
    struct plan **children = arena_alloc(p->arena, (node->arg_n + 1) * sizeof(*children), 8);
    p->failed |= !children;
    if (!plan || !children)
        return NULL;
    for (uint32_t i = 0; i < node->arg_n; i++) {
        children[i] = make(p, node->args[i]);
        if (!children[i])
            return NULL;
        if (children[i]->cost > plan->cost)
            plan->cost = children[i]->cost;
        plan->n++;
        plan->children = children;
    }
    sort_by_cost(children, plan->n);
    return plan;
}

static struct plan *plan_flag(struct planner *p, const struct filter_node *node)
{
    struct plan *plan = number_plan(p, node, node->index, 1);
    if (plan)
        add_range(plan, 1, 1);
    return plan;
}

static struct plan *plan_present(struct planner *p, const struct filter_node *node)
{
    struct plan *plan = new_plan(p, PLAN_PRESENT, COST_STATS, node);
    if (plan)
        plan->field = node->args[0]->index;
    return plan;
}

/* A term that a column can decide; NULL: it is none, or memory is short. */
static struct plan *plan_term(struct planner *p, const struct filter_node *node)
{
    const struct registry_field *f = field_of(p, node);
    struct plan *plan = NULL;
    if (node->kind == FILTER_LITERAL && node->value.kind == FILTER_BOOL) {
        plan = new_plan(p, PLAN_CONST, COST_CONST, node);
        if (plan)
            plan->value = node->value.b;
        return plan;
    }
    if (f && f->type == REGISTRY_BOOL)
        return plan_flag(p, node);
    if (node->kind == FILTER_HAS && node->args[0]->kind == FILTER_FIELD && !node->name.n && has_column(field_of(p, node->args[0])))
        return plan_present(p, node);
    if (node->kind == FILTER_OPERATOR && node->op >= FILTER_EQ && node->op <= FILTER_GE) {
        plan = plan_comparison(p, node);
        if (!plan && !p->failed)
            plan = plan_equality(p, node);
    } else if (node->kind == FILTER_OPERATOR && node->op == FILTER_IN) {
        plan = plan_membership(p, node);
        if (!plan && !p->failed)
            plan = plan_element(p, node);
    } else if (node->kind == FILTER_MACRO) {
        plan = plan_exists(p, node);
    } else if (node->kind == FILTER_CALL) {
        plan = plan_part(p, node);
    }
    return plan || p->failed ? plan : plan_text(p, node);
}

/* The recursion is as deep as the tree: at most FILTER_MAX_NESTING. */
static struct plan *make(struct planner *p, const struct filter_node *node)
{
    if (node->kind == FILTER_OPERATOR && node->op <= FILTER_NOT)
        return plan_logic(p, node);
    struct plan *plan = plan_term(p, node);
    if (plan || p->failed)
        return p->failed ? NULL : plan;
    plan = new_plan(p, PLAN_ROW, COST_ROW, node);
    return make_program(p, plan, node) ? plan : NULL;
}

static void set_levels(struct plan *plan, uint16_t level)
{
    plan->level = level;
    for (uint32_t i = 0; plan->children && i < plan->n; i++)
        set_levels(plan->children[i], (uint16_t)(level + 1));
}

struct plan *filter_plan_make(const struct filter *filter, const struct field_registry *registry, struct arena *arena, struct error *err)
{
    struct planner p = {.filter = filter, .registry = registry, .arena = arena, .err = err};
    struct plan *plan = make(&p, filter->root);
    if (plan) {
        set_levels(plan, 0);
        return plan;
    }
    for (struct plan *made = p.made; made; made = made->before)
        filter_program_clear(&made->program);
    error_nomem(err);
    return NULL;
}

void filter_plan_clear(struct plan *plan)
{
    if (!plan)
        return;
    filter_program_clear(&plan->program);
    for (uint32_t i = 0; plan->children && i < plan->n; i++)
        filter_plan_clear(plan->children[i]);
}

uint32_t plan_levels(const struct plan *plan)
{
    uint32_t most = plan->level;
    for (uint32_t i = 0; plan->children && i < plan->n; i++) {
        uint32_t below = plan_levels(plan->children[i]);
        most = below > most ? below : most;
    }
    return most;
}

void plan_each_program(struct plan *plan, void (*each)(void *ctx, const struct filter_program *), void *ctx)
{
    if (plan->program.code_n)
        each(ctx, &plan->program);
    for (uint32_t i = 0; plan->children && i < plan->n; i++)
        plan_each_program(plan->children[i], each, ctx);
}
