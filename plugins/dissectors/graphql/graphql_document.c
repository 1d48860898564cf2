#include "graphql_document.h"

/* ---- Tokens --------------------------------------------------------------------------------------------------------------- */

enum { MAX_KINDS = 128 /* brackets within each other */ };
enum kind { END, BAD, NAME, VALUE /* a number or a string */, SPREAD, PUNCTUATOR };

struct lexer {
    struct td_slice rest; /* behind the token */
    enum kind kind;
    uint8_t c;             /* PUNCTUATOR */
    struct td_slice token; /* its text */
};

static bool is_name_start(uint8_t c)
{
    return (uint8_t)(td_ascii_lower(c) - 'a') < 26 || c == '_';
}

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* White space, line ends, commas, the byte order mark, comments. */
static struct td_slice skip_ignored(struct td_slice s)
{
    size_t i = 0;
    while (i < s.n) {
        uint8_t c = s.p[i];
        if (c == '#') {
            while (i < s.n && s.p[i] != '\n' && s.p[i] != '\r')
                i++;
        } else if (c == 0xef && s.n - i > 2 && s.p[i + 1] == 0xbb && s.p[i + 2] == 0xbf) {
            i += 3;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
            i++;
        } else {
            break;
        }
    }
    return td_sub(s, i, s.n);
}

