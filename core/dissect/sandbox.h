/* What a process gives up before it reads what others have sent: all that the kernel lets it give up without rights of its own.
 *
 * In two steps, since threads that are to come need what the second forbids. Everything that is needed is open before: nothing can be
 * opened afterwards, neither files (Landlock, seccomp) nor sockets (a network of its own with nothing in it, where it may have one;
 * Landlock; seccomp), and nothing be started. Linux, on x86-64 and aarch64. */
#ifndef DISSECT_SANDBOX_H
#define DISSECT_SANDBOX_H

#include <stdbool.h>

#include "base/error.h"

struct sandbox {
    uint64_t memory; /* bytes of data; 0: no limit */
    uint64_t room;   /* bytes of any file; 0: no limit */
    int socket;      /* the one over which open files come in (SCM_RIGHTS) */
};

/* [before there are other threads] Limits, rights, namespaces, priority, Landlock. What this kernel or this user lacks is left out. */
int sandbox_enclose(const struct sandbox *, struct error *err) MUST_CHECK;
/* Only the system calls that dissecting needs, for all threads. Any other makes SIGSYS, which kills. Without this there is no sandbox:
 * TD_E_UNSUPPORTED. */
int sandbox_seal(const struct sandbox *, struct error *err) MUST_CHECK;

/* What there is of it here: "landlock 6, seccomp". */
void sandbox_describe(char out[128]);
/* "openat"; NULL: no name for it is known here. */
const char *sandbox_call_name(int number);

#endif
