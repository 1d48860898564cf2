/* Jobs: states, order, bounds, cancelling, restarts by closing and by kill -9, full disks and damaged databases. */
#include "hub/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "hub/jobs_db.h"
#include "tap.h"

enum { MAX_EVENTS = 64 };

/* What the jobs of these tests do, and what they have seen. */
struct bench {
    atomic_uint began, ended, cleaned, again, at_once, most_at_once;
    atomic_bool hold; /* jobs wait while it is true */
    atomic_int outcome;
    size_t more;      /* bytes of results */
    uint64_t reach;   /* of 10: so far they come; 0: 1 */
    atomic_bool deaf; /* they do not look whether they are cancelled */
    char order[MAX_EVENTS][32];
};

static char dir[64], path[128];

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Waits at most ten seconds. */
#define eventually(cond)                                    \
    ({                                                      \
        int64_t until_ = now_ns() + 10 * (int64_t)NS_PER_S; \
        while (!(cond) && now_ns() < until_)                \
            usleep(500);                                    \
        (bool)(cond);                                       \
    })

static int run(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    struct bench *b = ctx;
    unsigned at = atomic_fetch_add(&b->began, 1), running = atomic_fetch_add(&b->at_once, 1) + 1, most = atomic_load(&b->most_at_once);
    if (at < MAX_EVENTS)
        snprintf(b->order[at], sizeof(b->order[at]), "%.31s", job_subject(job));
    while (running > most && !atomic_compare_exchange_weak(&b->most_at_once, &most, running))
        continue;
    atomic_fetch_add(&b->again, again);
    job_progress(job, b->reach ? b->reach : 1, 10);
    int status = TD_OK;
    while (status == TD_OK && atomic_load(&b->hold)) {
        if (!atomic_load(&b->deaf) && atomic_load(job_cancelled(job)))
            status = error_set(err, TD_E_CANCELLED, "cancelled");
        usleep(500);
    }
    if (status == TD_OK && atomic_load(&b->outcome) != TD_OK)
        status = error_set(err, atomic_load(&b->outcome), "it was to fail: %s", job_subject(job));
    buf_puts(result, "{\"of\":");
    buf_put_slice(result, request);
    for (size_t i = 0; i < b->more; i++)
        buf_putc(result, ' ');
    buf_puts(result, "}");
    atomic_fetch_sub(&b->at_once, 1);
    atomic_fetch_add(&b->ended, 1);
    return status;
}

static void clean(void *ctx, const char *subject, struct td_slice request)
{
    struct bench *b = ctx;
    (void)subject;
    (void)request;
    atomic_fetch_add(&b->cleaned, 1);
}

static struct jobs *must_open(struct bench *b)
{
    const struct job_kind kinds[] = {
        {"create", 2, true, run, clean, b, false}, {"verify", 1, false, run, clean, b, false}, {"import", 1, true, run, clean, b, true}};
    struct jobs *js = NULL;
    struct error err = {.text = ""};
    if (!ok(jobs_open(path, kinds, 3, &js, &err) == TD_OK, "the database opens"))
        tap_diag("%s", err.text);
    return js;
}

static void must_start(struct jobs *js)
{
    struct error err;
    ok(jobs_start(js, &err) == TD_OK, "and work begins");
}

static void submit(struct jobs *js, const char *kind, const char *subject, char id[JOB_ID])
{
    struct error err = {.text = ""};
    if (jobs_submit(js, kind, subject, td_str("{\"n\":1}"), id, &err) != TD_OK) {
        ok(false, "%s %s is taken", kind, subject);
        tap_diag("%s", err.text);
        id[0] = '\0';
    }
}

static enum job_state state(struct jobs *js, const char *id)
{
    struct job_status s;
    struct error err;
    return jobs_status(js, id, &s, &err) == TD_OK ? s.state : (enum job_state)99;
}

static void fresh(void)
{
    char command[200];
    snprintf(command, sizeof(command), "rm -rf %s/hub.db*", dir);
    is_int(system(command), 0, "a fresh directory");
}

static int count_one(void *ctx, const struct job_status *s)
{
    (void)s;
    ++*(int *)ctx;
    return TD_OK;
}

