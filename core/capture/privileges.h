/* Rights of the process: what capturing needs, and giving up everything else. */
#ifndef CAPTURE_PRIVILEGES_H
#define CAPTURE_PRIVILEGES_H

#include <stdbool.h>

#include "base/error.h"

struct privileges {
    bool raw;      /* CAP_NET_RAW: may open packet sockets */
    bool root;     /* effective user 0 */
    bool set_user; /* may change to another user */
};

void privileges_read(struct privileges *ret);
/* Becomes `user` (NULL: stays who it is), keeps CAP_NET_RAW if `keep_raw` (interfaces that come later need it), gives up every other
 * capability for good, in the bounding set too, and forbids new ones (no_new_privs). Call it before threads start, after ports are bound
 * and files that only root reads are read. */
int privileges_drop(const char *user, bool keep_raw, struct error *err) MUST_CHECK;

#endif
