/* The index of a segment, as it comes from a disk that may have lost or changed anything. Checksums are not looked at while fuzzing. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "capture/frames.h"
#include "segment_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const struct segment_index *x)
{
    size_t n;
    uint64_t sum = 0, end = 0;
    const struct segment_summary *s = segment_index_summary(x);
    const struct notes_interface *v = segment_index_interfaces(x, &n);
    for (size_t i = 0; i < n; i++) {
        if (v[i].at < end || v[i].at + (uint64_t)v[i].length > s->bytes)
            abort();
        end = v[i].at + (uint64_t)v[i].length;
    }
    const struct segment_frames *frames = segment_index_frames(x);
    for (size_t i = 0; frames && i < frames->n; i++) {
        if (frames->ends[i] <= sum)
            abort();
        sum = frames->ends[i];
    }
    if (frames && sum != frames->compressed)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment_index *x;
    struct error err;
    log_set_level(TD_LOG_ERROR);
    int fd = memfd_create("index", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (segment_index_open(fd, &x, &err) == TD_OK) {
        touch(x);
        fuzz_choices(x, segment_index_summary(x)->bytes);
        segment_index_close(x);
    }
    close(fd);
    return 0;
}
