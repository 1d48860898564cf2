/* Messages: each is a call, of which it is the request if the client sent it, else the response. */
#ifndef WEBSOCKET_CALL_H
#define WEBSOCKET_CALL_H

#include "../utf8/utf8.h"
#include "websocket_deflate.h"
#include "websocket_frame.h"

/* The component's fields; websocket.c documents them in this order. */
enum ws_field_index {
    F_URL,
    F_PATH,
    F_QUERY_STRING,
    F_HOST,
    F_SUBPROTOCOL,
    F_EXTENSIONS,
    F_OPCODE,
    F_REQUEST,
    F_RESPONSE,
    F_REQUEST_DATA,
    F_RESPONSE_DATA,
    F_REQUEST_LENGTH,
    F_RESPONSE_LENGTH,
    F_FRAMES,
    F_COMPRESSED_LENGTH,
    F_CLOSE_CODE,
    F_CLOSE_NAME,
    F_CLOSE_REASON,
    F_INVALID_UTF8,
    F_REQUEST_BODY,
    F_RESPONSE_BODY,
    F_REQUEST_HEADERS, /* from here on only read, in the call of HTTP/2 that carries it */
    F_RESPONSE_HEADERS,
    F_COUNT
};

enum {
    WS_PREVIEW = 1024,          /* bytes of a text that filters see */
    WS_MAX_INFLATED = 64 << 20, /* bytes that are decompressed of one message */
    /* Deflate makes up to 1032 bytes of one, text five to twenty. What is more than this many times what was sent, and more than
     * WS_FREE bytes of a message, is counted, and broken off where a direction has had WS_MAX_EXCESS of it, or four messages of
     * maxMessageSize if that is more. */
    WS_USUAL_RATIO = 64,
    WS_FREE = 64 << 10,
    WS_MAX_EXCESS = 16 << 20
};

struct ws_config {
    uint64_t max_message; /* bytes that are kept of each */
};

/* The component's instance. */
struct websocket {
    const struct td_host *host;
    struct td_inst *inst;
    const struct ws_config *config;
};

/* What the handshake has told, and where the fields go. */
struct ws_out {
    const struct websocket *ws;
    struct td_conn *conn;
    uint32_t wanted; /* a bit for each field that somebody will look at */
    bool reads;      /* somebody looks at what the messages say, or a child may */
    /* Empty: not known. They live as long as the connection. */
    struct td_slice url, path, query, host, subprotocol, extensions;
};

static inline bool ws_wants(const struct ws_out *out, unsigned field)
{
    return out->wanted >> field & 1;
}

/* One message while it passes. All zero: none. */
struct ws_message {
    struct td_call *call;
    struct td_conn *child;
    uint64_t wire, size; /* payload bytes so far: as sent, decompressed */
    uint64_t kept;       /* of these in the call's body */
    uint64_t excess;     /* of these counted in ws_deflate */
    uint64_t frames;
    uint8_t *preview; /* WS_PREVIEW bytes, the side's */
    size_t preview_n;
    struct utf8 utf8;
    uint8_t opcode;
    bool open, compressed;
    bool broken; /* what follows is not what was sent: content is missing, or could not be decompressed */
    bool partial;
};

/* A message begins with this frame. */
void ws_message_begin(const struct ws_out *out, struct ws_message *m, int dir, const struct ws_frame *frame, uint8_t *preview);
/* Payload without its mask, from [begin, end) of what `dir` sends. `deflate`: the direction's. */
void ws_message_add(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, struct td_slice payload,
                    uint64_t begin);
/* `n` bytes of payload are missing here. */
void ws_message_miss(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, uint64_t n);
/* Its last byte was before `end`; `cut`: it has not come to its end. Commits the call. */
void ws_message_end(const struct ws_out *out, struct ws_message *m, int dir, struct ws_deflate *deflate, uint64_t end, bool cut);

#endif
