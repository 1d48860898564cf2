/* A server's tokens from a file: ROLE TOKEN # NAME. */
#include <string.h>

#include "base/json.h"
#include "net/small_file.h"
#include "net/token.h"

enum { MAX_FILE = HTTP_MAX_TOKENS * (TOKEN_MAX + 256) };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The word at *at, which is ended with a zero; *at moves behind it. "" at the end. */
static char *take_word(char **at)
{
    while (is_space(**at))
        (*at)++;
    char *word = *at;
    while (**at && !is_space(**at))
        (*at)++;
    if (**at)
        *(*at)++ = '\0';
    return word;
}

static bool parse_role(const char *word, enum http_role *ret)
{
    for (enum http_role role = HTTP_VIEWER; role <= HTTP_ADMIN; role++) {
        if (strcmp(word, http_role_name(role)) == 0) {
            *ret = role;
            return true;
        }
    }
    return false;
}

/* What stands behind the token: nothing, or "# NAME". NULL without a name. */
static int parse_name(char *rest, const char **ret, struct error *err)
{
    while (is_space(*rest))
        rest++;
    if (*rest && *rest != '#')
        return error_set(err, TD_E_CONFIG, "behind the token only a comment may stand: ROLE TOKEN # NAME");
    rest += *rest == '#';
    while (is_space(*rest))
        rest++;
    size_t n = strlen(rest);
    while (n && is_space(rest[n - 1]))
        rest[--n] = '\0';
    if (n > HTTP_TOKEN_NAME)
        return error_set(err, TD_E_CONFIG, "the name behind # has %zu bytes; %d are the most", n, HTTP_TOKEN_NAME);
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)rest[i] < ' ' || rest[i] == 0x7f)
            n = 0;
    if (*rest && (n == 0 || !json_is_utf8(td_bytes(rest, n))))
        return error_set(err, TD_E_CONFIG, "the name behind # has to be plain UTF-8 text");
    *ret = *rest ? rest : NULL;
    return TD_OK;
}

/* One line, without its end. Nothing of it may show in an error: a token may stand where a role is meant to. */
static int parse_line(char *line, struct token_roles *ret, struct error *err)
{
    struct http_token t;
    char *at = line, *role = take_word(&at);
    if (!*role || *role == '#')
        return TD_OK;
    if (!parse_role(role, &t.role))
        return error_set(err, TD_E_CONFIG, "a line begins with a role: viewer, operator or admin; then comes the token");
    t.text = take_word(&at);
    int status = *t.text && *t.text != '#'
                     ? token_check(td_str(t.text), err)
                     : error_set(err, TD_E_CONFIG, "there is no token behind the role; one comes from `openssl rand -hex 32`");
    if (status == TD_OK)
        status = parse_name(at, &t.name, err);
    if (status != TD_OK)
        return status;
    for (size_t i = 0; i < ret->n; i++)
        if (strcmp(ret->tokens[i].text, t.text) == 0)
            return error_set(err, TD_E_CONFIG, "this token is there already, as the %zu. of the file; each needs its own", i + 1);
    if (ret->n == HTTP_MAX_TOKENS)
        return error_set(err, TD_E_CONFIG, "there are more than %d tokens", HTTP_MAX_TOKENS);
    ret->tokens[ret->n++] = t;
    return TD_OK;
}

static int parse_lines(const char *path, struct token_roles *ret, struct error *err)
{
    char *at = (char *)ret->file.p, *end = at + ret->file.n;
    for (unsigned number = 1; at < end; number++) {
        char *line = at, *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end ? line_end : end;
        at = line_end + 1;
        *line_end = '\0';
        int status = strlen(line) == (size_t)(line_end - line) ? parse_line(line, ret, err)
                                                               : error_set(err, TD_E_CONFIG, "there is a zero in this line");
        if (status != TD_OK) {
            error_prefix(err, "%s:%u: ", path, number);
            return status;
        }
    }
    return ret->n ? TD_OK : error_set(err, TD_E_CONFIG, "%s: no token is in it; a line is: ROLE TOKEN # NAME", path);
}

int token_read_roles(const char *path, struct token_roles *ret, struct error *err)
{
    *ret = (struct token_roles){.file = {.max = MAX_FILE}};
    /* Room from the start: growing would leave copies behind. */
    if (!buf_reserve(&ret->file, MAX_FILE))
        return error_nomem(err);
    int status = small_file_read(path, "the tokens file", true, &ret->file, err);
    return status == TD_OK ? parse_lines(path, ret, err) : status;
}

void token_roles_wipe(struct token_roles *roles)
{
    if (roles->file.p)
        explicit_bzero(roles->file.p, roles->file.n);
    buf_clear(&roles->file);
    *roles = (struct token_roles){.n = 0};
}
