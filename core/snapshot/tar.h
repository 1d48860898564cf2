/* Tar archives (POSIX.1-2017 pax: ustar with extended headers), written and read as a stream.
 *
 * Written are regular files. Read are the members of ustar, pax and GNU archives, of which only names, sizes and types count; what is read
 * is hostile: every length is checked, and nothing here touches a file. One thread. */
#ifndef SNAPSHOT_TAR_H
#define SNAPSHOT_TAR_H

#include "base/buf.h"
#include "base/error.h"

enum {
    TAR_BLOCK = 512,
    TAR_MAX_NAME = 1024,         /* bytes, with the zero */
    TAR_MAX_EXTENSION = 64 << 10 /* bytes of an extended header, or of a long name */
};

/* ---- Writing ---- */

/* Appends the header of a regular file; its bytes follow, and then its padding. */
void tar_put_file(struct buf *, const char *name, uint64_t bytes, int64_t mtime_s);
/* What comes behind so many bytes of a file: zeros up to a whole block. */
void tar_put_padding(struct buf *, uint64_t bytes);
/* The archive's end. */
void tar_put_end(struct buf *);

/* ---- Reading ---- */

struct tar_reader {
    /* Up to `n` bytes, at least one; *ret_n is 0 at the end. */
    int (*read)(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err);
    void *ctx;
    uint64_t offset;      /* bytes read */
    uint64_t left;        /* of the member's bytes */
    uint64_t padding;     /* behind them */
    struct buf extension; /* an extended header, as it is read */
};

struct tar_member {
    char name[TAR_MAX_NAME];
    uint64_t bytes;
    char type; /* '0' a file, '5' a folder; others as the format has them: '1' a hard link, '2' a symbolic one ... */
};

void tar_reader_init(struct tar_reader *, int (*read)(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err), void *ctx);
void tar_reader_clear(struct tar_reader *);
/* The next member; what was not read of the one before is skipped. 1; 0: the archive's end. TD_E_CORRUPT: damaged or cut, with the
 * offset. TD_E_UNSUPPORTED: it is no tar archive (of the first member only). */
int tar_next(struct tar_reader *, struct tar_member *ret, struct error *err) MUST_CHECK;
/* Up to `n` bytes of the member; *ret_n is 0 at its end. */
int tar_read(struct tar_reader *, void *p, size_t n, size_t *ret_n, struct error *err) MUST_CHECK;

#endif
