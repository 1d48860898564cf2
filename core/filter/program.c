#include "filter/program.h"

#include "base/mem.h"
#include "filter/check.h"
#include "filter/regex.h"
#include "filter/zone.h"

/* The stack's depth is followed while code is made, so that the greatest is known at the end. */
struct maker {
    struct filter_program *p;
    uint32_t depth, loops;
    bool failed;
};

static bool grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
    void **p = array;
    if (n < *cap)
        return true;
    uint32_t more = *cap ? 2 * *cap : 16;
    void *moved = mem_realloc(*p, more * size);
    if (!moved)
        return false;
    *p = moved;
    *cap = more;
    return true;
}

/* The instruction's number; `taken` values leave the stack and `left` come. */
static uint32_t emit(struct maker *m, struct filter_instruction in, uint32_t taken, uint32_t left)
{
    struct filter_program *p = m->p;
    if (!grow(&p->code, p->code_n, &p->code_cap, sizeof(*p->code))) {
        m->failed = true;
        return 0;
    }
    m->depth = m->depth - taken + left;
    if (m->depth > p->stack)
        p->stack = m->depth;
    p->code[p->code_n] = in;
    return p->code_n++;
}

static uint32_t here(const struct maker *m)
{
    return m->p->code_n;
}

static void land(struct maker *m, uint32_t at)
{
    if (!m->failed)
        m->p->code[at].a = here(m);
}

static void land_b(struct maker *m, uint32_t at)
{
    if (!m->failed)
        m->p->code[at].b = here(m);
}

static uint32_t constant(struct maker *m, struct filter_value v)
{
    struct filter_program *p = m->p;
    if (!grow(&p->constants, p->constant_n, &p->constant_cap, sizeof(*p->constants))) {
        m->failed = true;
        return 0;
    }
    p->constants[p->constant_n] = v;
    return p->constant_n++;
}

static uint32_t name_constant(struct maker *m, const struct filter_node *node)
{
    return constant(m, filter_string(node->name));
}

/* Where an error of an operation is: at its name. */
static uint32_t place_of(const struct filter_node *node)
{
    return node->name_span.to > node->name_span.from ? node->name_span.from : node->span.from;
}

static void use_slots(struct maker *m, uint32_t n)
{
    if (n > m->p->slots)
        m->p->slots = n;
}

static void make(struct maker *m, const struct filter_node *node);

static void make_args(struct maker *m, const struct filter_node *node)
{
    for (uint32_t i = 0; i < node->arg_n; i++)
        make(m, node->args[i]);
}

/* ---- Chains of && and || ---- */

/* Is it field OP literal, of the kinds that have an instruction? */
static bool is_plain_term(const struct filter_node *node)
{
    if (node->kind != FILTER_OPERATOR || node->op < FILTER_EQ || node->op > FILTER_GE || node->args[0]->kind != FILTER_FIELD ||
        node->args[1]->kind != FILTER_LITERAL || !node->args[0]->type)
        return false;
    uint8_t field = node->args[0]->type->kind, literal = node->args[1]->value.kind;
    return field == literal && (field == FILTER_INT || (field == FILTER_STRING && node->op <= FILTER_NE));
}

static uint32_t make_plain_term(struct maker *m, const struct filter_node *node, uint8_t deciding)
{
    const struct filter_value *literal = &node->args[1]->value;
    bool text = literal->kind == FILTER_STRING;
    return emit(m,
                (struct filter_instruction){.code = text ? CODE_TERM_TEXT : CODE_TERM_INT,
                                            .sub = deciding,
                                            .compare = node->op,
                                            .b = node->args[0]->index,
                                            .place = place_of(node->args[0]),
                                            .number = text ? constant(m, *literal) : literal->i},
                0, 0);
}

static uint32_t make_term(struct maker *m, const struct filter_node *node, uint8_t deciding)
{
    if (is_plain_term(node))
        return make_plain_term(m, node, deciding);
    if (node->kind == FILTER_FIELD && node->type && node->type->kind == FILTER_BOOL)
        return emit(m,
                    (struct filter_instruction){.code = CODE_TERM_BOOL, .sub = deciding, .n = 1, .b = node->index, .place = place_of(node)},
                    0, 0);
    if (node->kind == FILTER_OPERATOR && node->op == FILTER_NOT && node->args[0]->kind == FILTER_FIELD && node->args[0]->type &&
        node->args[0]->type->kind == FILTER_BOOL)
        return emit(m,
                    (struct filter_instruction){
                        .code = CODE_TERM_BOOL, .sub = deciding, .n = 0, .b = node->args[0]->index, .place = place_of(node->args[0])},
                    0, 0);
    make(m, node);
    return emit(m, (struct filter_instruction){.code = CODE_LOGIC_TERM, .sub = deciding, .place = node->span.from}, 1, 0);
}

