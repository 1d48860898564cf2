/* Workers, and the times that their raw captures hold: out of what is known, without asking them. */
#include "base/json_object.h"
#include "hub/routes.h"

static void put_boundaries(struct buf *b, const struct node *n)
{
    json_put_time(b, "oldest", n->oldest_ns, n->has_packets);
    json_put_time(b, "newest", n->newest_ns, n->has_packets);
    json_put_time(b, "covered_from", n->covered_from_ns, n->has_cover);
    json_put_time(b, "covered_to", n->covered_to_ns, n->has_cover);
}

static void put_node(struct buf *b, const struct node *n)
{
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_text(b, "name", *n->name ? n->name : NULL);
    json_put_text(b, "url", n->url);
    json_put_text(b, "state", node_health_name(n->health));
    if (*n->reason)
        json_put_text(b, "reason", n->reason);
    json_put_text(b, "version", *n->version ? n->version : NULL);
    json_put_time(b, "last_seen", n->seen_ns, n->seen_ns != 0);
    put_boundaries(b, n);
    json_put_u64(b, "packets", n->packets);
    json_put_u64(b, "dropped_by_kernel", n->dropped_by_kernel);
    json_put_u64(b, "dropped_by_interface", n->dropped_by_interface);
    json_put_u64(b, "dropped_by_disk", n->dropped_by_disk);
    if (n->clock_offset_ns != INT64_MAX) {
        json_put_i64(b, "clock_offset_ns", n->clock_offset_ns);
        json_put_i64(b, "clock_error_ns", n->clock_error_ns);
    }
    buf_putc(b, '}');
}

static int get_nodes(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct node *v;
    size_t n;
    struct buf b;
    int status = nodes_list(hub->nodes, &v, &n, err);
    if (status != TD_OK)
        return status;
    buf_init(&b, 0);
    buf_lit(&b, "{\"nodes\":[");
    for (size_t i = 0; i < n; i++)
        put_node(&b, &v[i]);
    buf_lit(&b, "]}");
    nodes_list_free(v, n);
    hub_reply_json(q, 200, &b);
    return TD_OK;
}

/* From the oldest packet of any to the newest, and what all of them cover. */
struct overall {
    int64_t oldest_ns, newest_ns, from_ns, to_ns;
};

static struct overall sum_up(const struct node *v, size_t n)
{
    struct overall o = {INT64_MAX, INT64_MIN, n ? INT64_MIN : INT64_MAX, n ? INT64_MAX : INT64_MIN};
    for (size_t i = 0; i < n; i++) {
        if (v[i].has_packets && v[i].oldest_ns < o.oldest_ns)
            o.oldest_ns = v[i].oldest_ns;
        if (v[i].has_packets && v[i].newest_ns > o.newest_ns)
            o.newest_ns = v[i].newest_ns;
        if (!v[i].has_cover || v[i].covered_from_ns > o.from_ns)
            o.from_ns = v[i].has_cover ? v[i].covered_from_ns : INT64_MAX;
        if (!v[i].has_cover || v[i].covered_to_ns < o.to_ns)
            o.to_ns = v[i].has_cover ? v[i].covered_to_ns : INT64_MIN;
    }
    return o;
}

static int get_boundaries(void *ctx, struct http_request *q, struct error *err)
{
    struct hub *hub = ctx;
    struct node *v;
    size_t n;
    struct buf b;
    int status = nodes_list(hub->nodes, &v, &n, err);
    if (status != TD_OK)
        return status;
    const struct overall o = sum_up(v, n);
    buf_init(&b, 0);
    buf_putc(&b, '{');
    json_put_time(&b, "oldest", o.oldest_ns, o.oldest_ns <= o.newest_ns);
    json_put_time(&b, "newest", o.newest_ns, o.oldest_ns <= o.newest_ns);
    json_put_time(&b, "covered_from", o.from_ns, o.from_ns < o.to_ns);
    json_put_time(&b, "covered_to", o.to_ns, o.from_ns < o.to_ns);
    json_put_key(&b, "nodes");
    buf_putc(&b, '[');
    for (size_t i = 0; i < n; i++) {
        json_put_comma(&b);
        buf_putc(&b, '{');
        json_put_text(&b, "name", *v[i].name ? v[i].name : NULL);
        json_put_text(&b, "state", node_health_name(v[i].health));
        put_boundaries(&b, &v[i]);
        buf_putc(&b, '}');
    }
    buf_lit(&b, "]}");
    nodes_list_free(v, n);
    hub_reply_json(q, 200, &b);
    return TD_OK;
}

static const struct hub_answer nodes_answers[] = {{200, JSON_TYPE, "The workers, by name"}, {0}};
static const struct hub_answer boundaries_answers[] = {
    {200, JSON_TYPE, "Oldest and newest packet, and the time covered: per node, and overall (covered: by every node)"}, {0}};

static const struct hub_route routes[] = {
    {"GET", API "/nodes", HTTP_VIEWER, 0, get_nodes, "listNodes", "Workers with their health, drops and clocks", NULL, NULL, nodes_answers},
    {"GET", API "/data-boundaries", HTTP_VIEWER, 0, get_boundaries, "getDataBoundaries", "The times that raw captures still hold", NULL,
     NULL, boundaries_answers},
};

const struct hub_subject *hub_routes_nodes(void)
{
    static const struct hub_subject subject = {"nodes", "Workers and their raw captures", routes, sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
