/* WebSocket frames (RFC 6455 section 5): headers, masks, what close frames say, and whether bytes look like frames at all. */
#ifndef WEBSOCKET_FRAME_H
#define WEBSOCKET_FRAME_H

#include "tapedeck/slice.h"

enum {
    WS_MAX_HEADER = 14,  /* bytes */
    WS_MAX_CONTROL = 125 /* bytes of a control frame's payload */
};

enum ws_opcode { WS_CONTINUATION, WS_TEXT, WS_BINARY, WS_CLOSE = 8, WS_PING, WS_PONG };

struct ws_frame {
    uint64_t length;  /* of the payload, in bytes */
    uint8_t header;   /* bytes before it */
    uint8_t opcode;   /* ws_opcode, or a reserved one */
    uint8_t rsv;      /* bits 4, 2, 1: RSV1, RSV2, RSV3 */
    bool fin, masked; /* the message's last; from a client */
    uint8_t mask[4];  /* zero if there is none */
    bool long_winded; /* the length could have been shorter */
};

/* Reads a header at the beginning of `in`. Returns 0, or how many bytes it takes to read it: at least one more. */
size_t ws_read_header(struct td_slice in, struct ws_frame *ret);
/* Why no peer sends such a frame to the other ("unknown opcode"), or NULL. `from_client`: then it must be masked. */
const char *ws_header_fault(const struct ws_frame *frame, bool from_client);
static inline bool ws_is_control(uint8_t opcode)
{
    return opcode >= WS_CLOSE;
}

/* Takes the mask off `n` bytes, which begin at position `at` of the payload. */
void ws_unmask(const uint8_t mask[4], uint64_t at, const uint8_t *in, size_t n, uint8_t *out);

/* Status codes that may stand in a close frame (section 7.4, and those that IANA has registered). */
bool ws_is_close_code(unsigned code);

/* Has the text no control characters but tabs and line ends? */
bool ws_is_printable(struct td_slice text);
/* Do these bytes look as if frames began here? 0: no. -1: nothing speaks against it, but more must be seen. Else up to 100: the
 * more there is that cannot be chance. What stands behind enough of it is not looked at, so that it costs no more than a few frames. */
int ws_plausible(struct td_slice in, bool from_client);

#endif
