/* Archives: written from objects, opened by tar and sha256sum, taken back; and what is wrong with them is told. */
#include "snapshot/archive.h"

#include "base/log.h"
#include "packet/pcapng_write.h"
#include "snapshot/import.h"
#include "snapshot/tar.h"
#include "unit/snapshot/snapshot_build.h"

static struct {
    struct snap snap;
    struct buf out;
    struct error err;
    char path[128], work[128];
    struct import_result result;
} t;

/* ---- A storage, as far as archives need one: files below the snapshot's root ---- */

static FILE *open_key(const char *key)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", t.snap.root, key);
    return fopen(path, "rb");
}

int storage_get(struct storage *s, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx, struct error *err)
{
    uint8_t bytes[5000];
    FILE *f = open_key(key);
    (void)s;
    (void)offset;
    (void)n;
    if (!f)
        return error_set(err, TD_E_NOT_FOUND, "%s is not there", key);
    int status = TD_OK;
    for (size_t got; status == TD_OK && (got = fread(bytes, 1, sizeof(bytes), f)) > 0;)
        status = sink(ctx, td_bytes(bytes, got));
    fclose(f);
    return status == TD_OK ? TD_OK : error_set(err, status, "ended");
}

static int put_in_buf(void *ctx, struct td_slice bytes)
{
    buf_put_slice(ctx, bytes);
    return TD_OK;
}

int storage_get_bytes(struct storage *s, const char *key, size_t max, struct buf *ret, struct error *err)
{
    (void)max;
    return storage_get(s, key, 0, UINT64_MAX, put_in_buf, ret, err);
}

int storage_head(struct storage *s, const char *key, struct storage_object *ret, struct error *err)
{
    struct buf bytes = {0};
    int status = storage_get_bytes(s, key, SIZE_MAX, &bytes, err);
    *ret = (struct storage_object){.bytes = bytes.n};
    buf_clear(&bytes);
    return status;
}

/* ---- Helpers ---- */

static int take(void *ctx, struct td_slice bytes, struct error *err)
{
    (void)ctx;
    buf_put_slice(&t.out, bytes);
    return t.out.failed ? error_nomem(err) : TD_OK;
}

static int write_archive(const struct manifest *m, enum archive_packing packing, bool with_dissection)
{
    static const char *const dissections[] = {"default"};
    const struct archive_request request = {
        .manifest = m, .packing = packing, .dissections = dissections, .dissection_count = with_dissection, .write = take};
    buf_reset(&t.out);
    return archive_write(&request, &t.err);
}

static bool write_file(const char *path, struct td_slice bytes)
{
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
    return f && fclose(f) == 0 && good;
}

static bool shell(const char *command)
{
    char line[1024];
    snprintf(line, sizeof(line), "cd %s && { %s; } >shell.out 2>&1", t.snap.root, command);
    return system(line) == 0;
}

/* Into a fresh folder. */
static int import_with(const char *path, uint64_t max_bytes)
{
    const char *const paths[] = {path};
    import_result_clear(&t.result);
    snap_remove(t.work, 0);
    mkdir(t.work, 0755);
    const struct import_request request = {
        .paths = paths, .path_count = 1, .now_ns = 1750000000ll * NS_PER_S, .work_dir = t.work, .version = "2.0", .max_bytes = max_bytes};
    t.err = (struct error){0};
    return import_run(&request, &t.result, &t.err);
}

static int import_out(void)
{
    write_file(t.path, buf_slice(&t.out));
    return import_with(t.path, 0);
}

/* ---- Tar ---- */

static struct td_slice rest;

static int read_rest(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    (void)ctx;
    (void)err;
    *ret_n = n < rest.n ? n : rest.n;
    *ret_n = *ret_n > 700 ? 700 : *ret_n; /* in pieces */
    memcpy(p, rest.p, *ret_n);
    rest = td_sub(rest, *ret_n, rest.n);
    return TD_OK;
}

static void test_tar(void)
{
    static const uint64_t sizes[] = {0, 1, 511, 512, 513, 100000, 9ull << 30};
    char long_name[400] = "a/";
    struct buf b = {0};
    struct tar_reader r;
    struct tar_member m;
    memset(long_name + 2, 'x', 300);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *names[] = {"plain", long_name, "b\xc3\xa4r"};
        const char *name = names[i % 3];
        buf_reset(&b);
        tar_put_file(&b, name, sizes[i], 1700000000);
        rest = buf_slice(&b);
        tar_reader_init(&r, read_rest, NULL);
        is_int(tar_next(&r, &m, &t.err), 1, "a member: %s", t.err.text);
        is_str(m.name, name, "its name");
        is_int(m.bytes, sizes[i], "its size");
        is_int(m.type, '0', "a file");
        ok(rest.n == 0 && b.n % TAR_BLOCK == 0, "in whole blocks");
        tar_reader_clear(&r);
    }
    buf_clear(&b);
}

