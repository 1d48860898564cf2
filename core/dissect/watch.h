/* What a dissecting thread is at, for whoever watches it: another process, over shared memory, also after this one has died.
 *
 * Each thread has a slot and writes to it before and after every event of a connection and every call into a dissector: a few
 * plain stores. Nothing of it is locked or ordered beyond the program's own order: a process that died has written what it
 * had written, and of one that lives only `beat`, `inside` and `thread` are looked at. */
#ifndef DISSECT_WATCH_H
#define DISSECT_WATCH_H

#include <stdalign.h>
#include <stdatomic.h>

#include "flow/flow.h"

enum { WATCH_NOBODY = 0xffff };

struct watch_slot {
    alignas(128) atomic_uint_fast64_t beat; /* grows with every step */
    atomic_bool inside;                     /* at an event of the connection below */
    atomic_int thread;                      /* the kernel's number of it; 0: has not begun */
    struct flow_key key;
    uint64_t flow;      /* struct flow.id */
    int8_t client;      /* side, as far as known */
    uint16_t dissector; /* that has been called: index in the set; WATCH_NOBODY: none, the core's own code runs */
    uint16_t called;    /* the last that was, at this event */
};

/* A thread's own side of it. Zeroed but for `slot`; a NULL `slot` watches nothing. */
struct watch {
    struct watch_slot *slot;
    void (*begin)(struct watch *); /* [the thread] before its first event; or NULL */
    void (*left)(struct watch *);  /* [the thread] after each event; or NULL */
    void *ctx;
    const uint64_t *banned; /* connections whose bytes nobody may see (struct flow.id), ascending */
    uint32_t banned_n;
};

static inline void watch_step(struct watch_slot *s)
{
    /* One thread writes: no need for an atomic addition. The compiler must keep what it does in this order. */
    atomic_store_explicit(&s->beat, atomic_load_explicit(&s->beat, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void watch_enter(struct watch *w, const struct flow *f)
{
    struct watch_slot *s = w->slot;
    if (!s)
        return;
    if (!atomic_load_explicit(&s->thread, memory_order_relaxed) && w->begin)
        w->begin(w);
    if (s->flow != f->id) {
        s->flow = f->id;
        s->key = f->key;
    }
    s->client = f->client;
    s->dissector = s->called = WATCH_NOBODY;
    atomic_store_explicit(&s->inside, true, memory_order_relaxed);
    watch_step(s);
}

static inline void watch_leave(struct watch *w)
{
    struct watch_slot *s = w->slot;
    if (!s)
        return;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&s->inside, false, memory_order_relaxed);
    watch_step(s);
    if (w->left)
        w->left(w);
}

/* Around each call into a dissector; what the first returns is for the second: it may be called by another one, its parent. */
static inline uint16_t watch_call(struct watch *w, uint32_t dissector)
{
    if (!w->slot)
        return WATCH_NOBODY;
    uint16_t caller = w->slot->dissector;
    w->slot->dissector = w->slot->called = (uint16_t)dissector;
    watch_step(w->slot);
    return caller;
}

static inline void watch_return(struct watch *w, uint16_t caller)
{
    if (!w->slot)
        return;
    watch_step(w->slot);
    w->slot->dissector = caller;
}

static inline bool watch_banned(const struct watch *w, const struct flow *f)
{
    uint32_t low = 0, high = w->banned_n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (w->banned[middle] == f->id)
            return true;
        if (w->banned[middle] < f->id)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

#endif
