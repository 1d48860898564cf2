#include "expand.h"

#include "filter/filter.h"
#include "filter/parse.h"
#include "filter/print.h"

struct expander {
    const struct filter_env *env;
    struct filter_builder *builder;
    struct filter_diagnostics *diagnostics;
    struct td_slice text;
    struct td_slice vars[FILTER_MAX_SLOTS]; /* of the macros that are open */
    size_t var_n;
};

static struct filter_node *expand(struct expander *e, struct filter_node *node);
static struct filter_node *expand_condition(struct expander *e, struct filter_node *node);

/* ---- Which alias ------------------------------------------------------------------------------------------------------- */

static bool is_variable(const struct expander *e, struct td_slice name)
{
    for (size_t i = 0; i < e->var_n; i++)
        if (td_eq(e->vars[i], name))
            return true;
    return false;
}

static const struct filter_node *root_of(const struct filter_node *node)
{
    while (node->kind == FILTER_SELECT)
        node = node->args[0];
    return node;
}

/* Are all fields declared that an alias's text mentions? */
static bool is_declared(const struct filter_env *env, const struct filter_node *node)
{
    char name[FILTER_MAX_NAME];
    struct filter_symbol symbol;
    size_t n = node->kind == FILTER_NAME || node->kind == FILTER_SELECT ? filter_qualified_name(node, name, sizeof(name)) : 0;
    if (node->kind == FILTER_HAS && node->args[0]->kind == FILTER_NAME)
        return env->find(env->ctx, node->args[0]->name, &symbol);
    if (n && env->find(env->ctx, td_bytes(name, n), &symbol))
        return true;
    if (node->kind == FILTER_NAME)
        return false;
    for (uint32_t i = 0; i < node->arg_n; i++)
        if (!is_declared(env, node->args[i]))
            return false;
    return true;
}

static struct filter_node *parse_text(struct arena *arena, const char *text)
{
    struct filter_node *node = NULL;
    struct filter_diagnostics none;
    filter_diagnostics_init(&none);
    if (filter_parse(td_str(text), arena, &none, &node) != TD_OK)
        node = NULL;
    filter_diagnostics_clear(&none);
    return node;
}

const struct filter_alias *filter_usable_alias(const struct filter_env *env, struct arena *arena, struct td_slice name)
{
    const struct filter_alias *alias = filter_alias_find(name);
    for (uint32_t n, i = alias ? (uint32_t)(alias - filter_aliases(&n)) : 0; alias; alias++, i++) {
        filter_aliases(&n);
        if (i == n || !td_eq(td_str(alias->name), name))
            break;
        const struct filter_node *node = parse_text(arena, alias->text), *other = alias->other ? parse_text(arena, alias->other) : NULL;
        if (node && is_declared(env, node) && (!alias->other || (other && is_declared(env, other))))
            return alias;
    }
    return NULL;
}

/* The alias that the whole of a name is; NULL: none, and then *ret_known tells whether it is a name that needs no alias. */
static const struct filter_alias *look_up(struct expander *e, const struct filter_node *node, bool *ret_known)
{
    char name[FILTER_MAX_NAME];
    struct filter_symbol symbol;
    const struct filter_node *root = root_of(node);
    *ret_known = false;
    if ((node->kind != FILTER_NAME && node->kind != FILTER_SELECT) || root->kind != FILTER_NAME)
        return NULL;
    *ret_known = root->absolute || is_variable(e, root->name);
    size_t n = *ret_known ? 0 : filter_qualified_name(node, name, sizeof(name));
    if (!n)
        return NULL;
    *ret_known = e->env->find(e->env->ctx, td_bytes(name, n), &symbol);
    return *ret_known || !filter_alias_find(td_bytes(name, n)) ? NULL : filter_usable_alias(e->env, e->builder->arena, td_bytes(name, n));
}

static const struct filter_alias *alias_of(struct expander *e, const struct filter_node *node)
{
    bool known;
    return look_up(e, node, &known);
}

/* Does an alias stand for a name, so that .more may follow it? */
static bool is_plain(const struct filter_alias *alias)
{
    return alias->kind == FILTER_ALIAS_ONE && !strpbrk(alias->text, " (");
}

/* May aliases stand within a node? Not in a name that is declared, nor in one that goes on behind an alias for no name. */
static bool may_hold_alias(struct expander *e, const struct filter_node *node)
{
    bool known;
    look_up(e, node, &known);
    if (known)
        return false;
    const struct filter_alias *inner = node->kind == FILTER_SELECT ? alias_of(e, node->args[0]) : NULL;
    return !inner || is_plain(inner);
}