static int count(struct jobs *js, const char *kind, const char *subject)
{
    struct error err;
    int n = 0;
    return jobs_each(js, kind, subject, count_one, &n, &err) == TD_OK ? n : -1;
}

/* ---- States ---- */

static void test_states(void)
{
    struct bench b = {.hold = true};
    struct error err = {.text = ""};
    struct job_status s;
    struct buf bytes = {.n = 0};
    char one[JOB_ID], two[JOB_ID], three[JOB_ID], other[JOB_ID], id[JOB_ID];
    fresh();
    struct jobs *js = must_open(&b);
    is_str(jobs_note(js), "", "a new database is nothing to talk about");
    submit(js, "create", "one", one);
    submit(js, "create", "two", two);
    submit(js, "create", "three", three);
    is_int(state(js, one), JOB_PENDING, "before the start all wait");
    must_start(js);
    ok(eventually(atomic_load(&b.began) == 2), "two at once");
    usleep(20000);
    is_int(state(js, three), JOB_PENDING, "the third waits, for that is the bound");
    submit(js, "verify", "one", other);
    ok(eventually(state(js, other) == JOB_RUNNING), "other kinds do not wait for them");
    is_int(jobs_submit(js, "create", "three", td_str(""), id, &err), TD_E_EXISTS, "the same again is refused");
    like(err.text, three, "with the job that is at it");
    is_int(jobs_submit(js, "bake", "three", td_str(""), id, &err), TD_E_UNSUPPORTED, "and a kind that there is not");
    is_int(jobs_status(js, one, &s, &err), TD_OK, "a job can be asked about");
    ok(s.done == 1 && s.all == 10 && s.attempts == 1 && s.created_ns && s.started_ns >= s.created_ns && !s.finished_ns,
       "and says how far it is");
    is_int(jobs_result(js, one, &bytes, &err), TD_OK, "it has no result yet");
    is_int(bytes.n, 0, "none");
    atomic_store(&b.hold, false);
    ok(eventually(state(js, three) == JOB_COMPLETED && state(js, one) == JOB_COMPLETED && state(js, other) == JOB_COMPLETED), "all end");
    is_int(atomic_load(&b.again), 0, "none was told that it had run before");
    is_int(jobs_result(js, three, &bytes, &err), TD_OK, "results are kept");
    is_str(buf_cstr(&bytes), "{\"of\":{\"n\":1}}", "as they were given");
    buf_reset(&bytes);
    is_int(jobs_request(js, three, &bytes, &err), TD_OK, "requests too");
    is_str(buf_cstr(&bytes), "{\"n\":1}", "as they were given");
    ok(jobs_status(js, one, &s, &err) == TD_OK && s.done == 10 && s.finished_ns >= s.started_ns && !*s.error,
       "what is completed is at its end");
    is_int(jobs_cancel(js, one, &err), TD_E_EXISTS, "what has ended cannot be cancelled");
    is_int(jobs_cancel(js, "nothing", &err), TD_E_NOT_FOUND, "nor what there is not");
    is_int(jobs_status(js, "nothing", &s, &err), TD_E_NOT_FOUND, "nor asked about");
    atomic_store(&b.outcome, TD_E_LIMIT);
    submit(js, "create", "three", id);
    ok(eventually(state(js, id) == JOB_FAILED), "the same is taken again when it has ended, and may fail");
    is_int(jobs_status(js, id, &s, &err), TD_OK, "which is kept");
    is_str(s.error, "it was to fail: three", "with the reason");
    is_str(s.code, "limit_reached", "and its stable name");
    buf_reset(&bytes);
    ok(jobs_result(js, id, &bytes, &err) == TD_OK && strcmp(buf_cstr(&bytes), "{\"of\":{\"n\":1}}") == 0, "and what it found before");
    is_int(atomic_load(&b.cleaned), 1, "and it was cleaned up");
    ok(count(js, NULL, NULL) == 5 && count(js, "create", NULL) == 4 && count(js, "create", "three") == 2 && count(js, NULL, "one") == 2,
       "lists by kind and subject");
    jobs_close(js);
    js = must_open(&b);
    ok(count(js, NULL, NULL) == 5 && state(js, id) == JOB_FAILED && state(js, one) == JOB_COMPLETED, "a restart knows them all");
    buf_reset(&bytes);
    ok(jobs_result(js, other, &bytes, &err) == TD_OK && strcmp(buf_cstr(&bytes), "{\"of\":{\"n\":1}}") == 0, "and their results");
    buf_clear(&bytes);
    jobs_close(js);
}

