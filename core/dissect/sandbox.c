#include "dissect/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dissect/sandbox_filter.h"

/* ---- Landlock: by numbers, since the C library has no functions for it and its headers may be older than the kernel ---- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

struct ruleset { /* struct landlock_ruleset_attr of ABI 6 */
    uint64_t files, network, scopes;
};

enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NETWORK = 4, ABI_IOCTL = 5, ABI_SCOPES = 6 };

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (int)abi : 0;
}

/* Everything that this kernel can refuse is refused, and no rule allows anything. What is open stays usable. */
static int refuse_files(struct error *err)
{
    int abi = landlock_abi();
    if (!abi)
        return TD_OK;
    struct ruleset all = {.files = (1u << 13) - 1};
    if (abi >= ABI_REFER)
        all.files |= 1u << 13;
    if (abi >= ABI_TRUNCATE)
        all.files |= 1u << 14;
    if (abi >= ABI_IOCTL)
        all.files |= 1u << 15;
    if (abi >= ABI_NETWORK)
        all.network = 3; /* bind and connect TCP */
    if (abi >= ABI_SCOPES)
        all.scopes = 3; /* abstract sockets and signals of others */
    size_t size = abi >= ABI_SCOPES    ? sizeof(all)
                  : abi >= ABI_NETWORK ? offsetof(struct ruleset, scopes)
                                       : offsetof(struct ruleset, network);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    bool fine = fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return fine ? TD_OK : error_set(err, TD_E_UNSUPPORTED, "the sandbox cannot be made: Landlock: %s", strerror(why));
}

/* ---- Rights ---- */

/* An empty network, if not with the rights there are then with those within a user namespace. Nothing is lost if neither may be: sockets
 * cannot be made in any case. */
static void leave_network(void)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC) != 0)
        (void)!unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC);
}

static int drop_rights(struct error *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    memset(none, 0, sizeof(none));
    if (syscall(SYS_capset, &head, none) != 0)
        return error_set(err, TD_E_UNSUPPORTED, "the sandbox cannot be made: rights cannot be dropped: %s", strerror(errno));
    return TD_OK;
}

/* ---- Limits ---- */

static int set_limit(int which, uint64_t value, struct error *err)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)which, &limit) == 0 && limit.rlim_max < value)
        value = limit.rlim_max; /* a lower one is in force */
    limit = (struct rlimit){value, value};
    if (setrlimit((__rlimit_resource_t)which, &limit) != 0)
        return error_set(err, TD_E_UNSUPPORTED, "the sandbox cannot be made: limit %d: %s", which, strerror(errno));
    return TD_OK;
}

/* Data is what counts: what a process has reserved without using it is in the address space, but in no memory. */
static int limit_memory(uint64_t memory, struct error *err)
{
#if SANDBOX_SANITIZED
    (void)memory, (void)err; /* reserves terabytes for itself */
    return TD_OK;
#else
    const uint64_t reserved = 16ull << 30; /* heaps of threads, their stacks, libraries */
    int status = memory ? set_limit(RLIMIT_DATA, memory, err) : TD_OK;
    if (status == TD_OK && memory && memory < UINT64_MAX - reserved)
        status = set_limit(RLIMIT_AS, memory + reserved, err);
    return status;
#endif
}

static void lower_priority(void)
{
    enum { NICE = 10, IO_BEST_EFFORT = 2 << 13, IO_LOWEST = 7, WHO_PROCESS = 1 };
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    (void)!syscall(SYS_ioprio_set, WHO_PROCESS, 0, IO_BEST_EFFORT | IO_LOWEST);
}

int sandbox_enclose(const struct sandbox *s, struct error *err)
{
    enum { FILES = 64 };
    lower_priority();
    leave_network();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_set(err, TD_E_UNSUPPORTED, "the sandbox cannot be made: %s", strerror(errno));
    int status = drop_rights(err);
    if (status == TD_OK)
        status = refuse_files(err);
    if (status == TD_OK)
        status = set_limit(RLIMIT_CORE, 0, err);
    if (status == TD_OK)
        status = set_limit(RLIMIT_NOFILE, FILES, err);
    if (status == TD_OK && s->room)
        status = set_limit(RLIMIT_FSIZE, s->room, err);
    return status == TD_OK ? limit_memory(s->memory, err) : status;
}

void sandbox_describe(char out[128])
{
    int abi = landlock_abi();
    bool filter = sandbox_filter_possible();
    char landlock[32] = "";
    if (abi)
        snprintf(landlock, sizeof(landlock), "landlock %d%s", abi, filter ? ", " : "");
    snprintf(out, 128, "%s%s", landlock, filter ? "seccomp" : abi ? "" : "none");
}
