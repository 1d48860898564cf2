/* HTTP/2 frames (RFC 9113 sections 4 and 6; PRIORITY_UPDATE: RFC 9218, ALTSVC: RFC 7838, ORIGIN: RFC 8336).
 *
 * Pure functions over slices: they keep nothing, allocate nothing and call nobody. What they return points into the input
 * and lives as long as it. */
#ifndef HTTP2_FRAME_H
#define HTTP2_FRAME_H

#include "tapedeck/slice.h"

enum {
    HTTP2_FRAME_HEADER = 9,          /* bytes */
    HTTP2_DEFAULT_MAX_FRAME = 16384, /* SETTINGS_MAX_FRAME_SIZE until told otherwise */
    HTTP2_PREFACE = 24               /* bytes that a client sends before its first frame */
};

#define HTTP2_PREFACE_TEXT "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum http2_type {
    HTTP2_DATA = 0,
    HTTP2_HEADERS,
    HTTP2_PRIORITY,
    HTTP2_RST_STREAM,
    HTTP2_SETTINGS,
    HTTP2_PUSH_PROMISE,
    HTTP2_PING,
    HTTP2_GOAWAY,
    HTTP2_WINDOW_UPDATE,
    HTTP2_CONTINUATION,
    HTTP2_ALTSVC,
    HTTP2_ORIGIN = 12,
    HTTP2_PRIORITY_UPDATE = 16
};

enum http2_flag {
    HTTP2_END_STREAM = 0x1, /* DATA, HEADERS */
    HTTP2_ACK = 0x1,        /* SETTINGS, PING */
    HTTP2_END_HEADERS = 0x4,
    HTTP2_PADDED = 0x8,
    HTTP2_PRIORITY_FLAG = 0x20
};

enum http2_setting {
    HTTP2_HEADER_TABLE_SIZE = 1,
    HTTP2_ENABLE_PUSH,
    HTTP2_MAX_CONCURRENT_STREAMS,
    HTTP2_INITIAL_WINDOW_SIZE,
    HTTP2_MAX_FRAME_SIZE,
    HTTP2_MAX_HEADER_LIST_SIZE
};

struct http2_frame {
    uint32_t length; /* of the payload, in bytes */
    uint32_t stream;
    uint8_t type, flags;
};

struct http2_priority {
    uint32_t dependency;
    uint16_t weight; /* 1 to 256 */
    bool exclusive;
};

/* What a frame's payload holds; which members are valid depends on its type. */
struct http2_payload {
    struct td_slice content; /* data; fragment of a header block; settings, six bytes each; opaque or debug data */
    uint32_t padding;        /* bytes, the length byte included */
    bool has_priority;
    struct http2_priority priority;
    uint32_t error;     /* RST_STREAM, GOAWAY */
    uint32_t stream;    /* PUSH_PROMISE: the promised one. GOAWAY: the last one that was or might be handled */
    uint32_t increment; /* WINDOW_UPDATE */
};

/* The header at the beginning of `in`; false: it has less than HTTP2_FRAME_HEADER bytes. */
bool http2_read_header(struct td_slice in, struct http2_frame *ret);

/* What is wrong with a frame of which only the header is known, a constant string; NULL: nothing. `max_length`: of the payload. */
const char *http2_header_fault(const struct http2_frame *frame, uint32_t max_length);

/* Reads a whole payload. Returns what is wrong with it, as above; then *ret holds nothing of use. */
const char *http2_read_payload(const struct http2_frame *frame, struct td_slice payload, struct http2_payload *ret);

/* Does a frame of this kind begin at the front of `in`, as strictly as befits a search in the middle of a stream? Frames behind it that
 * are in sight must be well-formed as well. Returns how many frames were seen to begin there, up to `enough`; 0: none does. *ret_end: where
 * the last of them ends, which may lie behind `in`. */
unsigned http2_count_frames(struct td_slice in, uint32_t max_length, unsigned enough, uint64_t *ret_end);

/* The name of a setting (RFC 9113 section 6.5.2, RFC 8441, RFC 9218), or NULL. */
const char *http2_setting_name(uint32_t id);

#endif