/* ---- Putting texts in ---------------------------------------------------------------------------------------------------- */

/* What an alias's text makes stands where the alias stood, and no variable hides its fields. */
static void place(const struct expander *e, struct filter_node *node, struct filter_span span)
{
    node->span = node->name_span = span;
    node->sugar = true;
    if (node->kind == FILTER_NAME && is_variable(e, node->name))
        node->absolute = true;
    for (uint32_t i = 0; i < node->arg_n; i++)
        place(e, node->args[i], span);
}

static struct filter_node *node_of_text(struct expander *e, const char *text, struct filter_span span)
{
    struct filter_node *node = parse_text(e->builder->arena, text);
    if (!node)
        return filter_new(e->builder, FILTER_BAD, span);
    node = filter_clone(e->builder, node); /* so that it counts */
    if (!e->builder->failure)
        place(e, node, span);
    return node;
}

/* A copy in which the alias is replaced wherever it stands. */
static struct filter_node *with_text(struct expander *e, const struct filter_node *node, const struct filter_alias *alias, const char *text)
{
    if (alias_of(e, node) == alias)
        return node_of_text(e, text, node->span);
    struct filter_node *copy = filter_new(e->builder, node->kind, node->span);
    if (e->builder->failure)
        return copy;
    *copy = *node;
    if (!may_hold_alias(e, node))
        return copy;
    copy->args = NULL;
    struct filter_node **args = node->arg_n ? arena_alloc(e->builder->arena, node->arg_n * sizeof(*args), 16) : NULL;
    for (uint32_t i = 0; args && i < node->arg_n; i++)
        args[i] = with_text(e, node->args[i], alias, text);
    if (node->arg_n && args)
        filter_set_args(e->builder, copy, args, node->arg_n);
    else
        copy->arg_n = 0;
    return copy;
}

static void warn_deprecated(struct expander *e, const struct filter_alias *alias, const struct filter_node *at,
                            const struct filter_node *now)
{
    struct buf fixed;
    if (!alias->deprecated)
        return;
    buf_init(&fixed, 0);
    if (now->kind == FILTER_OPERATOR)
        buf_putc(&fixed, '(');
    filter_print(&fixed, now);
    if (now->kind == FILTER_OPERATOR)
        buf_putc(&fixed, ')');
    filter_warning(e->diagnostics, at->span, "deprecated", "%s is an old name of %s%s%s", alias->name, buf_cstr(&fixed),
                   alias->note ? ": " : "", alias->note ? alias->note : "");
    if (!fixed.failed)
        filter_add_fix(e->diagnostics, at->span, buf_slice(&fixed), "write");
    buf_clear(&fixed);
}

static struct filter_node *replace_alias(struct expander *e, const struct filter_alias *alias, struct filter_node *node)
{
    struct filter_node *now = node_of_text(e, alias->text, node->span);
    if (alias->kind == FILTER_ALIAS_EITHER) {
        filter_fault(e->diagnostics, node->span, "either_end", "%s stands for %s and for %s, so it needs a comparison, as in %s == x",
                     alias->name, alias->text, alias->other, alias->name);
        filter_add_fix(e->diagnostics, node->span, td_str(alias->text), "the one");
        filter_add_fix(e->diagnostics, node->span, td_str(alias->other), "the other");
        return filter_new(e->builder, FILTER_BAD, node->span);
    }
    if (!e->builder->failure)
        warn_deprecated(e, alias, node, now);
    return now;
}

/* ---- Conditions on one of several ------------------------------------------------------------------------------------------ */

static bool is_condition(const struct filter_node *node)
{
    return node->kind == FILTER_MACRO || node->kind == FILTER_BIND || (node->kind == FILTER_OPERATOR && node->op <= FILTER_IN);
}

/* The first alias in a comparison or call that stands for several fields or values; its node in *ret_at. */
static const struct filter_alias *find_several(struct expander *e, const struct filter_node *node, const struct filter_node **ret_at)
{
    const struct filter_alias *alias = alias_of(e, node);
    if (alias) {
        *ret_at = node;
        return alias->kind == FILTER_ALIAS_ONE ? NULL : alias;
    }
    if (!may_hold_alias(e, node))
        return NULL;
    for (uint32_t i = 0; i < node->arg_n; i++) {
        bool range = td_eq(node->name, TD_LIT("..")) && i < 2; /* x >= a && x <= b, which belong together */
        alias = range || !is_condition(node->args[i]) ? find_several(e, node->args[i], ret_at) : NULL;
        if (alias)
            return alias;
    }
    return NULL;
}

