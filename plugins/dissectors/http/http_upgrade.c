/* Where HTTP/1 ends: Upgrade (RFC 9110 section 7.8) and CONNECT. */
#include "../content/content_text.h"
#include "http_state.h"

/* "TLS/1.2": the name is the key, the version the child's affair. Of a list the first one counts. */
static size_t read_protocol(struct td_slice list, uint8_t name[32])
{
    struct td_slice protocol;
    size_t n = 0;
    if (content_next_element(&list, ',', &protocol))
        for (; n < protocol.n && n < 32 && protocol.p[n] != '/'; n++)
            name[n] = td_ascii_lower(protocol.p[n]);
    return n;
}

void http_note_upgrade(struct http_conn *c, const struct http_exchange *e, const struct http_head *head)
{
    struct http_asked *asked = c->asked;
    if (!asked)
        asked = c->asked = (struct http_asked *)c->out.http->host->alloc(c->arena, sizeof(*asked), sizeof(void *));
    if (!asked)
        return;
    asked->number = e->number;
    asked->answer_lost = false;
    asked->protocol_n = read_protocol(head->upgrade, asked->protocol);
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

void http_lose_answer(struct http_conn *c, const struct http_exchange *e)
{
    if (http_asked_of(c, e))
        c->asked->answer_lost = true;
}

static void tell(const struct http_conn *c, struct td_slice name, struct td_slice value)
{
    if (value.n)
        (void)c->out.http->host->tell(c->out.conn, name, value);
}

static void tell_asked(const struct http_conn *c, const struct http_asked *asked)
{
    tell(c, TD_LIT(":path"), td_bytes(asked->bytes, asked->target_n));
    tell(c, TD_LIT(":authority"), td_bytes(asked->bytes + asked->target_n, asked->host_n));
}

bool http_try_asked(struct http_conn *c)
{
    const struct td_host *host = c->out.http->host;
    struct http_asked *asked = c->asked;
    if (!asked || !asked->answer_lost || !asked->protocol_n)
        return false;
    asked->answer_lost = false;
    c->over = true;
    if (host->takeover(c->out.conn, "http.upgrade", td_bytes(asked->protocol, asked->protocol_n)) == TD_OK && TD_HAS(host, tell))
        tell_asked(c, asked);
    return true;
}

/* What does not fit is left out, and that is not what the handshake agreed on: `first` are the fields that do. */
static void tell_fields(const struct http_conn *c, const struct http_head *head, bool first)
{
    size_t i;
    for (i = 0; i < head->n_fields; i++)
        if (td_eq_nocase(td_sub(head->fields[i].name, 0, 4), TD_LIT("sec-")) == first)
            tell(c, head->fields[i].name, head->fields[i].value);
}

static void tell_all(const struct http_conn *c, const struct http_input *in, const struct http_asked *asked, const struct http_head *head)
{
    struct http_field fields[HTTP_MAX_FIELDS];
    struct http_head again;
    if (!head->fields && http_reread(in, HTTP_RESPONSE, fields, &again))
        head = &again;
    tell(c, TD_LIT(":status"), TD_LIT("101"));
    tell_fields(c, head, true);
    if (asked)
        tell_asked(c, asked);
    tell_fields(c, head, false);
}

void http_hand_over(struct http_conn *c, const struct http_input *in, const struct http_asked *asked, const struct http_head *head)
{
    const struct td_host *host = c->out.http->host;
    uint8_t name[32];
    struct td_slice key = td_bytes(name, head->status == 101 ? read_protocol(head->upgrade, name) : 0);
    if (c->holding)
        key = TD_LIT("h2c");
    c->over = true;
    if (host->takeover(c->out.conn, key.n ? "http.upgrade" : NULL, key) == TD_OK && key.n && TD_HAS(host, tell))
        tell_all(c, in, asked, head);
}
