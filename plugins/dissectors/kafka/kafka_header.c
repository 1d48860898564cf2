#include "kafka_header.h"

#include "kafka_walk.h"

enum {
    SHORTEST = 8, /* key, version, correlation id */
    NAMED = 3,    /* characters of a client's id that are no accident */
    EXCESS = 4    /* bytes that old clients sent behind a message: an empty array with ApiVersions of version 0 */
};

/* Clients may call themselves as they like; but what is not ASCII proves nothing. */
static bool is_text(struct td_slice s, bool strict)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f || (strict && s.p[i] > 0x7f))
            return false;
    return true;
}

static bool possible_key(struct kafka_header *h, bool strict)
{
    h->api = kafka_api(h->api_key);
    h->known = h->api && h->api_version <= h->api->max_version;
    h->flexible = h->api && h->api_version >= h->api->flexible;
    if (h->api_key < 0 || h->api_key > KAFKA_KEY_MAX || h->api_version < 0 || h->api_version >= LAST || h->correlation_id < 0)
        return false;
    return h->known || !strict;
}

/* The client's id: a string that may be null, also where others are compact (KIP-482). */
static enum kafka_parsed client_id(struct td_cursor *c, struct kafka_header *h, bool strict, size_t *ret_need)
{
    int16_t n = (int16_t)td_be16(c);
    if (c->failed) {
        *ret_need = td_pos(c) + 2;
        return KAFKA_MORE;
    }
    if (n < -1 || n > KAFKA_CLIENT_ID_MAX || SHORTEST + 2 + (n > 0 ? (uint32_t)n : 0) > h->length)
        return KAFKA_NONE;
    h->has_client_id = n >= 0;
    size_t size = n > 0 ? (size_t)n : 0;
    bool there = td_left(c) >= size;
    h->client_id = td_take(c, there ? size : td_left(c));
    if (!is_text(h->client_id, strict))
        return KAFKA_NONE;
    *ret_need = KAFKA_LENGTH + SHORTEST + 2 + size;
    return there ? KAFKA_OK : KAFKA_MORE;
}

static uint32_t longest(bool strict)
{
    return strict ? KAFKA_REQUEST_MAX : KAFKA_FRAME_MAX;
}

/* Of a few bytes: what they tell so far. To ask for more costs what begins behind them, if they are none. */
static bool possible_start(struct td_slice bytes, bool strict)
{
    struct td_cursor c = td_cursor(bytes);
    if (bytes.n && bytes.p[0] > longest(strict) >> 24)
        return false;
    uint32_t length = td_be32(&c);
    if (!c.failed && (length < SHORTEST || length > longest(strict)))
        return false;
    uint16_t key = td_be16(&c);
    if (!c.failed && (strict ? !kafka_api((int16_t)key) : key > KAFKA_KEY_MAX))
        return false;
    uint16_t version = td_be16(&c);
    return c.failed || (strict ? version <= kafka_api((int16_t)key)->max_version : version < LAST);
}

enum kafka_parsed kafka_request_header(struct td_slice bytes, bool strict, struct kafka_header *h, size_t *ret_need)
{
    struct td_cursor c = td_cursor(bytes);
    memset(h, 0, sizeof(*h));
    *ret_need = KAFKA_LENGTH + SHORTEST;
    if (bytes.n < KAFKA_LENGTH + SHORTEST && !possible_start(bytes, strict))
        return KAFKA_NONE;
    if (bytes.n >= KAFKA_LENGTH)
        h->length = td_be32(&c);
    if (bytes.n < KAFKA_LENGTH + SHORTEST)
        return KAFKA_MORE;
    if (h->length < SHORTEST || h->length > longest(strict))
        return KAFKA_NONE;
    h->api_key = (int16_t)td_be16(&c);
    h->api_version = (int16_t)td_be16(&c);
    h->correlation_id = (int32_t)td_be32(&c);
    if (!possible_key(h, strict))
        return KAFKA_NONE;
    enum kafka_parsed parsed = KAFKA_OK;
    if (h->api_key != KAFKA_CONTROLLED_SHUTDOWN || h->api_version > 0)
        parsed = h->length < SHORTEST + 2 ? KAFKA_NONE : client_id(&c, h, strict, ret_need);
    h->size = td_pos(&c);
    return parsed;
}

bool kafka_response_is_tagged(int16_t api_key, bool flexible)
{
    return flexible && api_key != KAFKA_API_VERSIONS;
}

bool kafka_body_fits(struct td_slice bytes, uint64_t left, const struct kafka_rows *rows, unsigned version, bool flexible, bool header_tags,
                     bool *ret_whole)
{
    struct kafka_walk w;
    struct td_cursor c = td_cursor(td_sub(bytes, 0, left > bytes.n ? bytes.n : (size_t)left));
    uint64_t n;
    enum kafka_walk_result result;
    *ret_whole = false;
    kafka_walk_begin(&w, rows, version, flexible, header_tags);
    while ((result = kafka_walk(&w, &c, left - td_pos(&c), NULL, NULL, &n)) == KAFKA_WALK_RECORDS || result == KAFKA_WALK_SKIP) {
        if (n > td_left(&c))
            return true;
        td_skip(&c, (size_t)n);
    }
    *ret_whole = result == KAFKA_WALK_DONE && td_pos(&c) == left;
    return result == KAFKA_WALK_MORE || (result == KAFKA_WALK_DONE && left - td_pos(&c) <= EXCESS);
}

int kafka_request_score(struct td_slice bytes, size_t max_probe)
{
    struct kafka_header h;
    size_t need;
    bool whole = false;
    switch (kafka_request_header(bytes, true, &h, &need)) {
    case KAFKA_NONE: return 0;
    case KAFKA_MORE: return need <= max_probe ? -(int)need : 0;
    case KAFKA_OK: break;
    }
    uint64_t left = h.length + (uint64_t)KAFKA_LENGTH - h.size;
    if (h.api->request &&
        !kafka_body_fits(td_sub(bytes, h.size, max_probe), left, h.api->request, (unsigned)h.api_version, h.flexible, h.flexible, &whole))
        return 0;
    bool named = h.client_id.n >= NAMED;
    if (whole)
        return named || left > SHORTEST ? 100 : 80;
    return named ? (h.api->request ? 85 : 60) : 30;
}