static int put_subject(void *ctx, const struct job_status *s)
{
    buf_printf(ctx, "%s ", s->subject);
    return TD_OK;
}

static void test_order(void)
{
    struct bench b = {.hold = true};
    struct error err;
    struct buf list = {.n = 0};
    char id[12][JOB_ID], subject[32];
    bool ordered = true;
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    for (int i = 0; i < 12; i++) {
        snprintf(subject, sizeof(subject), "s%02d", i);
        submit(js, "verify", subject, id[i]);
    }
    is_int(jobs_each(js, NULL, NULL, put_subject, &list, &err), TD_OK, "they are listed");
    is_str(buf_cstr(&list), "s11 s10 s09 s08 s07 s06 s05 s04 s03 s02 s01 s00 ", "the newest first");
    buf_clear(&list);
    atomic_store(&b.hold, false);
    ok(eventually(state(js, id[11]) == JOB_COMPLETED), "all run");
    for (int i = 0; i < 12; i++) {
        snprintf(subject, sizeof(subject), "s%02d", i);
        ordered = ordered && strcmp(b.order[i], subject) == 0;
    }
    ok(ordered, "first come, first served");
    is_int(atomic_load(&b.most_at_once), 1, "never more at once than the kind allows");
    jobs_close(js);
}

static void test_cancel(void)
{
    struct bench b = {.hold = true};
    struct error err;
    char running[JOB_ID], second[JOB_ID], waiting[JOB_ID];
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    submit(js, "verify", "running", running);
    submit(js, "verify", "waiting", waiting);
    submit(js, "verify", "second", second);
    ok(eventually(atomic_load(&b.began) == 1), "one runs");
    is_int(jobs_cancel(js, waiting, &err), TD_OK, "one that waits is cancelled");
    is_int(state(js, waiting), JOB_CANCELLED, "at once");
    is_int(atomic_load(&b.cleaned), 0, "and has left nothing to clean");
    is_int(jobs_cancel(js, running, &err), TD_OK, "one that runs, too");
    ok(eventually(state(js, running) == JOB_CANCELLED), "as soon as it looks");
    is_int(atomic_load(&b.cleaned), 1, "and is cleaned up");
    ok(eventually(atomic_load(&b.began) == 2), "the next one runs");
    atomic_store(&b.deaf, true);
    is_int(jobs_cancel(js, second, &err), TD_OK, "one that does not look can be cancelled");
    is_int(jobs_cancel(js, second, &err), TD_OK, "even twice");
    atomic_store(&b.hold, false);
    ok(eventually(state(js, second) == JOB_COMPLETED), "but if it gets to its end it is completed");
    jobs_close(js);
    js = must_open(&b);
    ok(state(js, waiting) == JOB_CANCELLED && state(js, running) == JOB_CANCELLED, "a restart knows that they were cancelled");
    jobs_close(js);
}

/* What was uploaded for it is there before it runs. */
static void test_cancel_import(void)
{
    struct bench b = {.hold = true};
    struct error err;
    char running[JOB_ID], waiting[JOB_ID];
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    submit(js, "import", "running", running);
    submit(js, "import", "waiting", waiting);
    ok(eventually(atomic_load(&b.began) == 1), "one runs");
    is_int(jobs_cancel(js, waiting, &err), TD_OK, "one that waits is cancelled");
    ok(eventually(state(js, waiting) == JOB_CANCELLED), "soon");
    is_int(atomic_load(&b.cleaned), 1, "and cleaned up, though it never ran");
    is_int(atomic_load(&b.began), 1, "nor does it");
    atomic_store(&b.hold, false);
    jobs_close(js);
}

