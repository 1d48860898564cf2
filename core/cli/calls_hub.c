#include "calls_hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/call_document.h"
#include "cli/call_table.h"
#include "cli/cli.h"
#include "cli/snapshot_file.h"
#include "export/output_file.h"

enum {
    PAGE = 1000,        /* calls that are asked for at once */
    PAYLOAD_PAGE = 100, /* with bodies */
    MAX_EVENT = 64 << 20,
    ID_WIDTH = 14,
    MAX_COLUMNS = 64,
    MAX_NAME = 127,
};

struct hub_calls {
    const struct calls_hub_request *want;
    struct client *client;
    struct call_table table;
    char *columns[MAX_COLUMNS]; /* cut out of `names` */
    size_t column_n;
    struct buf names, out;
    struct buf event; /* what came of the event that is not whole yet */
    struct output_file file;
    uint64_t n;
    bool ended; /* the hub has said so */
};

/* ---- Names ---- */

static bool is_part(struct td_slice part)
{
    for (size_t i = 0; i < part.n; i++) {
        bool inner = part.p[i] && strchr("._-", part.p[i]) && i > 0 && i + 1 < part.n;
        if (!inner && !(part.p[i] >= 'a' && part.p[i] <= 'z') && !(part.p[i] >= '0' && part.p[i] <= '9'))
            return false;
    }
    return part.n > 0 && part.n <= MAX_NAME + 1;
}

bool calls_hub_is_name(const char *word)
{
    size_t n = strcspn(word, "/"), all = strlen(word);
    bool is_store = all > 6 && strcmp(word + all - 6, ".calls") == 0;
    if (is_store || access(word, F_OK) == 0)
        return false;
    return is_part(td_bytes(word, n)) && (!word[n] || is_part(td_str(word + n + 1)));
}

/* ---- Output ---- */

static void choose_columns(struct hub_calls *h, const char *list)
{
    buf_puts(&h->names, list);
    char *at = (char *)(uintptr_t)buf_cstr(&h->names);
    while (at && *at && h->column_n < MAX_COLUMNS) {
        char *comma = strchr(at, ',');
        h->columns[h->column_n++] = at;
        if (comma)
            *comma = 0;
        at = comma ? comma + 1 : NULL;
    }
}

static void put_header(struct hub_calls *h)
{
    if (h->want->output != CALLS_HUB_TABLE)
        return;
    buf_printf(&h->out, "%*s  ", ID_WIDTH - 2, "ID");
    call_table_put_header(&h->out, &h->table);
}

static void prepare_output(struct hub_calls *h)
{
    struct winsize size;
    const char *no_colour = getenv("NO_COLOR");
    bool tabs = h->want->output == CALLS_HUB_TABS;
    choose_columns(h, tabs && h->want->fields ? h->want->fields : tabs ? "id," CALL_TABLE_FIELDS : CALL_TABLE_FIELDS);
    if (h->want->output != CALLS_HUB_TABLE)
        return;
    unsigned width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 120;
    call_table_init(&h->table, width > ID_WIDTH ? width - ID_WIDTH : width, !no_colour || !*no_colour);
    put_header(h);
}

static void put_tabs(struct hub_calls *h, const json_t *call)
{
    for (size_t i = 0; i < h->column_n; i++) {
        if (i)
            buf_putc(&h->out, '\t');
        call_document_put_column(&h->out, call, h->columns[i]);
    }
    buf_putc(&h->out, '\n');
}

static void put_row(struct hub_calls *h, const json_t *call)
{
    struct td_slice cells[CALL_TABLE_COLUMNS];
    size_t ends[CALL_TABLE_COLUMNS];
    struct buf id = {0}, text = {0};
    call_document_put_column(&id, call, "id");
    const char *number = buf_cstr(&id), *slash = strrchr(number, '/');
    for (size_t i = 0; i < CALL_TABLE_COLUMNS; i++) {
        call_document_put_column(&text, call, h->columns[i]);
        ends[i] = text.n;
    }
    for (size_t i = 0; i < CALL_TABLE_COLUMNS; i++)
        cells[i] = td_sub(buf_slice(&text), i ? ends[i - 1] : 0, ends[i]);
    buf_printf(&h->out, "%*s  ", ID_WIDTH - 2, slash ? slash + 1 : number);
    call_table_put_cells(&h->out, &h->table, cells, call_document_is_complete(call));
    h->out.failed |= text.failed;
    buf_clear(&id);
    buf_clear(&text);
}

static void put_call(struct hub_calls *h, const json_t *call)
{
    h->n++;
    if (h->want->output == CALLS_HUB_COUNT)
        return;
    if (h->want->output == CALLS_HUB_JSON) {
        char *text = json_dumps(call, JSON_COMPACT);
        if (text)
            buf_printf(&h->out, "%s\n", text);
        else
            h->out.failed = true;
        free(text);
        return;
    }
    if (h->want->output == CALLS_HUB_TABS)
        put_tabs(h, call);
    else
        put_row(h, call);
    if (h->want->payload)
        call_document_put_payload(&h->out, call);
}