static void make_logic(struct maker *m, const struct filter_node *node)
{
    uint8_t deciding = node->op == FILTER_OR;
    uint32_t first = 0, last = 0;
    emit(m, (struct filter_instruction){.code = CODE_LOGIC, .sub = deciding}, 0, 1);
    for (uint32_t i = 0; i < node->arg_n; i++) {
        uint32_t at = make_term(m, node->args[i], deciding);
        if (m->failed)
            return;
        if (i == 0) /* the jumps are chained until the end is known */
            first = at;
        else
            m->p->code[last].a = at;
        last = at;
    }
    for (uint32_t i = 0, at = first; i < node->arg_n; i++) {
        uint32_t next = m->p->code[at].a;
        land(m, at);
        at = next;
    }
}

/* ---- The rest ---- */

static void make_condition(struct maker *m, const struct filter_node *node)
{
    make(m, node->args[0]);
    uint32_t branch = emit(m, (struct filter_instruction){.code = CODE_BRANCH, .place = node->args[0]->span.from}, 1, 0);
    make(m, node->args[1]);
    uint32_t jump = emit(m, (struct filter_instruction){.code = CODE_JUMP}, 1, 0);
    land(m, branch);
    make(m, node->args[2]);
    land(m, jump);
    land_b(m, branch);
}

static void make_operator(struct maker *m, const struct filter_node *node)
{
    uint32_t place = place_of(node);
    switch (node->op) {
    case FILTER_AND:
    case FILTER_OR: make_logic(m, node); return;
    case FILTER_CONDITION: make_condition(m, node); return;
    default: break;
    }
    make_args(m, node);
    switch (node->op) {
    case FILTER_NOT: emit(m, (struct filter_instruction){.code = CODE_NOT, .place = place}, 1, 1); break;
    case FILTER_NEG: emit(m, (struct filter_instruction){.code = CODE_NEGATE, .place = place}, 1, 1); break;
    case FILTER_OPT_SELECT:
        emit(m, (struct filter_instruction){.code = CODE_OPT_SELECT, .a = name_constant(m, node), .place = place}, 1, 1);
        break;
    default: emit(m, (struct filter_instruction){.code = CODE_OPERATE, .sub = node->op, .place = place}, 2, 1); break;
    }
}

/* What a function wants made from a literal argument; 0: nothing, else its number + 1. What cannot be made is told at run time, as
 * an error of the call. */
static uint32_t prepare(struct maker *m, const struct filter_function *f, const struct filter_node *node)
{
    struct filter_program *p = m->p;
    if (f->prepare == FILTER_PREPARE_NOTHING || node->arg_n < 2 || node->args[1]->kind != FILTER_LITERAL ||
        node->args[1]->value.kind != FILTER_STRING)
        return 0;
    void **prepared = mem_realloc(p->prepared, (p->prepared_n + 1) * sizeof(*prepared));
    if (prepared)
        p->prepared = prepared;
    uint8_t *kinds = prepared ? mem_realloc(p->kinds, p->prepared_n + 1) : NULL;
    if (kinds)
        p->kinds = kinds;
    m->failed |= !kinds;
    if (!kinds)
        return 0;
    struct filter_regex *regex = NULL;
    struct filter_zone *zone = NULL;
    if (f->prepare == FILTER_PREPARE_REGEX && filter_regex_new(node->args[1]->value.bytes, &regex, NULL, NULL) == TD_OK)
        p->prepared[p->prepared_n] = regex;
    else if (f->prepare == FILTER_PREPARE_ZONE && filter_zone_new(node->args[1]->value.bytes, &zone, NULL) == TD_OK)
        p->prepared[p->prepared_n] = zone;
    else
        return 0;
    p->kinds[p->prepared_n] = f->prepare;
    return ++p->prepared_n;
}

static void make_call(struct maker *m, const struct filter_node *node)
{
    uint32_t place = place_of(node), n = node->arg_n, function_n;
    const struct filter_function *functions = filter_functions(&function_n);
    if (node->index >= function_n || n > UINT16_MAX) { /* FILTER_UNRESOLVED among others */
        emit(m, (struct filter_instruction){.code = CODE_FAIL, .a = FILTER_E_NO_OVERLOAD, .place = place}, 0, 1);
        return;
    }
    make_args(m, node);
    const struct filter_function *f = &functions[node->index];
    bool by_types = node->op == FILTER_BY_TYPES && !f->variadic && f->arg_n == n;
    emit(m,
         (struct filter_instruction){.code = by_types ? CODE_CALL : CODE_DISPATCH,
                                     .sub = node->receiver,
                                     .n = (uint16_t)n,
                                     .a = node->index,
                                     .b = by_types ? prepare(m, f, node) : 0,
                                     .place = place},
         n, 1);
}

static void make_collection(struct maker *m, const struct filter_node *node, uint8_t code)
{
    make_args(m, node); /* fewer than FILTER_MAX_NODES */
    emit(m, (struct filter_instruction){.code = code, .n = (uint16_t)node->arg_n, .place = place_of(node)}, node->arg_n, 1);
}

