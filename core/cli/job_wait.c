#include "job_wait.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/utf8.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/progress.h"

enum { FIRST_PAUSE_MS = 10, LONGEST_PAUSE_MS = 500, PAUSE_SHARE = 16 /* of the time that it took so far */, MAX_ID = 128 };
#define PATIENCE_NS (60ll * NS_PER_S) /* with a hub that does not answer */

struct wait {
    struct client *client;
    struct progress progress;
    sigset_t interrupt, before;
    int64_t away_since_ns; /* 0: it answers */
};

/* False: interrupted. The signal is blocked meanwhile, so that it needs no handler. */
static bool pause_ms(const struct wait *w, unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * NS_PER_MS};
    int got;
    while ((got = sigtimedwait(&w->interrupt, NULL, &t)) < 0 && errno == EINTR)
        ;
    return got < 0;
}

static bool has_ended(const char *state)
{
    return strcasecmp(state, "completed") == 0 || strcasecmp(state, "failed") == 0 || strcasecmp(state, "cancelled") == 0;
}

static void show(struct wait *w, const char *what, const json_t *job)
{
    json_int_t done = json_integer_value(json_object_get(job, "done")), all = json_integer_value(json_object_get(job, "all"));
    if (done >= 0 && all >= 0)
        progress_show(&w->progress, what, (uint64_t)(all && done > all ? all : done), (uint64_t)all, UINT64_MAX);
}

/* With a hub that does not answer. */
static unsigned next_pause(int64_t began_ns)
{
    int64_t ms = (clock_ns(CLOCK_MONOTONIC) - began_ns) / PAUSE_SHARE / NS_PER_MS;
    return ms < FIRST_PAUSE_MS ? FIRST_PAUSE_MS : ms < LONGEST_PAUSE_MS ? (unsigned)ms : LONGEST_PAUSE_MS;
}

/* The job once it has ended; TD_E_CANCELLED: interrupted. */
static int poll_job(struct wait *w, const char *path, const char *what, json_t **ret, struct error *err)
{
    for (int64_t began_ns = clock_ns(CLOCK_MONOTONIC);;) {
        json_t *job = NULL;
        int status = client_ask(w->client, "GET", path, NULL, &job, err);
        if (status == TD_OK && has_ended(client_text(job, "state"))) {
            *ret = job;
            return TD_OK;
        }
        if (status == TD_OK) {
            w->away_since_ns = 0;
            show(w, what, job);
            json_decref(job);
        } else if (status != TD_E_RETRY || (w->away_since_ns && clock_ns(CLOCK_MONOTONIC) - w->away_since_ns > PATIENCE_NS)) {
            return status;
        } else if (!w->away_since_ns) {
            w->away_since_ns = clock_ns(CLOCK_MONOTONIC);
        }
        /* One that answers has waited itself. */
        if (!pause_ms(w, status == TD_OK ? FIRST_PAUSE_MS : next_pause(began_ns)))
            return error_set(err, TD_E_CANCELLED, "interrupted");
    }
}

static int exit_of_job(const json_t *job, const char *id, const char *what)
{
    struct buf why;
    const char *state = client_text(job, "state"), *code = client_text(job, "code");
    if (strcasecmp(state, "completed") == 0)
        return CLI_OK;
    if (strcasecmp(state, "cancelled") == 0) {
        cli_error("%s: job %s was cancelled", what, id);
        return CLI_FAILURE;
    }
    buf_init(&why, 0);
    utf8_put_printable(&why, td_str(client_text(job, "error")), UTF8_PROSE);
    cli_error("%s: %s", what, why.n ? buf_cstr(&why) : "it failed, and the hub does not say why");
    buf_clear(&why);
    return client_exit_of_code(code);
}

int job_wait(struct client *client, const char *id, const char *what, bool quiet, json_t **ret)
{
    struct wait w = {.client = client};
    struct error err = {0};
    struct buf path;
    json_t *job = NULL;
    progress_init(&w.progress);
    w.progress.active &= !quiet;
    sigemptyset(&w.interrupt);
    sigaddset(&w.interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &w.interrupt, &w.before);
    buf_init(&path, 0);
    buf_lit(&path, "/jobs/");
    http_put_encoded(&path, id);
    buf_lit(&path, "?wait=1"); /* progress is shown so often */
    int status = poll_job(&w, buf_cstr(&path), what, &job, &err), code;
    progress_end(&w.progress);
    if (status == TD_OK) {
        code = exit_of_job(job, id, what);
    } else if (status == TD_E_CANCELLED) {
        cli_error("%s: job %s goes on without you; `tapedeck job show %s` tells how far it is, `tapedeck job cancel %s` ends it", what, id,
                  id, id);
        code = CLI_FAILURE;
    } else {
        code = client_fail(client, &err);
    }
    pthread_sigmask(SIG_SETMASK, &w.before, NULL);
    buf_clear(&path);
    if (ret)
        *ret = job;
    else
        json_decref(job);
    return code;
}

int job_begun(struct client *client, const struct verb_args *args, const json_t *answer, const char *what, bool wait, bool *ret_done)
{
    const char *id = client_text(answer, "job");
    *ret_done = false;
    if (!*id) {
        cli_error("%s: the hub names no job; is it of another version?", what);
        return CLI_FAILURE;
    }
    if (wait) {
        int code = job_wait(client, id, what, args->quiet, NULL);
        *ret_done = code == CLI_OK;
        return code;
    }
    static const struct answer_column columns[] = {{"job", "job", ANSWER_TEXT}};
    int code = answer_print_object(args, answer, columns, 1, NULL, NULL, 0);
    if (code == CLI_OK && isatty(STDERR_FILENO))
        fprintf(stderr, "%s: the hub is at it; `tapedeck job show %s` tells how far\n", what, id);
    return code;
}
