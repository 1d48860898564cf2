/* A segment, as it comes from a disk: it is scanned, and what was found must hold together: it is scanned again without what was cut, its
 * index is written and opened, and asked. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "segment_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *p;
    size_t n;
};

static int read_bytes(void *ctx, uint64_t offset, void *p, size_t n, struct error *err)
{
    const struct bytes *b = ctx;
    (void)err;
    if (offset > b->n || n > b->n - offset)
        abort();
    memcpy(p, b->p + offset, n);
    return TD_OK;
}

static struct notes *scan(const uint8_t *data, size_t n, struct segment_summary *ret, uint64_t *ret_end, struct error *err)
{
    struct bytes bytes = {data, n};
    const struct segment_bytes source = {&bytes, read_bytes, n};
    struct notes *notes = notes_new(n);
    *ret = (struct segment_summary){.sequence = 1};
    if (!notes || segment_index_scan(&source, notes, ret, ret_end, err) == TD_OK)
        return notes;
    notes_free(notes);
    return NULL;
}

static void write_and_ask(const struct notes *notes, const struct segment_summary *s, struct buf *index)
{
    struct segment_index *x;
    struct error err;
    if (segment_index_write(notes, s, NULL, index, &err) != TD_OK || index->n > segment_index_bound(notes))
        abort();
    int fd = memfd_create("index", MFD_CLOEXEC);
    if (fd < 0 || write(fd, index->p, index->n) != (ssize_t)index->n || segment_index_open(fd, &x, &err) != TD_OK)
        abort();
    if (memcmp(segment_index_summary(x), s, sizeof(*s)) != 0)
        abort();
    fuzz_choices(x, s->bytes);
    segment_index_close(x);
    close(fd);
    if (segment_index_of_notes(notes, &x, &err) != TD_OK)
        abort();
    fuzz_choices(x, s->bytes);
    segment_index_close(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment_summary s, again;
    struct error err;
    uint64_t end, end_again;
    struct buf index = {0}, index_again = {0};
    log_set_level(TD_LOG_ERROR);
    struct notes *notes = scan(data, size, &s, &end, &err);
    if (!notes)
        return 0;
    if (end > size || s.bytes != end || s.packets != notes_count(notes))
        abort();
    write_and_ask(notes, &s, &index);
    notes_free(notes);
    notes = scan(data, (size_t)end, &again, &end_again, &err);
    if (!notes || end_again != end || memcmp(&s, &again, sizeof(s)) != 0)
        abort();
    if (segment_index_write(notes, &again, NULL, &index_again, &err) != TD_OK || index.n != index_again.n ||
        memcmp(index.p, index_again.p, index.n) != 0)
        abort();
    notes_free(notes);
    buf_clear(&index);
    buf_clear(&index_again);
    return 0;
}
