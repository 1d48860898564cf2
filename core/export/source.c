#include "source.h"

#include "base/mem.h"

int source_open(const char *path, const struct selection *selection, struct source **ret, struct error *err)
{
    struct source *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->path = path;
    s->selection = selection;
    int status = capture_open(path, &s->capture, err);
    if (status == TD_OK && selection->connection.ip_version) {
        s->decoder = decoder_new(SOURCE_FRAGMENT_BYTES);
        if (!s->decoder)
            status = error_nomem(err);
    }
    if (status != TD_OK) {
        source_close(s);
        return status;
    }
    *ret = s;
    return TD_OK;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    held_clear(&s->held);
    block_unref(s->block);
    decoder_free(s->decoder);
    capture_close(s->capture);
    mem_free(s);
}

static void read_batch(struct source *s)
{
    block_unref(s->block);
    s->block = NULL;
    s->at = s->n = 0;
    int n = capture_read(s->capture, s->batch, SOURCE_BATCH, &s->block, &s->fault);
    if (n <= 0) {
        s->ended = true;
        held_give_up_all(&s->held);
    } else {
        s->n = (size_t)n;
        s->packets_read += (uint64_t)n;
    }
    if (s->on_batch)
        s->on_batch(s->on_batch_ctx);
}

/* Is it one of those that are asked for by number? */
static bool is_listed(const struct source *s, uint64_t frame)
{
    const struct select_frames *frames = &s->selection->frames[s->index];
    size_t low = 0, high = frames->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (frames->v[middle] < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low < frames->n && frames->v[low] == frame;
}

/* Judges the next packet of the batch. It becomes the head, or is held, or is dropped. */
static int take_packet(struct source *s, struct error *err)
{
    const struct packet *p = &s->batch[s->at++];
    if (s->selection->frames && !is_listed(s, p->frame))
        return TD_OK;
    struct select_result r = select_packet(s->selection, s->decoder, p);
    if (r.datagram) {
        held_decide(&s->held, r.datagram->frames, r.datagram->frame_count, r.datagram_matches);
        block_unref(&r.datagram->block);
    }
    if (r.verdict == SELECT_NO)
        return TD_OK;
    if (r.verdict == SELECT_YES && !s->held.first) {
        s->head = p;
        s->head_held = false;
        return TD_OK;
    }
    return held_push(&s->held, p, r.verdict) ? TD_OK : error_nomem(err);
}

int source_next(struct source *s, struct error *err)
{
    if (s->head && s->head_held)
        held_pop(&s->held);
    s->head = NULL;
    for (;;) {
        s->head = held_first(&s->held);
        s->head_held = s->head != NULL;
        if (s->head)
            return TD_OK;
        if (s->at == s->n) {
            if (s->ended)
                return TD_OK;
            read_batch(s);
            continue;
        }
        int status = take_packet(s, err);
        if (status != TD_OK || s->head)
            return status;
    }
}