/* ---- There and back ---- */

static void test_tools(void)
{
    static const enum archive_packing packings[] = {ARCHIVE_ZSTD, ARCHIVE_GZIP, ARCHIVE_PLAIN};
    char name[128], command[512];
    for (size_t i = 0; i < 3; i++) {
        is_int(write_archive(t.snap.manifest, packings[i], true), TD_OK, "an archive: %s", t.err.text);
        snprintf(name, sizeof(name), "%s/x%s", t.snap.root, archive_suffix(packings[i]));
        ok(write_file(name, buf_slice(&t.out)), "%zu bytes", t.out.n);
        snprintf(command, sizeof(command),
                 "rm -rf o; mkdir o; tar -C o -xf x%s && cd o/shop-outage && sha256sum --strict -c SHA256SUMS && cmp manifest.json "
                 "../../*Z-*/manifest.json && cmp node-1/0000000001.pcapng ../../*Z-*/node-1/0000000001.pcapng && [ $(ls node-2/*.pcapng | "
                 "wc -l) -gt 1 ] && ! ls node-2 | grep -v 'pcapng$' && cmp dissections/default.calls ../../*Z-*/dissections/default.calls",
                 archive_suffix(packings[i]));
        ok(shell(command), "tar and sha256sum read %s", name);
    }
    ok(shell("tar -tf x.tar | head -n 1 | grep -qx shop-outage/manifest.json"), "the manifest comes first");
    ok(shell("cd o/shop-outage && for f in node-*/*.pcapng; do tcpdump -nr $f >/dev/null || exit 1; done"), "tcpdump reads each segment");
}

static void test_back(void)
{
    is_int(write_archive(t.snap.manifest, ARCHIVE_ZSTD, true), TD_OK, "an archive");
    is_int(import_out(), TD_OK, "is taken back: %s", t.err.text);
    const struct manifest *m = t.result.manifest, *was = t.snap.manifest;
    if (!m)
        return;
    is_str(m->name, was->name, "its name");
    ok(m->imported && strcmp(m->id, was->id) != 0 && manifest_is_id(m->id), "a new id");
    is_int(m->packets, was->packets, "packets");
    is_int(m->node_count, was->node_count, "nodes");
    is_int(m->nodes[0].context.bytes, was->nodes[0].context.bytes, "names");
    is_int(m->start_ns, was->start_ns, "the window");
    is_int(m->nodes[0].dropped_by_kernel, was->nodes[0].dropped_by_kernel, "drops");
    is_str(m->nodes[2].reason, was->nodes[2].reason, "reasons");
    is_int(t.result.dissection_count, 1, "a dissection");
    size_t wrong = 0;
    for (size_t i = 0; i < m->node_count; i++)
        for (size_t k = 0; k < m->nodes[i].segment_count; k++) {
            const struct manifest_object *objects[] = {&m->nodes[i].segments[k].data, &m->nodes[i].segments[k].index};
            for (int o = 0; o < 2; o++) {
                struct manifest_object is;
                struct snap there = {0};
                snprintf(there.dir, sizeof(there.dir), "%s", t.work);
                wrong += !snap_object(&there, &is, objects[o]->key) || is.bytes != objects[o]->bytes ||
                         memcmp(is.sha256, objects[o]->sha256, sizeof(is.sha256)) != 0;
            }
        }
    is_int(wrong, 0, "every object is as the new manifest says");
    char command[600];
    snprintf(command, sizeof(command), "for f in $(cd %s && ls node-1/*.pcapng); do cmp %s/$f *Z-*/$f || exit 1; done", t.work, t.work);
    ok(shell(command), "segments are the same, byte for byte");

    /* And once more, from what was imported. */
    struct snap again = {.manifest = t.result.manifest};
    snprintf(again.root, sizeof(again.root), "%s", t.snap.root);
    snprintf(again.dir, sizeof(again.dir), "%s/%s", t.snap.root, m->id);
    snprintf(command, sizeof(command), "cp -r %s %s", t.work, again.dir);
    ok(shell(command) && snap_write_manifest(&again), "imported");
    is_int(write_archive(t.result.manifest, ARCHIVE_PLAIN, true), TD_OK, "an archive of it: %s", t.err.text);
    snprintf(command, sizeof(command), "%s/again.tar", t.snap.root);
    write_file(command, buf_slice(&t.out));
    ok(shell("mkdir p && tar -C p -xf again.tar && cd p/shop-outage && sha256sum --strict -c SHA256SUMS && grep -v manifest SHA256SUMS "
             ">../a; grep -v manifest ../../o/shop-outage/SHA256SUMS >../b; cmp ../a ../b"),
       "with the same files");
    is_int(import_with(command, 0), TD_OK, "is taken back as well: %s", t.err.text);
    snap_remove(again.dir, 0);
}

