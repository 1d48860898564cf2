#include "content_body.h"

/* Room for both buffers that stacked codings need, within what scratch() gives. */
enum { MAX_STACKED = 32 * 1024 * 1024 };

void content_body_begin(struct content_body *body, bool keep, const uint8_t *codings, uint8_t n_codings)
{
    body->size = body->kept = 0;
    body->keep = keep;
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
static uint32_t decode(const struct content_body *body, const struct content_sink *sink)
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
    if (result != CONTENT_DECODED_BAD || decoded.n)
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
