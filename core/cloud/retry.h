/* Trying again what failed in passing (TD_E_RETRY): after pauses that grow and are random, within limits.
 *
 * The n-th pause is random between nothing and first_ns * 2^(n-1), at most longest_ns ("full jitter"), so that many who fail at once do not
 * come back at once. It ends when nothing has come forward for patience_ns, or at the deadline; then the last failure is told, with how
 * often and how long it was tried. What came forward begins a new count. In one cloud at most budget retries run up for each success
 * (`struct retry_budget`), so that a cloud that is down is not also flooded. One thread; the budget any. */
#ifndef CLOUD_RETRY_H
#define CLOUD_RETRY_H

#include <stdatomic.h>

#include "base/error.h"

struct retry_policy {
    int64_t first_ns, longest_ns; /* pauses */
    int64_t patience_ns;          /* without anything coming forward */
    int64_t deadline_ns;          /* monotonic_ns(); 0: none */
};

/* Tokens: each success adds a tenth, each retry takes one; from empty it waits for longest_ns each time. */
struct retry_budget {
    _Atomic int64_t tenths;
};
enum { RETRY_BUDGET_TENTHS = 1000 };
void retry_budget_init(struct retry_budget *);

struct retry {
    struct retry_policy policy;
    struct retry_budget *budget;
    const atomic_bool *cancel;
    unsigned failures;            /* since something came forward */
    int64_t began_ns, forward_ns; /* monotonic */
};

void retry_begin(struct retry *, const struct retry_policy *, struct retry_budget *, const atomic_bool *cancel);
/* Something came forward: a byte that need not be sent again, an object. */
void retry_forward(struct retry *);
/* `status` and *err are what a try ended with. True: pause is over, try again. False: it ends with *status and *err, which now also tells
 * how often it was tried; TD_E_CANCELLED if it was cancelled meanwhile. TD_OK: false, counts as a success. */
bool retry_again(struct retry *, int *status, struct error *err);

#endif
