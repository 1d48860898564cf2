/* Plugins: what was found, and what was refused. */
#include "base/json_object.h"
#include "hub/routes.h"
#include "plugin/registry_list.h"

static int get_plugins(void *ctx, struct http_request *q, struct error *err)
{
    const struct hub *hub = ctx;
    struct buf b = {.n = 0};
    (void)err;
    buf_lit(&b, "{\"plugins\":");
    registry_put_json(&b, hub->registry);
    buf_putc(&b, '}');
    hub_reply_json(q, 200, &b);
    return TD_OK;
}

static const struct hub_answer answers[] = {{200, JSON_TYPE, "Each plugin; refused ones with the reason"}, {0}};

static const struct hub_route routes[] = {
    {"GET", API "/plugins", HTTP_VIEWER, 0, get_plugins, "listPlugins", "Plugins that were found", NULL, NULL, answers},
};

const struct hub_subject *hub_routes_plugins(void)
{
    static const struct hub_subject subject = {"plugins", "Storage backends, dissectors, exporters", routes,
                                               sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
