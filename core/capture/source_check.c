/* `--check`: what would capturing meet? */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "capture/link_list.h"
#include "capture/live_interface.h"
#include "capture/own_traffic.h"

struct check {
    const struct live_options *options;
    const char *filter; /* with own traffic */
    bool allowed;
    void (*tell)(void *ctx, bool good, const char *what);
    void *ctx;
    int status; /* the first that is wrong */
    struct error *err;
};

static void good(const struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void good(const struct check *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    c->tell(c->ctx, true, text);
}

static void bad(struct check *c, const struct error *fault)
{
    c->tell(c->ctx, false, fault->text);
    if (c->status == TD_OK)
        c->status = error_set(c->err, fault->status, "%s", fault->text);
}

static void check_rights(struct check *c)
{
    struct error fault;
    c->allowed = live_interface_allowed(&fault) == TD_OK;
    if (c->allowed)
        good(c, "packet sockets may be opened");
    else
        bad(c, &fault);
}

/* Opens it for a moment, as capturing would, with as little memory as can be. */
static void check_interface(struct check *c, const char *name)
{
    struct error fault;
    struct live_interface *i = NULL;
    struct live_options small = *c->options;
    const char *link = NULL;
    small.buffer_size = 0;
    if (!c->allowed) {
        good(c, "%s: is there and up", name);
        return;
    }
    int status = live_interface_open(name, &small, NULL, &i, &fault);
    if (status == TD_OK)
        status = live_interface_filter(i, c->filter, c->options->filter, &fault);
    if (status == TD_OK)
        link = pcap_datalink_val_to_description_or_dlt(pcap_datalink(i->pcap));
    if (status == TD_OK)
        good(c, "%s: can be captured; %s (link type %u)%s", name, link, i->linktype, *c->filter ? "; the filter fits it" : "");
    else
        bad(c, &fault);
    live_interface_close(i);
}

/* It is no fault that there is no such interface yet. */
static void check_pattern(struct check *c, const char *pattern, const struct link_entry *links, size_t n)
{
    size_t found = 0;
    if (strcmp(pattern, "any") == 0) {
        check_interface(c, pattern);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (fnmatch(pattern, links[i].name, 0) != 0)
            continue;
        found++;
        if (links[i].up)
            check_interface(c, links[i].name);
        else
            good(c, "%s: is down; it is captured once it is up", links[i].name);
    }
    if (!found)
        good(c, "%s: there is no such interface; it is captured once there is", pattern);
}

static void check_all(struct check *c)
{
    struct error fault;
    struct link_entry *links = NULL;
    size_t n = 0;
    if (link_list_read(&links, &n, &fault) != TD_OK) {
        bad(c, &fault);
        return;
    }
    for (size_t i = 0; i < c->options->interface_count; i++)
        check_pattern(c, c->options->interfaces[i], links, n);
    mem_free(links);
}

int packet_source_check(const struct live_options *o, void (*tell)(void *ctx, bool good, const char *what), void *ctx, struct error *err)
{
    struct check c = {.options = o, .tell = tell, .ctx = ctx, .status = TD_OK, .err = err};
    struct error fault;
    struct buf filter;
    buf_init(&filter, 0);
    check_rights(&c);
    if (own_traffic_filter(o->filter, o->own_ports, o->own_port_count, &filter, &fault) == TD_OK) {
        c.filter = buf_cstr(&filter);
        check_all(&c);
    } else {
        bad(&c, &fault);
    }
    buf_clear(&filter);
    return c.status;
}
