/* The inside of an upload: shared by upload.c, which decides, and upload_send.c, which sends. */
#ifndef CLOUD_UPLOAD_INTERNAL_H
#define CLOUD_UPLOAD_INTERNAL_H

#include "cloud/cloud_internal.h"

/* What is known of an object of the plan besides. Of one thread at a time. */
struct upload_item {
    bool confirmed; /* it is there with its sum, or was sent */
    bool gone;      /* a dissection that was deleted here meanwhile: nobody misses it */
    bool linked;    /* a dissection that has a name in the work directory */
    bool summed;
    uint64_t inode;   /* of the file that was summed */
    uint64_t counted; /* bytes of progress */
};

struct upload {
    struct run run;
    struct snapshot *snapshot;
    const char *id;
    struct cloud_plan plan;
    struct upload_item *items; /* beside the plan's objects */
    size_t *order;             /* what is to be sent, the largest first */
    size_t order_n;
    atomic_size_t next;
    int work_fd, source_fd; /* source: the folder of the snapshot in local storage */
    struct buf manifest;    /* the file */
    bool was_there;         /* the cloud had the same manifest when it began: what has its size is what it was */
    bool replace;           /* the cloud's manifest is none */
    _Atomic uint64_t sent_objects, sent_bytes;
};

/* Sends what is to be sent, unless it turns out to be there; in many threads. */
void upload_send(struct run *, void *upload);

#endif
