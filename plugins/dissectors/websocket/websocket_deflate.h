/* permessage-deflate (RFC 7692): what was agreed on, and the decompression of one direction's messages.
 *
 * A decompressor with the largest window reads what was compressed with any smaller one, and one that keeps its window reads what was
 * compressed without: so the agreed parameters are told, but not needed. After a loss, what refers to bytes that are not known is
 * an error, never a guess: the window then holds only what came since. */
#ifndef WEBSOCKET_DEFLATE_H
#define WEBSOCKET_DEFLATE_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include <zlib.h>

#include "tapedeck/plugin.h"

struct ws_deflate {
    const struct td_host *host;
    struct td_arena *arena; /* where its memory comes from, about 40 KiB at the first message */
    z_stream z;
    bool made;
    bool failed;     /* no memory */
    uint64_t excess; /* bytes that were made out of next to nothing, in all messages so far; who decompresses counts them */
};

enum ws_inflated {
    WS_INFLATED_ALL,  /* all input is used */
    WS_INFLATED_ROOM, /* the room is full: again, with what is left of the input */
    WS_INFLATED_BAD   /* not deflate, or it refers to what is not known */
};

void ws_deflate_init(struct ws_deflate *d, const struct td_host *host, struct td_arena *arena);
/* Takes from *in, and writes at most *n bytes at `room`; *n: how many it was. */
enum ws_inflated ws_inflate(struct ws_deflate *d, struct td_slice *in, uint8_t *room, size_t *n);
/* Nothing of what came before is known any more. */
void ws_deflate_forget(struct ws_deflate *d);
/* Is permessage-deflate among the extensions of a Sec-WebSocket-Extensions field? */
bool ws_has_deflate(struct td_slice extensions);

#endif
