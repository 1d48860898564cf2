#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/units.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "filter/diagnostic.h"
#include "net/token.h"

/* A hub that looks for packets which are rare says nothing for a long time. */
enum { CONNECT_S = 5, IDLE_S = 300, MAX_PATH_NAME = 256 };

struct client {
    struct http_client *http;
    char *url;
};

/* ---- Opening ---- */

static const char *from_environment(const char *given, const char *variable)
{
    const char *text = given ? given : getenv(variable);
    return text && *text ? text : NULL;
}

/* The token, if there is one: *ret_there. */
static int read_token(const char *file, char token[TOKEN_MAX + 1], bool *ret_there, struct error *err)
{
    file = from_environment(file, "TAPEDECK_TOKEN_FILE");
    const char *text = from_environment(NULL, "TAPEDECK_TOKEN");
    *ret_there = file || text;
    if (file)
        return token_read_file(file, token, err);
    if (!text)
        return TD_OK;
    int status = token_check(td_str(text), err);
    if (status != TD_OK)
        return error_prefix(err, "TAPEDECK_TOKEN: ");
    snprintf(token, TOKEN_MAX + 1, "%s", text);
    return TD_OK;
}

int client_open(const char *hub, const char *token_file, const char *ca, struct client **ret)
{
    struct error err = {0};
    char token[TOKEN_MAX + 1] = "";
    bool with_token;
    struct client *client = mem_calloc(1, sizeof(*client));
    hub = from_environment(hub, "TAPEDECK_HUB");
    if (!client || !(client->url = mem_strdup(hub ? hub : CLIENT_DEFAULT_HUB))) {
        client_close(client);
        error_nomem(&err);
        return cli_fail(&err);
    }
    int status = read_token(token_file, token, &with_token, &err);
    if (status == TD_OK) {
        struct http_client_options options = {.url = client->url,
                                              .token = with_token ? token : NULL,
                                              .ca = from_environment(ca, "TAPEDECK_CA"),
                                              .agent = "tapedeck/" CLI_VERSION,
                                              .connect_s = CONNECT_S,
                                              .idle_s = IDLE_S};
        status = http_client_new(&options, &client->http, &err);
    }
    token_wipe(token);
    if (status != TD_OK) {
        client_close(client);
        return cli_fail(&err);
    }
    *ret = client;
    return CLI_OK;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    mem_free(client->url);
    mem_free(client);
}

int client_with(const struct verb_args *args, int (*run)(struct client *, const struct verb_args *))
{
    struct client *client;
    int code = client_open(args->hub, args->token_file, args->ca, &client);
    if (code != CLI_OK)
        return code;
    code = run(client, args);
    client_close(client);
    return code;
}

const char *client_url(const struct client *client)
{
    return client->url;
}

/* ---- Asking ---- */

int client_run(struct client *client, const struct http_call *call, struct http_result *ret, struct error *err)
{
    struct http_call below = *call;
    struct buf path;
    buf_init(&path, 0);
    buf_printf(&path, CLIENT_API "%s", call->path);
    below.path = buf_cstr(&path);
    int status = path.failed ? error_nomem(err) : http_client_run(client->http, &below, ret, err);
    buf_clear(&path);
    return status;
}

static int take_bytes(void *ctx, struct td_slice bytes, struct error *err)
{
    struct buf *out = ctx;
    buf_put_slice(out, bytes);
    if (!out->failed)
        return TD_OK;
    return error_set(err, TD_E_LIMIT, "the hub's answer is longer than %d MiB", CLIENT_MAX_ANSWER >> 20);
}

static int read_answer(const struct client *client, const struct buf *answer, json_t **ret, struct error *err)
{
    json_error_t why;
    if (answer->n == 0) {
        *ret = json_object();
        return *ret ? TD_OK : error_nomem(err);
    }
    *ret = json_loadb((const char *)answer->p, answer->n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
    if (*ret)
        return TD_OK;
    return error_set(err, TD_E_CORRUPT, "%s answered with something else than JSON: %s; is that a hub?", client->url, why.text);
}

int client_ask(struct client *client, const char *method, const char *path, const json_t *body, json_t **ret, struct error *err)
{
    struct buf answer;
    struct http_result result;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text)
        return error_nomem(err);
    buf_init(&answer, CLIENT_MAX_ANSWER);
    struct http_call call = {
        .method = method, .path = path, .body = td_str(text), .accept = "application/json", .write = take_bytes, .ctx = &answer};
    int status = client_run(client, &call, &result, err);
    if (status == TD_OK && ret)
        status = read_answer(client, &answer, ret, err);
    free(text);
    buf_clear(&answer);
    return status;
}

static int ask_or_tell(struct client *client, const char *method, const char *path, const json_t *body, json_t **ret)
{
    struct error err = {0};
    return client_ask(client, method, path, body, ret, &err) == TD_OK ? CLI_OK : client_fail(client, &err);
}

int client_get(struct client *client, const char *path, json_t **ret)
{
    return ask_or_tell(client, "GET", path, NULL, ret);
}

int client_post(struct client *client, const char *path, const json_t *body, json_t **ret)
{
    return ask_or_tell(client, "POST", path, body, ret);
}

int client_delete(struct client *client, const char *path)
{
    return ask_or_tell(client, "DELETE", path, NULL, NULL);
}

/* ---- Failing ---- */

