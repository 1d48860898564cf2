/* Live capture from any number of interfaces in one thread.
 *
 * What is captured follows from the list of links: it is read when rtnetlink says that something has changed, and every few seconds,
 * since messages may get lost. An interface is known by its index, so that one that replaces another of the same name is another one. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/link_list.h"
#include "capture/live_interface.h"
#include "capture/own_traffic.h"
#include "capture/source_kind.h"

enum {
    MAX_EVENTS = 8,                      /* interfaces served in one run; the kernel hands them out in turn */
    MAX_PACKETS = 1024,                  /* of one interface in one run */
    SCAN_INTERVAL_MS = 3000,             /* when nothing is told */
    SCAN_PAUSE_MS = 100,                 /* between two scans, however much is told */
    LINGER_MS = 2 * LIVE_RETIRE_MS + 50, /* until the kernel has handed over the last packets of an interface that is gone */
    MAX_LEAVING_READS = 1000
};

/* One interface that is captured, or that cannot be. */
struct slot {
    struct live_interface *iface; /* NULL: it could not be opened */
    char name[IF_NAMESIZE];
    int index;
    int64_t close_at; /* 0: stays */
    bool failed;      /* libpcap says so; the list of links may know better why */
    char *why;        /* it closes or could not be opened; NULL: neither */
};

struct live_source {
    struct packet_source base;
    char **patterns;
    size_t pattern_count;
    char *user_filter;
    struct live_options options; /* without its arrays and strings: they are the caller's, and copied here */
    uint16_t *ports;
    char *own;    /* the expression of own traffic that `filter` was made with */
    char *filter; /* both together */
    char *description;
    int epoll_fd, link_fd;
    int64_t scan_at, scanned_at;
    struct slot **slots; /* each stays where it is, for epoll */
    size_t n, cap;
    size_t next_told; /* slot whose drops are told next */
    struct buf gone;  /* struct source_drops of interfaces that have gone */
};

static struct live_source *of(struct packet_source *s)
{
    return (struct live_source *)s;
}

/* ---- Options ---- */

static void clear_options(struct live_source *s)
{
    for (size_t i = 0; s->patterns && i < s->pattern_count; i++)
        mem_free(s->patterns[i]);
    mem_free(s->patterns);
    mem_free(s->user_filter);
    mem_free(s->ports);
    mem_free(s->own);
    mem_free(s->filter);
    mem_free(s->description);
}

/* What readers of a capture are told about own traffic; its addresses would be too long, and change. */
static int describe(struct live_source *s, struct error *err)
{
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < s->options.own_port_count; i++)
        buf_printf(&b, "%s%u", i ? ", " : "without TCP traffic of the capturing machine's ports ", s->ports[i]);
    s->description = b.n ? mem_strdup(buf_cstr(&b)) : NULL;
    bool failed = b.failed || (b.n && !s->description);
    buf_clear(&b);
    return failed ? error_nomem(err) : TD_OK;
}

/* Makes `own` and `filter` anew if the machine's addresses have changed; *ret_changed is whether they have. */
static int make_filter(struct live_source *s, bool *ret_changed, struct error *err)
{
    struct buf own, filter;
    buf_init(&own, 0);
    buf_init(&filter, 0);
    *ret_changed = false;
    int status = own_traffic_expression(s->ports, s->options.own_port_count, &own, err);
    if (status != TD_OK || (s->own && strcmp(s->own, buf_cstr(&own)) == 0))
        goto out;
    status = own_traffic_filter(s->user_filter, s->ports, s->options.own_port_count, &filter, err);
    if (status != TD_OK)
        goto out;
    char *own_text = mem_strdup(buf_cstr(&own)), *filter_text = mem_strdup(buf_cstr(&filter));
    if (!own_text || !filter_text) {
        mem_free(own_text);
        mem_free(filter_text);
        status = error_nomem(err);
        goto out;
    }
    mem_free(s->own);
    mem_free(s->filter);
    s->own = own_text;
    s->filter = filter_text;
    *ret_changed = true;

out:
    buf_clear(&own);
    buf_clear(&filter);
    return status;
}

