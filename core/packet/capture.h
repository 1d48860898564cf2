/* Reading a capture: pcap in all its kinds or pcapng, bare or inside gzip or zstd, from a file, a pipe
 * or a callback.
 *
 * Everything is read into reused buffers: measured against mapping a file's pages, that took a fifth less of the
 * processors' time, and a file that shrinks while it is read ends in an error, not in a signal. Packets point into a
 * block and are never copied. One thread reads; blocks may be released by any. */
#ifndef PACKET_CAPTURE_H
#define PACKET_CAPTURE_H

#include "base/error.h"
#include "packet/block.h"
#include "packet/packet.h"

struct capture;

struct capture_interface {
    const char *name;        /* if_name, or NULL */
    const char *description; /* if_description, or NULL */
    const char *filter;      /* if_filter as text, or NULL */
    uint32_t linktype;
    uint32_t snaplen;     /* 0: unlimited */
    uint32_t section;     /* from 0 */
    uint64_t ticks_per_s; /* resolution; for powers of two as well */
    int64_t offset_s;     /* if_tsoffset; already added to packets' times */
};

struct capture_name { /* from name-resolution blocks */
    uint8_t ip[16];
    uint8_t ip_version;
    const char *name;
};

struct capture_secrets { /* from decryption-secrets blocks */
    uint32_t type;
    struct td_slice data;
};

struct capture_reader {
    /* Up to `n` bytes, in order; *ret_n is 0 at the end. A failure ends the capture as damage does, with its status and words. */
    int (*read)(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err);
    void *ctx;
    uint64_t size; /* about how many bytes there are, for capture_size(); 0: unknown */
};

/* "-" is standard input. A file that is neither of the formats is an error that says what it looks like. */
int capture_open(const char *path, struct capture **ret, struct error *err) MUST_CHECK;
/* From a descriptor, which it takes over, also when it fails; `name` is for errors. When `cancel_fd` gets readable (-1: none), opening and
 * reading end with TD_E_CANCELLED, also where they wait for a pipe's writer. */
int capture_open_fd(int fd, const char *name, int cancel_fd, struct capture **ret, struct error *err) MUST_CHECK;
/* From wherever `reader` takes it; what it reads goes straight to where packets lie. It must outlive the capture. */
int capture_open_reader(const struct capture_reader *, const char *name, struct capture **ret, struct error *err) MUST_CHECK;
/* A capture that lies in memory (tests, fuzzers); `data` stays the caller's and must outlive it. */
int capture_open_memory(struct td_slice data, struct capture **ret, struct error *err) MUST_CHECK;
void capture_close(struct capture *);

/* The next 1..max packets (max is at least 1), all in *ret_block, which the caller must block_unref(). 0: the end. Negative: the file is
 * damaged at the offset that the error names; all packets before the fault have been returned. */
int capture_read(struct capture *, struct packet *packets, size_t max, struct block **ret_block, struct error *err) MUST_CHECK;

/* Interfaces met so far; indexes are stable. */
size_t capture_interface_count(const struct capture *);
const struct capture_interface *capture_interface(const struct capture *, size_t index);
/* Names and secrets met so far, in the order of the file; valid until the next capture_read(). */
const struct capture_name *capture_names(const struct capture *, size_t *ret_n);
const struct capture_secrets *capture_secrets(const struct capture *, size_t *ret_n);
/* Bytes of the file (compressed, if it is) read so far and in all; the latter 0 when unknown. For progress. */
uint64_t capture_position(const struct capture *);
uint64_t capture_size(const struct capture *);
/* Packets read so far. */
uint64_t capture_packets(const struct capture *);
/* "pcap", "pcapng"; with ", nanoseconds", ", gzip" and so on behind it. For people. */
const char *capture_format(const struct capture *);

#endif