int client_exit_of_code(const char *code)
{
    static const struct {
        const char *code;
        int exit;
    } classes[] = {{"invalid_request", CLI_USAGE},     {"not_found", CLI_NOT_FOUND}, {"not_allowed", CLI_NOT_ALLOWED},
                   {"exists", CLI_CONFLICT},           {"conflict", CLI_CONFLICT},   {"limit_reached", CLI_CONFLICT},
                   {"no_room", CLI_CONFLICT},          {"in_use", CLI_CONFLICT},     {"temporary_failure", CLI_REMOTE},
                   {"window_not_available", CLI_USAGE}};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strcmp(classes[i].code, code) == 0)
            return classes[i].exit;
    return CLI_FAILURE;
}

/* A message may come from elsewhere: nothing in it steers the terminal, and it stays one line. */
static void tell(const char *text, const char *advice)
{
    struct buf line;
    buf_init(&line, 0);
    utf8_put_printable(&line, td_str(text), UTF8_PROSE);
    cli_error("%s%s", buf_cstr(&line), advice);
    buf_clear(&line);
}

int client_fail(const struct client *client, const struct error *err)
{
    (void)client;
    switch (err->status) {
    case TD_E_CONFIG: tell(err->text, ""); return CLI_USAGE;
    case TD_E_NOT_FOUND: tell(err->text, ""); return CLI_NOT_FOUND;
    case TD_E_DENIED: tell(err->text, "; a token is given with --token-file or $TAPEDECK_TOKEN_FILE"); return CLI_NOT_ALLOWED;
    case TD_E_EXISTS:
    case TD_E_LIMIT: tell(err->text, ""); return CLI_CONFLICT;
    case TD_E_RETRY: /* the hub, unless it says that the cloud is meant */
        tell(err->text, strstr(err->text, "cloud_unavailable") ? "" : "; --hub or $TAPEDECK_HUB says where the hub is");
        return CLI_REMOTE;
    default: tell(err->text, ""); return CLI_FAILURE;
    }
}

static struct filter_span span_of(const json_t *diagnostic, size_t n)
{
    json_int_t from = json_integer_value(json_object_get(diagnostic, "from"));
    json_int_t to = json_integer_value(json_object_get(diagnostic, "to"));
    if (from < 0 || (size_t)from > n)
        from = (json_int_t)n;
    if (to < from || (size_t)to > n)
        to = from;
    return (struct filter_span){(uint32_t)from, (uint32_t)to};
}

/* What the hub says of the filter, shown as the commands that need no hub do. False: it finds nothing amiss. */
static bool show_diagnostics(const json_t *checked, const char *filter)
{
    struct filter_diagnostics list;
    struct buf out;
    size_t i;
    const json_t *v = json_object_get(checked, "diagnostics"), *one;
    filter_diagnostics_init(&list);
    buf_init(&out, 0);
    json_array_foreach((json_t *)v, i, one)
    {
        struct filter_span span = span_of(one, strlen(filter));
        if (strcmp(client_text(one, "severity"), "error") == 0)
            filter_fault(&list, span, "hub", "%s", client_text(one, "message"));
        else
            filter_warning(&list, span, "hub", "%s", client_text(one, "message"));
    }
    bool found = list.fault_n > 0;
    if (found) {
        filter_diagnostics_put_text(&out, &list, td_str(filter));
        fwrite(out.p, 1, out.n, stderr);
    }
    buf_clear(&out);
    filter_diagnostics_clear(&list);
    return found;
}

int client_fail_filter(struct client *client, const struct error *err, const char *filter)
{
    json_t *checked = NULL;
    struct error ignored = {0};
    bool shown = false;
    if (filter && err->status == TD_E_CONFIG) {
        json_t *body = json_pack("{s:s}", "filter", filter);
        if (body && client_ask(client, "POST", "/filter/check", body, &checked, &ignored) == TD_OK)
            shown = show_diagnostics(checked, filter);
        json_decref(checked);
        json_decref(body);
    }
    return shown ? CLI_USAGE : client_fail(client, err);
}

/* ---- Paths and values ---- */

void client_put_parameter(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(path, "%c%s=", path->n && memchr(path->p, '?', path->n) ? '&' : '?', name);
    http_put_encoded(path, value);
}

int client_time(const char *option, const char *text, char ret[40])
{
    struct timespec now;
    int64_t ns;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!units_parse_time(text, (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, &ns)) {
        cli_error("%s \"%s\" is no time; write 2026-01-02T03:04:05Z, 03:04 of today as 2026-01-02T03:04, or now-5m", option, text);
        return CLI_USAGE;
    }
    units_format_time(ns, ret);
    return CLI_OK;
}

int client_put_time(struct buf *path, const char *name, const char *text)
{
    char option[32], time[UNITS_TEXT];
    if (!text)
        return CLI_OK;
    snprintf(option, sizeof(option), "--%s", name);
    int code = client_time(option, text, time);
    if (code == CLI_OK)
        client_put_parameter(path, name, time);
    return code;
}

bool client_put_dissection(struct buf *path, const char *name)
{
    const char *slash = strchr(name, '/');
    char snapshot[MAX_PATH_NAME];
    if (!slash || slash == name || !slash[1] || strchr(slash + 1, '/') || (size_t)(slash - name) >= sizeof(snapshot))
        return false;
    snprintf(snapshot, sizeof(snapshot), "%.*s", (int)(slash - name), name);
    buf_putc(path, '/');
    http_put_encoded(path, snapshot);
    buf_putc(path, '/');
    http_put_encoded(path, slash + 1);
    return true;
}

const json_t *client_member(const json_t *object, const char *path)
{
    char key[MAX_PATH_NAME];
    const json_t *whole = json_object_get(object, path);
    while (!whole && object && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(key))
            return NULL;
        memcpy(key, path, n);
        key[n] = 0;
        object = json_object_get(object, key);
        path += n + (path[n] == '.');
    }
    return whole ? whole : object;
}

const char *client_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(client_member(object, path));
    return text ? text : "";
}