static void test_wait(void)
{
    struct bench b = {.hold = false};
    char id[JOB_ID];
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    uint64_t first = jobs_wait(js, 0, 10 * (int64_t)NS_PER_S);
    int64_t begin = now_ns();
    is_int(jobs_wait(js, first, 30 * NS_PER_MS), first, "nothing changes");
    ok(now_ns() - begin >= 30 * NS_PER_MS, "and it was waited for");
    submit(js, "create", "x", id);
    ok(jobs_wait(js, first, 10 * (int64_t)NS_PER_S) > first, "a new one is a change");
    ok(eventually(state(js, id) == JOB_COMPLETED), "it runs");
    uint64_t last = jobs_wait(js, 0, 0);
    jobs_wake(js);
    begin = now_ns();
    jobs_wait(js, last, 10 * (int64_t)NS_PER_S);
    ok(now_ns() - begin < 5 * (int64_t)NS_PER_S, "what waits can be woken for good");
    jobs_close(js);
}

/* ---- Restarts ---- */

static void test_close(void)
{
    struct bench b = {.hold = true};
    struct job_status s;
    struct error err;
    char resumes[JOB_ID], ends[JOB_ID];
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    submit(js, "create", "resumes", resumes);
    submit(js, "verify", "ends", ends);
    ok(eventually(atomic_load(&b.began) == 2), "both run");
    jobs_close(js);
    is_int(atomic_load(&b.ended), 2, "closing waits for them");
    is_int(atomic_load(&b.cleaned), 1, "what cannot resume is cleaned up");
    js = must_open(&b);
    is_int(state(js, ends), JOB_FAILED, "and has failed");
    is_int(state(js, resumes), JOB_PENDING, "the other one is to go on");
    is_int(jobs_status(js, ends, &s, &err), TD_OK, "the reason is told");
    like(s.error, "the hub ended while it ran", "as it is");
    is_int(jobs_cancel(js, resumes, &err), TD_OK, "it can be cancelled before it goes on");
    must_start(js);
    ok(eventually(state(js, resumes) == JOB_CANCELLED), "and is");
    is_int(atomic_load(&b.cleaned), 2, "and cleaned up, for it had begun");
    is_int(atomic_load(&b.began), 2, "without running");
    submit(js, "create", "resumes", resumes);
    ok(eventually(state(js, resumes) == JOB_RUNNING), "another one runs");
    jobs_close(js);
    js = must_open(&b);
    atomic_store(&b.hold, false);
    must_start(js);
    ok(eventually(state(js, resumes) == JOB_COMPLETED), "and goes on after the restart");
    is_int(atomic_load(&b.again), 1, "knowing it");
    ok(jobs_status(js, resumes, &s, &err) == TD_OK && s.attempts == 2, "the attempts are counted");
    jobs_close(js);
}

/* A hub that is killed leaves rows that say "running". */
static void leave_running(const char *kind, unsigned crashes, bool cancel_asked, char id[JOB_ID])
{
    struct jobs_db *db;
    struct error err = {.text = ""};
    char note[JOBS_NOTE];
    struct jobs_row row = {.status = {.state = JOB_PENDING, .created_ns = now_ns()}};
    snprintf(row.status.id, JOB_ID, "%s-%u-%d", kind, crashes, cancel_asked);
    snprintf(row.status.kind, JOB_KIND, "%s", kind);
    snprintf(row.status.subject, JOB_SUBJECT, "of-%s", row.status.id);
    int status = jobs_db_open(path, &db, note, &err);
    if (status == TD_OK)
        status = jobs_db_insert(db, &row.status, td_str("{}"), &row.number, &err);
    row.status.state = JOB_RUNNING;
    row.status.attempts = crashes + 1;
    row.crashes = crashes;
    row.cancel_asked = cancel_asked;
    if (status == TD_OK)
        status = jobs_db_update(db, &row, NULL, &err);
    if (!ok(status == TD_OK, "a row is left"))
        tap_diag("%s", err.text);
    memcpy(id, row.status.id, JOB_ID);
    jobs_db_close(db);
}

/* A hub whose job comes so far, and is killed. Did it run? */
static bool run_and_die(uint64_t reach)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct bench b = {.hold = true, .reach = reach};
        struct jobs *js = NULL;
        struct error err;
        if (jobs_open(path, &(struct job_kind){"create", 2, true, run, clean, &b, false}, 1, &js, &err) != TD_OK ||
            jobs_start(js, &err) != TD_OK || !eventually(atomic_load(&b.began) || atomic_load(&b.cleaned)) || !atomic_load(&b.began))
            _exit(1);
        usleep(300000); /* what it has come to is written at once */
        raise(SIGKILL);
    }
    int how = 0;
    waitpid(pid, &how, 0);
    return WIFSIGNALED(how);
}