static int flush_output(struct hub_calls *h, struct error *err)
{
    int status = h->out.failed ? error_nomem(err) : output_file_write(&h->file, buf_slice(&h->out), err);
    buf_reset(&h->out);
    return status;
}

/* ---- Pages ---- */

static void set_time(json_t *body, const char *name, int64_t ns)
{
    char text[UNITS_TEXT];
    if (ns == INT64_MIN || ns == INT64_MAX)
        return;
    units_format_time(ns, text);
    json_object_set_new(body, name, json_string(text));
}

static json_t *page_request(const struct hub_calls *h, const json_t *cursor)
{
    uint64_t page = h->want->payload ? PAYLOAD_PAGE : PAGE, left = h->want->limit - h->n;
    json_t *body = json_pack("{s:s, s:s, s:s, s:I}", "db", h->want->db, "order", h->want->oldest_first ? "oldest" : "newest", "format",
                             h->want->payload ? "full" : "compact", "limit", (json_int_t)(left < page ? left : page));
    if (body && h->want->filter)
        json_object_set_new(body, "filter", json_string(h->want->filter));
    if (body && cursor)
        json_object_set(body, "cursor", (json_t *)(uintptr_t)cursor);
    set_time(body, "start", h->want->from_ns);
    set_time(body, "end", h->want->to_ns);
    return body;
}

/* Until there is no more. A page without a call but with a cursor is fine: the hub has looked for long enough. */
static int put_pages(struct hub_calls *h, struct error *err)
{
    json_t *cursor = NULL;
    int status = TD_OK;
    do {
        json_t *answer = NULL, *call, *body = page_request(h, cursor);
        size_t i;
        status = body ? client_ask(h->client, "POST", "/calls", body, &answer, err)
                      : error_set(err, TD_E_CONFIG, "the filter or the name is no UTF-8");
        json_decref(body);
        json_decref(cursor);
        cursor = NULL;
        if (status == TD_OK) {
            json_array_foreach(json_object_get(answer, "calls"), i, call) if (h->n < h->want->limit) put_call(h, call);
            cursor = json_object_get(answer, "cursor");
            cursor = json_is_null(cursor) ? NULL : json_incref(cursor);
            status = flush_output(h, err);
        }
        json_decref(answer);
    } while (status == TD_OK && cursor && h->n < h->want->limit);
    json_decref(cursor);
    return status;
}

/* ---- Following: server-sent events (WHATWG HTML, section "Server-sent events") ---- */

static bool next_line(struct td_slice *rest, struct td_slice *ret)
{
    const uint8_t *newline = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    if (!newline)
        return false;
    size_t n = (size_t)(newline - rest->p);
    *ret = td_sub(*rest, 0, n && rest->p[n - 1] == '\r' ? n - 1 : n);
    *rest = td_sub(*rest, n + 1, rest->n);
    return true;
}

/* What stands behind "NAME:" and a space. */
static bool field_of(struct td_slice line, struct td_slice name, struct td_slice *ret)
{
    if (!td_starts(line, name))
        return false;
    size_t at = name.n;
    *ret = td_sub(line, at < line.n && line.p[at] == ' ' ? at + 1 : at, line.n);
    return true;
}

/* What came before is void: a dissector had crashed, and the dissection began anew without what made it. */
static void restart(struct hub_calls *h, const json_t *event)
{
    buf_reset(&h->out);
    h->n = 0;
    if (!output_file_rewind(&h->file))
        cli_error("%s: %s", h->want->db, client_text(event, "detail"));
    else
        put_header(h);
}

static int take_event(struct hub_calls *h, struct td_slice name, const struct buf *data, struct error *err)
{
    if (!data->n)
        return TD_OK;
    json_t *document = json_loadb((const char *)data->p, data->n, JSON_ALLOW_NUL, NULL);
    int status = TD_OK;
    if (td_eq(name, TD_LIT("error")) || td_eq(name, TD_LIT("problem")))
        status = error_set(err, TD_E_INTERNAL, "the hub ends: %s",
                           *client_text(document, "detail") ? client_text(document, "detail") : "it failed");
    else if (!document)
        status = error_set(err, TD_E_CORRUPT, "the hub sent something else than a call");
    else if (td_eq(name, TD_LIT("restart")))
        restart(h, document);
    else if (td_eq(name, TD_LIT("end")))
        h->ended = true;
    else if (json_object_get(document, "timestamp"))
        put_call(h, document);
    json_decref(document);
    return status;
}

