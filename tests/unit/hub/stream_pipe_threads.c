/* The pipe between an exporter and a connection: every byte, in order, whoever is slow; errors behind what was written; who leaves. */
#include "hub/stream_pipe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "tap.h"

enum { ALL = 5000000 };

struct pushing {
    size_t bytes, piece; /* how many, and how many at once */
    int status;          /* at the end */
    unsigned wait_us;    /* before the first */
    atomic_bool left, stopped;
};

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static int push(void *ctx, struct stream_pipe *pipe, struct error *err)
{
    static _Thread_local uint8_t part[100000];
    struct pushing *p = ctx;
    int status = TD_OK;
    usleep(p->wait_us);
    for (size_t at = 0; at < p->bytes && status == TD_OK;) {
        size_t n = p->bytes - at < p->piece ? p->bytes - at : p->piece;
        for (size_t i = 0; i < n; i++)
            part[i] = pattern(at + i);
        status = stream_pipe_write(pipe, td_bytes(part, n), err);
        at += n;
    }
    atomic_store(&p->stopped, status == TD_E_CANCELLED);
    if (status == TD_OK && p->status != TD_OK)
        status = error_set(err, p->status, "that was it");
    return status;
}

static bool left(void *ctx)
{
    struct pushing *p = ctx;
    return atomic_load(&p->left);
}

static struct stream_pipe *begin(struct pushing *p)
{
    struct stream_pipe *pipe = NULL;
    struct error err;
    ok(stream_pipe_open(&(struct stream_pipe_options){push, left, p}, &pipe, &err) == TD_OK, "it is opened");
    return pipe;
}

/* Reads to the end: the status of the last read; *ret_n is how many bytes came, all of them right. */
static int drain(struct stream_pipe *pipe, size_t at_once, size_t *ret_n, struct error *err)
{
    uint8_t part[70000];
    size_t n = 1;
    int status = TD_OK;
    *ret_n = 0;
    while (status == TD_OK && n) {
        status = stream_pipe_read(pipe, part, at_once, &n, err);
        for (size_t i = 0; i < n; i++)
            if (part[i] != pattern(*ret_n + i))
                return TD_E_CORRUPT;
        *ret_n += n;
    }
    return status;
}

static void test_bytes(void)
{
    static const struct {
        size_t push, pull;
    } sizes[] = {{100000, 70000}, {1000, 70000}, {100000, 333}, {7919, 4099}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pushing p = {.bytes = ALL, .piece = sizes[i].push};
        struct error err;
        size_t n;
        struct stream_pipe *pipe = begin(&p);
        is_int(drain(pipe, sizes[i].pull, &n, &err), TD_OK, "pieces of %zu, read by %zu", sizes[i].push, sizes[i].pull);
        is_int((long long)n, ALL, "all come, in order");
        stream_pipe_close(pipe);
    }
}

static void test_errors(void)
{
    struct error err;
    size_t n;
    struct pushing late = {.bytes = 1000, .piece = 100, .status = TD_E_CORRUPT};
    struct stream_pipe *pipe = begin(&late);
    is_int(stream_pipe_wait(pipe, NS_PER_S, &err), TD_OK, "what fails after some bytes has begun well");
    is_int(drain(pipe, 300, &n, &err), TD_E_CORRUPT, "and fails when they are read");
    is_str(err.text, "that was it", "with its reason");
    is_int((long long)n, 1000, "behind all of them");
    stream_pipe_close(pipe);

    struct pushing at_once = {.status = TD_E_NOT_FOUND, .wait_us = 50000};
    pipe = begin(&at_once);
    is_int(stream_pipe_wait(pipe, 5 * (int64_t)NS_PER_S, &err), TD_E_NOT_FOUND, "what fails before the first byte does so at once");
    is_str(err.text, "that was it", "with its reason, too");
    stream_pipe_close(pipe);

    struct pushing nothing = {.wait_us = 1};
    pipe = begin(&nothing);
    is_int(stream_pipe_wait(pipe, 5 * (int64_t)NS_PER_S, &err), TD_OK, "nothing at all is fine");
    is_int(drain(pipe, 300, &n, &err), TD_OK, "and ends");
    is_int((long long)n, 0, "with nothing");
    stream_pipe_close(pipe);

    struct pushing slow = {.bytes = 10, .piece = 10, .wait_us = 300000};
    pipe = begin(&slow);
    is_int(stream_pipe_wait(pipe, NS_PER_MS, &err), TD_OK, "who takes long is not waited for");
    is_int(drain(pipe, 300, &n, &err), TD_OK, "but for its bytes");
    is_int((long long)n, 10, "which come");
    stream_pipe_close(pipe);
}

static void test_leaving(void)
{
    struct error err;
    uint8_t part[10];
    size_t n;
    struct pushing full = {.bytes = ALL, .piece = 1000};
    struct stream_pipe *pipe = begin(&full);
    is_int(stream_pipe_read(pipe, part, sizeof(part), &n, &err), TD_OK, "some bytes are read");
    usleep(20000);
    stream_pipe_close(pipe);
    ok(atomic_load(&full.stopped), "who leaves stops what waits for room");

    struct pushing slow = {.bytes = 10, .piece = 10, .wait_us = 700000};
    pipe = begin(&slow);
    atomic_store(&slow.left, true);
    is_int(stream_pipe_read(pipe, part, sizeof(part), &n, &err), TD_E_CANCELLED, "who waits sees that nobody wants it");
    stream_pipe_close(pipe);
}

int main(void)
{
    test_bytes();
    test_errors();
    test_leaving();
    return tap_done();
}
