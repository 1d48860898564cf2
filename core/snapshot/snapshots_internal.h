/* The inside of the hub's snapshots: shared by snapshots*.c, and by nobody else. */
#ifndef SNAPSHOT_SNAPSHOTS_INTERNAL_H
#define SNAPSHOT_SNAPSHOTS_INTERNAL_H

#include <pthread.h>

#include "snapshot/snapshots.h"

enum { SNAPSHOT_KEY = STORAGE_MAX_KEY + 1 };

struct snapshot {
    struct snapshots *all;
    struct manifest *manifest;
    /* Under the lock: */
    unsigned pins;
    bool hidden;    /* being added, or being deleted: its name is taken, and it is not there */
    uint64_t bytes; /* of everything below its id */
};

struct snapshots {
    struct storage *storage;
    uint64_t limit;
    pthread_mutex_t lock;
    pthread_cond_t unpinned;
    struct snapshot **v;
    size_t n, cap;
    uint64_t used, reserved;
};

/* A listed object's share of the room: never below 0, whatever storage says later. [lock held] */
static inline void snapshots_take_away(uint64_t *from, uint64_t bytes)
{
    *from -= bytes < *from ? bytes : *from;
}

/* "<id>/<rest>" */
const char *snapshots_key(char out[SNAPSHOT_KEY], const char *id, const char *rest);

/* Removes what is below the id; *ret_bytes is how much it was, also when it fails. */
int snapshots_remove_all(struct storage *, const char *id, uint64_t *ret_bytes, struct error *err) MUST_CHECK;
/* Fills an empty `all`. [nobody else knows it] */
int snapshots_load(struct snapshots *all, bool (*is_busy)(void *ctx, const char *id), void *ctx, struct error *err) MUST_CHECK;
/* Makes room in the list for one more. [lock held] */
bool snapshots_grow(struct snapshots *);

#endif
