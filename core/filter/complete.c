#include "complete.h"

#include <stdio.h>

#include "base/json.h"
#include "filter/alias.h"
#include "filter/expand.h"
#include "filter/filter.h"
#include "filter/lex.h"
#include "filter/macro.h"
#include "filter/parse.h"
#include "filter/print.h"
#include "filter/type_name.h"

/* A name that stands where the cursor is, so that the parser finds an operand there. */
#define CURSOR "_"
enum { SHORTEST_PART = 2 }; /* bytes of a word from which it is looked for within names, too */

struct completer {
    const struct filter_env *env;
    struct arena *arena;
    struct td_slice text; /* up to the cursor */
    struct td_slice word; /* before the cursor: letters, digits, dots */
    struct filter_completion *out;
    bool no_memory;
};

/* ---- Candidates ---------------------------------------------------------------------------------------------------------- */

static bool contains(struct td_slice s, struct td_slice part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (td_eq_nocase(td_sub(s, i, i + part.n), part))
            return true;
    return false;
}

static bool begins(struct td_slice s, struct td_slice part)
{
    return s.n >= part.n && td_eq_nocase(td_sub(s, 0, part.n), part);
}

static void add(struct completer *c, enum filter_candidate_kind kind, const char *text, const char *type, const char *doc)
{
    for (uint32_t i = 0; i < c->out->n; i++)
        if (strcmp(c->out->v[i].text, text) == 0 && c->out->v[i].kind == kind)
            return; /* overloads of one name */
    if (c->out->n == FILTER_MAX_CANDIDATES) {
        c->out->cut = true;
        return;
    }
    c->out->v[c->out->n++] = (struct filter_candidate){text, type, doc, (uint8_t)kind};
}

static const char *copy(struct completer *c, struct td_slice text)
{
    const char *made = arena_strndup(c->arena, text.n ? (const char *)text.p : "", text.n);
    c->no_memory |= !made;
    return made ? made : "";
}

static const char *type_text(struct completer *c, const struct filter_type *type)
{
    struct buf text;
    buf_init(&text, 0);
    filter_type_put(&text, type);
    const char *made = copy(c, buf_slice(&text));
    buf_clear(&text);
    return made;
}

/* Fields whose name begins with the word; then those that have it anywhere. */
static void add_fields(struct completer *c)
{
    struct filter_symbol symbol;
    int passes = c->word.n >= SHORTEST_PART ? 2 : 1;
    for (int within = 0; within < passes; within++)
        for (uint32_t i = 0; c->env->at && c->env->at(c->env->ctx, i, &symbol); i++) {
            bool first = begins(symbol.name, c->word);
            if ((symbol.field && symbol.field->payload) || (within ? first || !contains(symbol.name, c->word) : !first))
                continue;
            add(c, FILTER_CANDIDATE_FIELD, copy(c, symbol.name), type_text(c, symbol.type), symbol.field ? symbol.field->doc : "");
        }
}

/* Other names, once somebody begins to write one; never instead of a field. */
static void add_aliases(struct completer *c)
{
    uint32_t n;
    const struct filter_alias *aliases = filter_aliases(&n);
    struct filter_symbol symbol;
    for (uint32_t i = 0; c->word.n >= SHORTEST_PART && i < n; i++) {
        struct td_slice name = td_str(aliases[i].name);
        if (begins(name, c->word) && !aliases[i].deprecated && !c->env->find(c->env->ctx, name, &symbol) &&
            filter_usable_alias(c->env, c->arena, name) == &aliases[i])
            add(c, FILTER_CANDIDATE_ALIAS, aliases[i].name, "", aliases[i].text);
    }
}

static void add_functions(struct completer *c)
{
    uint32_t n;
    const struct filter_function *functions = filter_functions(&n);
    for (uint32_t i = 0; i < n; i++)
        if (!functions[i].receiver && begins(td_str(functions[i].name), c->word))
            add(c, FILTER_CANDIDATE_FUNCTION, functions[i].name, type_text(c, functions[i].result), functions[i].doc);
}

static void add_words(struct completer *c, enum filter_candidate_kind kind, const char *const (*words)[2])
{
    for (; (*words)[0]; words++)
        if (begins(td_str((*words)[0]), c->word))
            add(c, kind, (*words)[0], "", (*words)[1]);
}

