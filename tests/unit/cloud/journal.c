/* What transfers keep on disk of how far they came: ranges of downloads, states of unfinished puts. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud/cloud_internal.h"
#include "tap.h"

enum { RANGE = 1 << 20 };

static char dir[64];
static int dir_fd;
static struct error err;

/* ---- Ranges ---- */

static struct buf told;

static bool tell(void *ctx, const char *key, uint64_t range)
{
    (void)ctx;
    if (range == UINT64_MAX)
        buf_printf(&told, "= %s,", key);
    else
        buf_printf(&told, "%llu %s,", (unsigned long long)range, key);
    return strcmp(key, "refused") != 0;
}

static struct journal *reopen(struct journal *j, uint64_t range)
{
    journal_close(j);
    j = NULL;
    buf_reset(&told);
    if (journal_open(dir_fd, range, tell, NULL, &j, &err) != TD_OK)
        exit(1);
    return j;
}

static void note(struct journal *j, const char *key, uint64_t range)
{
    if (journal_note(j, key, range, &err) != TD_OK)
        exit(1);
}

/* Changes the file as only a crash, or another boot, does. */
static void edit(const char *text, bool at_end)
{
    int fd = openat(dir_fd, ".ranges", O_RDWR);
    if (fd < 0 || pwrite(fd, text, strlen(text), at_end ? lseek(fd, 0, SEEK_END) : 0) != (ssize_t)strlen(text))
        exit(1);
    close(fd);
}

static void test_journal(void)
{
    char old[128];
    struct journal *j = reopen(NULL, RANGE);
    is_str(buf_cstr(&told), "", "a new journal tells nothing");
    note(j, "node-1/0000000001.pcapng", 3);
    note(j, "n \xc3\xa4/0000000002.idx", 0);
    note(j, "node-1/0000000001.pcapng", 4);
    note(j, "n \xc3\xa4/0000000002.idx", UINT64_MAX);
    note(j, "refused", 1);
    j = reopen(j, RANGE);
    is_str(buf_cstr(&told),
           "3 node-1/0000000001.pcapng,0 n \xc3\xa4/0000000002.idx,4 node-1/0000000001.pcapng,= n \xc3\xa4/0000000002.idx,1 refused,",
           "it tells what was noted");
    if (journal_forget(j, "node-1/0000000001.pcapng", &err) != TD_OK)
        exit(1);
    note(j, "node-1/0000000001.pcapng", 7);
    j = reopen(j, RANGE);
    is_str(buf_cstr(&told), "0 n \xc3\xa4/0000000002.idx,= n \xc3\xa4/0000000002.idx,7 node-1/0000000001.pcapng,",
           "but what was taken back, or does not hold");
    edit("12 node-1/00000", true);
    j = reopen(j, RANGE);
    is_str(buf_cstr(&told), "0 n \xc3\xa4/0000000002.idx,= n \xc3\xa4/0000000002.idx,7 node-1/0000000001.pcapng,",
           "a line that was torn tells nothing");
    note(j, "node-2/0000000001.pcapng", 1);
    edit("x y\n-1 a\n18446744073709551616 a\n1 ../a\n== a\n1\n\n 5\n5 /a\n", true);
    j = reopen(j, RANGE);
    ok(strstr(buf_cstr(&told), "1 node-2/0000000001.pcapng,") && !strstr(buf_cstr(&told), " a,") && !strstr(buf_cstr(&told), ".."),
       "nor do lines that are none, and those behind a torn one do: %s", buf_cstr(&told));
    snprintf(old, sizeof(old), "tapedeck download 1 %d 0000000", RANGE);
    edit(old, false);
    j = reopen(j, RANGE);
    ok(strstr(buf_cstr(&told), "0 n \xc3\xa4/0000000002.idx,") && !strstr(buf_cstr(&told), "="),
       "after another boot ranges are there, and no sum was compared: %s", buf_cstr(&told));
    j = reopen(j, 2 * RANGE);
    is_str(buf_cstr(&told), "", "ranges of another size are others");
    journal_close(j);
}

/* ---- States ---- */

static int collect(void *ctx, const struct put_state *s, struct error *e)
{
    (void)ctx, (void)e;
    buf_printf(&told, "%s=%s,", s->key, s->text);
    put_state_remove(dir_fd, s->key);
    return TD_OK;
}

static void test_states(void)
{
    struct put_state s = {.key = "prefix/id/node-1/0000000001.pcapng", .bytes = 42, .text = "upload\nid = 7"}, r;
    memset(s.sha256, 0xab, sizeof(s.sha256));
    ok(!put_state_load(dir_fd, s.key, &r), "no state");
    is_int(put_state_save(dir_fd, &s, &err), TD_OK, "one is kept");
    ok(put_state_load(dir_fd, s.key, &r) && r.bytes == 42 && strcmp(r.text, s.text) == 0 && memcmp(r.sha256, s.sha256, 32) == 0 &&
           strcmp(r.key, s.key) == 0,
       "and is there");
    memset(s.text, 'x', sizeof(s.text) - 1);
    ok(put_state_save(dir_fd, &s, &err) == TD_OK && put_state_load(dir_fd, s.key, &r) && strcmp(r.text, s.text) == 0, "the longest, too");
    snprintf(s.key, sizeof(s.key), "another");
    snprintf(s.text, sizeof(s.text), "t");
    is_int(put_state_save(dir_fd, &s, &err), TD_OK, "another one");
    int fd = openat(dir_fd, "0123456789abcdef.put", O_WRONLY | O_CREAT, 0640);
    ok(fd >= 0 && write(fd, "tapedeck put 1\nkey\n12\n", 22) == 22, "and one that is none");
    close(fd);
    buf_reset(&told);
    is_int(put_state_each(dir_fd, collect, NULL, &err), TD_OK, "all are listed");
    ok(strstr(buf_cstr(&told), "another=t,") && strstr(buf_cstr(&told), "0000000001.pcapng=xxx") && !strstr(buf_cstr(&told), "key="),
       "that are some");
    ok(!put_state_load(dir_fd, "another", &r), "and can be removed meanwhile");
    unlinkat(dir_fd, "0123456789abcdef.put", 0);
}

int main(void)
{
    snprintf(dir, sizeof(dir), "/tmp/tapedeck-journal-XXXXXX");
    if (!mkdtemp(dir) || (dir_fd = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
        return 1;
    test_journal();
    test_states();
    unlinkat(dir_fd, ".ranges", 0);
    close(dir_fd);
    buf_clear(&told);
    ok(rmdir(dir) == 0, "nothing is left behind");
    return tap_done();
}
