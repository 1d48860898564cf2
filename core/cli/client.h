/* The client of a hub: where it is, who asks, and its answers as JSON.
 *
 * Functions that return an exit code have told on stderr what went wrong, in one line: what, why, what to do. One thread. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/verbs.h"
#include "net/http_client.h"

#define CLIENT_DEFAULT_HUB "http://127.0.0.1:8898"
#define CLIENT_API "/api/v1"

enum { CLIENT_MAX_ANSWER = 256 << 20 }; /* bytes of JSON */

struct client;

/* `hub`, `token_file`, `ca` may be NULL: then the environment says, or the defaults hold. The exit code. */
int client_open(const char *hub, const char *token_file, const char *ca, struct client **ret);
void client_close(struct client *);
/* For a verb: opens as its options say, runs, closes. The exit code. */
int client_with(const struct verb_args *args, int (*run)(struct client *, const struct verb_args *));
const char *client_url(const struct client *);

/* Asks, and reads the answer as JSON into *ret, which may be NULL: not wanted; json_decref() it. `path` begins behind /api/v1; `body` may
 * be NULL. Tells nothing; a status as http_client_run() has it, TD_E_CORRUPT for what is no JSON. */
int client_ask(struct client *, const char *method, const char *path, const json_t *body, json_t **ret, struct error *err) MUST_CHECK;
/* The same, telling what went wrong. The exit code. */
int client_get(struct client *, const char *path, json_t **ret);
int client_post(struct client *, const char *path, const json_t *body, json_t **ret);
int client_delete(struct client *, const char *path);
/* Anything else, under /api/v1 as well: for what is streamed. */
int client_run(struct client *, const struct http_call *, struct http_result *ret, struct error *err) MUST_CHECK;

/* Tells the error, with what can be done about it; the exit code of its class. */
int client_fail(const struct client *, const struct error *err);
/* The same for something that was asked for with a filter (or NULL): if it was the filter, shows it with a caret under the place. */
int client_fail_filter(struct client *, const struct error *err, const char *filter);
/* The exit code for a job's or a problem's stable code: "not_found". */
int client_exit_of_code(const char *code);

/* ---- Paths and values ---- */

/* Puts "?name=value" or "&name=value", encoded; nothing if the value is NULL. */
void client_put_parameter(struct buf *path, const char *name, const char *value);
/* The same for a time as people write it, sent as RFC 3339 in UTC. The exit code: it may be no time. */
int client_put_time(struct buf *path, const char *name, const char *text);
/* "SNAPSHOT/DISSECTION" as two segments of a path. False: it is not of that form. */
bool client_put_dissection(struct buf *path, const char *name);
/* A time as people write it, as RFC 3339; CLI_USAGE told if it is none. */
int client_time(const char *option, const char *text, char ret[40]);
/* A member by its path, "src.ip"; NULL: there is none. */
const json_t *client_member(const json_t *object, const char *path);
/* A member that is text; "" if it is not. */
const char *client_text(const json_t *object, const char *path);

#endif
