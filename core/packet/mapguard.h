/* Keeps a mapped file that shrinks from killing the process.
 *
 * Touching a mapped page that lies behind the end of its file raises SIGBUS. For ranges that were added here, the
 * handler puts a page of zeros in that place and sets the range's flag; the code that touched it goes on, and whoever
 * looks at the flag afterwards knows. A SIGBUS anywhere else goes to the handler that was there before.
 *
 * A signal's handler belongs to the whole process, so this is the one module with state of its own. It is installed
 * with the first range and stays. Any thread may add and remove; neither blocks. */
#ifndef PACKET_MAPGUARD_H
#define PACKET_MAPGUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct mapguard;

/* Guards `len` bytes at `start`, page-aligned. `fault` must live until mapguard_remove(). NULL when memory is short. */
struct mapguard *mapguard_add(void *start, size_t len, atomic_bool *fault);
/* Before munmap(). */
void mapguard_remove(struct mapguard *);

#endif