/* All events that are whole; what is left stays. */
static int take_events(struct hub_calls *h, struct error *err)
{
    struct td_slice rest = buf_slice(&h->event), name = {0}, line, value;
    struct buf data = {0};
    size_t taken = 0;
    int status = TD_OK;
    while (status == TD_OK && next_line(&rest, &line)) {
        if (line.n == 0) {
            status = take_event(h, name, &data, err);
            name = (struct td_slice){0};
            buf_reset(&data);
            taken = h->event.n - rest.n;
        } else if (field_of(line, TD_LIT("event:"), &value)) {
            name = value;
        } else if (field_of(line, TD_LIT("data:"), &value)) {
            if (data.n)
                buf_putc(&data, '\n');
            buf_put_slice(&data, value);
        }
    }
    if (taken) {
        memmove(h->event.p, h->event.p + taken, h->event.n - taken);
        h->event.n -= taken;
    }
    buf_clear(&data);
    return status;
}

static int take_bytes(void *ctx, struct td_slice bytes, struct error *err)
{
    struct hub_calls *h = ctx;
    buf_put_slice(&h->event, bytes);
    if (h->event.failed)
        return error_set(err, TD_E_LIMIT, "the hub sends an event of more than %d MiB", MAX_EVENT >> 20);
    if (!memchr(bytes.p, '\n', bytes.n))
        return TD_OK;
    int status = take_events(h, err), flushed = h->out.n ? flush_output(h, status == TD_OK ? err : NULL) : TD_OK;
    return status == TD_OK ? flushed : status;
}

static int follow(struct hub_calls *h, struct error *err)
{
    struct buf path;
    struct http_result result;
    buf_init(&path, 0);
    buf_lit(&path, "/calls/stream");
    client_put_parameter(&path, "db", h->want->db);
    client_put_parameter(&path, "filter", h->want->filter);
    client_put_parameter(&path, "format", h->want->payload ? "full" : "compact");
    struct http_call call = {.method = "GET", .path = buf_cstr(&path), .accept = "text/event-stream", .write = take_bytes, .ctx = h};
    int status = flush_output(h, err); /* the header */
    if (status == TD_OK)
        status = client_run(h->client, &call, &result, err);
    if (status == TD_OK && !h->ended)
        status = error_set(err, TD_E_RETRY, "the hub broke off before the end of the calls");
    buf_clear(&path);
    return status;
}

/* ---- Running ---- */

static int run(struct hub_calls *h)
{
    struct error err = {0};
    int status = output_file_open(&h->file, h->want->out_path, &err);
    if (status != TD_OK) {
        output_file_abort(&h->file);
        return cli_fail(&err);
    }
    prepare_output(h);
    status = h->want->follow ? follow(h, &err) : put_pages(h, &err);
    if (status == TD_OK && h->want->output == CALLS_HUB_COUNT)
        buf_printf(&h->out, "%llu\n", (unsigned long long)h->n);
    if (status == TD_OK)
        status = flush_output(h, &err);
    if (status == TD_OK)
        status = output_file_commit(&h->file, &err);
    output_file_abort(&h->file);
    return status == TD_OK ? CLI_OK : client_fail_filter(h->client, &err, h->want->filter);
}

int calls_hub_run(const struct calls_hub_request *want)
{
    struct hub_calls h = {.want = want, .file = {.fd = -1}, .event = {.max = MAX_EVENT}};
    int code = client_open(want->hub, want->token_file, want->ca, &h.client);
    if (code != CLI_OK)
        return code;
    code = run(&h);
    client_close(h.client);
    buf_clear(&h.names);
    buf_clear(&h.event);
    buf_clear(&h.out);
    return code;
}

/* ---- One call ---- */

static void put_path(struct buf *path, const char *id, const char *rest)
{
    buf_lit(path, "/calls/");
    http_put_encoded(path, id);
    buf_puts(path, rest);
}

int calls_hub_show(const char *hub, const char *token_file, const char *ca, const char *id, bool json)
{
    struct client *client;
    struct buf path = {0}, out = {0};
    json_t *call = NULL;
    int code = client_open(hub, token_file, ca, &client);
    if (code != CLI_OK)
        return code;
    put_path(&path, id, "");
    code = client_get(client, buf_cstr(&path), &call);
    if (code == CLI_OK && json) {
        char *text = json_dumps(call, JSON_COMPACT);
        buf_printf(&out, "%s\n", text ? text : "");
        out.failed |= !text;
        free(text);
    } else if (code == CLI_OK) {
        call_document_put_text(&out, call);
    }
    if (code == CLI_OK)
        code = cli_write(&out);
    json_decref(call);
    buf_clear(&path);
    buf_clear(&out);
    client_close(client);
    return code;
}

int calls_hub_packets(const char *hub, const char *token_file, const char *ca, const char *id, const char *out_path)
{
    struct client *client;
    struct buf path = {0};
    int code = client_open(hub, token_file, ca, &client);
    if (code != CLI_OK)
        return code;
    put_path(&path, id, "/pcap");
    code = snapshot_file_download(client, buf_cstr(&path), NULL, out_path, true);
    buf_clear(&path);
    client_close(client);
    return code;
}