/* Copies them, and checks the filter. The caller clears `s`, also after a failure. */
static int set_options(struct live_source *s, const struct live_options *o, struct error *err)
{
    s->options = *o;
    s->options.interfaces = NULL;
    s->options.filter = NULL;
    s->options.own_ports = NULL;
    s->user_filter = mem_strdup(o->filter);
    s->ports = mem_calloc(o->own_port_count, sizeof(*s->ports));
    s->patterns = mem_calloc(o->interface_count, sizeof(*s->patterns));
    if (!s->user_filter || !s->ports || !s->patterns)
        return error_nomem(err);
    s->pattern_count = o->interface_count;
    for (size_t i = 0; i < o->interface_count; i++) {
        s->patterns[i] = mem_strdup(o->interfaces[i]);
        if (!s->patterns[i])
            return error_nomem(err);
    }
    for (size_t i = 0; i < o->own_port_count; i++)
        s->ports[i] = o->own_ports[i];
    bool changed;
    int status = describe(s, err);
    return status == TD_OK ? make_filter(s, &changed, err) : status;
}

static bool is_wanted(const struct live_source *s, const char *name)
{
    for (size_t i = 0; i < s->pattern_count; i++)
        if (fnmatch(s->patterns[i], name, 0) == 0)
            return true;
    return false;
}

/* "any" is no interface; a pattern does not mean it. */
static bool wants_any(const struct live_source *s)
{
    for (size_t i = 0; i < s->pattern_count; i++)
        if (strcmp(s->patterns[i], "any") == 0)
            return true;
    return false;
}

/* ---- Interfaces that come ---- */

static int tell_up(struct live_source *s, struct live_interface *i, struct error *err)
{
    struct source_interface iface = {
        .name = i->name,
        .description = s->description,
        .filter = *s->user_filter ? s->user_filter : NULL,
        .linktype = i->linktype,
        .snaplen = i->snaplen,
    };
    return s->base.sink.up(s->base.sink.ctx, &iface, &i->number, err);
}

static int watch(struct live_source *s, int fd, void *what, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot wait for packets: %s", strerror(errno));
    return TD_OK;
}

static int open_interface(struct live_source *s, struct slot *slot, uint16_t hardware, struct error *err)
{
    struct live_interface *i = NULL;
    int status = live_interface_open(slot->name, &s->options, &s->base.sink, &i, err);
    if (status != TD_OK)
        return status;
    i->hardware = hardware;
    if (i->index != slot->index)
        status = error_set(err, TD_E_RETRY, "%s: another interface has just got this name", slot->name);
    if (status == TD_OK)
        status = live_interface_filter(i, s->filter, s->user_filter, err);
    if (status == TD_OK)
        status = watch(s, live_interface_fd(i), slot, err);
    if (status == TD_OK)
        status = tell_up(s, i, err);
    if (status != TD_OK) {
        live_interface_close(i); /* which takes it from epoll as well */
        return status;
    }
    slot->iface = i;
    char size[UNITS_TEXT];
    log_event(TD_LOG_INFO, "capture", "%s: capturing, link type %u, kernel buffer %s", i->name, i->linktype,
              i->buffer_size ? units_format_size(i->buffer_size, size) : "of unknown size");
    return TD_OK;
}

static struct slot *add_slot(struct live_source *s, const char *name, int index)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 8;
        struct slot **slots = mem_realloc(s->slots, cap * sizeof(struct slot *));
        if (!slots)
            return NULL;
        s->slots = slots;
        s->cap = cap;
    }
    struct slot *slot = mem_calloc(1, sizeof(*slot));
    if (!slot)
        return NULL;
    snprintf(slot->name, sizeof(slot->name), "%s", name);
    slot->index = index;
    s->slots[s->n++] = slot;
    return slot;
}

/* Why it cannot be opened is logged when it is another reason than the last time. */
static void note_trouble(struct slot *slot, const struct error *err)
{
    bool known = slot->why && strcmp(slot->why, err->text) == 0;
    if (!known)
        log_event(err->status == TD_E_RETRY ? TD_LOG_INFO : TD_LOG_WARN, "capture", "%s; it is not captured until that changes", err->text);
    if (!known) {
        mem_free(slot->why);
        slot->why = mem_strdup(err->text);
    }
}

