/* Record batches and message sets while they pass: counted always, decoded into the body if somebody wants it.
 *
 * What is not compressed is decoded record by record; a compressed batch must be there whole, up to the limit of maxBatchSize. */
#ifndef KAFKA_BATCHES_H
#define KAFKA_BATCHES_H

#include "kafka_call.h"

struct kafka_batches {
    uint64_t left;       /* bytes of records that are still to come */
    uint64_t batch_left; /* of the open batch: bytes of records that are still to come; 0: none is open */
    bool open;           /* a batch's records are being written */
    int64_t read;        /* records of the batch that were read so far */
    struct kafka_batch batch;
};

enum kafka_batches_result {
    KAFKA_BATCHES_DONE, /* `left` bytes, perhaps 0, are to be passed over; then the message goes on */
    KAFKA_BATCHES_MORE, /* at least *ret_n bytes are needed where the cursor stands */
    KAFKA_BATCHES_SKIP  /* *ret_n bytes are to be passed over; then again */
};

/* `n` bytes of records come next. */
void kafka_batches_begin(struct kafka_batches *b, struct kafka_filling *f, const char *name, uint64_t n);
/* Uses what it can of what there is, which does not reach beyond the records. Within kafka_filling_borrow(). */
enum kafka_batches_result kafka_batches_go_on(struct kafka_batches *b, struct kafka_filling *f, struct td_cursor *c, uint64_t *ret_n);
/* No more of them come, also if there should. */
void kafka_batches_end(struct kafka_batches *b, struct kafka_filling *f);

#endif