static void test_further(void)
{
    struct bench b = {.hold = false};
    char id[JOB_ID];
    fresh();
    leave_running("create", JOBS_MAX_CRASHES - 2, false, id);
    ok(run_and_die(3) && run_and_die(4) && run_and_die(6), "what comes further each time is interrupted as often as may be");
    bool runs = true;
    for (int i = 0; i < JOBS_MAX_CRASHES && runs; i++)
        runs = run_and_die(6);
    ok(!runs, "what does not is given up");
    struct jobs *js = must_open(&b);
    must_start(js);
    ok(eventually(state(js, id) == JOB_FAILED), "and has failed");
    jobs_close(js);
}

static void test_interrupted(void)
{
    struct bench b = {.hold = false};
    struct job_status s;
    struct error err;
    char resumed[JOB_ID], ended[JOB_ID], cancelled[JOB_ID], often[JOB_ID], unknown[JOB_ID];
    fresh();
    leave_running("create", 0, false, resumed);
    leave_running("verify", 0, false, ended);
    leave_running("create", 1, true, cancelled);
    leave_running("create", JOBS_MAX_CRASHES - 1, false, often);
    leave_running("bake", 0, false, unknown);
    struct jobs *js = must_open(&b);
    ok(state(js, resumed) == JOB_PENDING && state(js, ended) == JOB_PENDING, "before the start, none has come to an end");
    must_start(js);
    ok(eventually(state(js, resumed) == JOB_COMPLETED), "what resumes is run");
    is_int(atomic_load(&b.again), 1, "and told so");
    ok(eventually(state(js, ended) == JOB_FAILED), "what does not has failed");
    ok(eventually(state(js, cancelled) == JOB_CANCELLED), "what was cancelled stays so");
    ok(eventually(state(js, often) == JOB_FAILED), "what took the hub with it too often is given up");
    ok(jobs_status(js, often, &s, &err) == TD_OK && strstr(s.error, "the hub was gone 8 times"), "with the reason");
    ok(eventually(state(js, unknown) == JOB_FAILED), "and what nobody knows");
    is_int(atomic_load(&b.cleaned), 3, "all that could be were cleaned up");
    is_int(atomic_load(&b.began), 1, "only one ran");
    jobs_close(js);
}

