/* One connection of HTTP/2 with prior knowledge, made by hand, and what the engine makes of it: for what is carried within it. */
#ifndef TESTS_HTTP2_TALK_H
#define TESTS_HTTP2_TALK_H

#include "rig.h"
#include "traffic.h"

enum { H2_DATA, H2_HEADERS, H2_RST_STREAM = 3, H2_SETTINGS };
enum { H2_END_STREAM = 1, H2_END_HEADERS = 4, H2_WHOLE = 5 };

/* The connection, with the preface and both sides' SETTINGS. */
void h2_start(void);
void h2_frame(int dir, unsigned type, unsigned flags, uint32_t stream, struct td_slice payload);
/* `fields`: names and values by turns, each shorter than 127 bytes, ending with NULL: literals in one HEADERS frame. */
void h2_headers(int dir, unsigned flags, uint32_t stream, const char *const *fields);
#define H2_HEADERS_OF(dir, flags, stream, ...) h2_headers(dir, flags, stream, (const char *const[]){__VA_ARGS__, NULL})
/* `n` bytes of `dir` were not captured. */
void h2_lose(int dir, size_t n);
/* The connection's end, and the calls as JSON lines; valid until the next run. */
const char *h2_run(struct rig *rig);

#endif
