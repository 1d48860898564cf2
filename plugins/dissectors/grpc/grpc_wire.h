/* Protocol Buffers on the wire (the "Encoding" document): fields, one after the other. */
#ifndef GRPC_WIRE_H
#define GRPC_WIRE_H

#include "tapedeck/cursor.h"

enum grpc_wire { GRPC_VARINT = 0, GRPC_I64 = 1, GRPC_LEN = 2, GRPC_I32 = 5 };

struct grpc_value {
    uint32_t number;       /* of the field */
    uint8_t wire;          /* grpc_wire */
    uint64_t bits;         /* VARINT, I64, I32 */
    struct td_slice bytes; /* LEN */
};

static inline uint64_t grpc_varint(struct td_cursor *c)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = td_u8(c);
        if (shift > 63) {
            c->failed = true;
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

/* The next field; false: the end, or (then the cursor has failed) nonsense. Groups, which nobody has used for long, count as that. */
static inline bool grpc_next_value(struct td_cursor *c, struct grpc_value *v)
{
    uint64_t tag, n;
    if (td_left(c) == 0)
        return false;
    tag = grpc_varint(c);
    v->number = (uint32_t)(tag >> 3);
    v->wire = tag & 7;
    v->bits = 0;
    v->bytes = td_bytes(NULL, 0);
    if (tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        c->failed = true;
    switch (v->wire) {
    case GRPC_VARINT: v->bits = grpc_varint(c); break;
    case GRPC_I64: v->bits = td_le64(c); break;
    case GRPC_I32: v->bits = td_le32(c); break;
    case GRPC_LEN:
        n = grpc_varint(c);
        if (n > td_left(c))
            c->failed = true;
        else
            v->bytes = td_take(c, (size_t)n);
        break;
    default: c->failed = true; break;
    }
    return !c->failed;
}

#endif
