/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_exchange.h"

/* The same response again within this time is one datagram that was captured or delivered twice. */
static const int64_t duplicate_ns = 250 * 1000000ll;

static struct dns_call_writer writer(struct dns_exchange *x, struct td_call *call, size_t *text)
{
    return (struct dns_call_writer){x->host, x->conn, call, &x->wants, (size_t)x->config->max_text, text};
}

static void commit(struct dns_exchange *x, struct dns_pending *p)
{
    const struct td_host *host = x->host;
    host->set_u64(p->call, F_RESPONSE, p->responses > 0);
    host->set_u64(p->call, F_TOTAL_SIZE, p->request_size + p->response_size);
    if (p->responses)
        host->set_u64(p->call, F_RESPONSE_LENGTH, p->response_size);
    if (p->responses > 1)
        host->set_u64(p->call, F_RESPONSE_MESSAGES, p->responses);
    if (p->retransmissions)
        host->set_u64(p->call, F_RETRANSMISSIONS, p->retransmissions);
    host->commit(p->call, p->flags);
}

/* Nobody answered, or a transfer stopped. */
static void give_up(struct dns_exchange *x, struct dns_pending *p)
{
    if (p->responses)
        p->flags |= TD_RESPONSE_CUT;
    commit(x, p);
    dns_pending_remove(&x->pending, p);
}

static void expire(struct dns_exchange *x, int64_t now_ns)
{
    struct dns_pending *p;
    while ((p = x->pending.oldest) && now_ns - p->time_ns > x->config->query_timeout_ns)
        give_up(x, p);
}

static void mark(struct dns_exchange *x, struct td_call *call, const struct dns_place *at)
{
    x->host->mark(call, at->dir, at->begin, at->end);
}

static uint32_t flags_of(const struct dns_place *at, bool whole, uint32_t cut)
{
    return (whole && !at->cut ? 0 : TD_PARTIAL) | (at->cut ? cut : 0);
}

/* ---- Queries --------------------------------------------------------------------------------------------------- */

static bool retransmission(struct dns_exchange *x, const struct dns_message *m, const struct dns_place *at)
{
    struct dns_pending *p = x->datagrams ? dns_pending_find(&x->pending, m->header.id, m->key, at->dir) : NULL;
    if (!p || p->key != m->key)
        return false;
    mark(x, p->call, at);
    p->retransmissions++;
    dns_pending_touch(&x->pending, p, at->time_ns);
    return true;
}

static struct dns_pending *new_pending(struct dns_exchange *x)
{
    if (x->pending.count >= x->config->max_pending)
        give_up(x, x->pending.oldest);
    struct dns_pending *p = dns_pending_new(&x->pending, x->host, x->arena);
    if (!p && x->pending.oldest) {
        give_up(x, x->pending.oldest);
        p = dns_pending_new(&x->pending, x->host, x->arena);
    }
    return p;
}

static void fill_query(struct dns_exchange *x, struct dns_pending *p, const struct dns_message *m, const struct dns_place *at)
{
    struct dns_call_writer w = writer(x, p->call, &p->text);
    mark(x, p->call, at);
    dns_set_question(&w, m);
    bool whole = dns_set_content(&w, m);
    x->host->set_u64(p->call, F_REQUEST, 1);
    x->host->set_u64(p->call, F_REQUEST_LENGTH, m->bytes.n);
    p->flags = flags_of(at, whole, TD_REQUEST_CUT);
    p->request_size = (uint32_t)m->bytes.n;
}

/* A stateful operation that wants no answer has no id (RFC 8490 section 5.4). */
static bool one_way(const struct dns_message *m)
{
    return dns_header_opcode(&m->header) == DNS_DSO && m->header.id == 0;
}

static void take_query(struct dns_exchange *x, const struct dns_message *m, const struct dns_place *at)
{
    struct dns_pending single = {0}, *p;
    if (retransmission(x, m, at))
        return;
    p = x->to_group || one_way(m) ? NULL : new_pending(x);
    if (!p) { /* not to be remembered, or not possible: a call at once */
        single.call = x->host->call(x->conn);
        fill_query(x, &single, m, at);
        commit(x, &single);
        return;
    }
    p->call = x->host->call(x->conn);
    p->id = m->header.id;
    p->key = m->key;
    p->dir = (uint8_t)at->dir;
    p->time_ns = at->time_ns;
    if (!x->datagrams)
        dns_transfer_begin(&p->transfer, m->bytes, &m->header, m->type, m->records_at);
    fill_query(x, p, m, at);
    dns_pending_add(&x->pending, p, x->host, x->arena);
}

/* ---- Responses ------------------------------------------------------------------------------------------------- */

