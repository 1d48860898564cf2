/* The inside of a download: shared by download.c, which decides, and download_ranges.c, which fetches. */
#ifndef CLOUD_DOWNLOAD_INTERNAL_H
#define CLOUD_DOWNLOAD_INTERNAL_H

#include "cloud/cloud_internal.h"
#include "snapshot/sha256.h"

enum { DOWNLOAD_RANGE = 16 << 20 };

/* An object on its way into a file. Under the run's lock, but for what the thread does that hashes it. */
struct download_item {
    uint32_t ranges;    /* that it has */
    uint32_t given;     /* all below this one were given to threads, or are there */
    uint32_t hashed;    /* so many, from the first one on */
    uint8_t *came;      /* bits */
    bool hashing;       /* a thread does */
    bool taken;         /* somebody has looked at it: if all its ranges are there, it has to be hashed */
    bool whole;         /* its sum is right */
    bool skipped;       /* a dissection that is not to be had */
    bool fetched;       /* some of it, by this run */
    unsigned damaged;   /* so often its sum was wrong */
    uint64_t counted;   /* progress */
    int fd;             /* -1: closed */
    struct sha256 *sum; /* NULL: none yet */
};

struct download {
    struct run run;
    struct snapshots *snapshots;
    const char *id;
    struct manifest *manifest;
    uint64_t manifest_bytes; /* of its file */
    struct plan plan;
    struct download_item *items; /* beside the plan's objects */
    struct arena bits;
    size_t dissections;
    size_t cursor; /* [run.lock] all items before it have been given away */
    int work_fd;
    struct journal *journal;
    uint64_t reserved;    /* in local storage */
    uint64_t got_objects; /* [run.lock] */
    _Atomic uint64_t got_bytes;
    atomic_size_t next;
};

static inline bool download_has(const struct download_item *i, uint32_t range)
{
    return i->came[range / 8] & 1u << range % 8;
}

static inline void download_set(struct download_item *i, uint32_t range)
{
    i->came[range / 8] = (uint8_t)(i->came[range / 8] | 1u << range % 8);
}

/* Fetches whatever is not there, and compares sums; in many threads. */
void download_ranges(struct run *, void *download);

#endif