/* Bytes of the string at the beginning; 0: it does not end. */
static size_t string_length(struct td_slice s)
{
    struct td_slice block = TD_LIT("\"\"\"");
    size_t i;
    if (!td_starts(s, block)) {
        for (i = 1; i < s.n && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r'; i++)
            i += s.p[i] == '\\';
        return i < s.n && s.p[i] == '"' ? i + 1 : 0;
    }
    for (i = 3; i < s.n; i++) {
        if (s.p[i] == '\\' && td_starts(td_sub(s, i + 1, s.n), block))
            i += 3;
        else if (td_starts(td_sub(s, i, s.n), block))
            return i + 3;
    }
    return 0;
}

static size_t token_length(struct lexer *l, struct td_slice s)
{
    size_t n = 1;
    uint8_t c = s.p[0];
    l->c = 0;
    if (is_name_start(c)) {
        l->kind = NAME;
        while (n < s.n && (is_name_start(s.p[n]) || is_digit(s.p[n])))
            n++;
    } else if (c == '"') {
        n = string_length(s);
        l->kind = n ? VALUE : BAD;
    } else if (is_digit(c) || c == '-') {
        l->kind = VALUE;
        while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.' || s.p[n] == '+' || s.p[n] == '-' || td_ascii_lower(s.p[n]) == 'e'))
            n++;
    } else if (td_starts(s, TD_LIT("..."))) {
        l->kind = SPREAD;
        n = 3;
    } else {
        l->kind = c && strchr("!$&()[]{}:=@|", (char)c) ? PUNCTUATOR : BAD;
        l->c = l->kind == PUNCTUATOR ? c : 0;
    }
    return n;
}

static void next(struct lexer *l)
{
    struct td_slice s = skip_ignored(l->rest);
    size_t n;
    l->token = td_bytes(NULL, 0);
    l->c = 0;
    if (!s.n) {
        l->kind = END;
        l->rest = s;
        return;
    }
    n = token_length(l, s);
    l->token = td_sub(s, 0, n);
    l->rest = td_sub(s, n, s.n);
}

static struct lexer begin(struct td_slice text)
{
    struct lexer l = {text, END, 0, {NULL, 0}};
    next(&l);
    return l;
}

static bool is_name(const struct lexer *l, const char *name)
{
    return l->kind == NAME && td_eq(l->token, td_str(name));
}

/* From a bracket to behind the one that closes it. False: there is none, or brackets do not match: their number, and within MAX_KINDS
 * of each other their kinds. */
static bool skip_brackets(struct lexer *l)
{
    uint8_t kinds[MAX_KINDS];
    size_t depth = 0;
    do {
        if (l->kind == END || l->kind == BAD)
            return false;
        if (l->c == '(' || l->c == '[' || l->c == '{') {
            if (depth < MAX_KINDS)
                kinds[depth] = l->c == '(' ? ')' : (uint8_t)(l->c + 2);
            depth++;
        } else if (l->c == ')' || l->c == ']' || l->c == '}') {
            depth--;
            if (depth < MAX_KINDS && kinds[depth] != l->c)
                return false;
        }
        next(l);
    } while (depth);
    return true;
}

static bool skip_directives(struct lexer *l)
{
    while (l->c == '@') {
        next(l);
        if (l->kind != NAME)
            return false;
        next(l);
        if (l->c == '(' && !skip_brackets(l))
            return false;
    }
    return true;
}

/* ---- Definitions ---------------------------------------------------------------------------------------------------------- */

struct fragment {
    struct td_slice name, body;
    bool visited;
};

struct reader {
    struct gql_document *out;
    struct td_slice wanted;
    struct td_slice body; /* the operation's selection set, from its bracket on */
    struct fragment fragments[GQL_MAX_FRAGMENTS];
    uint32_t n_fragments;
    bool found; /* the one that was asked for */
};

/* A selection set, from its bracket to behind the one that closes it. */
static bool read_body(struct lexer *l, struct td_slice *ret_body)
{
    const uint8_t *start = l->token.p;
    if (l->c != '{')
        return false;
    *ret_body = td_bytes(start, (size_t)(l->rest.p - start) + l->rest.n);
    return skip_brackets(l);
}

static bool read_operation(struct reader *r, struct lexer *l)
{
    struct td_slice name = {NULL, 0}, body;
    uint8_t type = is_name(l, "mutation") ? GQL_MUTATION : is_name(l, "subscription") ? GQL_SUBSCRIPTION : GQL_QUERY;
    if (l->kind == NAME) {
        next(l);
        if (l->kind == NAME) {
            name = l->token;
            next(l);
        }
        if (l->c == '(' && !skip_brackets(l))
            return false;
        if (!skip_directives(l))
            return false;
    }
    if (!read_body(l, &body))
        return false;
    if (r->out->operations++ == 0 || (!r->found && r->wanted.n && td_eq(name, r->wanted))) {
        r->found = r->wanted.n && td_eq(name, r->wanted);
        r->out->type = type;
        r->out->name = name;
        r->body = body;
    }
    return true;
}

static bool read_fragment(struct reader *r, struct lexer *l)
{
    struct fragment f = {{NULL, 0}, {NULL, 0}, false};
    next(l);
    f.name = l->token;
    if (l->kind != NAME)
        return false;
    next(l);
    if (!is_name(l, "on"))
        return false;
    next(l);
    if (l->kind != NAME)
        return false;
    next(l);
    if (!skip_directives(l) || !read_body(l, &f.body))
        return false;
    if (r->n_fragments < GQL_MAX_FRAGMENTS)
        r->fragments[r->n_fragments++] = f;
    return true;
}

/* ---- Selection sets ------------------------------------------------------------------------------------------------------- */

enum { MAX_WITHIN = 64 /* fragments within each other, named or not */ };

static struct fragment *find_fragment(struct reader *r, struct td_slice name)
{
    uint32_t i;
    for (i = 0; i < r->n_fragments; i++)
        if (!r->fragments[i].visited && td_eq(r->fragments[i].name, name))
            return &r->fragments[i];
    return NULL;
}

static bool read_field(struct reader *r, struct lexer *l)
{
    struct td_slice name = l->token;
    struct gql_document *out = r->out;
    next(l);
    if (l->c == ':') { /* that was the alias */
        next(l);
        if (l->kind != NAME)
            return false;
        name = l->token;
        next(l);
    }
    if (out->n_fields < GQL_MAX_FIELDS)
        out->fields[out->n_fields++] = name;
    if (l->c == '(' && !skip_brackets(l))
        return false;
    return skip_directives(l) && (l->c != '{' || skip_brackets(l));
}

/* Behind the dots. A fragment that is named is read in place: *ret_into. One that is not goes on behind its bracket: *ret_within. */
static bool read_spread(struct reader *r, struct lexer *l, struct fragment **ret_into, bool *ret_within)
{
    *ret_into = NULL;
    *ret_within = false;
    if (l->kind == NAME && !is_name(l, "on")) {
        *ret_into = find_fragment(r, l->token);
        next(l);
        return skip_directives(l);
    }
    if (l->kind == NAME) {
        next(l);
        if (l->kind != NAME)
            return false;
        next(l);
    }
    if (!skip_directives(l) || l->c != '{')
        return false;
    *ret_within = true;
    next(l);
    return true;
}

/* Each named fragment is read once, each in a text of its own: where to go on behind it is kept. */
static bool read_selection(struct reader *r)
{
    struct lexer within[MAX_WITHIN];
    struct lexer l = begin(r->body);
    uint32_t depth = 1;
    bool named[MAX_WITHIN] = {false};
    next(&l);
    while (depth) {
        struct fragment *into;
        bool open;
        if (l.c == '}') {
            depth--;
            if (named[depth])
                l = within[depth];
            else
                next(&l);
        } else if (l.kind == NAME) {
            if (!read_field(r, &l))
                return false;
        } else if (l.kind == SPREAD) {
            next(&l);
            if (!read_spread(r, &l, &into, &open))
                return false;
            if (open && depth == MAX_WITHIN)
                return false; /* its end could not be told from that of those around it */
            if ((!into && !open) || depth == MAX_WITHIN)
                continue;
            named[depth] = into != NULL;
            within[depth] = l;
            depth++;
            if (into) {
                into->visited = true;
                l = begin(into->body);
                next(&l);
            }
        } else {
            return false;
        }
    }
    return true;
}

/* A string before a definition (since the specification of September 2025). */
static void skip_description(struct lexer *l)
{
    if (l->kind == VALUE && l->token.p[0] == '"')
        next(l);
}

bool gql_read_document(struct td_slice text, struct td_slice wanted, struct gql_document *ret)
{
    struct reader r;
    struct lexer l = begin(text);
    memset(&r, 0, sizeof(r));
    memset(ret, 0, sizeof(*ret));
    r.out = ret;
    r.wanted = wanted;
    while (l.kind != END) {
        bool good;
        skip_description(&l);
        if (is_name(&l, "fragment"))
            good = read_fragment(&r, &l);
        else if (l.c == '{' || is_name(&l, "query") || is_name(&l, "mutation") || is_name(&l, "subscription"))
            good = read_operation(&r, &l);
        else
            good = false;
        if (!good)
            return false;
    }
    return ret->operations > 0 && read_selection(&r) && ret->n_fields > 0;
}
