/* May a file's code run in this process? Only if nobody but root and this user could have put it there. */
#ifndef PLUGIN_TRUST_H
#define PLUGIN_TRUST_H

#include <limits.h>
#include <sys/stat.h>

#include "base/error.h"

/* Follows links to the real path. That must be a regular file; it and every directory above it must be owned by root or
 * by the effective user, and writable by no group and no others. A directory with the sticky bit, as /tmp, may be
 * writable: there nobody can replace what belongs to somebody else. The text of a refusal names what to mend. */
int trust_check(const char *path, char ret_real[PATH_MAX], struct stat *ret_stat, struct error *err) MUST_CHECK;

#endif