/* ---- What is wrong ---- */

/* Of the archive in o/, made anew by tar, after `command` in it. */
static int import_changed(const char *command)
{
    char line[900];
    snprintf(line, sizeof(line),
             "rm -rf q; mkdir q; cp -r o/shop-outage q/s; cd q/s && { %s; } && { [ -e ../x.tar ] || tar -C .. -cf ../x.tar s/manifest.json "
             "$(cd .. && find s ! -name manifest.json ! -type d); } && mv ../x.tar ../../changed.tar",
             command);
    if (!shell(line))
        return TD_E_INTERNAL;
    snprintf(line, sizeof(line), "%s/changed.tar", t.snap.root);
    return import_with(line, 0);
}

static void test_damage(void)
{
    static const struct {
        const char *command;
        int status;
        const char *said;
    } cases[] = {
        {"true", TD_OK, ""},
        {"printf x | dd of=node-1/0000000001.pcapng bs=1 seek=5000 conv=notrunc", TD_E_CORRUPT, "its size or SHA-256 is another"},
        {"printf x | dd of=node-2/0000000001.pcapng bs=1 seek=5000 conv=notrunc", TD_E_CORRUPT, ""},
        {"printf x >>dissections/default.calls", TD_E_CORRUPT, "is damaged: its SHA-256 is another"},
        {"rm node-1/0000000002.pcapng", TD_E_CORRUPT, "is missing"},
        {"rm node-1/0000000002.pcapng; sed -i /node-1.0000000002/d SHA256SUMS", TD_E_CORRUPT, "of the manifest is missing"},
        {"printf x >>node-1/context.pcapng", TD_E_CORRUPT, "its size or SHA-256 is another"},
        {"rm node-1/context.pcapng; sed -i /node-1.context/d SHA256SUMS", TD_E_CORRUPT, "node-1/context.pcapng of the manifest is missing"},
        {"tar -C .. -cf ../x.tar s/manifest.json s/node-1/context.pcapng; tar -C .. -rf ../x.tar s/node-1/context.pcapng", TD_E_CORRUPT,
         "twice"},
        {"rm SHA256SUMS", TD_E_CORRUPT, "SHA256SUMS is missing"},
        {"echo hello >>SHA256SUMS", TD_E_CORRUPT, "a line that is none"},
        {"sed -i 1d SHA256SUMS", TD_E_CORRUPT, "is not in SHA256SUMS"},
        {"echo more >extra", TD_E_CORRUPT, "is not in SHA256SUMS"},
        {"mkdir -p context; echo more >context/names.json; sha256sum context/names.json >>SHA256SUMS", TD_OK, ""},
        {"rm node-1/0000000002.pcapng; ln -s /etc/passwd node-1/0000000002.pcapng", TD_E_CORRUPT, "neither a file nor a folder"},
        {"ln SHA256SUMS again", TD_E_CORRUPT, "neither a file nor a folder"},
        {"mkfifo pipe", TD_E_CORRUPT, "neither a file nor a folder"},
        {"echo '{' >manifest.json", TD_E_CORRUPT, ""},
        {"tar -C .. -cf ../x.tar s/SHA256SUMS s/manifest.json", TD_E_UNSUPPORTED, "not manifest.json"},
        {"tar -C .. -cf ../x.tar s/manifest.json s/manifest.json s/SHA256SUMS", TD_E_CORRUPT, ""},
        {"tar -C .. -cf ../x.tar s/manifest.json s/node-1 s/node-1/0000000002.pcapng", TD_E_CORRUPT, ""},
        {"echo evil >evil; tar -C .. -cf ../x.tar s/manifest.json --transform 's,s/evil,../../evil,' -P s/evil", TD_E_CORRUPT,
         "not in the folder"},
        {"echo evil >evil; tar -C .. -cf ../x.tar s/manifest.json --transform 's,s/evil,s/node-1/../../evil,' -P s/evil s/SHA256SUMS",
         TD_E_CORRUPT, ""},
        {"echo evil >evil; tar -C .. -cf ../x.tar s/manifest.json --transform 's,s/evil,s/dissections/../../x.calls,' -P s/evil "
         "s/SHA256SUMS",
         TD_E_CORRUPT, ""},
        {"tar -C .. -cf ../y.tar s/manifest.json s/SHA256SUMS s/node-1; head -c 9000 ../y.tar >../x.tar", TD_E_CORRUPT, "cut"},
        {"tar -C .. -czf ../y.tar s/manifest.json s/SHA256SUMS s/node-1; head -c 9000 ../y.tar >../x.tar", TD_E_CORRUPT, ""},
        {"truncate -s 70M big; tar -C .. -czf ../x.tar s/manifest.json s/big", TD_E_LIMIT, "not of a snapshot"},
        {"mkdir many; (cd many; seq 5000 | xargs touch); tar -C .. -cf ../x.tar s/manifest.json s/many", TD_E_LIMIT,
         "more than 4096 files"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = import_changed(cases[i].command);
        is_int(status, cases[i].status, "%s: %s", cases[i].command, t.err.text);
        like(t.err.text, cases[i].said, "and says why");
    }
    ok(shell("[ -z \"$(find . -name 'evil*' ! -path './q/*')\" ] && [ ! -e ../evil ] && [ -z \"$(find work -type l)\" ]"),
       "nothing has got out");
    char path[128];
    snprintf(path, sizeof(path), "%s/x.tar", t.snap.root);
    is_int(import_with(path, 1 << 20), TD_E_LIMIT, "more than there is room for");
    is_int(import_with("/nonexistent", 0), TD_E_NOT_FOUND, "no file");
}

static void test_damaged_objects(void)
{
    static const char *const changes[] = {"printf x | dd of=$f bs=1 seek=3000 conv=notrunc", "truncate -s -4 $f", "printf xxxx >>$f",
                                          "rm $f"};
    char command[256];
    for (size_t i = 0; i < 8; i++) {
        const char *file = i % 2 ? "node-2/0000000001.pcapng.zst" : "node-1/0000000001.pcapng";
        snprintf(command, sizeof(command), "f=$(ls -d *Z-*)/%s; cp $f keep; %s", file, changes[i / 2]);
        ok(shell(command), "%s", command);
        ok(write_archive(t.snap.manifest, ARCHIVE_PLAIN, false) < 0, "becomes no archive: %s", t.err.text);
        snprintf(command, sizeof(command), "cp keep $(ls -d *Z-*)/%s", file);
        ok(shell(command), "mended");
    }
    is_int(write_archive(t.snap.manifest, ARCHIVE_PLAIN, false), TD_OK, "as it was, it becomes one: %s", t.err.text);
}

/* Names of the first node. */
static void add_context(void)
{
    struct manifest_node *n = &t.snap.manifest->nodes[0];
    const struct capture_name name = {{10, 0, 0, 1}, 4, "frontend.shop"};
    struct buf b = {0};
    char path[200];
    pcapng_put_section(&b, &(struct pcapng_section){.application = "test"});
    pcapng_put_interface(&b, &(struct pcapng_interface){.linktype = 1});
    pcapng_put_names(&b, &name, 1);
    snprintf(path, sizeof(path), "%s/node-1/" MANIFEST_CONTEXT, t.snap.dir);
    ok(write_file(path, buf_slice(&b)), "names");
    ok(snap_object(&t.snap, &n->context, manifest_context_key(t.snap.manifest, n->name)), "are an object");
    manifest_sum(t.snap.manifest);
    ok(snap_write_manifest(&t.snap), "of the manifest");
    buf_clear(&b);
}

int main(void)
{
    log_set_level(0);
    test_tar();
    if (snap_open(&t.snap)) {
        snprintf(t.path, sizeof(t.path), "%s/in.tar", t.snap.root);
        snprintf(t.work, sizeof(t.work), "%s/work", t.snap.root);
        ok(shell("mkdir $(ls -d *Z-*)/dissections && head -c 100000 /dev/urandom >$(ls -d *Z-*)/dissections/default.calls"),
           "a dissection");
        add_context();
        test_tools();
        test_damaged_objects();
        test_back();
        test_damage();
    }
    import_result_clear(&t.result);
    snap_close(&t.snap);
    buf_clear(&t.out);
    return tap_done();
}
