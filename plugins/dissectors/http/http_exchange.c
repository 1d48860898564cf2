#include "http_exchange.h"

void http_pairing_init(struct http_pairing *p, struct td_arena *arena)
{
    p->arena = arena;
    p->waiting_end = &p->waiting;
}

static struct http_exchange *new_exchange(struct http_pairing *p, const struct http_out *out)
{
    const struct td_host *host = out->http->host;
    struct http_exchange *e = p->free;
    if (e) {
        p->free = e->next;
        memset(e, 0, sizeof(*e));
    } else {
        e = (struct http_exchange *)host->alloc(p->arena, sizeof(*e), sizeof(void *));
        if (!e)
            return NULL;
    }
    e->call = host->call(out->conn);
    return e;
}

bool http_exchange_end(struct http_pairing *p, const struct http_out *out, struct http_exchange *e, int dir, uint32_t flags)
{
    e->flags |= flags;
    e->done = (uint8_t)(e->done | 1u << dir);
    if (e->done != (1u << TD_CLIENT | 1u << TD_SERVER))
        return false;
    if (e->call)
        out->http->host->commit(e->call, e->flags);
    e->next = p->free;
    p->free = e;
    return true;
}

static struct http_exchange *pop(struct http_pairing *p)
{
    struct http_exchange *e = p->waiting;
    p->waiting = e->next;
    if (!p->waiting)
        p->waiting_end = &p->waiting;
    p->n_waiting--;
    return e;
}

static void push(struct http_pairing *p, struct http_exchange *e)
{
    *p->waiting_end = e;
    p->waiting_end = &e->next;
    p->n_waiting++;
}

static void give_up_oldest(struct http_pairing *p, const struct http_out *out)
{
    (void)http_exchange_end(p, out, pop(p), TD_SERVER, TD_RESPONSE_CUT);
}

void http_pairing_close(struct http_pairing *p, const struct http_out *out)
{
    while (p->waiting)
        give_up_oldest(p, out);
}

/* Pairing is trusted again once the two sides take turns. */
static void note_turn(struct http_pairing *p, bool response)
{
    if (response == p->answered)
        p->turns = 0;
    else if (!response)
        p->turns++;
    p->answered = response;
    if (p->turns == HTTP_TURNS_TO_TRUST) {
        p->lost = p->pipelined = false;
        p->doubtful = 0;
    }
}

struct http_exchange *http_exchange_request(struct http_pairing *p, const struct http_out *out)
{
    struct http_exchange *e;
    if (p->lost)
        note_turn(p, false);
    /* The client goes on although an answer may have been lost: so it was lost, unless it never waits. */
    while (p->waiting && !p->pipelined && p->waiting->number < p->doubtful)
        give_up_oldest(p, out);
    if (p->waiting)
        p->pipelined = true;
    if (p->n_waiting == HTTP_MAX_WAITING) {
        give_up_oldest(p, out);
        p->given_up++;
    }
    e = new_exchange(p, out);
    if (!e)
        return NULL;
    e->number = p->next_number++;
    e->after_hole = p->hole;
    p->hole = HTTP_NO_HOLE;
    if (p->lost)
        (void)http_exchange_end(p, out, e, TD_SERVER, TD_RESPONSE_CUT);
    else
        push(p, e);
    return e;
}

static struct http_exchange *lone_response(struct http_pairing *p, const struct http_out *out)
{
    struct http_exchange *e = new_exchange(p, out);
    if (e) {
        e->lone = true;
        (void)http_exchange_end(p, out, e, TD_CLIENT, TD_REQUEST_CUT);
    }
    return e;
}

static void note_server(struct http_pairing *p)
{
    if (p->hole)
        p->hole = HTTP_HOLE_ANSWERED;
}

/* Could the next response be another request's than that of `e`, the oldest, because the client does not wait? */
static bool is_out_of_step(const struct http_pairing *p, const struct http_exchange *e)
{
    return e->after_hole == HTTP_HOLE || (p->pipelined && (e->after_hole || e->number < p->doubtful));
}

/* Could it be, even if the client waits? Its answer may have gone by unseen, and then a request as well. */
static bool may_be_over(const struct http_pairing *p, const struct http_exchange *e)
{
    return e->number < p->doubtful && p->hole;
}

struct http_exchange *http_exchange_response(struct http_pairing *p, const struct http_out *out)
{
    struct http_exchange *e = p->waiting;
    note_server(p);
    if (p->lost)
        note_turn(p, true);
    if (p->given_up) {
        p->given_up--;
        return lone_response(p, out);
    }
    if (!e)
        return lone_response(p, out);
    if (is_out_of_step(p, e)) {
        p->lost = p->answered = true;
        p->turns = 0;
    } else if (!may_be_over(p, e)) {
        return pop(p);
    }
    http_pairing_close(p, out);
    return lone_response(p, out);
}

struct http_exchange *http_exchange_interim(struct http_pairing *p)
{
    note_server(p);
    return p->given_up ? NULL : p->waiting;
}

void http_pairing_gap(struct http_pairing *p, int dir, bool unread)
{
    if (dir == TD_CLIENT) {
        p->hole = HTTP_HOLE;
        return;
    }
    note_server(p);
    p->given_up = 0;
    http_pairing_doubt(p);
    if (unread)
        p->doubtful = UINT64_MAX;
    p->pipelined = p->pipelined || unread;
}
