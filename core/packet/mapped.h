/* A regular file, mapped window by window.
 *
 * A window is a block: it is unmapped when the last packet that points into it is let go. Windows grow from
 * small to MAPPED_MAX_WINDOW, so that many short captures side by side cost little. A record that crosses the end of a
 * window is found whole in the next one, which begins at the record's page. */
#ifndef PACKET_MAPPED_H
#define PACKET_MAPPED_H

#include "packet/input.h"

enum { MAPPED_MIN_WINDOW = 256 << 10, MAPPED_MAX_WINDOW = 4 << 20 };

/* Takes over `fd` when it succeeds, and reads from byte `start` on. */
int mapped_open(struct input *in, int fd, uint64_t start, struct error *err) MUST_CHECK;

#endif