/* 100 that ended more than a week ago, and 1000 of an hour ago; the 50th waits. */
static void make_history(void)
{
    sqlite3 *db;
    char sql[1024];
    snprintf(
        sql, sizeof(sql),
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<1099)"
        " INSERT INTO job(id,kind,subject,state,done,total,created,started,finished,attempts,crashes,cancel,error,code,request)"
        " SELECT 'old-'||i,'create','s',iif(i=50,'pending','completed'),0,0,1,1,%lld-iif(i<100,8*86400,3600)*1000000000,0,0,0,'','','{}' "
        "FROM n",
        (long long)now_ns());
    ok(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "a history: %s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void test_retention(void)
{
    struct bench b = {.hold = false};
    fresh();
    jobs_close(must_open(&b));
    make_history();
    struct jobs *js = must_open(&b);
    is_int(count(js, NULL, NULL), 1100, "all are there at first");
    must_start(js);
    ok(eventually(count(js, NULL, NULL) <= 1001 && state(js, "old-50") == JOB_COMPLETED),
       "those of more than a week go, but not what waits");
    is_int(state(js, "old-49"), 99, "the oldest first");
    jobs_close(js);
    js = must_open(&b);
    ok(count(js, NULL, NULL) <= 1001, "for good");
    jobs_close(js);
}

/* ---- kill -9 ---- */

static int journal = -1;

static void note_event(const char *what, const char *id, bool again)
{
    char line[128];
    int n = snprintf(line, sizeof(line), "%s %s %d %d\n", what, id, again, (int)getpid());
    if (write(journal, line, (size_t)n) != n)
        _exit(3);
}

static int run_noted(void *ctx, struct job *job, struct td_slice request, bool again, struct buf *result, struct error *err)
{
    (void)ctx;
    (void)request;
    (void)result;
    (void)err;
    note_event("begin", job_id(job), again);
    for (int i = 0; i < 4; i++) {
        job_progress(job, (uint64_t)i, 4);
        usleep(300);
    }
    note_event("end", job_id(job), again);
    return TD_OK;
}

static const struct job_kind noted[] = {{"create", 2, true, run_noted, NULL, NULL, false},
                                        {"verify", 1, false, run_noted, NULL, NULL, false}};

/* A hub that takes jobs until it is killed. */
static void child(int round, int ready)
{
    struct jobs *js;
    struct error err;
    char id[JOB_ID], subject[32];
    log_set_level(0);
    if (jobs_open(path, noted, 2, &js, &err) != TD_OK || jobs_start(js, &err) != TD_OK)
        _exit(2);
    if (write(ready, "", 1) != 1)
        _exit(4);
    for (int i = 0;; i++) {
        snprintf(subject, sizeof(subject), "s-%d-%d", round, i);
        if (jobs_submit(js, i % 3 ? "create" : "verify", subject, td_str("{}"), id, &err) == TD_OK)
            note_event("taken", id, false);
        usleep(500);
    }
}

struct seen {
    char id[JOB_ID];
    int taken, began, ended, running_in;
};

/* Reads what the jobs noted; returns what is wrong, or NULL. */
static const char *check_notes(struct seen *v, int *n)
{
    FILE *f = fdopen(dup(journal), "r");
    char line[128];
    const char *wrong = NULL;
    rewind(f);
    while (!wrong && fgets(line, sizeof(line), f)) {
        char *rest = line;
        const char *what = strsep(&rest, " "), *id = strsep(&rest, " "), *flag = strsep(&rest, " ");
        bool again = flag && *flag == '1';
        int pid = rest ? (int)strtol(rest, NULL, 10) : 0, i = 0;
        while (i < *n && strcmp(v[i].id, id) != 0)
            i++;
        if (i == *n)
            snprintf(v[(*n)++].id, JOB_ID, "%s", id);
        if (strcmp(what, "taken") == 0) {
            v[i].taken++;
        } else if (strcmp(what, "begin") == 0) {
            if (v[i].running_in == pid)
                wrong = "a job ran twice at once";
            if (v[i].began && !again)
                wrong = "a job that had begun was not told so";
            v[i].began++;
            v[i].running_in = pid;
        } else {
            v[i].ended++;
            v[i].running_in = 0;
        }
    }
    fclose(f);
    return wrong;
}

static int no_open_one(void *ctx, const struct job_status *s)
{
    *(int *)ctx += s->state <= JOB_RUNNING;
    return TD_OK;
}

static int unfinished(struct jobs *js)
{
    struct error err;
    int n = 0;
    return jobs_each(js, NULL, NULL, no_open_one, &n, &err) == TD_OK ? n : -1;
}

static void kill_rounds(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        char byte;
        int how, ready[2];
        if (pipe(ready) != 0)
            return;
        pid_t pid = fork();
        if (pid == 0)
            child(round, ready[1]);
        close(ready[1]);
        if (round % 4 && read(ready[0], &byte, 1) != 1) /* else it may be killed while it opens */
            ok(false, "round %d: the child does not get ready", round);
        close(ready[0]);
        usleep((useconds_t)(1000 + rand() % 30000));
        kill(pid, SIGKILL);
        waitpid(pid, &how, 0);
        if (!WIFSIGNALED(how))
            ok(false, "round %d: the child ended by itself with %d", round, WEXITSTATUS(how));
    }
}