static struct slot *find_slot(const struct live_source *s, int index)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->slots[i]->index == index)
            return s->slots[i];
    return NULL;
}

/* A failure is the sink's or memory's; an interface that cannot be opened is logged, and tried again. */
static int try_interface(struct live_source *s, const struct link_entry *link, struct error *err)
{
    struct error fault = {0};
    struct slot *slot = find_slot(s, link->index);
    if (!slot)
        slot = add_slot(s, link->name, link->index);
    if (!slot)
        return error_nomem(err);
    /* One that is down stays open, but cannot be opened. One that is being closed first gives out its last packets. */
    if (slot->iface || slot->close_at || !link->up)
        return TD_OK;
    int status = open_interface(s, slot, link->hardware, &fault);
    if (status == TD_E_NOMEM)
        return error_set(err, status, "%s", fault.text);
    if (status != TD_OK)
        note_trouble(slot, &fault);
    return TD_OK;
}

/* ---- Interfaces that go ---- */

static void leave(struct live_source *s, struct slot *slot, const char *why, int linger_ms)
{
    int64_t at = source_kind_clock() + (int64_t)linger_ms * NS_PER_MS;
    if (slot->close_at && !slot->failed)
        return;
    mem_free(slot->why);
    slot->why = mem_strdup(why);
    slot->failed = false;
    if (!slot->close_at)
        slot->close_at = at;
    if (s->scan_at > at)
        s->scan_at = at; /* to look whether there is a successor */
}

static void remember_drops(struct live_source *s, struct live_interface *i)
{
    enum { MAX_GONE = 4096 }; /* nobody asks: then they are forgotten */
    struct source_drops drops;
    live_interface_drops(i, &drops);
    if (s->gone.n < MAX_GONE * sizeof(drops))
        buf_put(&s->gone, &drops, sizeof(drops));
}

static void close_slot(struct live_source *s, size_t at)
{
    struct slot *slot = s->slots[at];
    struct error ignored;
    if (slot->iface) {
        for (int i = 0; i < MAX_LEAVING_READS && live_interface_read(slot->iface, MAX_PACKETS, &ignored) > 0; i++)
            ;
        remember_drops(s, slot->iface);
        log_event(TD_LOG_INFO, "capture", "%s: no longer captured: %s", slot->name, slot->why ? slot->why : "");
        s->base.sink.down(s->base.sink.ctx, slot->iface->number, slot->why ? slot->why : "");
        live_interface_close(slot->iface);
    }
    mem_free(slot->why);
    mem_free(slot);
    s->slots[at] = s->slots[--s->n];
}

static void close_those_due(struct live_source *s, int64_t now)
{
    for (size_t i = s->n; i-- > 0;)
        if (s->slots[i]->close_at && s->slots[i]->close_at <= now)
            close_slot(s, i);
}

/* Is the interface of this slot still what was opened, and wanted? */
static void check_slot(struct live_source *s, struct slot *slot, const struct link_entry *links, size_t n)
{
    char why[128];
    if (slot->index == 0) /* "any" */
        return;
    size_t at = 0;
    while (at < n && links[at].index != slot->index)
        at++;
    if (at == n) {
        leave(s, slot, "the interface is gone", slot->iface ? LINGER_MS : 0);
    } else if (strcmp(links[at].name, slot->name) != 0) {
        snprintf(why, sizeof(why), "the interface was renamed to %s", links[at].name);
        leave(s, slot, why, 0);
    } else if (slot->iface && links[at].hardware != slot->iface->hardware) {
        leave(s, slot, "the interface's link type has changed", 0);
    }
}

/* ---- The list of links ---- */

static int scan_links(struct live_source *s, const struct link_entry *links, size_t n, struct error *err)
{
    for (size_t i = 0; i < s->n; i++)
        check_slot(s, s->slots[i], links, n);
    close_those_due(s, source_kind_clock());
    int status = wants_any(s) ? try_interface(s, &(struct link_entry){.name = "any", .up = true}, err) : TD_OK;
    for (size_t i = 0; i < n && status == TD_OK; i++)
        if (is_wanted(s, links[i].name))
            status = try_interface(s, &links[i], err);
    return status;
}

