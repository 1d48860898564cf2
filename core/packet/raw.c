#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

void raw_open_fd(struct raw *r, int fd, int cancel_fd)
{
    *r = (struct raw){.fd = fd, .cancel_fd = cancel_fd};
}

void raw_open_reader(struct raw *r, raw_read_fn *read, void *ctx)
{
    *r = (struct raw){.fd = -1, .cancel_fd = -1, .read = read, .read_ctx = ctx};
}

void raw_open_memory(struct raw *r, struct td_slice data)
{
    *r = (struct raw){.fd = -1, .cancel_fd = -1, .memory = data};
}

/* Until there is something to read, or the end. poll() also waits for the first writer of a fifo that was opened without one. */
static int wait_for_data(const struct raw *r, struct error *err)
{
    struct pollfd waiting[] = {{.fd = r->fd, .events = POLLIN}, {.fd = r->cancel_fd, .events = POLLIN}};
    while (poll(waiting, 2, -1) < 0)
        if (errno != EINTR)
            return error_set(err, TD_E_INTERNAL, "cannot wait for data: %s", strerror(errno));
    if (waiting[1].revents)
        return error_set(err, TD_E_CANCELLED, "reading was ended");
    return TD_OK;
}

/* 0 bytes: the end. */
static int read_some(struct raw *r, uint8_t *to, size_t n, size_t *ret_n, struct error *err)
{
    if (r->read)
        return r->read(r->read_ctx, to, n, ret_n, err);
    if (r->fd < 0) {
        *ret_n = n < r->memory.n ? n : r->memory.n;
        if (*ret_n)
            memcpy(to, r->memory.p, *ret_n);
        r->memory = td_sub(r->memory, *ret_n, r->memory.n);
        return TD_OK;
    }
    bool wait = r->cancel_fd >= 0;
    for (;;) {
        int status = wait ? wait_for_data(r, err) : TD_OK;
        if (status != TD_OK)
            return status;
        ssize_t got = read(r->fd, to, n);
        if (got >= 0) {
            *ret_n = (size_t)got;
            return TD_OK;
        }
        if (errno == EAGAIN) /* a descriptor that somebody made non-blocking */
            wait = true;
        else if (errno != EINTR)
            break;
    }
    return error_set(err, TD_E_INTERNAL, "offset %llu: cannot read: %s", (unsigned long long)(r->position + r->head_n), strerror(errno));
}

int raw_peek(struct raw *r, struct td_slice *ret_head, struct error *err)
{
    size_t got = 1;
    while (r->head_n < sizeof(r->head) && got) {
        int status = read_some(r, r->head + r->head_n, sizeof(r->head) - r->head_n, &got, err);
        if (status != TD_OK)
            return status;
        r->head_n += got;
    }
    *ret_head = td_bytes(r->head, r->head_n);
    return TD_OK;
}

int raw_read(struct raw *r, uint8_t *to, size_t n, size_t *ret_n, struct error *err)
{
    if (r->head_n) {
        *ret_n = n < r->head_n ? n : r->head_n;
        memcpy(to, r->head, *ret_n);
        r->head_n -= *ret_n;
        memmove(r->head, r->head + *ret_n, r->head_n);
    } else {
        int status = read_some(r, to, n, ret_n, err);
        if (status != TD_OK)
            return status;
    }
    r->position += *ret_n;
    return TD_OK;
}
