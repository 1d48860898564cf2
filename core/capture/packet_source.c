#include "packet_source.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "capture/source_kind.h"

int source_kind_init(struct packet_source *s, const struct source_ops *ops, const struct source_sink *sink, struct error *err)
{
    *s = (struct packet_source){.ops = ops, .sink = *sink, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (s->wake_fd < 0)
        return error_set(err, TD_E_INTERNAL, "cannot make an eventfd: %s", strerror(errno));
    return TD_OK;
}

void source_kind_clear(struct packet_source *s)
{
    if (s->wake_fd >= 0)
        close(s->wake_fd);
}

void source_kind_awake(struct packet_source *s)
{
    uint64_t count;
    (void)!read(s->wake_fd, &count, sizeof(count));
}

int64_t source_kind_clock(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

void packet_source_close(struct packet_source *s)
{
    if (s)
        s->ops->close(s);
}

int packet_source_run(struct packet_source *s, int timeout_ms, bool *ret_ended, struct error *err)
{
    *ret_ended = false;
    return s->ops->run(s, timeout_ms, ret_ended, err);
}

void packet_source_wake(struct packet_source *s)
{
    int code = errno; /* of what a signal has interrupted */
    uint64_t one = 1;
    (void)!write(s->wake_fd, &one, sizeof(one));
    errno = code;
}

size_t packet_source_drops(struct packet_source *s, struct source_drops *ret, size_t max)
{
    return s->ops->drops(s, ret, max);
}

int packet_source_reconfigure(struct packet_source *s, const struct live_options *options, struct error *err)
{
    if (!s->ops->reconfigure)
        return error_set(err, TD_E_UNSUPPORTED, "a capture file as a source takes no new options; restart with them");
    return s->ops->reconfigure(s, options, err);
}
