/* One source of packets as a sequence of those that are wanted from it, in the order in which they were captured. */
#ifndef EXPORT_SOURCE_H
#define EXPORT_SOURCE_H

#include <stdatomic.h>

#include "export/held.h"
#include "export/interfaces.h"
#include "export/select.h"
#include "packet/capture.h"

enum { SOURCE_BATCH = 256, SOURCE_FRAGMENT_BYTES = 8 << 20 };

/* Where packets come from: a capture, or what a window leaves of a folder with segments. */
struct export_source {
    const char *path;                         /* a capture ("-" is standard input), or with `folder` a directory laid out as a ring's */
    bool folder;                              /* its segments' indexes are used, so that a few packets of many cost little */
    const char *context;                      /* a capture whose names of addresses are told as well; NULL: none */
    const char *node;                         /* its interfaces are called NODE/NAME; NULL: NAME */
    const struct select_frames *frames;       /* only these packets; those of a folder are counted over its segments; NULL: any */
    const struct connection_set *connections; /* only of these; NULL: any */
};

struct source {
    const struct export_source *from;
    size_t index; /* among the sources, as they were named */
    struct capture *capture;
    struct capture *context;    /* read to its end; NULL: none */
    struct selection selection; /* what is left to be done here */
    struct decoder *decoder;    /* NULL: no connection is asked for */
    const struct packet *head;  /* the packet at hand; valid until source_next(); NULL: the end */
    bool head_held;             /* it is held's first */
    struct held held;
    struct block *block; /* of the batch */
    size_t n, at;        /* batch[at, n) is yet to be looked at */
    bool ended;          /* the capture is read */
    struct error fault;  /* it ended by damage; status TD_OK: not */
    uint64_t packets_read;
    const atomic_bool *cancel;   /* NULL: never */
    void (*on_batch)(void *ctx); /* called after each batch was read; NULL: nobody cares */
    void *on_batch_ctx;
    /* Of a folder. */
    struct ring *ring;
    struct window *window;
    struct interfaces *interfaces; /* the export's, with those of all sources */
    uint32_t *rows;                /* there, of the capture's interfaces */
    size_t row_n;
    struct packet batch[SOURCE_BATCH];
};

/* Opens it; there is no head yet. `selection`, `cancel` and `interfaces` must outlive the source; the folder's interfaces are added to
 * them. */
int source_open(const struct export_source *, const struct selection *selection, const atomic_bool *cancel, struct interfaces *interfaces,
                size_t index, struct source **ret, struct error *err) MUST_CHECK;
void source_close(struct source *);
/* Moves to the next wanted packet. A failure is the program's (memory, cancelling); damage ends the source and is in `fault`. */
int source_next(struct source *, struct error *err) MUST_CHECK;
/* The row of the head's interface. One that a capture shows only after the beginning goes by another of its link type. */
int source_row(struct source *, uint32_t *ret_row, struct error *err) MUST_CHECK;
/* Adds the interfaces that the capture has shown so far: usually all there are, because they stand before the packets. */
int source_add_interfaces(struct source *, struct error *err) MUST_CHECK;
/* Bytes read, or done with, and in all (0: unknown). For progress. */
uint64_t source_position(const struct source *);
uint64_t source_size(const struct source *);

#endif
