/* Giving up privileges, each time in a child of its own: there is no way back. */
#include <grp.h>
#include <linux/capability.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/privileges.h"
#include "tap.h"

/* What a child found out, as bits. */
enum {
    DROPPED = 1 << 0,
    MAY_CAPTURE = 1 << 1,
    ONLY_RAW = 1 << 2,   /* or no capability at all */
    NO_ROOT = 1 << 3,    /* and no way to it */
    NO_BOUNDING = 1 << 4 /* nothing in the bounding set that could be got back */
};

static bool may_capture(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static uint64_t permitted(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    syscall(SYS_capget, &head, data);
    return data[0].permitted | data[0].effective | (uint64_t)(data[1].permitted | data[1].effective) << 32;
}

static bool no_root(void)
{
    const gid_t root_group = 0;
    bool other = getuid() != 0 && geteuid() != 0 && getgid() != 0;
    bool shut = setuid(0) != 0 && setreuid(0, 0) != 0 && setgid(0) != 0 && setgroups(1, &root_group) != 0;
    return other && shut && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static bool no_bounding(void)
{
    for (int i = 0; i < 64; i++)
        if (i != CAP_NET_RAW && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            return false;
    return true;
}

/* A program that is executed gets nothing back either: this one reads what it has. */
static bool exec_stays_low(uint64_t kept)
{
    FILE *status = popen("grep CapEff /proc/self/status", "re");
    char line[128] = "";
    bool read = status && fgets(line, sizeof(line), status) && strchr(line, ':');
    if (status)
        pclose(status);
    uint64_t effective = read ? strtoull(strchr(line, ':') + 1, NULL, 16) : UINT64_MAX;
    return (effective & ~kept) == 0;
}

static int in_child(const char *user, bool keep_raw)
{
    int pipe_fds[2], found = 0;
    if (pipe(pipe_fds) != 0)
        return -1;
    fflush(stdout); /* or a sanitizer writes it twice */
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        uint64_t kept = keep_raw ? 1ull << CAP_NET_RAW : 0;
        if (privileges_drop(user, keep_raw, &err) == TD_OK)
            found |= DROPPED;
        else
            fprintf(stderr, "# %s\n", err.text);
        found |= may_capture() ? MAY_CAPTURE : 0;
        found |= permitted() == kept && exec_stays_low(kept) ? ONLY_RAW : 0;
        found |= no_root() ? NO_ROOT : 0;
        found |= no_bounding() ? NO_BOUNDING : 0;
        (void)!write(pipe_fds[1], &found, sizeof(found));
        _exit(0);
    }
    close(pipe_fds[1]);
    if (read(pipe_fds[0], &found, sizeof(found)) != sizeof(found))
        found = -1;
    close(pipe_fds[0]);
    waitpid(child, NULL, 0);
    return found;
}

static void test_as_root(void)
{
    is_int(in_child("nobody", true), DROPPED | MAY_CAPTURE | ONLY_RAW | NO_ROOT | NO_BOUNDING, "another user, who may capture");
    is_int(in_child("nobody", false), DROPPED | ONLY_RAW | NO_ROOT | NO_BOUNDING, "another user, who may not");
    is_int(in_child(NULL, true), DROPPED | MAY_CAPTURE | ONLY_RAW | NO_BOUNDING, "the same user, who may capture");
    is_int(in_child(NULL, false), DROPPED | ONLY_RAW | NO_BOUNDING, "the same user, who may not");
    is_int(in_child("no such user", true) & DROPPED, 0, "a user who is not there: an error");
    is_int(in_child("no such user", true) & ONLY_RAW, ONLY_RAW, "and privileges are gone all the same");
}

static void test_errors(void)
{
    struct error err = {0};
    fflush(stdout); /* or a sanitizer writes it twice */
    pid_t child = fork();
    if (child == 0)
        _exit(privileges_drop("no such user", true, &err) == TD_E_CONFIG && strstr(err.text, "no such user") ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    is_int(status, 0, "a user who is not there: the error names them");
}

int main(void)
{
    struct privileges now;
    privileges_read(&now);
    is_int(now.root, geteuid() == 0, "root or not");
    is_int(now.raw, may_capture(), "may open packet sockets or not");
    if (now.root && now.set_user && now.raw)
        test_as_root();
    else
        tap_skip("only root can try to give up being root");
    test_errors();
    return tap_done();
}
