/* tapedeck capture: what a capture holds, as numbers and checksums. */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "packet/capture.h"

enum { BATCH = 256, HEX_SHA256 = 65 };

/* What `info` tells. */
struct info {
    uint64_t packets, captured_bytes, original_bytes, packets_snapped, packets_timed;
    int64_t first_ts_ns, last_ts_ns;
    char data_sha256[HEX_SHA256], ts_sha256[HEX_SHA256];
    struct error error; /* status TD_OK: the capture is whole */
};

/* ---- Gathering ---- */

static void put_le64(uint8_t out[8], uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static bool add_packet(struct info *info, const struct packet *p, EVP_MD_CTX *data, EVP_MD_CTX *times)
{
    info->packets++;
    info->captured_bytes += p->caplen;
    info->original_bytes += p->len;
    info->packets_snapped += p->caplen < p->len;
    if (p->caplen && !EVP_DigestUpdate(data, p->p, p->caplen))
        return false;
    if (p->flags & PACKET_NO_TIME)
        return true;
    if (!info->packets_timed++)
        info->first_ts_ns = p->time_ns;
    info->last_ts_ns = p->time_ns;
    uint8_t bytes[8];
    put_le64(bytes, (uint64_t)p->time_ns);
    return EVP_DigestUpdate(times, bytes, sizeof(bytes));
}

static bool finish_digest(EVP_MD_CTX *digest, char hex[HEX_SHA256])
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_DigestFinal_ex(digest, bytes, &n))
        return false;
    for (unsigned i = 0; i < n && i < HEX_SHA256 / 2; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static int read_packets(struct capture *c, struct info *info, EVP_MD_CTX *data, EVP_MD_CTX *times, const char *path)
{
    struct packet packets[BATCH];
    struct block *block;
    struct progress progress;
    int n;
    progress_init(&progress);
    while ((n = capture_read(c, packets, BATCH, &block, &info->error)) > 0) {
        bool ok = true;
        for (int i = 0; i < n && ok; i++)
            ok = add_packet(info, &packets[i], data, times);
        block_unref(block);
        if (!ok)
            return error_set(&info->error, TD_E_INTERNAL, "SHA-256 failed");
        progress_show(&progress, path, capture_position(c), capture_size(c), info->packets);
    }
    progress_end(&progress);
    return n;
}

static int gather(struct capture *c, const char *path, struct info *info)
{
    EVP_MD_CTX *data = EVP_MD_CTX_new(), *times = EVP_MD_CTX_new();
    int status = TD_OK;
    if (!data || !times || !EVP_DigestInit_ex(data, EVP_sha256(), NULL) || !EVP_DigestInit_ex(times, EVP_sha256(), NULL)) {
        status = error_set(&info->error, TD_E_INTERNAL, "SHA-256 is not available");
        goto out;
    }
    status = read_packets(c, info, data, times, path);
    if (!finish_digest(data, info->data_sha256) || !finish_digest(times, info->ts_sha256))
        status = error_set(&info->error, TD_E_INTERNAL, "SHA-256 failed");
out:
    EVP_MD_CTX_free(data);
    EVP_MD_CTX_free(times);
    return status;
}

/* ---- Printing ---- */

static void put_json_text(struct buf *b, const char *text)
{
    if (text)
        json_put_string(b, td_str(text));
    else
        buf_lit(b, "null");
}

static void put_json_interface(struct buf *b, const struct capture_interface *iface)
{
    buf_printf(b, "{\"linktype\":%u,\"snaplen\":%u,\"section\":%u,\"ticks_per_s\":%llu,\"tsoffset\":%lld,\"name\":", iface->linktype,
               iface->snaplen, iface->section, (unsigned long long)iface->ticks_per_s, (long long)iface->offset_s);
    put_json_text(b, iface->name);
    buf_lit(b, ",\"description\":");
    put_json_text(b, iface->description);
    buf_lit(b, ",\"filter\":");
    put_json_text(b, iface->filter);
    buf_putc(b, '}');
}

static void put_json_number(struct buf *b, const char *name, uint64_t value)
{
    buf_printf(b, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void put_json_time(struct buf *b, const char *name, bool known, int64_t value)
{
    if (known)
        buf_printf(b, ",\"%s\":%lld", name, (long long)value);
    else
        buf_printf(b, ",\"%s\":null", name);
}

static void put_json(struct buf *b, const char *path, const struct capture *c, const struct info *info)
{
    size_t names, secrets;
    (void)capture_names(c, &names);
    (void)capture_secrets(c, &secrets);
    buf_lit(b, "{\"file\":");
    put_json_text(b, path);
    buf_lit(b, ",\"format\":");
    put_json_text(b, capture_format(c));
    put_json_number(b, "packets", info->packets);
    put_json_number(b, "captured_bytes", info->captured_bytes);
    put_json_number(b, "original_bytes", info->original_bytes);
    put_json_number(b, "packets_snapped", info->packets_snapped);
    put_json_time(b, "first_ts_ns", info->packets_timed > 0, info->first_ts_ns);
    put_json_time(b, "last_ts_ns", info->packets_timed > 0, info->last_ts_ns);
    buf_printf(b, ",\"data_sha256\":\"%s\",\"ts_sha256\":\"%s\"", info->data_sha256, info->ts_sha256);
    put_json_number(b, "names", names);
    put_json_number(b, "secrets", secrets);
    buf_lit(b, ",\"interfaces\":[");
    for (size_t i = 0; i < capture_interface_count(c); i++) {
        if (i > 0)
            buf_putc(b, ',');
        put_json_interface(b, capture_interface(c, i));
    }
    buf_lit(b, "],\"error\":");
    put_json_text(b, info->error.status == TD_OK ? NULL : info->error.text);
    buf_lit(b, "}\n");
}

static void put_json_failure(struct buf *b, const char *path, const struct info *info)
{
    buf_lit(b, "{\"file\":");
    put_json_text(b, path);
    buf_lit(b, ",\"error\":");
    put_json_text(b, info->error.text);
    buf_lit(b, "}\n");
}

static void put_row_time(struct buf *b, const char *label, bool known, int64_t value)
{
    char text[UNITS_TEXT];
    if (known)
        units_format_time(value, text);
    buf_printf(b, "%-16s%s\n", label, known ? text : "-");
}

static void put_table(struct buf *b, const char *path, const struct capture *c, const struct info *info)
{
    size_t names, secrets;
    (void)capture_names(c, &names);
    (void)capture_secrets(c, &secrets);
    buf_printf(b, "%-16s%s\n%-16s%s\n", "file", path, "format", capture_format(c));
    buf_printf(b, "%-16s%llu (%llu cut by the snaplen)\n", "packets", (unsigned long long)info->packets,
               (unsigned long long)info->packets_snapped);
    buf_printf(b, "%-16s%llu captured, %llu on the wire\n", "bytes", (unsigned long long)info->captured_bytes,
               (unsigned long long)info->original_bytes);
    put_row_time(b, "first", info->packets_timed > 0, info->first_ts_ns);
    put_row_time(b, "last", info->packets_timed > 0, info->last_ts_ns);
    for (size_t i = 0; i < capture_interface_count(c); i++) {
        const struct capture_interface *iface = capture_interface(c, i);
        buf_printf(b, "%-16s%zu: %s, link type %u, snaplen %u, %llu ticks/s%s%s\n", "interface", i, iface->name ? iface->name : "(unnamed)",
                   iface->linktype, iface->snaplen, (unsigned long long)iface->ticks_per_s, iface->filter ? ", filter " : "",
                   iface->filter ? iface->filter : "");
    }
    buf_printf(b, "%-16s%zu\n%-16s%zu\n", "names", names, "secrets", secrets);
    buf_printf(b, "%-16s%s\n%-16s%s\n", "data_sha256", info->data_sha256, "ts_sha256", info->ts_sha256);
    if (info->error.status != TD_OK)
        buf_printf(b, "%-16s%s\n", "error", info->error.text);
}

/* ---- The command ---- */

static int show_info(const char *path, bool json, struct buf *out)
{
    struct capture *c;
    struct info info = {0};
    buf_reset(out);
    int status = capture_open(path, &c, &info.error);
    if (status == TD_OK) {
        (void)gather(c, path, &info);
        if (json)
            put_json(out, path, c, &info);
        else
            put_table(out, path, c, &info);
        capture_close(c);
    } else if (json) {
        put_json_failure(out, path, &info);
    }
    int code = cli_write(out);
    return info.error.status == TD_OK ? code : cli_fail(&info.error);
}

static int run_info(const struct verb_args *args)
{
    int code = CLI_OK;
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < args->n; i++) {
        if (i > 0 && !args->json)
            putchar('\n');
        int one = show_info(args->operands[i], args->json, &out);
        if (code == CLI_OK)
            code = one;
    }
    buf_clear(&out);
    return code;
}

static const struct verb_option *const info_options[] = {&option_output_json, NULL};

static const struct verb verbs[] = {
    {"info", "FILE...", "Packets, bytes, times, interfaces, SHA-256 over data and times", 1, SIZE_MAX, info_options, PLACE_FILE, NULL,
     run_info},
};
const struct noun capture_noun = {"capture", "What capture files hold", NULL, verbs, sizeof(verbs) / sizeof(verbs[0])};

int cmd_capture(int argc, char **argv)
{
    return verbs_run(&capture_noun, argc, argv);
}
