/* The small texts of gRPC (its "over HTTP2" protocol document): percent-encoding, base64, timeouts, and JSON's strings.
 *
 * Pure functions: they keep nothing and allocate nothing. */
#ifndef GRPC_TEXT_H
#define GRPC_TEXT_H

#include "tapedeck/slice.h"

/* A buffer of the caller's. What does not fit sets `full`, and nothing is written from then on. */
struct grpc_out {
    uint8_t *p;
    size_t n, cap;
    bool full;
};

void grpc_put(struct grpc_out *out, struct td_slice s);
void grpc_put_char(struct grpc_out *out, char c);
void grpc_put_u64(struct grpc_out *out, uint64_t value);
void grpc_put_i64(struct grpc_out *out, int64_t value);
/* As JSON has them; NaN and the infinities as strings. */
void grpc_put_double(struct grpc_out *out, double value);
void grpc_put_float(struct grpc_out *out, float value);
/* As JSON has Timestamp and Duration: "1972-01-01T10:00:20.021Z", "1.000340012s". False: out of their range, and nothing is written. */
bool grpc_put_timestamp(struct grpc_out *out, int64_t seconds, int32_t nanos);
bool grpc_put_duration(struct grpc_out *out, int64_t seconds, int32_t nanos);
/* With quotes and escapes; what is not UTF-8 becomes U+FFFD. */
void grpc_put_string(struct grpc_out *out, struct td_slice s);
/* Standard alphabet, with padding, in quotes. */
void grpc_put_base64(struct grpc_out *out, struct td_slice s);

/* Is it UTF-8 without control characters? *ret_spaces: it has line ends or tabs, which are none in this sense. */
bool grpc_is_text(struct td_slice s, bool *ret_spaces);

/* grpc-message: %XX stands for a byte. `out` has room for s.n bytes; returns the bytes written. */
size_t grpc_percent_decode(struct td_slice s, uint8_t *out);

/* Either alphabet, with or without padding, which may stand between quartets. `out` has room for 3 * (s.n / 4 + 1) bytes. False: something
 * else stands in it; *ret_n bytes before that are written. */
bool grpc_base64_decode(struct td_slice s, uint8_t *out, size_t *ret_n);

/* The value of a binary header field: base64, or as it is behind a zero, where both sides allow that (GRPC_ALLOW_TRUE_BINARY_METADATA). As
 * above. */
bool grpc_binary_decode(struct td_slice s, uint8_t *out, size_t *ret_n);

/* grpc-timeout: digits and a unit: H M S m u n. False: not so, or more than fits. */
bool grpc_parse_timeout(struct td_slice s, int64_t *ret_ns);

/* A decimal number of at most nine digits. */
bool grpc_parse_number(struct td_slice s, uint32_t *ret);

#endif
