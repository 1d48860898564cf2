/* Where HTTP/1 ends: Upgrade (RFC 9110 section 7.8) and CONNECT. */
#include "../content/content_text.h"
#include "http_state.h"

void http_note_upgrade(struct http_conn *c, const struct http_exchange *e, const struct http_head *head)
{
    struct http_asked *asked = c->asked;
    if (!asked)
        asked = c->asked = (struct http_asked *)c->out.http->host->alloc(c->arena, sizeof(*asked), sizeof(void *));
    if (!asked)
        return;
    asked->number = e->number;
    asked->target_n = head->target.n <= sizeof(asked->bytes) ? head->target.n : 0;
    asked->host_n = head->host.n <= sizeof(asked->bytes) - asked->target_n ? head->host.n : 0;
    if (asked->target_n)
        memcpy(asked->bytes, head->target.p, asked->target_n);
    if (asked->host_n)
        memcpy(asked->bytes + asked->target_n, head->host.p, asked->host_n);
}

const struct http_asked *http_asked_of(const struct http_conn *c, const struct http_exchange *e)
{
    return c->asked && e->is_upgrade && c->asked->number == e->number ? c->asked : NULL;
}

static void tell(const struct http_conn *c, struct td_slice name, struct td_slice value)
{
    if (value.n)
        (void)c->out.http->host->tell(c->out.conn, name, value);
}

/* What does not fit is left out. */
static void tell_all(const struct http_conn *c, const struct http_input *in, const struct http_asked *asked, const struct http_head *head)
{
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head again;
    size_t i;
    tell(c, TD_LIT(":status"), TD_LIT("101"));
    if (asked) {
        tell(c, TD_LIT(":path"), td_bytes(asked->bytes, asked->target_n));
        tell(c, TD_LIT(":authority"), td_bytes(asked->bytes + asked->target_n, asked->host_n));
    }
    if (!head->fields && http_reread(in, HTTP_RESPONSE, fields, &again))
        head = &again;
    for (i = 0; i < head->n_fields; i++)
        tell(c, head->fields[i].name, head->fields[i].value);
}

void http_hand_over(struct http_conn *c, const struct http_input *in, const struct http_asked *asked, const struct http_head *head)
{
    const struct td_host *host = c->out.http->host;
    uint8_t name[32];
    struct td_slice list = head->upgrade, protocol, key = {NULL, 0};
    size_t i;
    if (head->status == 101 && content_next_element(&list, ',', &protocol)) {
        /* "TLS/1.2": the name is the key, the version the child's affair. */
        for (i = 0; i < protocol.n && i < sizeof(name) && protocol.p[i] != '/'; i++)
            name[i] = td_ascii_lower(protocol.p[i]);
        key = td_bytes(name, i);
    }
    c->over = true;
    if (host->takeover(c->out.conn, key.n ? "http.upgrade" : NULL, key) == TD_OK && key.n && TD_HAS(host, tell))
        tell_all(c, in, asked, head);
}
