/* What the system's calls for files leave to the caller. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* Reads `n` bytes at an offset, however many calls that takes. How many there were: fewer only where the file ends; -1: errno tells. */
static inline ssize_t file_read_at(int fd, uint64_t offset, void *p, size_t n)
{
    size_t have = 0;
    while (have < n) {
        ssize_t one = pread(fd, (uint8_t *)p + have, n - have, (off_t)(offset + have));
        if (one < 0 && errno == EINTR)
            continue;
        if (one < 0)
            return -1;
        if (one == 0)
            break;
        have += (size_t)one;
    }
    return (ssize_t)have;
}

#endif