/* Can a method's target be of this type? */
static bool takes(const struct filter_type *target, const struct filter_type *type)
{
    if (target->kind == FILTER_PARAM || target->kind == FILTER_DYN || type->kind == FILTER_DYN)
        return true;
    if (target->kind != type->kind)
        return false;
    return target->kind != FILTER_LIST || !target->value || !type->value || takes(target->value, type->value);
}

static void add_methods(struct completer *c, const struct filter_type *type, struct td_slice part)
{
    static const char *const macros[][2] = {{"all", "do all elements fulfil a condition?"},
                                            {"exists", "does any element fulfil a condition?"},
                                            {"exists_one", "does exactly one element fulfil a condition?"},
                                            {"filter", "the elements that fulfil a condition"},
                                            {"map", "a list of what an expression makes of each element"},
                                            {NULL, NULL}};
    uint32_t n;
    const struct filter_function *functions = filter_functions(&n);
    struct td_slice word = c->word;
    for (uint32_t i = 0; i < n; i++)
        if (functions[i].receiver && begins(td_str(functions[i].name), part) && takes(functions[i].args[0], type))
            add(c, FILTER_CANDIDATE_METHOD, functions[i].name, type_text(c, functions[i].result), functions[i].doc);
    c->word = part;
    if (type->kind == FILTER_LIST || type->kind == FILTER_MAP || type->kind == FILTER_DYN)
        add_words(c, FILTER_CANDIDATE_MACRO, macros);
    c->word = word;
}

/* ---- What stands at the cursor ------------------------------------------------------------------------------------------- */

/* Parses and checks a text, whatever is wrong with it; NULL: nothing came of it. */
static struct filter_node *understand(struct completer *c, struct td_slice text)
{
    struct filter_node *root = NULL;
    struct filter_diagnostics ignored;
    filter_diagnostics_init(&ignored);
    int status = filter_parse(text, c->arena, &ignored, &root);
    if (root && status != TD_E_NOMEM)
        status = filter_check(c->env, text, c->arena, &root, &ignored);
    c->no_memory |= status == TD_E_NOMEM;
    filter_diagnostics_clear(&ignored);
    return c->no_memory ? NULL : root;
}

/* The text up to an offset, with something behind it. */
static struct td_slice text_with(struct completer *c, size_t to, const char *more)
{
    size_t n = strlen(more);
    char *made = arena_alloc(c->arena, to + n, 1);
    c->no_memory |= !made;
    if (!made)
        return (struct td_slice){0};
    memcpy(made, to ? (const char *)c->text.p : "", to);
    memcpy(made + to, more, n);
    return td_bytes(made, to + n);
}

/* What surrounds the cursor. */
struct place {
    const struct filter_node *node, *parent, *grandparent;
    const struct filter_node *macros[FILTER_MAX_SLOTS]; /* whose variables are known there */
    size_t macro_n;
};

/* Finds the selection without a name (`select`) or the name that stands at the cursor. As deep as the tree. */
static bool find_place(const struct filter_node *node, bool select, struct place *place)
{
    bool here = select ? node->kind == FILTER_SELECT && !node->name.n : filter_is_name_node(node, TD_LIT(CURSOR));
    bool scope = node->kind == FILTER_MACRO || node->kind == FILTER_BIND;
    if (here)
        place->node = node;
    for (uint32_t i = 0; !here && i < node->arg_n; i++) {
        bool known = scope && i > 0 && place->macro_n < FILTER_MAX_SLOTS;
        if (known)
            place->macros[place->macro_n++] = node;
        if (find_place(node->args[i], select, place)) {
            if (!place->parent)
                place->parent = node;
            else if (!place->grandparent)
                place->grandparent = node;
            return true;
        }
        place->macro_n -= known;
    }
    return here;
}

static void add_variables(struct completer *c, const struct place *place)
{
    for (size_t i = place->macro_n; i-- > 0;)
        for (int v = 0; v < 2; v++) {
            struct td_slice name = place->macros[i]->var[v];
            if (name.n && begins(name, c->word))
                add(c, FILTER_CANDIDATE_VARIABLE, copy(c, name), "", "");
        }
}

