/* Bearer tokens: kept as a digest, compared in constant time, read from files that only their owner reads. */
#ifndef NET_TOKEN_H
#define NET_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "net/http_server.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 1024, TOKEN_DIGEST = 32 };

struct token {
    uint8_t digest[TOKEN_DIGEST]; /* SHA-256 */
};

/* Can it be sent as a bearer token (RFC 6750 section 2.1), and is it long enough? TD_E_CONFIG if not; the text does not tell it. */
int token_check(struct td_slice text, struct error *err) MUST_CHECK;
void token_init(struct token *, struct td_slice text);
/* Takes as long whether it is or not, and wherever they differ. */
bool token_is(const struct token *, struct td_slice text);
bool token_same(const struct token *, const struct token *);

/* The one token of a file, without the white space around it. TD_E_DENIED: others may read the file, or this process may not;
 * TD_E_NOT_FOUND; TD_E_CONFIG: not a token. Clear `ret` with token_wipe() when it is not needed any more. */
int token_read_file(const char *path, char ret[TOKEN_MAX + 1], struct error *err) MUST_CHECK;
void token_wipe(char text[TOKEN_MAX + 1]);

/* The tokens of a server, with roles and names. */
struct token_roles {
    struct http_token tokens[HTTP_MAX_TOKENS]; /* point into `file` */
    size_t n;
    struct buf file;
};
/* A file with one token a line, "ROLE TOKEN" or "ROLE TOKEN # NAME", ROLE being viewer, operator or admin; empty lines and such that begin
 * with # are passed over. At least one token, none twice. Errors as of token_read_file(), with file:line. `ret` is set even on errors;
 * clear it with token_roles_wipe() when it is not needed any more. */
int token_read_roles(const char *path, struct token_roles *ret, struct error *err) MUST_CHECK;
void token_roles_wipe(struct token_roles *);

#endif
