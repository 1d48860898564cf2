/* Credentials of the backend s3 that several threads use while they are renewed. */
#include "credentials_rig.h"

enum { THREADS = 8 };
static const int64_t ns_per_ms = 1000000;

struct user {
    pthread_t thread;
    struct s3_credentials *c;
    int64_t until_ns, longest_ns;
    unsigned n, failed, untold, mixed;
    bool reports; /* that keys have expired, now and then */
};

static void *use(void *ctx)
{
    struct user *u = ctx;
    struct s3_keys keys;
    char token[S3_MAX_KEY_ID + 2];
    for (int64_t now; (now = cloud_now_ns()) < u->until_ns; u->n++) {
        why[0] = 0;
        int status = s3_credentials_get(u->c, &keys);
        int64_t took = cloud_now_ns() - now;
        if (took > u->longest_ns)
            u->longest_ns = took;
        if (status != TD_OK) {
            u->failed++;
            u->untold += !why[0];
            usleep(5000);
            continue;
        }
        snprintf(token, sizeof(token), "T-%s", keys.access_key);
        u->mixed += strcmp(token, keys.token) != 0 || strcmp(keys.secret_key, SECRET) != 0;
        if (u->reports && u->n % 50 == 49)
            s3_credentials_expired(u->c, &keys);
        (void)s3_credentials_source(u->c);
        usleep(500);
    }
    return NULL;
}

/* All threads for so long; the sums. */
static struct user run(struct s3_credentials *c, int64_t for_ms, bool reports)
{
    struct user users[THREADS] = {0}, sum = {0};
    int64_t until = cloud_now_ns() + for_ms * ns_per_ms;
    for (int i = 0; i < THREADS; i++) {
        users[i] = (struct user){.c = c, .until_ns = until, .reports = reports};
        pthread_create(&users[i].thread, NULL, use, &users[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(users[i].thread, NULL);
        sum.n += users[i].n;
        sum.failed += users[i].failed;
        sum.untold += users[i].untold;
        sum.mixed += users[i].mixed;
        sum.longest_ns = users[i].longest_ns > sum.longest_ns ? users[i].longest_ns : sum.longest_ns;
    }
    return sum;
}

static struct s3_credentials *open_role(void)
{
    struct s3_credentials *c = NULL;
    struct s3_credentials_options o = {.host = &rig.host,
                                       .access_key = "BASE",
                                       .secret_key = SECRET,
                                       .role_arn = "arn:aws:iam::123456789012:role/hub",
                                       .sts_endpoint = rig.url};
    is_int(s3_credentials_new(&o, &c), TD_OK, "credentials %s", why);
    return c;
}

static unsigned posts(void)
{
    return scripted_count(&rig.server, "POST /");
}

static void test_first(void)
{
    rig_begin();
    scripted_on(&rig.server, "POST /", rig_sts("FIRST", 3600000, "X-Delay-Ms: 100\n"), 0);
    struct s3_credentials *c = open_role();
    struct user sum = run(c, 300, false);
    ok(!sum.failed && !sum.mixed && sum.n > THREADS, "all get keys");
    is_int(posts(), 1, "  for which one has asked");
    s3_credentials_free(c);
}

static void test_renewal(void)
{
    rig_begin();
    for (int i = 0; i < 60; i++) {
        char name[8];
        snprintf(name, sizeof(name), "K%d", i);
        scripted_on(&rig.server, "POST /", rig_sts(name, 4000, "X-Delay-Ms: 20\n"), 1);
    }
    struct s3_credentials *c = open_role();
    struct user sum = run(c, 1000, true);
    unsigned n = posts();
    ok(!sum.failed && !sum.mixed, "keys that are reported as expired are replaced for all: %u times, %u failures of %u", n, sum.failed,
       sum.n);
    ok(n > 1 && n < 60, "  once for each report that is news");
    s3_credentials_free(c);

    /* All within the last quarter of their time: others go on while one asks for long. */
    rig_begin();
    scripted_on(&rig.server, "POST /", rig_sts("OLD", 2800, ""), 1);
    scripted_on(&rig.server, "POST /", rig_sts("NEW", 3600000, "X-Delay-Ms: 300\n"), 1);
    c = open_role();
    sum = run(c, 2600, false);
    ok(!sum.failed && !sum.mixed && posts() == 2, "keys are renewed by one thread: %u requests", posts());
    ok(sum.longest_ns >= 300 * ns_per_ms, "  which waits");
    s3_credentials_free(c);
}

static void test_failure(void)
{
    rig_begin();
    scripted_on(&rig.server, "POST /", "403 No\nX-Delay-Ms: 20\n\n<E><Error><Code>AccessDenied</Code></Error></E>", 0);
    struct s3_credentials *c = open_role();
    struct user sum = run(c, 400, false);
    ok(sum.failed == sum.n && sum.n > THREADS && !sum.untold, "all are told that there are none: %u", sum.n);
    ok(posts() < sum.n / 2, "  of which few have asked: %u", posts());
    s3_credentials_free(c);
}

static void test_stop(void)
{
    rig_begin();
    scripted_on(&rig.server, "POST /", STALL, 0);
    struct s3_credentials *c = open_role();
    struct user u[3] = {{.c = c, .until_ns = cloud_now_ns() + 100 * ns_per_ms}};
    for (int i = 0; i < 3; i++) {
        u[i] = u[0];
        pthread_create(&u[i].thread, NULL, use, &u[i]);
    }
    usleep(150000);
    int64_t before = cloud_now_ns();
    atomic_store(&rig.cancelled, true);
    for (int i = 0; i < 3; i++)
        pthread_join(u[i].thread, NULL);
    ok(cloud_now_ns() - before < 1000 * ns_per_ms, "who asks and who waits ends soon when told to stop");
    ok(u[0].failed && u[1].failed && u[2].failed && !u[0].untold, "  and says so");
    atomic_store(&rig.cancelled, false);
    s3_credentials_free(c);
}

int main(void)
{
    static const char *const files[] = {".aws/credentials", ".aws/config", NULL};
    ok(rig_start(), "a place of its own");
    test_first();
    test_renewal();
    test_failure();
    test_stop();
    ok(!rig.leaked, "no text held a secret");
    rig_stop(files);
    return tap_done();
}
