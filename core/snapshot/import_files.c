#include "snapshot/import_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "capture/segment_file.h"

int import_files_init(struct import_files *f, const struct import_request *request, struct error *err)
{
    *f = (struct import_files){.request = request, .fd = -1};
    f->dir_fd = open(request->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0)
        return error_set(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "%s: %s", request->work_dir, strerror(errno));
    f->sha256 = sha256_new();
    return f->sha256 ? TD_OK : error_nomem(err);
}

void import_files_clear(struct import_files *f)
{
    import_file_close(f);
    sha256_free(f->sha256);
    if (f->dir_fd >= 0)
        close(f->dir_fd);
    f->dir_fd = -1;
}

bool import_is_cancelled(const struct import_files *f)
{
    return f->request->cancel && atomic_load_explicit(f->request->cancel, memory_order_relaxed);
}

static int failed(const struct import_files *f, const char *folder, const char *name, struct error *err)
{
    int status = errno == ENOSPC || errno == EDQUOT || errno == ENAMETOOLONG ? TD_E_LIMIT : errno == EEXIST ? TD_E_CORRUPT : TD_E_DENIED;
    return error_set(err, status, "%s/%s/%s: %s", f->request->work_dir, folder, name,
                     errno == EEXIST ? "it is in the archive twice" : strerror(errno));
}

int import_file_open(struct import_files *f, const char *folder, const char *name, struct error *err)
{
    enum { FOLDER_MODE = 0750, FILE_MODE = 0640 }; /* packets are not for everybody; files become objects by a link */
    import_file_close(f);
    if (mkdirat(f->dir_fd, folder, FOLDER_MODE) != 0 && errno != EEXIST)
        return failed(f, folder, name, err);
    int fd = openat(f->dir_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(f, folder, name, err);
    f->fd = openat(fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    int status = f->fd < 0 ? failed(f, folder, name, err) : TD_OK;
    close(fd);
    f->bytes = 0;
    sha256_begin(f->sha256);
    return status;
}

static int reserve(struct import_files *f, uint64_t bytes, struct error *err)
{
    enum { STEP = 16 << 20 };
    const struct import_request *r = f->request;
    if (!r->reserve || f->reserved - f->written >= bytes)
        return TD_OK;
    uint64_t least = bytes - (f->reserved - f->written), more = (least + STEP - 1) / STEP * STEP;
    struct error why;
    int status = r->reserve(r->ctx, more, &why);
    if (status != TD_OK) { /* what is left may be enough all the same */
        more = least;
        status = r->reserve(r->ctx, more, err);
    }
    if (status == TD_OK)
        f->reserved += more;
    return status;
}

int import_file_write(struct import_files *f, struct td_slice bytes, struct error *err)
{
    uint64_t room = f->request->max_bytes ? f->request->max_bytes : UINT64_MAX;
    if (import_is_cancelled(f))
        return error_set(err, TD_E_CANCELLED, "stopped");
    if (bytes.n > room || f->written > room - bytes.n) {
        char text[UNITS_TEXT];
        return error_set(err, TD_E_LIMIT, "it takes more than the %s that there is room for; delete snapshots, or raise storageSize",
                         units_format_size(room, text));
    }
    int status = reserve(f, bytes.n, err);
    if (status != TD_OK)
        return status;
    sha256_add(f->sha256, bytes);
    f->bytes += bytes.n;
    f->written += bytes.n;
    while (bytes.n) {
        ssize_t n = write(f->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, errno == ENOSPC || errno == EDQUOT ? TD_E_LIMIT : TD_E_DENIED, "%s: cannot write: %s",
                             f->request->work_dir, strerror(errno));
        bytes = td_sub(bytes, (size_t)n, bytes.n);
    }
    return TD_OK;
}

int import_file_end(struct import_files *f, uint8_t digest[SHA256_BYTES], struct error *err)
{
    return sha256_end(f->sha256, digest) ? TD_OK : error_set(err, TD_E_INTERNAL, "a digest cannot be made");
}

void import_file_close(struct import_files *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

int import_index(struct import_files *f, struct manifest *m, const char *node, const struct notes *notes, const struct segment_summary *s,
                 struct manifest_segment *segment, struct error *err)
{
    char name[SEGMENT_NAME];
    struct buf index = {0};
    int status = segment_index_write(notes, s, NULL, &index, err);
    if (status == TD_OK)
        status = import_file_open(f, node, segment_file_name(s->sequence, SEGMENT_FILE_INDEX, false, name), err);
    if (status == TD_OK)
        status = import_file_write(f, buf_slice(&index), err);
    if (status == TD_OK)
        status = import_file_end(f, segment->index.sha256, err);
    import_file_close(f);
    buf_clear(&index);
    if (status != TD_OK)
        return status;
    segment->index.key = manifest_key(m, node, s->sequence, MANIFEST_INDEX);
    segment->index.bytes = f->bytes;
    segment->sequence = s->sequence;
    segment->packets = s->packets;
    segment->captured_bytes = s->captured_bytes;
    segment->first_ns = s->first_ns;
    segment->last_ns = s->last_ns;
    return segment->index.key ? TD_OK : error_nomem(err);
}
