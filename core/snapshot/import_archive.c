/* An archive of a snapshot, taken back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "capture/segment_file.h"
#include "packet/decompress.h"
#include "snapshot/import_files.h"
#include "snapshot/tar.h"

enum {
    COPY_BYTES = 256 << 10,
    MAX_SUMS = MANIFEST_MAX_BYTES, /* a segment has more there than in SHA256SUMS */
    MAX_MEMBERS = 1 << 20,
    MAX_OTHER = 64 << 20,
    MAX_OTHERS = 4096
};

/* ---- The file ---- */

struct input {
    int fd;
    const char *path;
    uint64_t size;
    struct raw raw;
    struct decompress *decompress; /* NULL: plain */
};

static int input_read(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct input *in = ctx;
    return in->decompress ? decompress_read(in->decompress, p, n, ret_n, err) : raw_read(&in->raw, p, n, ret_n, err);
}

static void input_shut(struct input *in)
{
    decompress_free(in->decompress);
    if (in->fd >= 0)
        close(in->fd);
    *in = (struct input){.fd = -1};
}

static int input_start(struct input *in, const char *path, struct error *err)
{
    struct td_slice head;
    struct stat st;
    *in = (struct input){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (in->fd < 0)
        return error_set(err, errno == ENOENT ? TD_E_NOT_FOUND : TD_E_DENIED, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(in->fd, &st) == 0 && S_ISREG(st.st_mode))
        in->size = (uint64_t)st.st_size;
    raw_open_fd(&in->raw, in->fd, -1);
    int status = raw_peek(&in->raw, &head, err);
    enum decompress_kind kind = status == TD_OK ? decompress_detect(head) : DECOMPRESS_NONE;
    if (status == TD_OK && kind != DECOMPRESS_NONE)
        status = decompress_new(kind, &in->raw, &in->decompress, err);
    if (status != TD_OK)
        input_shut(in);
    return status;
}

int import_is_archive(const char *path, bool *ret, struct error *err)
{
    struct input in;
    struct tar_reader tar;
    struct tar_member *member = mem_alloc(sizeof(*member));
    if (!member)
        return error_nomem(err);
    int status = input_start(&in, path, err);
    if (status == TD_OK) {
        struct error why; /* what is no archive may be anything, also damaged: the reader of captures says what */
        tar_reader_init(&tar, input_read, &in);
        *ret = tar_next(&tar, member, &why) == 1;
        tar_reader_clear(&tar);
        input_shut(&in);
    }
    mem_free(member);
    return status;
}

/* ---- What is in it ---- */

/* A member, for SHA256SUMS. */
struct seen {
    char *name; /* below the archive's folder */
    uint8_t digest[SHA256_BYTES];
    bool listed;
};

struct unpacking {
    struct import_files *files;
    struct import_result *result;
    struct input in;
    struct tar_reader tar;
    struct tar_member member;
    const char *name;          /* the member's, below the archive's folder */
    char folder[TAR_MAX_NAME]; /* the archive's, with a slash; "": none */
    struct buf sums;
    bool has_sums;
    struct seen *seen;
    size_t seen_n, seen_cap;
    bool *taken;         /* segments by number: of the first node, the second ... */
    bool *taken_context; /* by node */
    size_t segment_n;
    size_t member_n;
    size_t other_n;
    uint64_t other; /* bytes of members that are not known */
    uint8_t *room;  /* COPY_BYTES */
};

static int refuse(const struct unpacking *u, struct error *err, const char *what)
{
    return error_set(err, TD_E_CORRUPT, "%s: \"%.200s\" %s", u->in.path, u->member.name, what);
}

static void report(const struct unpacking *u)
{
    const struct import_request *r = u->files->request;
    if (r->progress)
        r->progress(r->ctx, u->in.raw.position, u->in.size);
}

static int add_seen(struct unpacking *u, const uint8_t digest[SHA256_BYTES], struct error *err)
{
    if (u->seen_n == u->seen_cap) {
        size_t cap = u->seen_cap ? u->seen_cap * 2 : 256;
        struct seen *grown = mem_realloc(u->seen, cap * sizeof(*grown));
        if (!grown)
            return error_nomem(err);
        u->seen = grown;
        u->seen_cap = cap;
    }
    struct seen *s = &u->seen[u->seen_n];
    *s = (struct seen){.name = mem_strdup(u->name)};
    if (!s->name)
        return error_nomem(err);
    memcpy(s->digest, digest, SHA256_BYTES);
    u->seen_n++;
    return TD_OK;
}

/* The member's bytes, to the file at hand or only through the digest. */
static int copy_member(struct unpacking *u, bool to_file, uint8_t digest[SHA256_BYTES], struct error *err)
{
    int status = TD_OK;
    size_t n;
    if (!to_file)
        sha256_begin(u->files->sha256);
    while ((status = tar_read(&u->tar, u->room, COPY_BYTES, &n, err)) == TD_OK && n) {
        if (to_file)
            status = import_file_write(u->files, td_bytes(u->room, n), err);
        else
            sha256_add(u->files->sha256, td_bytes(u->room, n));
        if (status == TD_OK && import_is_cancelled(u->files))
            status = error_set(err, TD_E_CANCELLED, "stopped");
        if (status != TD_OK)
            break;
        report(u);
    }
    return status == TD_OK ? import_file_end(u->files, digest, err) : status;
}

static int read_member(struct unpacking *u, struct buf *ret, size_t max, struct error *err)
{
    size_t n;
    int status;
    if (u->member.bytes > max)
        return error_set(err, TD_E_LIMIT, "%s: \"%.200s\" has more than %zu bytes", u->in.path, u->member.name, max);
    while ((status = tar_read(&u->tar, u->room, COPY_BYTES, &n, err)) == TD_OK && n)
        buf_put(ret, u->room, n);
    return status == TD_OK && ret->failed ? error_nomem(err) : status;
}

/* ---- The manifest ---- */

static int take_manifest(struct unpacking *u, struct error *err)
{
    struct buf json = {.max = MANIFEST_MAX_BYTES};
    uint8_t digest[SHA256_BYTES] = {0};
    int status = read_member(u, &json, MANIFEST_MAX_BYTES, err);
    if (status == TD_OK)
        status = manifest_read(buf_slice(&json), &u->result->manifest, err);
    if (status != TD_OK) {
        error_prefix(err, "%s: ", u->in.path);
        u->result->manifest = NULL;
    }
    sha256_begin(u->files->sha256);
    sha256_add(u->files->sha256, buf_slice(&json));
    if (status == TD_OK)
        status = import_file_end(u->files, digest, err);
    if (status == TD_OK)
        status = add_seen(u, digest, err);
    buf_clear(&json);
    if (status != TD_OK)
        return status;
    for (size_t i = 0; i < u->result->manifest->node_count; i++)
        u->segment_n += u->result->manifest->nodes[i].segment_count;
    u->taken = mem_calloc(u->segment_n + 1, sizeof(*u->taken));
    u->taken_context = mem_calloc(u->result->manifest->node_count + 1, sizeof(*u->taken_context));
    return u->taken && u->taken_context ? TD_OK : error_nomem(err);
}

/* The first file tells where the archive's folder is. */
static int take_first(struct unpacking *u, struct error *err)
{
    static const char wanted[] = "manifest.json";
    size_t n = strlen(u->name), k = sizeof(wanted) - 1;
    bool good = n >= k && strcmp(u->name + n - k, wanted) == 0 && (n == k || u->name[n - k - 1] == '/');
    if (!good)
        return error_set(err, TD_E_UNSUPPORTED,
                         "%s: is a tar archive, but not of a snapshot: its first file is \"%.200s\", not manifest.json", u->in.path,
                         u->member.name);
    memcpy(u->folder, u->name, n - k);
    u->folder[n - k] = 0;
    u->name += n - k;
    return take_manifest(u, err);
}

/* ---- Segments ---- */

static int file_read(void *ctx, uint64_t offset, void *p, size_t n, struct error *err)
{
    const struct import_files *f = ctx;
    ssize_t got = file_read_at(f->fd, offset, p, n);
    if (got == (ssize_t)n)
        return TD_OK;
    return error_set(err, TD_E_CORRUPT, "offset %llu: %s", (unsigned long long)(got < 0 ? offset : offset + (uint64_t)got),
                     got < 0 ? strerror(errno) : "the file ends here");
}

/* Its index, from the file that was just written; and is it what the manifest says? */
static int index_segment(struct unpacking *u, const char *node, struct manifest_segment *segment, struct error *err)
{
    const struct segment_bytes bytes = {u->files, file_read, u->files->bytes};
    struct segment_summary found = {.sequence = segment->sequence};
    struct manifest_segment now = *segment;
    uint64_t end;
    uint8_t head[1024];
    if (bytes.size > NOTES_MAX_SEGMENT)
        return refuse(u, err, "is longer than a segment can be");
    struct notes *notes = notes_new(bytes.size);
    if (!notes)
        return error_nomem(err);
    int status = segment_index_scan(&bytes, notes, &found, &end, err);
    if (status == TD_OK && end != bytes.size)
        status = refuse(u, err, "is damaged: it ends within a block, or has blocks that no segment has");
    size_t head_n = end < sizeof(head) ? (size_t)end : sizeof(head);
    if (status == TD_OK)
        status = file_read(u->files, 0, head, head_n, err);
    if (status == TD_OK) {
        segment_file_read_head(td_bytes(head, head_n), &found);
        found.sequence = segment->sequence;
        if (found.packets != segment->packets || found.captured_bytes != segment->captured_bytes || found.first_ns != segment->first_ns ||
            found.last_ns != segment->last_ns)
            status = refuse(u, err, "does not have the packets that the manifest tells of");
    }
    if (status == TD_OK)
        status = import_index(u->files, u->result->manifest, node, notes, &found, &now, err);
    if (status == TD_OK)
        *segment = now;
    notes_free(notes);
    return status;
}

static int take_segment(struct unpacking *u, const struct manifest_node *node, struct manifest_segment *segment, bool *taken,
                        struct error *err)
{
    char name[SEGMENT_NAME];
    uint8_t digest[SHA256_BYTES] = {0};
    size_t n = strlen(segment->data.key), suffix = strlen(".zst");
    bool compressed = n > suffix && strcmp(segment->data.key + n - suffix, ".zst") == 0;
    if (*taken)
        return refuse(u, err, "is there twice");
    int status = import_file_open(u->files, node->name, segment_file_name(segment->sequence, SEGMENT_FILE_PLAIN, false, name), err);
    if (status == TD_OK)
        status = copy_member(u, true, digest, err);
    if (status == TD_OK)
        status = add_seen(u, digest, err);
    if (status != TD_OK)
        return status;
    if (!compressed && (u->files->bytes != segment->data.bytes || memcmp(digest, segment->data.sha256, SHA256_BYTES) != 0))
        return refuse(u, err, "is not what the manifest says: its size or SHA-256 is another");
    segment->data.bytes = u->files->bytes;
    memcpy(segment->data.sha256, digest, SHA256_BYTES);
    segment->data.key = manifest_key(u->result->manifest, node->name, segment->sequence, MANIFEST_PCAPNG);
    *taken = true;
    return segment->data.key ? index_segment(u, node->name, segment, err) : error_nomem(err);
}

/* The segment that a name stands for; false: none. Only names that the manifest has are ever looked for on the disk. */
static bool find_segment(struct unpacking *u, struct manifest_node **ret_node, struct manifest_segment **ret, size_t *ret_number)
{
    struct manifest *m = u->result->manifest;
    const char *slash = strchr(u->name, '/');
    uint64_t sequence;
    enum segment_file_kind kind;
    bool unfinished;
    size_t number = 0;
    if (!slash || !segment_file_parse(slash + 1, &sequence, &kind, &unfinished) || kind != SEGMENT_FILE_PLAIN || unfinished)
        return false;
    for (size_t i = 0; i < m->node_count; number += m->nodes[i++].segment_count) {
        struct manifest_node *n = &m->nodes[i];
        if (strlen(n->name) != (size_t)(slash - u->name) || memcmp(n->name, u->name, (size_t)(slash - u->name)) != 0)
            continue;
        for (size_t low = 0, high = n->segment_count; low < high;) {
            size_t middle = low + (high - low) / 2;
            if (n->segments[middle].sequence == sequence) {
                *ret_node = n;
                *ret = &n->segments[middle];
                *ret_number = number + middle;
                return true;
            }
            if (n->segments[middle].sequence < sequence)
                low = middle + 1;
            else
                high = middle;
        }
    }
    return false;
}

/* ---- What is known besides ---- */

static bool find_context(const struct unpacking *u, size_t *ret_node)
{
    const struct manifest *m = u->result->manifest;
    for (size_t i = 0; i < m->node_count; i++)
        if (m->nodes[i].context.key && strcmp(m->nodes[i].context.key, u->name) == 0) {
            *ret_node = i;
            return true;
        }
    return false;
}

static int take_context(struct unpacking *u, size_t node, struct error *err)
{
    const struct manifest_node *n = &u->result->manifest->nodes[node];
    uint8_t digest[SHA256_BYTES] = {0};
    if (u->taken_context[node])
        return refuse(u, err, "is there twice");
    u->taken_context[node] = true;
    int status = import_file_open(u->files, n->name, MANIFEST_CONTEXT, err);
    if (status == TD_OK)
        status = copy_member(u, true, digest, err);
    if (status == TD_OK && (u->files->bytes != n->context.bytes || memcmp(digest, n->context.sha256, SHA256_BYTES) != 0))
        status = refuse(u, err, "is not what the manifest says: its size or SHA-256 is another");
    return status == TD_OK ? add_seen(u, digest, err) : status;
}

/* ---- Dissections ---- */

/* "dissections/NAME.calls" */
static bool is_dissection(const struct unpacking *u, char name[MANIFEST_NAME])
{
    static const char folder[] = "dissections/", suffix[] = ".calls";
    size_t n = strlen(u->name), begin = sizeof(folder) - 1, end = n - (sizeof(suffix) - 1);
    struct error ignored;
    if (n <= sizeof(folder) + sizeof(suffix) - 2 || strncmp(u->name, folder, begin) != 0 || strcmp(u->name + end, suffix) != 0 ||
        end - begin >= MANIFEST_NAME)
        return false;
    memcpy(name, u->name + begin, end - begin);
    name[end - begin] = 0;
    return manifest_check_name(name, &ignored) == TD_OK;
}

static int take_dissection(struct unpacking *u, const char *name, struct error *err)
{
    struct import_result *r = u->result;
    char file[MANIFEST_NAME + 8];
    uint8_t digest[SHA256_BYTES] = {0};
    if (r->dissection_count == IMPORT_MAX_DISSECTIONS)
        return error_set(err, TD_E_LIMIT, "%s: more than %d dissections", u->in.path, IMPORT_MAX_DISSECTIONS);
    if (!r->dissections)
        r->dissections = mem_calloc(IMPORT_MAX_DISSECTIONS, sizeof(*r->dissections));
    if (!r->dissections)
        return error_nomem(err);
    snprintf(file, sizeof(file), "%s.calls", name);
    int status = import_file_open(u->files, "dissections", file, err);
    if (status == TD_OK)
        status = copy_member(u, true, digest, err);
    if (status == TD_OK)
        status = add_seen(u, digest, err);
    import_file_close(u->files);
    if (status == TD_OK)
        snprintf(r->dissections[r->dissection_count++], MANIFEST_NAME, "%s", name);
    return status;
}

/* ---- Members ---- */

/* What a later version put there: it must be right, but nothing is made of it. */
static int take_other(struct unpacking *u, struct error *err)
{
    uint8_t digest[SHA256_BYTES] = {0};
    u->other += u->member.bytes;
    if (u->other > MAX_OTHER)
        return error_set(err, TD_E_LIMIT, "%s: more than %d MiB of files that are not of a snapshot, as \"%.200s\"", u->in.path,
                         MAX_OTHER >> 20, u->member.name);
    if (u->other_n++ == MAX_OTHERS) /* names are kept in memory until SHA256SUMS comes */
        return error_set(err, TD_E_LIMIT, "%s: more than %d files that are not of a snapshot, as \"%.200s\"", u->in.path, MAX_OTHERS,
                         u->member.name);
    int status = copy_member(u, false, digest, err);
    return status == TD_OK ? add_seen(u, digest, err) : status;
}

static int take_sums(struct unpacking *u, struct error *err)
{
    if (u->has_sums)
        return refuse(u, err, "is there twice");
    u->has_sums = true;
    return read_member(u, &u->sums, MAX_SUMS, err);
}

static int take_file(struct unpacking *u, struct error *err)
{
    struct manifest_node *node;
    struct manifest_segment *segment;
    char dissection[MANIFEST_NAME];
    size_t number, folder = strlen(u->folder);
    if (!u->result->manifest)
        return take_first(u, err);
    if (strncmp(u->name, u->folder, folder) != 0)
        return refuse(u, err, "is not in the folder of the snapshot");
    u->name += folder;
    if (strcmp(u->name, "SHA256SUMS") == 0)
        return take_sums(u, err);
    if (find_segment(u, &node, &segment, &number))
        return take_segment(u, node, segment, &u->taken[number], err);
    if (find_context(u, &number))
        return take_context(u, number, err);
    if (is_dissection(u, dissection))
        return take_dissection(u, dissection, err);
    return take_other(u, err);
}

static int take_members(struct unpacking *u, struct error *err)
{
    int status;
    while ((status = tar_next(&u->tar, &u->member, err)) == 1) {
        u->name = u->member.name;
        if (u->member_n++ == MAX_MEMBERS)
            return error_set(err, TD_E_LIMIT, "%s: more than %d files and folders", u->in.path, MAX_MEMBERS);
        while (strncmp(u->name, "./", 2) == 0)
            u->name += 2;
        if (u->member.type == '5')
            continue;
        if (u->member.type != '0')
            return refuse(u, err, "is neither a file nor a folder; archives of snapshots have no links and devices");
        status = take_file(u, err);
        import_file_close(u->files);
        if (status != TD_OK)
            return status;
    }
    return status < 0 ? error_prefix(err, "%s: ", u->in.path) : TD_OK;
}

/* ---- The end ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->name, ((const struct seen *)b)->name);
}

/* "HEX  NAME", with a backslash in front if those of the name are doubled, as sha256sum has it. */
static bool parse_sum(char *line, uint8_t digest[SHA256_BYTES], char **ret_name)
{
    bool escaped = line[0] == '\\';
    line += escaped;
    if (strlen(line) < SHA256_HEX + 2 || !sha256_parse(line, digest) || line[SHA256_HEX - 1] != ' ')
        return false;
    char *from = *ret_name = line + SHA256_HEX + 1, *to = from;
    for (; escaped && *from; from++) {
        from += from[0] == '\\' && from[1];
        *to++ = *from;
    }
    if (escaped)
        *to = 0;
    return true;
}

static int check_line(struct unpacking *u, char *line, struct error *err)
{
    struct seen key = {0};
    if (!parse_sum(line, key.digest, &key.name))
        return error_set(err, TD_E_CORRUPT, "%s: SHA256SUMS has a line that is none: \"%.100s\"", u->in.path, line);
    if (strncmp(key.name, "./", 2) == 0)
        key.name += 2;
    struct seen *s = u->seen_n ? bsearch(&key, u->seen, u->seen_n, sizeof(*u->seen), by_name) : NULL;
    if (!s)
        return error_set(err, TD_E_CORRUPT, "%s: \"%.200s\" is missing; the archive is not whole", u->in.path, key.name);
    if (memcmp(s->digest, key.digest, SHA256_BYTES) != 0)
        return error_set(err, TD_E_CORRUPT, "%s: \"%.200s\" is damaged: its SHA-256 is another", u->in.path, key.name);
    s->listed = true;
    return TD_OK;
}

static int check_sums(struct unpacking *u, struct error *err)
{
    if (!u->has_sums)
        return error_set(err, TD_E_CORRUPT, "%s: SHA256SUMS is missing; the archive is not whole", u->in.path);
    qsort(u->seen, u->seen_n, sizeof(*u->seen), by_name);
    char *line = (char *)(uintptr_t)buf_cstr(&u->sums); /* the buffer is ours */
    int status = TD_OK;
    while (status == TD_OK && *line) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        if (*line)
            status = check_line(u, line, err);
        line = end ? end + 1 : line + strlen(line);
    }
    for (size_t i = 0; i < u->seen_n && status == TD_OK; i++)
        if (!u->seen[i].listed)
            status = error_set(err, TD_E_CORRUPT, "%s: \"%.200s\" is not in SHA256SUMS", u->in.path, u->seen[i].name);
    return status;
}

