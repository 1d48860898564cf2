#include "base/clock.h"
#include "cloud/retry.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/units.h"

enum { NAP_NS = 50 * NS_PER_MS, TOKEN = 10 /* tenths */ };

/* ---- The budget ---- */

void retry_budget_init(struct retry_budget *b)
{
    atomic_init(&b->tenths, RETRY_BUDGET_TENTHS);
}

static void earn(struct retry_budget *b)
{
    int64_t tenths = atomic_load_explicit(&b->tenths, memory_order_relaxed);
    while (tenths < RETRY_BUDGET_TENTHS && !atomic_compare_exchange_weak(&b->tenths, &tenths, tenths + 1))
        continue;
}

/* False: there is no whole token. */
static bool spend(struct retry_budget *b)
{
    int64_t tenths = atomic_load_explicit(&b->tenths, memory_order_relaxed);
    while (tenths >= TOKEN)
        if (atomic_compare_exchange_weak(&b->tenths, &tenths, tenths - TOKEN))
            return true;
    return false;
}

/* ---- Pauses ---- */

static int64_t below(int64_t n)
{
    uint64_t chance;
    if (n <= 0)
        return 0;
    if (getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
        return n / 2;
    return (int64_t)(chance % ((uint64_t)n + 1));
}

/* "Full jitter": those who failed together come back apart. */
static int64_t pause_ns(const struct retry *r)
{
    int64_t most = r->policy.first_ns;
    for (unsigned i = 1; i < r->failures && most < r->policy.longest_ns; i++)
        most *= 2;
    return below(most < r->policy.longest_ns ? most : r->policy.longest_ns);
}

static bool is_cancelled(const struct retry *r)
{
    return r->cancel && atomic_load(r->cancel);
}

/* False: cancelled. */
static bool wait_until(const struct retry *r, int64_t until_ns)
{
    for (int64_t left; !is_cancelled(r) && (left = until_ns - clock_ns(CLOCK_MONOTONIC)) > 0;) {
        int64_t ns = left < NAP_NS ? left : NAP_NS;
        const struct timespec nap = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
        nanosleep(&nap, NULL);
    }
    return !is_cancelled(r);
}

/* ---- Trying ---- */

void retry_begin(struct retry *r, const struct retry_policy *policy, struct retry_budget *budget, const atomic_bool *cancel)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    *r = (struct retry){.policy = *policy, .budget = budget, .cancel = cancel, .began_ns = now, .forward_ns = now};
}

void retry_forward(struct retry *r)
{
    r->failures = 0;
    r->forward_ns = clock_ns(CLOCK_MONOTONIC);
}

/* When it is over whatever happens; INT64_MAX: never. */
static int64_t last_ns(const struct retry *r)
{
    int64_t last;
    if (__builtin_add_overflow(r->forward_ns, r->policy.patience_ns, &last))
        last = INT64_MAX;
    return r->policy.deadline_ns && r->policy.deadline_ns < last ? r->policy.deadline_ns : last;
}

static bool give_up(const struct retry *r, int64_t now, int *status, struct error *err)
{
    char took[UNITS_TEXT], text[sizeof(err->text)];
    if (err) {
        snprintf(text, sizeof(text), "%s", err->text);
        error_set(err, *status, "%.880s (tried %u times in %s, then given up)", text, r->failures,
                  units_format_duration(now - r->forward_ns, took));
    }
    return false;
}

static bool cancelled(int *status, struct error *err)
{
    *status = error_set(err, TD_E_CANCELLED, "cancelled");
    return false;
}

bool retry_again(struct retry *r, int *status, struct error *err)
{
    if (*status == TD_OK)
        earn(r->budget);
    if (*status != TD_E_RETRY)
        return false;
    if (is_cancelled(r))
        return cancelled(status, err);
    int64_t now = clock_ns(CLOCK_MONOTONIC), last = last_ns(r);
    r->failures++;
    if (now >= last)
        return give_up(r, now, status, err);
    int64_t pause = pause_ns(r), until;
    if (!spend(r->budget))
        pause = r->policy.longest_ns;
    if (__builtin_add_overflow(now, pause, &until) || until > last)
        until = last; /* one more try at the end */
    return wait_until(r, until) || cancelled(status, err);
}
