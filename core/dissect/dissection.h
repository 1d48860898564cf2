/* A dissection: packets of captures become a call store, in a child process that can do nothing else.
 *
 * The child is this program again (/proc/self/exe). Its output is open before it reads a captured byte, captures are handed to it one after
 * the other, open for reading, and everything else it gives up: no network, no files (Landlock, where the kernel has it), only the
 * system calls that it needs (seccomp), no core files, memory, threads and the store's size within limits, a priority below the hub's. A
 * dissector that
 * crashes, does not come back, takes all memory or tries what it may not costs the child: shared memory says which connection each
 * thread was at, that one is put into quarantine, and the work starts again without it, up to `max_crashes` times. What is then in the
 * store is what it would be without that connection. The store's summary tells of the quarantine as well.
 *
 * A child that is at no connection and gets nowhere is ended, too: when no thread has taken a step at a connection, no byte was read, no
 * call found and the store's file not written to, for `max_idle_ns` of the child's processor time, or for three times that while it slept.
 * Reading, sorting and writing show all the time; nothing that a sound child does is silent for minutes. */
#ifndef DISSECT_DISSECTION_H
#define DISSECT_DISSECTION_H

#include <stdatomic.h>

#include "config/config.h"

enum { DISSECTION_MAX_QUARANTINE = 64 };
/* What a program that calls dissection_run() must know as its first argument: then its second is for dissection_child(). */
#define DISSECTION_VERB "dissection-child"

/* Captures of one node, in the order in which they are read; connections do not span nodes. */
struct dissection_node {
    const char *name; /* field "node" of its calls */
    const char *const *paths;
    size_t path_count;
};

struct dissection_request {
    const struct config *config; /* which dissectors, their options, limits of memory; tap.delayedDissection: cpu, memory */
    const struct dissection_node *nodes;
    size_t node_count;
    const char *out_dir, *out_name; /* the store; in a directory that exists. The name is used when it is whole and durable; ".tmp" is at
                                       its end meanwhile (and is left there by a parent that is killed) */
    bool work_file;                 /* the caller takes it to where it is kept, and makes it durable there; it is not durable here */
    bool payloads;
    struct td_slice about;     /* JSON, see call/store.h; empty: as `tapedeck dissect` has it, the captures' paths */
    uint64_t max_memory;       /* of the child, bytes; 0: by the configuration */
    uint64_t max_bytes;        /* of the store; 0: as many as the disk has. TD_E_LIMIT: they are not enough */
    int64_t max_stall_ns;      /* a dissector that keeps a thread so long, of that thread's processor time, hangs; 0: 20 s */
    int64_t max_idle_ns;       /* see above; 0: 10 min */
    unsigned max_crashes;      /* 0: 16 */
    const atomic_bool *cancel; /* or NULL; looked at every 50 ms */
    /* [the caller's thread] now and then, and at the end; or NULL. After a crash it begins anew */
    void (*progress)(void *ctx, uint64_t done_bytes, uint64_t all_bytes, uint64_t packets, uint64_t calls);
    void *ctx;
};

struct dissection_quarantined {
    char node[128], connection[160]; /* "10.0.0.1:4711-10.0.0.2:80/tcp" */
    char dissector[32], why[128];    /* "http"; "SIGSEGV", "did not come back within 20 s", "out of memory" */
};

struct dissection_result {
    uint64_t packets, bytes, calls;
    unsigned crashes;
    struct dissection_quarantined quarantined[DISSECTION_MAX_QUARANTINE];
    size_t quarantined_count;
    uint64_t damaged;    /* captures that end in damage or are none; what stands before it was dissected */
    struct buf *summary; /* as `tapedeck dissect` has it, JSON: statistics per protocol; appended if it is not NULL */
};

/* [any thread, which it keeps until the end; not one that ends before the process, whose end the child follows] TD_E_CANCELLED, TD_E_LIMIT
 * (disk, memory), TD_E_INTERNAL (more crashes than that, or one at no connection), TD_E_EXISTS (there is a file of that name),
 * TD_E_NOT_FOUND, TD_E_DENIED (a capture), TD_E_UNSUPPORTED (no sandbox here): nothing is left. */
int dissection_run(const struct dissection_request *, struct dissection_result *ret, struct error *err) MUST_CHECK;

/* The child's main(); `fd`: of the request that the parent wrote. Returns the exit status. */
int dissection_child(int fd);
/* What of the sandbox this kernel offers: "landlock 6, seccomp"; for logs and `--check`. */
void dissection_sandbox_text(char out[128]);

#endif