static bool same_header(const struct dns_header *a, const struct dns_header *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool duplicate(const struct dns_exchange *x, const struct dns_message *m, const struct dns_place *at)
{
    for (int i = 0; x->datagrams && i < DNS_SEEN; i++) {
        const struct dns_seen *s = &x->seen[i];
        if (s->size == m->bytes.n && s->key == m->key && same_header(&s->header, &m->header) && at->time_ns - s->time_ns < duplicate_ns)
            return true;
    }
    return false;
}

static void remember(struct dns_exchange *x, const struct dns_message *m, const struct dns_place *at)
{
    if (!x->datagrams)
        return;
    struct dns_seen *s = &x->seen[x->seen_at++ % DNS_SEEN];
    s->key = m->key;
    s->time_ns = at->time_ns;
    s->header = m->header;
    s->size = (uint32_t)m->bytes.n;
}

/* Adds a response to a call that may have a query, and earlier messages of a transfer. */
static void fill_response(struct dns_exchange *x, struct dns_pending *p, const struct dns_message *m, const struct dns_place *at)
{
    struct dns_call_writer w = writer(x, p->call, &p->text);
    struct dns_wants records_only = x->wants;
    if (p->responses) { /* flags and the like stand already */
        records_only.mask &= ~((uint64_t)1 << F_RESPONSE_FLAGS | (uint64_t)1 << F_RESPONSE_COUNTS | (uint64_t)1 << F_RESPONSE_OPTIONS);
        w.wants = &records_only;
    }
    mark(x, p->call, at);
    if (!p->key && !p->responses)
        dns_set_question(&w, m);
    p->flags |= flags_of(at, dns_set_content(&w, m), TD_RESPONSE_CUT);
    p->responses++;
    p->response_size += m->bytes.n;
}

static void take_response(struct dns_exchange *x, const struct dns_message *m, const struct dns_place *at)
{
    struct dns_pending single = {0}, *p = NULL;
    if (!x->to_group)
        p = dns_pending_find(&x->pending, m->header.id, m->key, !at->dir);
    if (!p) {
        single.call = x->host->call(x->conn);
        x->host->set_u64(single.call, F_REQUEST, 0);
        if (duplicate(x, m, at))
            x->host->set_u64(single.call, F_DUPLICATE, 1);
        fill_response(x, &single, m, at);
        remember(x, m, at);
        commit(x, &single);
        return;
    }
    remember(x, m, at);
    fill_response(x, p, m, at);
    bool more = dns_transfer_goes_on(&p->transfer, m->bytes, &m->header, m->records_at);
    if (p->transfer.headless)
        p->flags |= TD_RESPONSE_CUT;
    if (more) {
        dns_pending_touch(&x->pending, p, at->time_ns);
        return;
    }
    commit(x, p);
    dns_pending_remove(&x->pending, p);
}

/* ---- Both ------------------------------------------------------------------------------------------------------ */

static void judge(struct dns_exchange *x, const struct dns_message *m, const struct dns_place *at)
{
    if (m->question_whole && m->records_whole) {
        if (!x->confirmed)
            x->host->confirm(x->conn);
        x->confirmed = true;
    } else if (!at->cut) {
        x->host->violation(x->conn, m->question_whole ? "malformed records" : "malformed question");
    }
}

/* Noise may come on any port, and after a loss anything looks like a header. */
static bool is_message(const struct dns_message *m, const struct dns_place *at)
{
    enum { LONGEST = 65535 };
    if (m->key || (m->question_whole && m->records_whole && dns_header_possible(at->bytes, at->bytes.n)))
        return true;
    return dns_plausible(at->bytes, at->cut ? LONGEST : at->bytes.n, m->header.flags & DNS_QR, m->variant) != DNS_NO;
}

bool dns_exchange_message(struct dns_exchange *x, const struct dns_place *at)
{
    struct dns_message m;
    expire(x, at->time_ns);
    if (!dns_message_read(&m, at->bytes, x->variant) || !is_message(&m, at)) {
        x->host->violation(x->conn, "not a DNS message");
        return false;
    }
    judge(x, &m, at);
    if (m.header.flags & DNS_QR)
        take_response(x, &m, at);
    else
        take_query(x, &m, at);
    return true;
}

void dns_exchange_gap(struct dns_exchange *x, int dir)
{
    for (struct dns_pending *p = x->pending.oldest; p; p = p->newer)
        if (p->transfer.kind != DNS_TRANSFER_NONE && p->dir != dir)
            p->flags |= TD_RESPONSE_CUT; /* one of its messages may be lost */
}

void dns_exchange_close(struct dns_exchange *x)
{
    while (x->pending.oldest)
        give_up(x, x->pending.oldest);
}
