#include "plugin/trust.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

static char root[] = "/tmp/tapedeck-trust-XXXXXX", above[64], dir[128], path[160];
static char real_path[PATH_MAX];
static struct stat st;
static struct error err;

static void trusted(const char *what)
{
    is_int(trust_check(path, real_path, &st, &err), TD_OK, "%s %s", what, err.text);
}

static void refused(const char *what, const char *message)
{
    is_int(trust_check(path, real_path, &st, &err), TD_E_DENIED, "%s", what);
    like(err.text, message, "  is told with what to mend");
}

int main(void)
{
    if (!ok(mkdtemp(root) != NULL, "a directory for the test"))
        return tap_done();
    snprintf(above, sizeof(above), "%s/above", root);
    snprintf(dir, sizeof(dir), "%s/dir", above);
    snprintf(path, sizeof(path), "%s/p.so", dir);
    ok(mkdir(above, 0755) == 0 && mkdir(dir, 0755) == 0, "with a folder in it");
    is_int(trust_check(path, real_path, &st, &err), TD_E_NOT_FOUND, "a file that is not there");
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    ok(fd >= 0 && write(fd, "x", 1) == 1 && fchmod(fd, 0644) == 0, "and a file");
    close(fd);
    trusted("its owner's file is trusted, below a sticky directory");
    is_str(real_path, path, "by its real path");

    chmod(path, 0664);
    refused("a file that its group can write", "p.so can be written by its group (mode 0664); mend it with: chmod go-w /tmp/");
    chmod(path, 0646);
    refused("a file that everybody can write", "p.so can be written by everybody (mode 0646)");
    chmod(path, 0755);
    trusted("an executable file");
    chmod(dir, 0775);
    refused("its directory is the group's", "/dir can be written by its group");
    chmod(dir, 0755);
    chmod(above, 0777);
    refused("a directory above it is everybody's", "/above can be written by everybody (mode 0777)");
    chmod(above, 01777);
    trusted("unless it is sticky");

    char link_path[160];
    snprintf(link_path, sizeof(link_path), "%s/link.so", root);
    ok(symlink(path, link_path) == 0, "a link");
    is_int(trust_check(link_path, real_path, &st, &err), TD_OK, "is followed");
    is_str(real_path, path, "to the real path");
    chmod(above, 0777);
    is_int(trust_check(link_path, real_path, &st, &err), TD_E_DENIED, "and what it leads to is checked");
    chmod(above, 0755);

    if (geteuid() == 0) {
        ok(chown(path, 4242, 0) == 0, "a file of another user");
        refused("is not trusted", "p.so is owned by user 4242; only root or user 0 may own plugins");
        ok(chown(path, 0, 0) == 0 && chown(dir, 4242, 0) == 0, "nor one in a directory of another user");
        refused("which could replace it", "/dir is owned by user 4242");
        ok(chown(dir, 0, 0) == 0, "back to root");
    } else {
        tap_skip("only root can give files away");
    }
    unlink(link_path);
    unlink(path);
    ok(symlink("/dev/null", path) == 0, "a device");
    is_int(trust_check(path, real_path, &st, &err), TD_E_DENIED, "is no plugin");
    unlink(path);
    rmdir(dir);
    rmdir(above);
    rmdir(root);
    return tap_done();
}