static struct filter_node *for_either(struct expander *e, const struct filter_node *node, const struct filter_alias *alias)
{
    bool all = node->kind == FILTER_OPERATOR && node->op == FILTER_NE;
    struct filter_node *a = expand_condition(e, with_text(e, node, alias, alias->text));
    struct filter_node *b = expand_condition(e, with_text(e, node, alias, alias->other));
    struct filter_node *both = filter_new_operator(e->builder, all ? FILTER_AND : FILTER_OR, node->span, a, b);
    both->sugar = true;
    return both;
}

/* list == x: x in list; list.contains(x): list.exists(v, v.contains(x)). */
static struct filter_node *for_elements(struct expander *e, const struct filter_node *node, const struct filter_alias *alias,
                                        const struct filter_node *at)
{
    struct filter_node *list = node_of_text(e, alias->text, at->span), *made;
    bool equality = node->kind == FILTER_OPERATOR && (node->op == FILTER_EQ || node->op == FILTER_NE);
    bool all = node->kind == FILTER_OPERATOR && node->op == FILTER_NE;
    bool direct = equality && (node->args[0] == at || node->args[1] == at);
    if (direct) {
        struct filter_node *other = expand(e, node->args[node->args[0] == at]);
        made = filter_new_operator(e->builder, FILTER_IN, node->span, other, list);
        made->sugar = true;
        if (all)
            made = filter_new_operator(e->builder, FILTER_NOT, node->span, made, NULL);
    } else if (node->kind == FILTER_OPERATOR && node->op == FILTER_IN && node->args[1] == at) {
        made = filter_new_operator(e->builder, FILTER_IN, node->span, expand(e, node->args[0]), list);
    } else {
        struct td_slice var = filter_fresh_name(e->builder, e->text);
        struct filter_node *body = with_text(e, node, alias, var.p ? (const char *)var.p : "");
        if (e->builder->failure)
            return body;
        size_t outer = e->var_n;
        if (e->var_n < FILTER_MAX_SLOTS)
            e->vars[e->var_n++] = var;
        body = expand_condition(e, body);
        e->var_n = outer;
        made = filter_new_macro(e->builder, all ? FILTER_ALL : FILTER_EXISTS, node->span, var, list, body);
    }
    made->sugar = true;
    return made;
}

/* has(http.host): has() of what it stands for; of a header whether it is there. */
static struct filter_node *presence_of(struct expander *e, struct filter_node *node, const char *text)
{
    struct filter_node *now = node_of_text(e, text, node->span), *has;
    if (e->builder->failure || now->kind == FILTER_BAD)
        return now;
    if (now->kind == FILTER_CALL && td_eq(now->name, TD_LIT("map_get")))
        return filter_new_operator(e->builder, FILTER_IN, node->span, now->args[1], now->args[0]);
    has = filter_new(e->builder, FILTER_HAS, node->span);
    has->sugar = true;
    if (now->kind == FILTER_SELECT) {
        has->name = now->name;
        has->name_span = node->span;
        filter_set_args(e->builder, has, now->args, 1);
        return has;
    }
    if (now->kind == FILTER_NAME) {
        filter_set_args(e->builder, has, &now, 1);
        return has;
    }
    return now; /* a condition itself, or a value: the checker tells */
}

/* What has() asks about, as a selection: has(a.b) about a.b. */
static struct filter_node selection_in_has(const struct filter_node *node)
{
    return (struct filter_node){.kind = FILTER_SELECT, .name = node->name, .args = node->args, .arg_n = 1};
}

static const struct filter_alias *alias_in_has(struct expander *e, const struct filter_node *node)
{
    struct filter_node select = selection_in_has(node);
    return alias_of(e, node->name.n ? &select : node->args[0]);
}

static struct filter_node *expand_has(struct expander *e, struct filter_node *node)
{
    const struct filter_alias *alias = alias_in_has(e, node);
    if (!alias) {
        struct filter_node select = selection_in_has(node);
        if (node->name.n && !is_declared(e->env, &select))
            node->args[0] = expand(e, node->args[0]);
        return node;
    }
    struct filter_node *a = presence_of(e, node, alias->text);
    if (!alias->other)
        return a;
    return filter_new_operator(e->builder, FILTER_OR, node->span, a, presence_of(e, node, alias->other));
}

