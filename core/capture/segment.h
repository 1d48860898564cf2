/* A segment of the raw capture, pinned for reading.
 *
 * While it is pinned its bytes stay readable and count in the ring's budget, even when it has been recycled: then its file has
 * no name any more, and its room comes back with the last unpinning. If pinned segments alone fill the budget, the ring takes the oldest
 * ones away: from then on reading them fails with TD_E_NOT_FOUND and says so. So no reader sees wrong bytes, and no reader can stop the
 * capture.
 *
 * A pinned segment is used by one thread at a time. */
#ifndef CAPTURE_SEGMENT_H
#define CAPTURE_SEGMENT_H

#include "capture/segment_file.h"
#include "capture/segment_index.h"

enum segment_state { SEGMENT_WRITING, SEGMENT_SEALED, SEGMENT_COMPRESSED };

struct segment;

void segment_unpin(struct segment *);
/* Another pin of the same, for another thread; it may be recycled by now. [any thread, as long as the first pin lasts] */
int segment_share(const struct segment *, struct segment **ret, struct error *err) MUST_CHECK;
/* Constant while it is pinned, but of a segment that is being written: as of the pinning. */
const struct segment_summary *segment_summary(const struct segment *);
enum segment_state segment_state(const struct segment *);
/* Bytes of its file: as segment_summary()->bytes, or fewer when it is compressed. */
uint64_t segment_file_bytes(const struct segment *);

/* Exactly `n` bytes of the pcapng, decompressed if need be. Those behind summary->bytes are not there (TD_E_LIMIT). */
int segment_read(struct segment *, uint64_t offset, void *p, size_t n, struct error *err) MUST_CHECK;
/* Those bytes are going to be read soon: the disk may begin. Costs a system call; of what is compressed or not on disk yet it does nothing.
 */
void segment_will_read(struct segment *, uint64_t offset, uint64_t n);
/* Is the byte there in memory, so that the disk need not be asked? False if that cannot be known. */
bool segment_is_cached(struct segment *, uint64_t offset);
/* segment_read() of the file as it is. SEALED, COMPRESSED. */
int segment_read_file(struct segment *, uint64_t offset, void *p, size_t n, struct error *err) MUST_CHECK;
/* The index, read when it is first asked for; rebuilt if it is not right. Lives as long as the pin. */
int segment_index(struct segment *, struct segment_index **ret, struct error *err) MUST_CHECK;

/* ---- Its files, as they are: SEALED, COMPRESSED ---- */

/* While a segment is in the ring, its files have names there. Their numbers tell whether a name still is that file: one that was
 * compressed or hashed meanwhile got another one, though who has read from its pin keeps what he has. */
struct segment_files {
    char name[SEGMENT_NAME], index_name[SEGMENT_NAME]; /* in the ring's directory */
    uint64_t device, inode, bytes;
    bool has_index;
    uint64_t index_inode, index_bytes;
};
/* Opens nothing. */
int segment_files(struct segment *, struct segment_files *ret, struct error *err) MUST_CHECK;
/* Exactly `n` bytes of the file of its index. TD_E_CORRUPT: there are not so many, or there is none. */
int segment_read_index(struct segment *, uint64_t offset, void *p, size_t n, struct error *err) MUST_CHECK;
/* Gives a file another name on the same file system: a hard link. TD_E_UNSUPPORTED: another file system; copy it. */
int segment_link(struct segment *, int dir_fd, const char *name, struct error *err) MUST_CHECK;
int segment_link_index(struct segment *, int dir_fd, const char *name, struct error *err) MUST_CHECK;

#endif