static void test_kill(void)
{
    enum { ROUNDS = 40, MOST = 20000 };
    struct seen *v = mem_calloc(MOST, sizeof(*v));
    struct job_status s;
    struct error err = {.text = ""};
    char name[128];
    int n = 0, lost = 0, unclear = 0, unrun = 0, began_again = 0, completed = 0;
    fresh();
    snprintf(name, sizeof(name), "%s/notes", dir);
    journal = open(name, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    srand((unsigned)now_ns());
    kill_rounds(ROUNDS);
    struct jobs *js = NULL;
    log_set_level(0);
    is_int(jobs_open(path, noted, 2, &js, &err), TD_OK, "after %d kills it opens %s", ROUNDS, err.text);
    is_str(jobs_note(js), "", "and is whole");
    must_start(js);
    ok(eventually(unfinished(js) == 0), "every job comes to its end");
    const char *wrong = check_notes(v, &n);
    ok(!wrong, "nothing ran twice at once, and what had begun was told: %s", wrong ? wrong : "");
    for (int i = 0; i < n; i++) {
        int status = jobs_status(js, v[i].id, &s, &err);
        lost += v[i].taken && status != TD_OK;
        bool may_fail = strcmp(s.kind, "verify") == 0 || strstr(s.error, "the hub was gone 8 times");
        unclear += status == TD_OK && s.state != JOB_COMPLETED && (s.state != JOB_FAILED || !may_fail);
        unrun += status == TD_OK && s.state == JOB_COMPLETED && v[i].ended == 0;
        began_again += v[i].began > 1;
        completed += status == TD_OK && s.state == JOB_COMPLETED;
    }
    is_int(lost, 0, "what was taken is not lost");
    is_int(unclear, 0, "what can resume is completed, what cannot is that, or failed");
    is_int(unrun, 0, "what is completed has run to its end");
    ok(n > ROUNDS && completed > 0 && began_again > 0, "%d jobs, %d completed, %d of them run again", n, completed, began_again);
    jobs_close(js);
    log_set_level(TD_LOG_INFO);
    close(journal);
    mem_free(v);
}

/* ---- Disks ---- */

/* Files must not grow beyond what they are: a full disk. */
static void fill_disk(bool full)
{
    char name[160];
    struct rlimit limit;
    off_t size = 0;
    const char *const names[] = {"%s/hub.db", "%s/hub.db-journal"};
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), names[i], dir);
        struct stat st; /* not opened: closing it would give up SQLite's lock */
        if (stat(name, &st) == 0 && st.st_size > size)
            size = st.st_size;
    }
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = full ? (rlim_t)size : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* Does a hub that is killed now know, when it starts again, that it is completed? The file is copied by another process: closing it in this
 * one would give up SQLite's lock. */
static bool is_written(const char *id)
{
    char command[1000];
    snprintf(command, sizeof(command),
             "ulimit -f unlimited; mkdir -p %s/copy && cp %s/hub.db %s/hub.db-journal %s/copy && printf \"SELECT state FROM job WHERE "
             "id='%s'\" |"
             " python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.stdin.read()).fetchone()[0])'"
             " %s/copy/hub.db | grep -qx completed",
             dir, dir, dir, dir, id, dir);
    return system(command) == 0;
}

/* Whatever ends is known, for room was kept for that. */
static void full_disk(void)
{
    struct bench b = {.hold = true, .more = 100000};
    struct error err = {.text = ""};
    char running[JOB_ID], waiting[JOB_ID], id[JOB_ID], subject[32];
    int status = TD_OK, taken = 0;
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    submit(js, "verify", "running", running);
    submit(js, "verify", "waiting", waiting);
    ok(eventually(state(js, running) == JOB_RUNNING), "one runs, one waits");
    fill_disk(true);
    char *big = mem_calloc(1, 60000);
    memset(big, 'x', 60000);
    for (; status == TD_OK && taken < 200; taken += status == TD_OK) {
        snprintf(subject, sizeof(subject), "s%d", taken);
        status = jobs_submit(js, "create", subject, td_bytes(big, 60000), id, &err);
    }
    is_int(status, TD_E_LIMIT, "a full disk takes no jobs any more, after %d", taken);
    like(err.text, "no room is left on the disk", "and says so");
    atomic_store(&b.hold, false);
    ok(eventually(state(js, running) == JOB_COMPLETED), "what runs comes to its end");
    ok(is_written(running), "and that is written, for room was kept");
    fill_disk(false);
    ok(eventually(unfinished(js) == 0), "with room, all do");
    is_int(state(js, waiting), JOB_COMPLETED, "also the one that waited");
    jobs_close(js);
    js = must_open(&b);
    ok(state(js, running) == JOB_COMPLETED && state(js, waiting) == JOB_COMPLETED && count(js, "create", NULL) == taken,
       "and a restart knows");
    jobs_close(js);
    mem_free(big);
}

