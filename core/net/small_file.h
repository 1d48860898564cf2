/* Small files with secrets and such, read whole. */
#ifndef NET_SMALL_FILE_H
#define NET_SMALL_FILE_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the file to `ret`, at most ret->max bytes, followed by a zero that is not counted. `what` names it in errors: "the token file".
 * `secret`: users who are neither owner nor group must have no rights to it, the group may only read. TD_E_NOT_FOUND; TD_E_DENIED;
 * TD_E_CONFIG: no plain file, or too long. What was read of a secret must be cleared by the caller. */
int small_file_read(const char *path, const char *what, bool secret, struct buf *ret, struct error *err) MUST_CHECK;

#endif
