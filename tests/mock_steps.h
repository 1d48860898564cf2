/* Bytes as steps of a connection: what fuzzers feed to a stream's dissector. Each step is a byte that tells what comes and how long:
 *
 *   bit 7      direction
 *   bits 5, 6  0 and 1: bytes that follow, 2: a gap, 3: (other bits zero) the direction's end
 *   bits 0..4  length; 31: the next byte tells how many more */
#ifndef TESTS_MOCK_STEPS_H
#define TESTS_MOCK_STEPS_H

#include "mock_host.h"

void mock_play(struct mock *m, const uint8_t *data, size_t size);
/* Asks probe() of both directions; ends the program if an answer is outside of what it may be. The sum of the scores. */
int mock_probe_both(const struct mock *m, const uint8_t *data, size_t size);

#endif
