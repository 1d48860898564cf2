#include "http2_frame.h"

#include "tapedeck/cursor.h"

/* Flags that a type defines; others are to be ignored, but nobody sends them. */
static uint8_t known_flags(uint8_t type)
{
    switch (type) {
    case HTTP2_DATA: return HTTP2_END_STREAM | HTTP2_PADDED;
    case HTTP2_HEADERS: return HTTP2_END_STREAM | HTTP2_END_HEADERS | HTTP2_PADDED | HTTP2_PRIORITY_FLAG;
    case HTTP2_SETTINGS:
    case HTTP2_PING: return HTTP2_ACK;
    case HTTP2_PUSH_PROMISE: return HTTP2_END_HEADERS | HTTP2_PADDED;
    case HTTP2_CONTINUATION: return HTTP2_END_HEADERS;
    default: return 0;
    }
}

static bool is_known(uint8_t type)
{
    return type <= HTTP2_ALTSVC || type == HTTP2_ORIGIN || type == HTTP2_PRIORITY_UPDATE;
}

bool http2_read_header(struct td_slice in, struct http2_frame *ret)
{
    struct td_cursor c = td_cursor(in);
    ret->length = td_be24(&c);
    ret->type = td_u8(&c);
    ret->flags = td_u8(&c);
    ret->stream = td_be32(&c) & 0x7fffffffu;
    return !c.failed;
}

static const char *length_fault(const struct http2_frame *f)
{
    static const char wrong[] = "a frame of a wrong size";
    switch (f->type) {
    case HTTP2_PRIORITY: return f->length == 5 ? NULL : wrong;
    case HTTP2_RST_STREAM:
    case HTTP2_WINDOW_UPDATE: return f->length == 4 ? NULL : wrong;
    case HTTP2_SETTINGS: return f->length % 6 == 0 && (f->length == 0 || !(f->flags & HTTP2_ACK)) ? NULL : wrong;
    case HTTP2_PUSH_PROMISE: return f->length >= 4 ? NULL : wrong;
    case HTTP2_PING: return f->length == 8 ? NULL : wrong;
    case HTTP2_GOAWAY: return f->length >= 8 ? NULL : wrong;
    case HTTP2_DATA:
    case HTTP2_HEADERS: return f->length || !(f->flags & HTTP2_PADDED) ? NULL : wrong;
    default: return NULL;
    }
}

const char *http2_header_fault(const struct http2_frame *f, uint32_t max_length)
{
    if (f->length > max_length)
        return "a frame larger than allowed";
    switch (f->type) {
    case HTTP2_DATA:
    case HTTP2_HEADERS:
    case HTTP2_PRIORITY:
    case HTTP2_RST_STREAM:
    case HTTP2_PUSH_PROMISE:
    case HTTP2_CONTINUATION:
        if (f->stream == 0)
            return "a frame of no stream";
        break;
    case HTTP2_SETTINGS:
    case HTTP2_PING:
    case HTTP2_GOAWAY:
        if (f->stream != 0)
            return "a frame of a stream that concerns the connection";
        break;
    default: break;
    }
    return length_fault(f);
}

static void read_priority(struct td_cursor *c, struct http2_payload *ret)
{
    uint32_t word = td_be32(c);
    ret->has_priority = true;
    ret->priority.exclusive = word >> 31;
    ret->priority.dependency = word & 0x7fffffffu;
    ret->priority.weight = (uint16_t)(td_u8(c) + 1);
}

const char *http2_read_payload(const struct http2_frame *f, struct td_slice payload, struct http2_payload *ret)
{
    struct td_cursor c = td_cursor(payload);
    bool may_pad = f->type == HTTP2_DATA || f->type == HTTP2_HEADERS || f->type == HTTP2_PUSH_PROMISE;
    uint32_t pad = 0;
    memset(ret, 0, sizeof(*ret));
    if (may_pad && f->flags & HTTP2_PADDED) {
        pad = td_u8(&c);
        ret->padding = pad + 1;
    }
    switch (f->type) {
    case HTTP2_HEADERS:
        if (f->flags & HTTP2_PRIORITY_FLAG)
            read_priority(&c, ret);
        break;
    case HTTP2_PRIORITY: read_priority(&c, ret); break;
    case HTTP2_RST_STREAM: ret->error = td_be32(&c); break;
    case HTTP2_PUSH_PROMISE: ret->stream = td_be32(&c) & 0x7fffffffu; break;
    case HTTP2_GOAWAY:
        ret->stream = td_be32(&c) & 0x7fffffffu;
        ret->error = td_be32(&c);
        break;
    case HTTP2_WINDOW_UPDATE: ret->increment = td_be32(&c) & 0x7fffffffu; break;
    default: break;
    }
    if (c.failed)
        return "a frame of a wrong size";
    if (pad > td_left(&c))
        return "padding longer than its frame";
    ret->content = td_take(&c, td_left(&c) - pad);
    if (f->type == HTTP2_PUSH_PROMISE && (ret->stream == 0 || ret->stream & 1))
        return "a promised stream that is not the server's";
    if (f->type == HTTP2_WINDOW_UPDATE && ret->increment == 0)
        return "a window update of nothing";
    return NULL;
}

/* ---- In the middle of a stream ------------------------------------------------------------------------------------- */

/* What is allowed and yet never seen does not count. */
static bool is_plausible(const struct http2_frame *f, struct td_slice in, uint32_t max_length)
{
    struct http2_payload payload;
    struct td_slice body = td_sub(in, HTTP2_FRAME_HEADER, (size_t)HTTP2_FRAME_HEADER + f->length);
    if (in.p[5] & 0x80 || !is_known(f->type) || f->flags & (uint8_t)~known_flags(f->type) || http2_header_fault(f, max_length))
        return false;
    if (f->type == HTTP2_SETTINGS && f->length > 16 * 6)
        return false;
    return body.n < f->length || !http2_read_payload(f, body, &payload);
}

unsigned http2_count_frames(struct td_slice in, uint32_t max_length, unsigned enough, uint64_t *ret_end)
{
    struct http2_frame f;
    unsigned n = 0;
    *ret_end = 0;
    while (n < enough && *ret_end < in.n) {
        struct td_slice rest = td_sub(in, (size_t)*ret_end, in.n);
        if (!http2_read_header(rest, &f))
            break; /* its beginning is in sight, but says nothing yet */
        if (!is_plausible(&f, rest, max_length))
            return 0;
        n++;
        *ret_end += (uint64_t)HTTP2_FRAME_HEADER + f.length;
    }
    return n;
}

/* ---- Names --------------------------------------------------------------------------------------------------------- */

const char *http2_setting_name(uint32_t id)
{
    static const char *const names[] = {NULL,
                                        "HEADER_TABLE_SIZE",
                                        "ENABLE_PUSH",
                                        "MAX_CONCURRENT_STREAMS",
                                        "INITIAL_WINDOW_SIZE",
                                        "MAX_FRAME_SIZE",
                                        "MAX_HEADER_LIST_SIZE",
                                        NULL,
                                        "ENABLE_CONNECT_PROTOCOL",
                                        "NO_RFC7540_PRIORITIES"};
    if (id == 0xfe03)
        return "GRPC_ALLOW_TRUE_BINARY_METADATA"; /* gRPC's own */
    return id < sizeof(names) / sizeof(names[0]) ? names[id] : NULL;
}
