/* Trying again: pauses, patience, deadlines, budget, cancel. */
#include "cloud/retry.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "tap.h"

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static struct retry_budget budget;

static bool fail_once(struct retry *r, struct error *err)
{
    int status = error_set(err, TD_E_RETRY, "503");
    return retry_again(r, &status, err);
}

static void test_others(void)
{
    struct retry r;
    struct error err = {0};
    const struct retry_policy policy = {NS_PER_MS, 10 * NS_PER_MS, NS_PER_S, 0};
    retry_budget_init(&budget);
    retry_begin(&r, &policy, &budget, NULL);
    int status = error_set(&err, TD_E_DENIED, "no");
    ok(!retry_again(&r, &status, &err) && status == TD_E_DENIED, "what does not pass is not tried again");
    is_str(err.text, "no", "and told as it is");
    status = TD_OK;
    ok(!retry_again(&r, &status, &err) && status == TD_OK, "nor what went well");
    ok(fail_once(&r, &err) && r.failures == 1, "what passes is");
    status = TD_E_RETRY;
    ok(retry_again(&r, &status, NULL), "also if nobody reads why");
}

/* Between nothing and a most that doubles. */
static void test_pauses(void)
{
    enum { N = 30 };
    struct retry r;
    struct error err;
    const struct retry_policy policy = {2 * NS_PER_MS, 16 * NS_PER_MS, (int64_t)60 * NS_PER_S, 0};
    int64_t sum[6] = {0}, most[6] = {0}, least = INT64_MAX;
    retry_budget_init(&budget);
    for (int i = 0; i < N; i++) {
        retry_begin(&r, &policy, &budget, NULL);
        for (int k = 0; k < 6; k++) {
            int64_t from = now_ns();
            fail_once(&r, &err);
            int64_t took = now_ns() - from;
            sum[k] += took;
            most[k] = took > most[k] ? took : most[k];
            least = k == 5 && took < least ? took : least;
        }
        retry_budget_init(&budget);
    }
    for (int k = 0; k < 6; k++) {
        int64_t limit = k < 3 ? (int64_t)2 * NS_PER_MS << k : 16 * NS_PER_MS;
        tap_diag("pause %d: mean %lld us, at most %lld us of %lld", k + 1, (long long)sum[k] / N / 1000, (long long)most[k] / 1000,
                 (long long)limit / 1000);
        ok(sum[k] / N > limit / 4 && most[k] > limit / 2, "pause %d is random, up to its limit", k + 1);
    }
    ok(sum[5] > 2 * sum[0], "they grow");
    ok(least < 8 * NS_PER_MS, "some are short all the same: %lld us", (long long)least / 1000);
}

static void test_patience(void)
{
    struct retry r;
    struct error err;
    const struct retry_policy policy = {NS_PER_MS, 5 * NS_PER_MS, 60 * NS_PER_MS, 0};
    retry_budget_init(&budget);
    retry_begin(&r, &policy, &budget, NULL);
    int64_t from = now_ns();
    unsigned n = 0;
    while (fail_once(&r, &err))
        n++;
    int64_t took = now_ns() - from;
    ok(took >= 60 * NS_PER_MS && took < 3 * (int64_t)NS_PER_S && n > 1, "patience ends: after %u tries and %lld ms", n,
       (long long)took / NS_PER_MS);
    ok(err.status == TD_E_RETRY && strncmp(err.text, "503 (tried ", 11) == 0 && strstr(err.text, " times in "), "and tells: %s", err.text);
    const struct retry_policy patient = {NS_PER_MS, 5 * NS_PER_MS, 400 * NS_PER_MS, 0}; /* a busy machine may stop us for a while */
    retry_begin(&r, &patient, &budget, NULL);
    from = now_ns();
    while (now_ns() - from < 2 * patient.patience_ns && fail_once(&r, &err))
        retry_forward(&r);
    ok(now_ns() - from >= 2 * patient.patience_ns && r.failures == 0, "but not while something comes forward");
}

static void test_deadline(void)
{
    struct retry r;
    struct error err;
    const struct retry_policy policy = {NS_PER_MS, 5 * NS_PER_MS, (int64_t)60 * NS_PER_S, now_ns() + 50 * NS_PER_MS};
    retry_budget_init(&budget);
    retry_begin(&r, &policy, &budget, NULL);
    while (fail_once(&r, &err))
        retry_forward(&r);
    ok(now_ns() >= policy.deadline_ns && now_ns() < policy.deadline_ns + NS_PER_S, "a deadline ends it whatever comes forward");
}

static void test_budget(void)
{
    struct retry r;
    struct error err;
    const struct retry_policy policy = {1000, 20 * NS_PER_MS, (int64_t)60 * NS_PER_S, 0};
    int status = TD_OK;
    retry_budget_init(&budget);
    int64_t from = now_ns();
    for (int i = 0; i < RETRY_BUDGET_TENTHS / 10; i++) {
        retry_begin(&r, &policy, &budget, NULL);
        fail_once(&r, &err);
    }
    ok(now_ns() - from < NS_PER_S, "while the budget lasts pauses are short");
    from = now_ns();
    retry_begin(&r, &policy, &budget, NULL);
    fail_once(&r, &err);
    ok(now_ns() - from >= 20 * NS_PER_MS, "then each is the longest");
    for (int i = 0; i < 10; i++)
        (void)!retry_again(&r, &status, NULL);
    from = now_ns();
    retry_begin(&r, &policy, &budget, NULL);
    fail_once(&r, &err);
    ok(now_ns() - from < 15 * NS_PER_MS, "ten that go well are good for one");
    for (int i = 0; i < 3 * RETRY_BUDGET_TENTHS; i++)
        (void)!retry_again(&r, &status, NULL);
    is_int(atomic_load(&budget.tenths), RETRY_BUDGET_TENTHS, "it is never more than at the start");
}

static void *cancel_soon(void *arg)
{
    usleep(30000);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void test_cancel(void)
{
    struct retry r;
    struct error err;
    pthread_t thread;
    atomic_bool cancel = false;
    const struct retry_policy policy = {(int64_t)60 * NS_PER_S, (int64_t)60 * NS_PER_S, (int64_t)600 * NS_PER_S, 0};
    retry_budget_init(&budget);
    retry_begin(&r, &policy, &budget, &cancel);
    pthread_create(&thread, NULL, cancel_soon, &cancel);
    int64_t from = now_ns();
    int status = TD_E_RETRY;
    bool again = retry_again(&r, &status, &err);
    ok(!again && status == TD_E_CANCELLED && err.status == TD_E_CANCELLED && now_ns() - from < 5 * (int64_t)NS_PER_S,
       "a pause is cut short");
    pthread_join(thread, NULL);
    status = TD_E_RETRY;
    ok(!retry_again(&r, &status, &err) && status == TD_E_CANCELLED, "and none begins");
}

int main(void)
{
    test_others();
    test_pauses();
    test_patience();
    test_deadline();
    test_budget();
    test_cancel();
    return tap_done();
}
