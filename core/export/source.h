/* One capture as a sequence of the packets that are wanted from it, in the order of the file. */
#ifndef EXPORT_SOURCE_H
#define EXPORT_SOURCE_H

#include "export/held.h"
#include "export/select.h"
#include "packet/capture.h"

enum { SOURCE_BATCH = 256, SOURCE_FRAGMENT_BYTES = 8 << 20 };

struct source {
    const char *path;
    size_t index; /* among the captures, as they were named */
    struct capture *capture;
    const struct selection *selection;
    struct decoder *decoder;   /* NULL: no connection is asked for */
    const struct packet *head; /* the packet at hand; valid until source_next(); NULL: the end */
    bool head_held;            /* it is held's first */
    struct held held;
    struct block *block; /* of the batch */
    size_t n, at;        /* batch[at, n) is yet to be looked at */
    bool ended;          /* the capture is read */
    struct error fault;  /* it ended by damage; status TD_OK: not */
    uint64_t packets_read;
    void (*on_batch)(void *ctx); /* called after each batch was read; NULL: nobody cares */
    void *on_batch_ctx;
    uint32_t first_row;        /* of its interfaces in the exporter's table */
    uint32_t known_interfaces; /* how many of them are in it */
    struct packet batch[SOURCE_BATCH];
};

/* Opens the capture; there is no head yet. `selection` must outlive the source. */
int source_open(const char *path, const struct selection *selection, struct source **ret, struct error *err) MUST_CHECK;
void source_close(struct source *);
/* Moves to the next wanted packet. A failure is the program's (memory); damage ends the source and is in `fault`. */
int source_next(struct source *, struct error *err) MUST_CHECK;

#endif