/* Nothing at all can be written: jobs wait, and ends are written later. */
static void broken_disk(void)
{
    struct bench b = {.hold = true};
    struct job_status s;
    struct error err = {.text = ""};
    struct rlimit limit;
    char running[JOB_ID], waiting[JOB_ID], id[JOB_ID];
    fresh();
    struct jobs *js = must_open(&b);
    must_start(js);
    submit(js, "verify", "running", running);
    submit(js, "verify", "waiting", waiting);
    ok(eventually(state(js, running) == JOB_RUNNING), "one runs, one waits");
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 1;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    is_int(jobs_submit(js, "create", "x", td_str(""), id, &err), TD_E_LIMIT, "nothing is taken");
    atomic_store(&b.hold, false);
    ok(eventually(state(js, running) == JOB_COMPLETED), "what runs ends, as far as is known");
    ok(eventually(jobs_status(js, waiting, &s, &err) == TD_OK && *s.error), "what waits says why: %s", s.error);
    is_int(s.state, JOB_PENDING, "and goes on waiting");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    ok(eventually(state(js, waiting) == JOB_COMPLETED), "until it can");
    jobs_close(js);
    js = must_open(&b);
    ok(state(js, running) == JOB_COMPLETED, "the end that could not be written was written later");
    struct buf bytes = {.n = 0};
    ok(jobs_result(js, running, &bytes, &err) == TD_OK && bytes.n > 0, "with its result");
    buf_clear(&bytes);
    jobs_close(js);
}

static void damage(off_t at, const char *text, bool whole)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | (whole ? O_TRUNC : 0));
    ok(fd >= 0 && pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text), "a damage at %d", (int)at);
    close(fd);
}

static bool moved_aside(void)
{
    char command[200];
    snprintf(command, sizeof(command), "ls %s/hub.db.damaged-* >/dev/null 2>&1", dir);
    return system(command) == 0;
}

static void test_damage(void)
{
    struct bench b = {.hold = false};
    struct error err = {.text = ""};
    struct jobs *js = NULL, *other = NULL;
    char id[JOB_ID];
    const struct job_kind kind = {"create", 1, true, run, clean, &b, false};
    log_set_level(0);
    for (int i = 0; i < 3; i++) {
        fresh();
        js = must_open(&b);
        submit(js, "create", "x", id);
        jobs_close(js);
        if (i == 0)
            damage(0, "this is no database at all", true);
        else
            damage(i == 1 ? 4096 : 100, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false);
        js = must_open(&b);
        like(jobs_note(js), "It was moved to hub.db.damaged-", "a damaged database is told");
        ok(moved_aside(), "and not lost");
        is_int(count(js, NULL, NULL), 0, "a new one is begun");
        submit(js, "create", "x", id);
        jobs_close(js);
    }
    fresh();
    js = must_open(&b);
    is_int(jobs_open(path, &kind, 1, &other, &err), TD_E_EXISTS, "a database that is in use is refused");
    like(err.text, "belongs to a hub that is running", "with the reason");
    jobs_close(js);
    damage(60, "\x7f\xff\xff\xff", false); /* user_version */
    is_int(jobs_open(path, &kind, 1, &other, &err), TD_E_UNSUPPORTED, "one of a newer version as well");
    ok(!moved_aside(), "and left where it is");
    damage(68, "abcd", false); /* application_id */
    is_int(jobs_open(path, &kind, 1, &other, &err), TD_E_UNSUPPORTED, "and one of something else");
    ok(!moved_aside(), "and left where it is, too");
    is_int(jobs_open("/nowhere/hub.db", &kind, 1, &other, &err), TD_E_INTERNAL, "a directory that is not there");
    like(err.text, "/nowhere/hub.db: cannot be opened", "is told");
    log_set_level(TD_LOG_INFO);
}

int main(void)
{
    /* In memory more happens between two kills than on a disk that is waited for. */
    snprintf(dir, sizeof(dir), "%s/jobs.XXXXXX", access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/hub.db", dir);
    test_kill(); /* first: these fork, and nothing else runs yet */
    test_further();
    test_states();
    test_order();
    test_cancel();
    test_cancel_import();
    test_wait();
    test_close();
    test_interrupted();
    test_retention();
    full_disk();
    broken_disk();
    test_damage();
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command) != 0)
        return 1;
    return tap_done();
}