/* The field that what stands at the cursor is compared with; NULL: none. */
static const struct filter_node *compared_field(const struct place *place)
{
    const struct filter_node *parent = place->parent, *other = NULL;
    if (parent && parent->kind == FILTER_NEW_LIST && place->grandparent && place->grandparent->kind == FILTER_OPERATOR &&
        place->grandparent->op == FILTER_IN)
        other = place->grandparent->args[0];
    else if (parent && parent->kind == FILTER_OPERATOR && parent->arg_n == 2 &&
             (parent->op == FILTER_EQ || parent->op == FILTER_NE || (parent->op == FILTER_IN && parent->args[0] == place->node)))
        other = parent->args[parent->args[0] == place->node];
    return other && other->kind == FILTER_FIELD ? other : NULL;
}

/* The values of the field that is compared; `part` is what is there of one, `quote` what it began with. */
static void add_values(struct completer *c, const struct filter_node *field, struct td_slice part)
{
    struct filter_symbol symbol;
    struct buf text;
    if (!field || !c->env->find(c->env->ctx, field->name, &symbol) || !symbol.field)
        return;
    if (symbol.type->kind == FILTER_BOOL && !part.n) {
        add(c, FILTER_CANDIDATE_VALUE, "true", "bool", "");
        add(c, FILTER_CANDIDATE_VALUE, "false", "bool", "");
    }
    buf_init(&text, 0);
    for (const char *const *value = symbol.field->values; value && *value; value++) {
        if (!begins(td_str(*value), part))
            continue;
        buf_reset(&text);
        filter_print_string(&text, td_str(*value));
        add(c, FILTER_CANDIDATE_VALUE, copy(c, buf_slice(&text)), "string", symbol.field->doc);
    }
    buf_clear(&text);
}

/* Where the text literal begins in which the cursor is; SIZE_MAX: it is in none. *ret_last: the token before. */
static size_t find_open_text(struct completer *c, struct td_slice before, struct filter_token *ret_last)
{
    struct filter_diagnostics told;
    struct filter_lexer lexer = {.text = before, .arena = c->arena, .diagnostics = &told, .colons_free = true};
    struct filter_token token = {0};
    filter_diagnostics_init(&told);
    *ret_last = token;
    do {
        *ret_last = token;
        filter_lex(&lexer, &token);
    } while (token.kind != FILTER_T_END && token.span.to < before.n);
    bool open = token.kind == FILTER_T_STRING && token.bad && token.span.to == before.n;
    if (!open && token.kind != FILTER_T_END)
        *ret_last = token;
    filter_diagnostics_clear(&told);
    c->no_memory |= lexer.no_memory;
    return open ? token.span.from : SIZE_MAX;
}

/* Does a token end an operand, so that an operator is what comes next? */
static bool ends_operand(const struct filter_token *token)
{
    if (token->kind == FILTER_T_NAME)
        return token->word <= FILTER_W_NULL || token->word >= FILTER_W_ANY;
    return (token->kind >= FILTER_T_QUOTED_NAME && token->kind <= FILTER_T_CIDR) || token->kind == FILTER_T_RIGHT_PAREN ||
           token->kind == FILTER_T_RIGHT_BRACKET || token->kind == FILTER_T_RIGHT_BRACE;
}

/* ---- The kinds of places ------------------------------------------------------------------------------------------------- */

static void complete_text(struct completer *c, size_t from)
{
    struct place place = {0};
    const struct filter_node *root = understand(c, text_with(c, from, CURSOR));
    c->out->span.from = (uint32_t)from;
    if (root && find_place(root, false, &place))
        add_values(c, compared_field(&place), td_sub(c->text, from + 1, c->text.n));
}

static void complete_operator(struct completer *c)
{
    static const char *const operators[][2] = {{"&&", "and"},
                                               {"||", "or"},
                                               {"==", "is equal to"},
                                               {"!=", "is not equal to"},
                                               {"<", "is less than"},
                                               {"<=", "is at most"},
                                               {">", "is more than"},
                                               {">=", "is at least"},
                                               {"in", "is an element, or a key, of"},
                                               {"contains", "has the text in it"},
                                               {"matches", "matches the regular expression"},
                                               {"and", "&&"},
                                               {"or", "||"},
                                               {NULL, NULL}};
    add_words(c, FILTER_CANDIDATE_OPERATOR, operators);
}

