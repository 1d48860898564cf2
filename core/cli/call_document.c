#include "call_document.h"

#include "base/units.h"
#include "base/utf8.h"
#include "cli/answer.h"
#include "cli/client.h"

static void put_end(struct buf *out, const json_t *end)
{
    const char *ip = client_text(end, "ip");
    bool v6 = strchr(ip, ':');
    if (!*ip)
        return;
    if (v6)
        buf_putc(out, '[');
    utf8_put_printable(out, td_str(ip), UTF8_CELL);
    buf_printf(out, v6 ? "]:%lld" : ":%lld", (long long)json_integer_value(json_object_get(end, "port")));
}

/* The first of these that the call has. */
static void put_first(struct buf *out, const json_t *call, const char *const *names)
{
    for (; *names; names++) {
        const json_t *value = client_member(call, *names);
        if (!value || json_is_null(value))
            continue;
        answer_put_value(out, json_is_array(value) ? json_array_get(value, 0) : value);
        return;
    }
}

static void put_latency(struct buf *out, const json_t *call)
{
    char text[UNITS_TEXT];
    const json_t *us = json_object_get(call, "elapsed_time");
    json_int_t n = json_integer_value(us);
    if (us && n >= 0 && n < INT64_MAX / NS_PER_US)
        buf_puts(out, units_format_duration(n * NS_PER_US, text));
}

void call_document_put_column(struct buf *out, const json_t *call, const char *name)
{
    /* The hub gives a summary; from one that does not, what is known of the protocols. */
    static const char *const methods[] = {"summary.method", "method", "dns_opcode_name", NULL};
    static const char *const targets[] = {"summary.target", "url", "dns_questions", NULL};
    static const char *const statuses[] = {"summary.status", "dns_rcode_name", "status_code", NULL};
    if (strcmp(name, "src") == 0 || strcmp(name, "dst") == 0)
        put_end(out, json_object_get(call, name));
    else if (strcmp(name, "latency") == 0)
        put_latency(out, call);
    else if (strcmp(name, methods[0]) == 0)
        put_first(out, call, methods);
    else if (strcmp(name, targets[0]) == 0)
        put_first(out, call, targets);
    else if (strcmp(name, statuses[0]) == 0)
        put_first(out, call, statuses);
    else
        answer_put_value(out, client_member(call, name));
}

bool call_document_is_complete(const json_t *call)
{
    const json_t *request = client_member(call, "request.complete"), *response = client_member(call, "response.complete");
    bool one = json_is_true(json_object_get(call, "one_way")) && !request != !response;
    return one ? json_is_true(request ? request : response) : json_is_true(request) && json_is_true(response);
}

/* ---- Payload ---- */

static void put_lines(struct buf *out, struct td_slice text)
{
    for (size_t at = 0; at < text.n;) {
        const uint8_t *newline = memchr(text.p + at, '\n', text.n - at);
        size_t end = newline ? (size_t)(newline - text.p) : text.n;
        size_t shown = end > at && text.p[end - 1] == '\r' ? end - 1 : end;
        buf_lit(out, "    ");
        utf8_put_printable(out, td_sub(text, at, shown), UTF8_PROSE);
        buf_putc(out, '\n');
        at = end + 1;
    }
}

static void put_values(struct buf *out, const json_t *list, const char *arrow)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)list, i, one)
    {
        const json_t *name = json_object_get(one, "name"), *value = name ? json_object_get(one, "value") : one;
        if (json_is_integer(one))
            return; /* numbers of packets */
        buf_puts(out, arrow);
        if (name)
            utf8_put_printable(out, td_str(json_string_value(name)), UTF8_PROSE);
        if (name)
            buf_lit(out, ": ");
        utf8_put_printable(out, td_bytes(json_string_value(value), json_string_length(value)), UTF8_PROSE);
        buf_putc(out, '\n');
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Texts in a half are bodies, lists are header fields and the like. */
static void put_half(struct buf *out, const json_t *half, const char *arrow)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)half, key, value)
    {
        if (strcmp(key, "cookies") == 0)
            continue; /* they stand in the headers already */
        if (json_is_array(value))
            put_values(out, value, arrow);
        else if (ends_with(key, "_base64"))
            buf_printf(out, "    (%s: %zu bytes that are no text; -o json has them)\n", key, json_string_length(value) / 4 * 3);
        else if (json_is_string(value) && !ends_with(key, "_time"))
            put_lines(out, td_bytes(json_string_value(value), json_string_length(value)));
        else if (ends_with(key, "_cut") && strcmp(key, "frames_cut") != 0)
            buf_lit(out, "    (cut: memory limit)\n");
    }
}

void call_document_put_payload(struct buf *out, const json_t *call)
{
    put_half(out, json_object_get(call, "request"), "  > ");
    put_half(out, json_object_get(call, "response"), "  < ");
    buf_putc(out, '\n');
}

/* ---- Everything ---- */

static void put_half_line(struct buf *out, const char *name, const json_t *half, bool one_way)
{
    char size[UNITS_TEXT];
    json_int_t bytes = json_integer_value(json_object_get(half, "size"));
    size_t packets = json_array_size(json_object_get(half, "frames"));
    if (!half) {
        buf_printf(out, "%-10s %s\n", name, one_way ? "none: it goes one way" : "not seen");
        return;
    }
    buf_printf(out, "%-10s ", name);
    answer_put_value(out, json_object_get(half, "first_time"));
    buf_printf(out, ", %s on the wire, %zu packet%s", units_format_size(bytes > 0 ? (uint64_t)bytes : 0, size), packets,
               packets == 1 ? "" : "s");
    if (json_object_get(half, "missing_bytes"))
        buf_printf(out, ", %lld bytes were not captured", (long long)json_integer_value(json_object_get(half, "missing_bytes")));
    else if (!json_is_true(json_object_get(half, "complete")))
        buf_puts(out, ", its end was not seen");
    buf_putc(out, '\n');
}

void call_document_put_text(struct buf *out, const json_t *call)
{
    static const char *const known[] = {"id",  "timestamp",    "protocol", "transport", "conn_id", "src",
                                        "dst", "elapsed_time", "request",  "response",  "summary"};
    const char *key;
    json_t *value;
    bool one_way = json_is_true(json_object_get(call, "one_way"));
    buf_printf(out, "%s over %s, ", client_text(call, "protocol"), client_text(call, "transport"));
    put_end(out, json_object_get(call, "src"));
    buf_puts(out, " to ");
    put_end(out, json_object_get(call, "dst"));
    buf_puts(out, ", ");
    put_latency(out, call);
    buf_putc(out, '\n');
    put_half_line(out, "request", json_object_get(call, "request"), one_way);
    put_half_line(out, "response", json_object_get(call, "response"), one_way);
    buf_putc(out, '\n');
    json_object_foreach((json_t *)call, key, value)
    {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], key) != 0)
            i++;
        if (i < sizeof(known) / sizeof(known[0]))
            continue;
        buf_printf(out, "%-24s ", key);
        answer_put_value(out, value);
        buf_putc(out, '\n');
    }
    call_document_put_payload(out, call);
}