static void refilter(struct live_source *s)
{
    struct error err;
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = s->slots[i];
        if (slot->iface && !slot->close_at && live_interface_filter(slot->iface, s->filter, s->user_filter, &err) != TD_OK)
            leave(s, slot, err.text, 0);
    }
}

static int scan(struct live_source *s, struct error *err)
{
    struct link_entry *links;
    size_t n;
    struct error fault;
    bool changed = false;
    s->scanned_at = source_kind_clock();
    s->scan_at = s->scanned_at + (int64_t)SCAN_INTERVAL_MS * NS_PER_MS;
    if (make_filter(s, &changed, &fault) != TD_OK)
        log_event(TD_LOG_WARN, "capture", "the filter stays as it was: %s", fault.text);
    if (changed)
        refilter(s);
    if (link_list_read(&links, &n, &fault) != TD_OK) {
        log_event(TD_LOG_WARN, "capture", "%s; those that are open stay", fault.text);
        return TD_OK;
    }
    int status = scan_links(s, links, n, err);
    mem_free(links);
    return status;
}

/* ---- The source ---- */

static void live_close(struct packet_source *base)
{
    struct live_source *s = of(base);
    for (size_t i = 0; i < s->n; i++) {
        live_interface_close(s->slots[i]->iface);
        mem_free(s->slots[i]->why);
        mem_free(s->slots[i]);
    }
    mem_free(s->slots);
    buf_clear(&s->gone);
    clear_options(s);
    if (s->link_fd >= 0)
        close(s->link_fd);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    source_kind_clear(base);
    mem_free(s);
}

static int earlier(int timeout_ms, int64_t ns)
{
    int64_t ms = ns <= 0 ? 0 : (ns + NS_PER_MS - 1) / NS_PER_MS;
    return timeout_ms < 0 || ms < timeout_ms ? (int)(ms < SCAN_INTERVAL_MS ? ms : SCAN_INTERVAL_MS) : timeout_ms;
}

static int wait_ms(const struct live_source *s, int timeout_ms)
{
    int64_t now = source_kind_clock(), first = s->scan_at;
    for (size_t i = 0; i < s->n; i++)
        if (s->slots[i]->close_at && s->slots[i]->close_at < first)
            first = s->slots[i]->close_at;
    return earlier(timeout_ms, first - now);
}

static void read_slot(struct live_source *s, struct slot *slot)
{
    struct error fault;
    if (slot->iface && live_interface_read(slot->iface, MAX_PACKETS, &fault) < 0) {
        /* Gone, as a rule; the kernel may still have packets of it. */
        leave(s, slot, fault.text, LINGER_MS);
        slot->failed = true;
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, live_interface_fd(slot->iface), NULL);
    }
}

static void serve(struct live_source *s, const struct epoll_event *event)
{
    if (event->data.ptr == &s->base) {
        source_kind_awake(&s->base);
    } else if (event->data.ptr == &s->link_fd) {
        int64_t at = s->scanned_at + (int64_t)SCAN_PAUSE_MS * NS_PER_MS;
        link_watch_drain(s->link_fd);
        if (at < s->scan_at)
            s->scan_at = at;
    } else {
        read_slot(s, event->data.ptr);
    }
}

static int live_run(struct packet_source *base, int timeout_ms, bool *ret_ended, struct error *err)
{
    (void)ret_ended;
    struct live_source *s = of(base);
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(s->epoll_fd, events, MAX_EVENTS, wait_ms(s, timeout_ms));
    if (n < 0 && errno != EINTR)
        return error_set(err, TD_E_INTERNAL, "cannot wait for packets: %s", strerror(errno));
    for (int i = 0; i < n; i++)
        serve(s, &events[i]);
    /* No slot goes before all events were served: they point to them. */
    int64_t now = source_kind_clock();
    close_those_due(s, now);
    return now >= s->scan_at ? scan(s, err) : TD_OK;
}

