#include "macro.h"

#include "filter/lex.h"

static const struct {
    const char *name;
    uint8_t macro;
    uint8_t bodies;           /* at least this many; one more is a predicate before the last, if `predicate` */
    bool predicate, one, two; /* may have one variable, two */
} macros[] = {
    {"all", FILTER_ALL, 1, false, true, true},
    {"exists", FILTER_EXISTS, 1, false, true, true},
    {"exists_one", FILTER_EXISTS_ONE, 1, false, true, false},
    {"existsOne", FILTER_EXISTS_ONE, 1, false, true, true},
    {"exists_one", FILTER_EXISTS_ONE, 1, false, false, true},
    {"map", FILTER_MAP_TO, 1, true, true, false},
    {"filter", FILTER_KEEP, 1, false, true, false},
    {"transformList", FILTER_TRANSFORM_LIST, 1, true, false, true},
    {"transformMap", FILTER_TRANSFORM_MAP, 1, true, false, true},
    {"transformMapEntry", FILTER_TRANSFORM_MAP_ENTRY, 1, true, false, true},
};
enum { MACROS = sizeof(macros) / sizeof(macros[0]) };

const char *filter_macro_name(enum filter_macro macro, bool two_variables)
{
    for (size_t i = 0; i < MACROS; i++)
        if (macros[i].macro == macro && (two_variables ? macros[i].two : macros[i].one))
            return macros[i].name;
    return "";
}

/* has(a.b); a bare name is ours, for fields without a dot. */
static struct filter_node *has_of(struct filter_builder *b, struct filter_diagnostics *d, struct filter_node *call)
{
    struct filter_node *operand = call->arg_n == 1 ? call->args[0] : NULL;
    if (!operand || (operand->kind != FILTER_SELECT && operand->kind != FILTER_NAME)) {
        if (!operand || operand->kind != FILTER_BAD)
            filter_fault(d, call->span, "macro", "has() takes one field or key, as has(request.headers.host)");
        return filter_new(b, FILTER_BAD, call->span);
    }
    struct filter_node *node = filter_new(b, FILTER_HAS, call->span);
    bool select = operand->kind == FILTER_SELECT;
    node->name_span = select ? operand->name_span : operand->span;
    node->sugar = !select;
    if (select)
        node->name = operand->name;
    filter_set_args(b, node, select ? operand->args : &operand, 1);
    return node;
}

/* A variable's name, or NULL after the fault. */
static const struct filter_node *variable_of(struct filter_diagnostics *d, const struct filter_node *node)
{
    if (node->kind == FILTER_NAME && !node->absolute && filter_is_name(node->name))
        return node;
    if (node->kind != FILTER_BAD)
        filter_fault(d, node->span, "macro", "a name for the elements is expected here, as x in list.exists(x, x > 1)");
    return NULL;
}

static struct filter_node *loop_of(struct filter_builder *b, struct filter_diagnostics *d, struct filter_node *call, size_t which,
                                   size_t variables)
{
    const struct filter_node *vars[2] = {NULL, NULL};
    for (size_t i = 0; i < variables; i++) {
        vars[i] = variable_of(d, call->args[1 + i]);
        if (!vars[i])
            return filter_new(b, FILTER_BAD, call->span);
    }
    if (variables == 2 && td_eq(vars[0]->name, vars[1]->name)) {
        filter_fault(d, vars[1]->span, "macro", "the two variables need different names");
        return filter_new(b, FILTER_BAD, call->span);
    }
    struct filter_node *node = filter_new(b, FILTER_MACRO, call->span);
    node->op = macros[which].macro;
    node->name_span = call->name_span;
    for (size_t i = 0; i < variables; i++)
        node->var[i] = vars[i]->name;
    call->args[variables] = call->args[0]; /* the variables go, so that range and bodies stand side by side */
    filter_set_args(b, node, call->args + variables, call->arg_n - variables);
    return node;
}

static struct filter_node *bind_of(struct filter_builder *b, struct filter_diagnostics *d, struct filter_node *call)
{
    const struct filter_node *var = variable_of(d, call->args[1]);
    struct filter_node *node = filter_new(b, var ? FILTER_BIND : FILTER_BAD, call->span);
    if (var) {
        node->name_span = call->name_span;
        node->var[0] = var->name;
        filter_set_args(b, node, call->args + 2, 2);
    }
    return node;
}

/* x.exists() without arguments: in use for has(x), though no function is called so. */
static struct filter_node *bare_exists_of(struct filter_builder *b, struct filter_diagnostics *d, struct filter_node *call,
                                          struct td_slice text)
{
    struct filter_node *target = call->args[0], *has = filter_new(b, FILTER_CALL, call->span);
    struct td_slice shown = td_sub(text, target->span.from, target->span.to);
    if (target->kind != FILTER_SELECT && target->kind != FILTER_NAME)
        return call;
    filter_warning(d, call->span, "deprecated", "exists() without arguments is not CEL; it is taken for has(%.*s)", (int)shown.n,
                   (const char *)shown.p);
    struct buf fixed;
    buf_init(&fixed, 0);
    buf_printf(&fixed, "has(%.*s)", (int)shown.n, (const char *)shown.p);
    if (!fixed.failed)
        filter_add_fix(d, call->span, buf_slice(&fixed), "write");
    buf_clear(&fixed);
    has->name = TD_LIT("has");
    filter_set_args(b, has, &target, 1);
    has = has_of(b, d, has);
    has->sugar = true;
    return has;
}

struct filter_node *filter_macro_of(struct filter_builder *b, struct filter_diagnostics *d, struct td_slice text, struct filter_node *call)
{
    if (b->failure)
        return call;
    if (!call->receiver)
        return td_eq(call->name, TD_LIT("has")) ? has_of(b, d, call) : call;
    if (td_eq(call->name, TD_LIT("bind")) && call->arg_n == 4 && filter_is_name_node(call->args[0], TD_LIT("cel")))
        return bind_of(b, d, call);
    for (size_t i = 0; i < MACROS; i++) {
        if (!td_eq(td_str(macros[i].name), call->name))
            continue;
        size_t others = call->arg_n - 1; /* variables and bodies */
        size_t most = (size_t)macros[i].bodies + macros[i].predicate;
        if (macros[i].one && others >= 1u + macros[i].bodies && others <= 1 + most)
            return loop_of(b, d, call, i, 1);
        if (macros[i].two && others >= 2u + macros[i].bodies && others <= 2 + most)
            return loop_of(b, d, call, i, 2);
        if (macros[i].macro == FILTER_EXISTS && others == 0)
            return bare_exists_of(b, d, call, text);
    }
    return call;
}