static int check_members(const struct unpacking *u, struct error *err)
{
    const struct manifest *m = u->result->manifest;
    const char *missing = NULL;
    size_t number = 0;
    for (size_t i = 0; i < m->node_count && !missing; i++) {
        if (m->nodes[i].context.key && !u->taken_context[i])
            missing = m->nodes[i].context.key;
        for (size_t k = 0; k < m->nodes[i].segment_count && !missing; k++, number++)
            if (!u->taken[number])
                missing = m->nodes[i].segments[k].data.key;
    }
    if (!missing)
        return TD_OK;
    return error_set(err, TD_E_CORRUPT, "%s: %s of the manifest is missing; the archive is not whole", u->in.path, missing);
}

int import_archive(struct import_files *files, struct import_result *ret, struct error *err)
{
    struct unpacking *u = mem_calloc(1, sizeof(*u));
    if (!u)
        return error_nomem(err);
    u->files = files;
    u->result = ret;
    u->sums.max = MAX_SUMS + 1;
    u->room = mem_alloc(COPY_BYTES);
    tar_reader_init(&u->tar, input_read, &u->in);
    u->in.fd = -1;
    int status = u->room ? input_start(&u->in, files->request->paths[0], err) : error_nomem(err);
    if (status == TD_OK)
        status = take_members(u, err);
    if (status == TD_OK && !ret->manifest)
        status = error_set(err, TD_E_UNSUPPORTED, "%s: an archive without a file", u->in.path);
    if (status == TD_OK)
        status = check_sums(u, err);
    if (status == TD_OK)
        status = check_members(u, err);
    tar_reader_clear(&u->tar);
    input_shut(&u->in);
    for (size_t i = 0; i < u->seen_n; i++)
        mem_free(u->seen[i].name);
    mem_free(u->seen);
    mem_free(u->taken);
    mem_free(u->taken_context);
    mem_free(u->room);
    buf_clear(&u->sums);
    mem_free(u);
    return status;
}