static size_t live_drops(struct packet_source *base, struct source_drops *ret, size_t max)
{
    struct live_source *s = of(base);
    size_t gone = s->gone.n / sizeof(*ret), n = gone < max ? gone : max;
    if (n) {
        memcpy(ret, s->gone.p, n * sizeof(*ret));
        memmove(s->gone.p, s->gone.p + n * sizeof(*ret), s->gone.n - n * sizeof(*ret));
        s->gone.n -= n * sizeof(*ret);
    }
    for (size_t i = 0; i < s->n && n < max; i++, s->next_told++) {
        struct slot *slot = s->slots[s->next_told % s->n];
        if (slot->iface)
            live_interface_drops(slot->iface, &ret[n++]);
    }
    return n;
}

/* The interfaces that are open go on under the new options. */
static int apply(struct live_source *s, bool same_filter, struct error *err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = s->slots[i];
        struct error fault;
        bool wanted = slot->index == 0 ? wants_any(s) : is_wanted(s, slot->name);
        if (!wanted)
            leave(s, slot, "it is no longer configured", 0);
        if (same_filter || !slot->iface || slot->close_at)
            continue;
        if (live_interface_filter(slot->iface, s->filter, s->user_filter, &fault) != TD_OK) {
            leave(s, slot, fault.text, 0);
            continue;
        }
        remember_drops(s, slot->iface);
        s->base.sink.down(s->base.sink.ctx, slot->iface->number, "the filter was changed");
        int status = tell_up(s, slot->iface, err);
        if (status != TD_OK)
            return status;
    }
    return scan(s, err);
}

static int live_reconfigure(struct packet_source *base, const struct live_options *o, struct error *err)
{
    struct live_source *s = of(base), next = {0};
    int status = set_options(&next, o, err);
    if (status != TD_OK) {
        clear_options(&next);
        return status;
    }
    bool same = strcmp(s->filter, next.filter) == 0 && strcmp(s->user_filter, next.user_filter) == 0;
    clear_options(s);
    s->patterns = next.patterns;
    s->pattern_count = next.pattern_count;
    s->user_filter = next.user_filter;
    s->options = next.options;
    s->ports = next.ports;
    s->own = next.own;
    s->filter = next.filter;
    s->description = next.description;
    return apply(s, same, err);
}

static const struct source_ops live_ops = {live_close, live_run, live_drops, live_reconfigure};

static int prepare(struct live_source *s, const struct live_options *o, struct error *err)
{
    int status = live_interface_allowed(err);
    if (status == TD_OK)
        status = set_options(s, o, err);
    if (status != TD_OK)
        return status;
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0)
        return error_set(err, TD_E_INTERNAL, "cannot wait for packets: %s", strerror(errno));
    status = watch(s, s->base.wake_fd, &s->base, err);
    s->link_fd = link_watch_open();
    if (status == TD_OK && s->link_fd >= 0)
        status = watch(s, s->link_fd, &s->link_fd, err);
    return status == TD_OK ? scan(s, err) : status;
}

/* So that nobody waits in vain without knowing it. */
static void name_missing(const struct live_source *s)
{
    for (size_t i = 0; i < s->pattern_count; i++) {
        bool found = false;
        for (size_t k = 0; k < s->n && !found; k++)
            found = s->slots[k]->iface && fnmatch(s->patterns[i], s->slots[k]->name, 0) == 0;
        if (!found)
            log_event(TD_LOG_WARN, "capture", "%s: there is no such interface that is up; it is captured when there is", s->patterns[i]);
    }
}

int packet_source_open_live(const struct live_options *o, const struct source_sink *sink, struct packet_source **ret, struct error *err)
{
    struct live_source *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->epoll_fd = s->link_fd = -1;
    int status = source_kind_init(&s->base, &live_ops, sink, err);
    if (status == TD_OK)
        status = prepare(s, o, err);
    if (status != TD_OK) {
        live_close(&s->base);
        return status;
    }
    name_missing(s);
    *ret = &s->base;
    return TD_OK;
}