/* Methods of what stands before the last dot. */
static void complete_member(struct completer *c, size_t dot)
{
    struct place place = {0};
    const struct filter_node *root = understand(c, text_with(c, dot + 1, ""));
    if (!root || !find_place(root, true, &place) || !place.node->args[0]->type)
        return;
    const struct filter_type *type = place.node->args[0]->type;
    if (type->kind == FILTER_ERROR)
        return;
    if (!c->out->n)
        c->out->span.from = (uint32_t)dot + 1;
    else if (c->out->span.from != dot + 1)
        return; /* a field's name goes on here, and that is what is replaced */
    add_methods(c, type, td_sub(c->text, dot + 1, c->text.n));
}

static void complete_operand(struct completer *c, size_t from)
{
    static const char *const keywords[][2] = {
        {"true", ""}, {"false", ""}, {"has(", "is the field, or the key, there?"}, {"not", "negates what follows"}, {NULL, NULL}};
    struct place place = {0};
    const struct filter_node *root = understand(c, text_with(c, from, CURSOR));
    if (root && find_place(root, false, &place)) {
        add_values(c, compared_field(&place), c->word);
        add_variables(c, &place);
    }
    add_fields(c);
    add_aliases(c);
    add_functions(c);
    add_words(c, FILTER_CANDIDATE_KEYWORD, keywords);
}

static bool is_word_byte(uint8_t b)
{
    return b == '_' || b == '.' || (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z');
}

int filter_complete(const struct filter_env *env, struct td_slice text, size_t at, struct arena *arena, struct filter_completion *ret)
{
    struct completer c = {.env = env, .arena = arena, .text = td_sub(text, 0, at), .out = ret};
    struct filter_token last;
    size_t from = c.text.n, dot = SIZE_MAX;
    *ret = (struct filter_completion){.span = {(uint32_t)c.text.n, (uint32_t)c.text.n}};
    if (c.text.n > FILTER_MAX_TEXT)
        return TD_OK;
    size_t open = find_open_text(&c, c.text, &last);
    if (open != SIZE_MAX) {
        complete_text(&c, open);
        return c.no_memory ? TD_E_NOMEM : TD_OK;
    }
    for (; from > 0 && is_word_byte(c.text.p[from - 1]); from--)
        if (c.text.p[from - 1] == '.' && dot == SIZE_MAX)
            dot = from - 1;
    c.word = td_sub(c.text, from, c.text.n);
    ret->span.from = (uint32_t)from;
    find_open_text(&c, td_sub(c.text, 0, from), &last);
    if (dot == SIZE_MAX || dot > from) {
        if (ends_operand(&last) && dot == SIZE_MAX)
            complete_operator(&c);
        else
            complete_operand(&c, from);
    }
    if (dot != SIZE_MAX)
        complete_member(&c, dot);
    return c.no_memory ? TD_E_NOMEM : TD_OK;
}

/* ---- Output ---------------------------------------------------------------------------------------------------------------- */

const char *filter_candidate_kind_name(enum filter_candidate_kind kind)
{
    static const char *const names[] = {
        [FILTER_CANDIDATE_VALUE] = "value", [FILTER_CANDIDATE_VARIABLE] = "variable", [FILTER_CANDIDATE_FIELD] = "field",
        [FILTER_CANDIDATE_ALIAS] = "alias", [FILTER_CANDIDATE_METHOD] = "method",     [FILTER_CANDIDATE_FUNCTION] = "function",
        [FILTER_CANDIDATE_MACRO] = "macro", [FILTER_CANDIDATE_OPERATOR] = "operator", [FILTER_CANDIDATE_KEYWORD] = "keyword",
    };
    return names[kind];
}

static void put_member(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":", key);
    json_put_string(out, td_str(text));
}

void filter_completion_put_json(struct buf *out, const struct filter_completion *completion)
{
    buf_printf(out, "{\"from\":%u,\"to\":%u,\"cut\":%s,\"candidates\":[", completion->span.from, completion->span.to,
               completion->cut ? "true" : "false");
    for (uint32_t i = 0; i < completion->n; i++) {
        const struct filter_candidate *one = &completion->v[i];
        buf_printf(out, "%s{\"kind\":\"%s\"", i ? "," : "", filter_candidate_kind_name(one->kind));
        put_member(out, "text", one->text);
        put_member(out, "type", one->type);
        put_member(out, "doc", one->doc);
        buf_putc(out, '}');
    }
    buf_lit(out, "]}");
}
