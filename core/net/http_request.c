#include <poll.h>

#include "net/http_exchange.h"

const char *http_segment(const struct http_request *r, const char *name)
{
    return http_target_segment(&r->target, r->route->path, name);
}

const char *http_parameter(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->target.parameter_count; i++)
        if (strcmp(r->target.parameters[i].name, name) == 0)
            return r->target.parameters[i].value;
    return NULL;
}

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct td_slice http_body(const struct http_request *r)
{
    return buf_slice(&r->body);
}

const char *http_role_name(enum http_role role)
{
    static const char *const names[] = {"anyone", "viewer", "operator", "admin"};
    return names[role];
}

enum http_role http_role(const struct http_request *r)
{
    return r->role;
}

const char *http_caller(const struct http_request *r)
{
    return r->token_name[0] ? r->token_name : r->client;
}

bool http_head_only(const struct http_request *r)
{
    return strcmp(r->method, "HEAD") == 0;
}

bool http_cancelled(const struct http_request *r)
{
    if (atomic_load(&r->server->stopping))
        return true;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd p = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}