/* ---- The walk --------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *ours;
    bool method;
} functions[] = {
    {"abs", "math.abs", false},      {"count", "size", false},     {"len", "size", false},        {"lower", "lowerAscii", true},
    {"max", "math.greatest", false}, {"min", "math.least", false}, {"upper", "upperAscii", true},
};

/* Functions that Wireshark calls by another name. */
static void rename_function(struct filter_node *node)
{
    if (node->receiver || node->arg_n == 0 || filter_function_find(node->name) >= 0)
        return;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (td_eq(td_str(functions[i].name), node->name)) {
            node->name = td_str(functions[i].ours);
            node->receiver = functions[i].method;
            node->sugar = true;
        }
}

static void expand_macro(struct expander *e, struct filter_node *node)
{
    size_t outer = e->var_n;
    uint32_t first = node->kind == FILTER_MACRO;
    const struct filter_alias *alias = alias_of(e, node->args[0]);
    if (alias && alias->kind == FILTER_ALIAS_EITHER) {
        struct filter_node *both[2] = {node_of_text(e, alias->text, node->args[0]->span),
                                       node_of_text(e, alias->other, node->args[0]->span)};
        node->args[0] = filter_new(e->builder, FILTER_NEW_LIST, node->args[0]->span);
        filter_set_args(e->builder, node->args[0], both, 2);
    } else {
        node->args[0] = expand(e, node->args[0]);
    }
    for (int i = 0; i < 2 && node->var[i].n && e->var_n < FILTER_MAX_SLOTS; i++)
        e->vars[e->var_n++] = node->var[i];
    for (uint32_t i = 1; i < node->arg_n; i++)
        node->args[i] = first ? expand_condition(e, node->args[i]) : expand(e, node->args[i]);
    e->var_n = outer;
}

/* An operand of which nothing is known; conditions in it are seen to. */
static struct filter_node *expand(struct expander *e, struct filter_node *node)
{
    const struct filter_alias *alias = alias_of(e, node);
    if (e->builder->failure)
        return node;
    if (alias)
        return replace_alias(e, alias, node);
    if (!may_hold_alias(e, node))
        return node;
    if (is_condition(node))
        return expand_condition(e, node);
    if (node->kind == FILTER_HAS)
        return expand_has(e, node);
    if (node->kind == FILTER_CALL)
        rename_function(node);
    for (uint32_t i = 0; i < node->arg_n; i++)
        node->args[i] = expand(e, node->args[i]);
    if (node->arg_n)
        filter_set_depth(e->builder, node);
    return node;
}

static bool joins_conditions(const struct filter_node *node)
{
    return node->kind == FILTER_OPERATOR && node->op <= FILTER_CONDITION && !td_eq(node->name, TD_LIT(".."));
}

/* An operand that may be a condition: a comparison or call in it that has an alias for several becomes several. */
static struct filter_node *expand_condition(struct expander *e, struct filter_node *node)
{
    const struct filter_node *at;
    bool comparable = node->kind == FILTER_CALL || (node->kind == FILTER_OPERATOR && !joins_conditions(node));
    const struct filter_alias *several = comparable && !e->builder->failure ? find_several(e, node, &at) : NULL;
    if (e->builder->failure)
        return node;
    if (several) {
        struct filter_node *made = several->kind == FILTER_ALIAS_EITHER ? for_either(e, node, several) : for_elements(e, node, several, at);
        if (!e->builder->failure)
            warn_deprecated(e, several, node, made);
        return made;
    }
    if (node->kind == FILTER_MACRO || node->kind == FILTER_BIND) {
        expand_macro(e, node);
    } else if (joins_conditions(node)) {
        bool chain = false;
        for (uint32_t i = 0; i < node->arg_n; i++) {
            node->args[i] = expand_condition(e, node->args[i]);
            chain |= node->args[i]->kind == FILTER_OPERATOR && node->args[i]->op == node->op;
        }
        if (chain && (node->op == FILTER_AND || node->op == FILTER_OR) && !e->builder->failure)
            return filter_new_chain(e->builder, node->op, node->span, node->args, node->arg_n);
    } else if (node->kind == FILTER_OPERATOR) {
        for (uint32_t i = 0; i < node->arg_n; i++)
            node->args[i] = expand(e, node->args[i]);
    } else {
        return expand(e, node);
    }
    if (!e->builder->failure && node->arg_n)
        filter_set_depth(e->builder, node);
    return node;
}

struct filter_node *filter_expand_aliases(const struct filter_env *env, struct filter_builder *builder, struct filter_diagnostics *d,
                                          struct td_slice text, struct filter_node *root)
{
    struct expander e = {.env = env, .builder = builder, .diagnostics = d, .text = text};
    return expand_condition(&e, root);
}