static void make_macro(struct maker *m, const struct filter_node *node)
{
    uint32_t slots = node->var[1].n ? 2 : 1;
    make(m, node->args[0]);
    uint32_t begin = emit(
        m, (struct filter_instruction){.code = CODE_LOOP, .sub = node->op, .n = (uint16_t)node->index, .b = slots, .place = place_of(node)},
        1, 0);
    use_slots(m, node->index + slots);
    if (++m->loops > m->p->loops)
        m->p->loops = m->loops;
    uint32_t next = emit(m, (struct filter_instruction){.code = CODE_NEXT, .place = node->span.from}, 0, 0);
    uint32_t keep = UINT32_MAX;
    bool predicate = node->arg_n == 3 || node->op == FILTER_KEEP;
    if (predicate) {
        make(m, node->args[1]);
        keep = emit(m, (struct filter_instruction){.code = CODE_KEEP, .a = next, .place = node->args[1]->span.from}, 1, 0);
    }
    if (node->op == FILTER_KEEP)
        emit(m, (struct filter_instruction){.code = CODE_VARIABLE, .a = node->index}, 0, 1);
    else
        make(m, node->args[node->arg_n - 1]);
    uint32_t step =
        emit(m,
             (struct filter_instruction){
                 .code = CODE_STEP, .a = next, .place = node->op <= FILTER_EXISTS_ONE ? node->args[1]->span.from : place_of(node)},
             1, 1);
    m->loops--;
    land(m, begin);
    land(m, next);
    land_b(m, step);
    if (predicate)
        land_b(m, keep);
}

static void make_bind(struct maker *m, const struct filter_node *node)
{
    make(m, node->args[0]);
    emit(m, (struct filter_instruction){.code = CODE_BIND, .n = (uint16_t)node->index}, 1, 0);
    use_slots(m, node->index + 1);
    make(m, node->args[1]);
}

static void make_has(struct maker *m, const struct filter_node *node)
{
    if (node->args[0]->kind == FILTER_FIELD && !node->name.n) {
        emit(m, (struct filter_instruction){.code = CODE_HAS_FIELD, .a = node->args[0]->index}, 0, 1);
        return;
    }
    make(m, node->args[0]);
    emit(m, (struct filter_instruction){.code = CODE_HAS, .a = name_constant(m, node), .place = place_of(node)}, 1, 1);
}

/* The recursion is as deep as the tree: at most FILTER_MAX_NESTING. */
static void make(struct maker *m, const struct filter_node *node)
{
    if (m->failed)
        return;
    switch (node->kind) {
    case FILTER_LITERAL:
    case FILTER_TYPE_NAME: emit(m, (struct filter_instruction){.code = CODE_CONST, .a = constant(m, node->value)}, 0, 1); break;
    case FILTER_FIELD: emit(m, (struct filter_instruction){.code = CODE_FIELD, .a = node->index, .place = place_of(node)}, 0, 1); break;
    case FILTER_VARIABLE:
        use_slots(m, node->index + 1);
        emit(m, (struct filter_instruction){.code = CODE_VARIABLE, .a = node->index}, 0, 1);
        break;
    case FILTER_SELECT:
        make(m, node->args[0]);
        emit(m, (struct filter_instruction){.code = CODE_SELECT, .a = name_constant(m, node), .place = place_of(node)}, 1, 1);
        break;
    case FILTER_HAS: make_has(m, node); break;
    case FILTER_OPERATOR: make_operator(m, node); break;
    case FILTER_CALL: make_call(m, node); break;
    case FILTER_NEW_LIST: make_collection(m, node, CODE_LIST); break;
    case FILTER_NEW_MAP: make_collection(m, node, CODE_MAP); break;
    case FILTER_MACRO: make_macro(m, node); break;
    case FILTER_BIND: make_bind(m, node); break;
    default: emit(m, (struct filter_instruction){.code = CODE_FAIL, .a = FILTER_E_UNDECLARED, .place = node->span.from}, 0, 1); break;
    }
}

int filter_program_make(struct filter_program *p, const struct filter_node *root, int64_t now_ns, struct error *err)
{
    struct maker m = {.p = p};
    *p = (struct filter_program){.now_ns = now_ns};
    make(&m, root);
    emit(&m, (struct filter_instruction){.code = CODE_END}, 1, 0);
    if (!m.failed)
        return TD_OK;
    filter_program_clear(p);
    return error_nomem(err);
}

void filter_program_clear(struct filter_program *p)
{
    for (uint32_t i = 0; i < p->prepared_n; i++) {
        if (p->kinds[i] == FILTER_PREPARE_REGEX)
            filter_regex_free(p->prepared[i]);
        else
            filter_zone_free(p->prepared[i]);
    }
    mem_free(p->prepared);
    mem_free(p->kinds);
    mem_free(p->constants);
    mem_free(p->code);
    *p = (struct filter_program){0};
}
