#include "capture.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "packet/foreign.h"
#include "packet/input.h"
#include "packet/pcap_read.h"
#include "packet/pcapng_read.h"
#include "packet/tables.h"

struct capture {
    struct input in;
    struct tables tables;
    bool is_pcapng;
    struct pcap_reader pcap;     /* one or */
    struct pcapng_reader pcapng; /* the other */
    struct error fault;          /* told by each capture_read() from now on; status TD_OK: none */
    char format[96];
    char name[]; /* for errors */
};

static void add_to_format(struct capture *c, const char *word)
{
    size_t n = strlen(c->format);
    snprintf(c->format + n, sizeof(c->format) - n, "%s%s", n ? ", " : "", word);
}

static void describe_format(struct capture *c)
{
    add_to_format(c, c->is_pcapng ? "pcapng" : "pcap");
    if (!c->is_pcapng && c->pcap.ns_per_tick == 1)
        add_to_format(c, "nanoseconds");
    if (!c->is_pcapng && c->pcap.variant)
        add_to_format(c, c->pcap.variant);
    if (c->is_pcapng ? c->pcapng.big : c->pcap.big)
        add_to_format(c, "big-endian");
    if (c->in.packing)
        add_to_format(c, c->in.packing);
}

static int open_format(struct capture *c, struct error *err)
{
    enum { LONGEST_MAGIC = 8 };
    (void)input_need(&c->in, LONGEST_MAGIC);
    struct td_slice head = td_bytes(c->in.p, input_left(&c->in) < LONGEST_MAGIC ? input_left(&c->in) : LONGEST_MAGIC);
    if (pcapng_detect(head)) {
        c->is_pcapng = true;
        return pcapng_open(&c->pcapng, &c->in, &c->tables, err);
    }
    if (pcap_detect(head))
        return pcap_open(&c->pcap, &c->in, &c->tables, err);
    if (head.n < 4 && c->in.error.status != TD_OK)
        return error_set(err, c->in.error.status, "%s", c->in.error.text);
    if (head.n == 0)
        return error_set(err, TD_E_UNSUPPORTED, "is empty");
    return error_set(err, TD_E_UNSUPPORTED, "%s", foreign_describe(head));
}

/* Where a capture comes from: one of these. */
struct origin {
    const char *path; /* or NULL */
    int fd, cancel_fd;
    const struct capture_reader *reader;
    struct td_slice data;
};

static int open_input(struct input *in, const struct origin *from, struct error *err)
{
    if (from->path)
        return input_open(in, from->path, err);
    if (from->reader)
        return input_open_reader(in, from->reader->read, from->reader->ctx, from->reader->size, err);
    if (from->fd < 0)
        return input_open_memory(in, from->data, err);
    int status = input_open_fd(in, from->fd, from->cancel_fd, err);
    if (status != TD_OK)
        close(from->fd);
    return status;
}

static int capture_new(const struct origin *from, const char *name, struct capture **ret, struct error *err)
{
    if (strcmp(name, "-") == 0)
        name = "standard input";
    size_t name_len = strlen(name) + 1;
    struct capture *c = mem_calloc(1, sizeof(*c) + name_len);
    if (!c) {
        if (!from->path && from->fd >= 0)
            close(from->fd);
        return error_nomem(err);
    }
    memcpy(c->name, name, name_len);
    tables_init(&c->tables);
    int status = open_input(&c->in, from, err);
    if (status == TD_OK)
        status = open_format(c, err);
    if (status != TD_OK) {
        error_prefix(err, "%s: ", name);
        capture_close(c);
        return status;
    }
    describe_format(c);
    *ret = c;
    return TD_OK;
}

int capture_open(const char *path, struct capture **ret, struct error *err)
{
    return capture_new(&(struct origin){.path = path}, path, ret, err);
}

int capture_open_fd(int fd, const char *name, int cancel_fd, struct capture **ret, struct error *err)
{
    return capture_new(&(struct origin){.fd = fd, .cancel_fd = cancel_fd}, name, ret, err);
}

int capture_open_reader(const struct capture_reader *reader, const char *name, struct capture **ret, struct error *err)
{
    return capture_new(&(struct origin){.fd = -1, .reader = reader}, name, ret, err);
}

int capture_open_memory(struct td_slice data, struct capture **ret, struct error *err)
{
    return capture_new(&(struct origin){.fd = -1, .data = data}, "capture", ret, err);
}

void capture_close(struct capture *c)
{
    if (!c)
        return;
    if (c->is_pcapng)
        pcapng_close(&c->pcapng);
    input_close(&c->in);
    tables_clear(&c->tables);
    mem_free(c);
}

int capture_read(struct capture *c, struct packet *packets, size_t max, struct block **ret_block, struct error *err)
{
    int n = 0;
    if (max > INT_MAX)
        max = INT_MAX;
    if (c->fault.status == TD_OK)
        n = c->is_pcapng ? pcapng_read(&c->pcapng, &c->in, packets, max, &c->fault) : pcap_read(&c->pcap, &c->in, packets, max, &c->fault);
    if (n > 0) {
        block_ref(c->in.block);
        *ret_block = c->in.block;
        return n;
    }
    if (c->fault.status == TD_OK)
        return 0;
    return error_set(err, c->fault.status, "%s: %s", c->name, c->fault.text);
}

size_t capture_interface_count(const struct capture *c)
{
    return c->tables.interface_count;
}

const struct capture_interface *capture_interface(const struct capture *c, size_t index)
{
    return index < c->tables.interface_count ? c->tables.interfaces[index] : NULL;
}

const struct capture_name *capture_names(const struct capture *c, size_t *ret_n)
{
    *ret_n = c->tables.name_count;
    return c->tables.names;
}

const struct capture_secrets *capture_secrets(const struct capture *c, size_t *ret_n)
{
    *ret_n = c->tables.secrets_count;
    return c->tables.secrets;
}

uint64_t capture_position(const struct capture *c)
{
    return c->in.ops->position(&c->in);
}

uint64_t capture_packets(const struct capture *c)
{
    return c->is_pcapng ? c->pcapng.frames : c->pcap.frames;
}

uint64_t capture_size(const struct capture *c)
{
    return c->in.size;
}

const char *capture_format(const struct capture *c)
{
    return c->format;
}
