#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

enum { MAX_PASSWD_BYTES = 1 << 20, HIGHEST_CAPABILITY = 63 };

struct capabilities {
    uint64_t effective, permitted, inheritable;
};

static const uint64_t net_raw = 1ull << CAP_NET_RAW;

/* ---- The kernel's interface: two halves of 32 bits ---- */

static int capabilities_read(struct capabilities *ret)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &head, data) != 0)
        return -1;
    ret->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    ret->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    ret->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int capabilities_write(const struct capabilities *c)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)c->effective, (uint32_t)c->permitted, (uint32_t)c->inheritable},
        {(uint32_t)(c->effective >> 32), (uint32_t)(c->permitted >> 32), (uint32_t)(c->inheritable >> 32)},
    };
    return syscall(SYS_capset, &head, data) == 0 ? 0 : -1;
}

void privileges_read(struct privileges *ret)
{
    struct capabilities now = {0};
    bool known = capabilities_read(&now) == 0;
    *ret = (struct privileges){
        .raw = known && now.effective & net_raw,
        .root = geteuid() == 0,
        .set_user = known && now.effective & 1ull << CAP_SETUID && now.effective & 1ull << CAP_SETGID,
    };
}

/* ---- The user ---- */

static int find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct error *err)
{
    size_t n = 16 << 10;
    int code = ERANGE;
    struct passwd entry, *found = NULL;
    char *room = NULL;
    for (; code == ERANGE && n <= MAX_PASSWD_BYTES; n *= 2) {
        mem_free(room);
        room = mem_alloc(n);
        if (!room)
            return error_nomem(err);
        code = getpwnam_r(name, &entry, room, n, &found);
    }
    int status = TD_OK;
    if (found) {
        *ret_uid = entry.pw_uid;
        *ret_gid = entry.pw_gid;
    } else if (code == 0 || code == ENOENT || code == ESRCH) {
        status = error_set(err, TD_E_CONFIG, "there is no user \"%s\" on this machine", name);
    } else {
        status = error_set(err, TD_E_INTERNAL, "cannot look up user %s: %s", name, strerror(code));
    }
    mem_free(room);
    return status;
}

/* With the groups that the user is in, and no others. */
static int become(const char *name, struct error *err)
{
    uid_t uid = 0;
    gid_t gid = 0;
    int status = find_user(name, &uid, &gid, err);
    if (status != TD_OK)
        return status;
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid && saved == uid)
        return TD_OK;
    if (initgroups(name, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return error_set(err, errno == EPERM ? TD_E_DENIED : TD_E_INTERNAL, "cannot become user %s: %s%s", name, strerror(errno),
                         errno == EPERM ? "; start the program as root, or as that user" : "");
    return TD_OK;
}

/* ---- Giving up ---- */

static bool in_bounding_set(int capability)
{
    return prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1; /* an error: the kernel does not know it */
}

/* Only who has CAP_SETPCAP can; for others no_new_privs is what keeps the door shut. */
static int empty_bounding_set(bool keep_raw, struct error *err)
{
    struct capabilities now;
    if (capabilities_read(&now) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot read capabilities: %s", strerror(errno));
    if (!(now.effective & 1ull << CAP_SETPCAP))
        return TD_OK;
    for (int i = 0; i <= HIGHEST_CAPABILITY; i++)
        if (!(keep_raw && i == CAP_NET_RAW) && in_bounding_set(i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
            return error_set(err, TD_E_INTERNAL, "cannot take capability %d out of the bounding set: %s", i, strerror(errno));
    return TD_OK;
}

/* Nothing is believed because a call said that it succeeded. */
static int verify(const char *user, uint64_t kept, struct error *err)
{
    struct capabilities now;
    if (capabilities_read(&now) != 0 || now.permitted != kept || now.effective != kept || now.inheritable != 0)
        return error_set(err, TD_E_INTERNAL, "capabilities are not what they should be after privileges were dropped");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return error_set(err, TD_E_INTERNAL, "the kernel does not forbid new privileges");
    if (!user)
        return TD_OK;
    uid_t uid[3];
    gid_t gid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot read who this process is: %s", strerror(errno));
    if (uid[0] != uid[1] || uid[1] != uid[2] || gid[0] != gid[1] || gid[1] != gid[2])
        return error_set(err, TD_E_INTERNAL, "this process is still more than one user or group");
    if (uid[0] != 0 && (setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setresgid(0, 0, 0) == 0))
        return error_set(err, TD_E_INTERNAL, "root can still be regained after privileges were dropped");
    return TD_OK;
}

int privileges_drop(const char *user, bool keep_raw, struct error *err)
{
    struct capabilities before;
    if (capabilities_read(&before) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot read capabilities: %s", strerror(errno));
    uint64_t kept = keep_raw ? before.permitted & net_raw : 0;
    int status = empty_bounding_set(keep_raw, err);
    if (status != TD_OK)
        return status;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot keep capabilities over a change of user: %s", strerror(errno));
    status = user ? become(user, err) : TD_OK;
    /* What follows is done even if the user could not be changed: then the caller ends, with little power left. */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    bool given_up = capabilities_write(&(struct capabilities){kept, kept, 0}) == 0;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    bool forbidden = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (status != TD_OK)
        return status;
    if (!given_up || !forbidden)
        return error_set(err, TD_E_INTERNAL, "cannot give up capabilities: %s", strerror(errno));
    return verify(user, kept, err);
}
