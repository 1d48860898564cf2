#include "content_body.h"

#include "content_text.h"

/* Room for both buffers that stacked codings need, within what scratch() gives. */
enum { MAX_STACKED = 32 * 1024 * 1024 };

void content_body_begin(struct content_body *body, bool keep, const uint8_t *codings, uint8_t n_codings)
{
    body->size = body->kept = 0;
    body->keep = keep;
    body->decoded = body->cut = false;
    body->n_codings = n_codings;
    memcpy(body->codings, codings, sizeof(body->codings));
}

void content_body_add(struct content_body *body, const struct content_sink *sink, struct td_slice content)
{
    body->size += content.n;
    if (!body->keep || content.n == 0)
        return;
    if (content.n > sink->max - body->kept)
        content.n = (size_t)(sink->max - body->kept);
    sink->host->append_bytes(sink->call, sink->field, content);
    body->kept += content.n;
    body->keep = body->kept < sink->max;
}

void content_body_miss(struct content_body *body, uint64_t n)
{
    body->size += n;
    body->keep = false;
}

/* Coded bytes are kept as they are and decoded in one go: no decoder lives from packet to packet. */
static uint32_t decode(struct content_body *body, const struct content_sink *sink)
{
    const struct td_host *host = sink->host;
    size_t cap = (size_t)sink->max;
    struct td_slice decoded;
    uint8_t *room;
    enum content_decoded result;
    if (body->n_codings > 1 && cap > MAX_STACKED)
        cap = MAX_STACKED;
    room = (uint8_t *)host->scratch(sink->conn, body->n_codings > 1 ? 2 * cap : cap);
    if (!room)
        return TD_PARTIAL;
    result = content_decode(body->codings, body->n_codings, host->peek(sink->call, sink->field), room, cap, &decoded);
    body->decoded = result != CONTENT_DECODED_BAD || decoded.n;
    body->cut = result == CONTENT_DECODED_BAD || !body->keep || decoded.n == cap;
    if (body->decoded)
        host->set_bytes(sink->call, sink->field, decoded);
    return result == CONTENT_DECODED_BAD ? TD_PARTIAL : 0;
}

uint32_t content_body_end(struct content_body *body, const struct content_sink *sink, bool decode_it)
{
    uint32_t flags = 0;
    if (sink->call && body->kept && body->n_codings && decode_it)
        flags = decode(body, sink);
    body->kept = 0;
    return flags;
}

/* ---- Children --------------------------------------------------------------------------------------------------------- */

void content_child_open(struct content_child *child, const struct content_sink *sink, struct td_slice content_type)
{
    struct td_slice type, grpc = TD_LIT("application/grpc");
    const uint8_t *plus;
    if (child->sub || !sink->call || !content_next_element(&content_type, ';', &type))
        return;
    child->raw = td_eq_nocase(td_sub(type, 0, grpc.n), grpc);
    plus = child->raw ? (const uint8_t *)memchr(type.p, '+', type.n) : NULL;
    if (plus)
        type.n = (size_t)(plus - type.p);
    child->sub = sink->host->sub_open(sink->conn, sink->call, "http.content", type);
}

/* It needs no more if it has ended its claim. */
static void note(struct content_child *child, const struct content_sink *sink, int status)
{
    if (status == TD_OK)
        return;
    sink->host->sub_close(child->sub, TD_CLOSE_LOST);
    child->sub = NULL;
}

/* Is there a parameter of this name? */
static bool has_parameter(struct td_slice query, struct td_slice name)
{
    while (query.n) {
        const uint8_t *end = (const uint8_t *)memchr(query.p, '&', query.n);
        if (td_starts(query, name))
            return true;
        query = td_sub(query, end ? (size_t)(end - query.p) + 1 : query.n, query.n);
    }
    return false;
}

/* Nearly all queries are of no interest to anybody else, and a child costs as much as all the rest of a small call. */
void content_child_open_query(struct content_child *child, const struct content_sink *sink, struct td_slice query)
{
    if (!has_parameter(query, TD_LIT("query=")) && !has_parameter(query, TD_LIT("extensions=")))
        return;
    if (!child->sub && sink->call)
        child->sub = sink->host->sub_open(sink->conn, sink->call, "http.content", TD_LIT("application/x-www-form-urlencoded"));
}

void content_child_query(struct content_child *child, const struct content_sink *sink, struct td_slice query, uint64_t begin)
{
    if (child->sub)
        note(child, sink, sink->host->sub_data(child->sub, TD_CLIENT, query, begin, begin + query.n));
    if (child->sub)
        sink->host->sub_eof(child->sub, TD_CLIENT);
}

void content_child_data(struct content_child *child, const struct content_sink *sink, const struct content_body *body, int dir,
                        struct td_slice content, uint64_t begin)
{
    if (content.n && content_child_follows(child, body))
        note(child, sink, sink->host->sub_data(child->sub, dir, content, begin, begin + content.n));
}

void content_child_gap(struct content_child *child, const struct content_sink *sink, const struct content_body *body, int dir, uint64_t n)
{
    if (content_child_follows(child, body))
        note(child, sink, sink->host->sub_gap(child->sub, dir, n ? n : 1));
}

/* In pieces of its own, for what peek() gives does not outlive the child's setters. */
static void give_decoded(struct content_child *child, const struct content_sink *sink, int dir, uint64_t end)
{
    uint8_t piece[4096];
    size_t at;
    for (at = 0; child->sub; at += sizeof(piece)) {
        struct td_slice rest = td_sub(sink->host->peek(sink->call, sink->field), at, at + sizeof(piece));
        if (!rest.n)
            return;
        memcpy(piece, rest.p, rest.n);
        note(child, sink, sink->host->sub_data(child->sub, dir, td_bytes(piece, rest.n), end ? end - 1 : 0, end));
    }
}

void content_child_end(struct content_child *child, const struct content_sink *sink, const struct content_body *body, int dir, uint64_t end)
{
    if (child->sub && !content_child_follows(child, body)) {
        if (body->decoded)
            give_decoded(child, sink, dir, end);
        if (child->sub && body->size && (!body->decoded || body->cut))
            note(child, sink, sink->host->sub_gap(child->sub, dir, 1));
    }
    if (child->sub)
        sink->host->sub_eof(child->sub, dir);
}
