#include "capture/window.h"

#include <string.h>

#include "base/mem.h"
#include "capture/window_section.h"
#include "packet/bytes.h"

enum {
    PACKET_HEAD = 28, /* of an enhanced packet block: type, length, interface, time, captured and original length */
    PACKET_MIN = 32,
    NEAR = 16 << 10,         /* bytes: packets that are nearer than this are read together */
    GUESS = 2 << 10,         /* of a packet's block; longer ones take another read */
    PIECE_ALIGN = 256 << 10, /* pieces end where frames do in compressed segments */
    AHEAD = 4 << 20,         /* bytes of what is read in one go that the disk is asked for beforehand */
    PLACES_AHEAD = 64        /* packets that it is asked for beforehand: it finds them side by side, not one after the other */
};

/* What is given out of the segment at hand. */
enum source {
    NEXT_SEGMENT,
    AS_IT_IS, /* its bytes, straight to the reader */
    PACKETS,  /* those of the window */
    THE_HEAD, /* of an empty window */
    THE_END
};

struct window {
    struct window_request want; /* its filter is `filter_text` */
    char *filter_text;
    struct bpf *filter;
    struct segment **segments; /* NULL where it has been unpinned */
    size_t n, next;
    struct window_stats stats;
    struct error fault; /* told by the next window_read(): what was read before it is given out first */

    enum source source;
    struct segment *segment; /* the one at hand */
    uint64_t at;             /* AS_IT_IS: next byte; PACKETS: next block that is not placed */
    uint64_t asked_to;       /* the same: bytes up to here were asked for */

    /* PACKETS */
    struct segment_blocks blocks;
    struct segment_index *index;
    const struct notes_interface *interfaces;
    size_t interface_n;
    struct segment_choice choice;
    size_t place;             /* next of choice.places */
    size_t asked;             /* places up to here were asked for */
    uint64_t run_at, run_end; /* blocks one after the other, at hand, that are to be given out */
    uint64_t ahead_at;        /* the run after that begins here ... */
    uint64_t ahead_end;       /* ... and was seen up to here; 0: it was not looked for */
    struct buf head;          /* of the section, and how much of it was given out */
    size_t head_at;
    bool began;     /* the section's head was made */
    bool has_given; /* of any segment */

    /* Packets by their numbers. */
    uint64_t numbered;       /* packets of the segments before the one at hand */
    const uint64_t *numbers; /* of the packets that are wanted; NULL: any */
    size_t number_n, wanted; /* wanted: the next of them */
};

/* ---- Opening ---- */

static bool has_filter(const struct window_request *want)
{
    return want->filter && *want->filter;
}

static int new_window(const struct window_request *want, struct window **ret, struct error *err)
{
    if (want->end_ns < want->start_ns)
        return error_set(err, TD_E_CONFIG, "the window ends before it starts");
    struct window *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return error_nomem(err);
    w->want = *want;
    w->want.filter = NULL;
    int status = segment_blocks_init(&w->blocks, err);
    if (status == TD_OK && has_filter(want)) {
        status = bpf_compile(want->filter, &w->filter, err);
        w->want.filter = w->filter_text = mem_strdup(want->filter);
        if (status == TD_OK && !w->filter_text)
            status = error_nomem(err);
    }
    if (status == TD_OK)
        *ret = w;
    else
        window_close(w);
    return status;
}

int window_open(struct ring *ring, const struct window_request *want, struct window **ret, struct error *err)
{
    return window_open_packets(ring, want, NULL, 0, ret, err);
}

int window_open_packets(struct ring *ring, const struct window_request *want, const uint64_t *numbers, size_t n, struct window **ret,
                        struct error *err)
{
    struct window *w = NULL;
    int status = new_window(want, &w, err);
    if (status != TD_OK)
        return status;
    w->numbers = numbers;
    w->number_n = n;
    /* Numbers count from the first segment on. */
    status = ring_pin(ring, numbers ? INT64_MIN : want->start_ns, numbers ? INT64_MAX : want->end_ns, &w->segments, &w->n, err);
    if (status != TD_OK) {
        window_close(w);
        return status;
    }
    w->stats.segments = w->n;
    for (size_t i = 0; i < w->n; i++)
        w->stats.bytes_all += segment_summary(w->segments[i])->bytes;
    *ret = w;
    return TD_OK;
}

int window_open_segment(const struct segment *s, const struct window_request *want, struct window **ret, struct error *err)
{
    struct window *w = NULL;
    int status = new_window(want, &w, err);
    if (status != TD_OK)
        return status;
    w->segments = mem_calloc(1, sizeof(struct segment *));
    status = w->segments ? segment_share(s, &w->segments[0], err) : error_nomem(err);
    if (status != TD_OK) {
        window_close(w);
        return status;
    }
    w->stats.segments = w->n = 1;
    *ret = w;
    return TD_OK;
}

static void end_segment(struct window *w)
{
    mem_free(w->choice.places);
    w->choice = (struct segment_choice){0};
    if (w->segment) {
        w->stats.bytes_done += segment_summary(w->segment)->bytes;
        w->numbered += segment_summary(w->segment)->packets;
        segment_unpin(w->segment);
    }
    w->segment = NULL;
    w->index = NULL;
}

void window_close(struct window *w)
{
    if (!w)
        return;
    end_segment(w);
    for (size_t i = w->next; i < w->n; i++)
        segment_unpin(w->segments[i]);
    mem_free(w->segments);
    segment_blocks_clear(&w->blocks);
    buf_clear(&w->head);
    bpf_free(w->filter);
    mem_free(w->filter_text);
    mem_free(w);
}

const struct window_stats *window_stats(const struct window *w)
{
    return &w->stats;
}

/* ---- From segment to segment ---- */

bool window_has_whole(const struct segment_summary *s, enum segment_state state, int64_t start_ns, int64_t end_ns)
{
    if (state == SEGMENT_WRITING)
        return false;
    if (!s->packets)
        return s->covered_from_ns >= start_ns && s->covered_to_ns <= end_ns;
    return s->first_ns >= start_ns && s->last_ns < end_ns;
}

/* Those that are described before `end`: packets stand behind the description of their interface. */
static void find_interfaces(struct window *w, uint64_t end)
{
    size_t n;
    w->interfaces = segment_index_interfaces(w->index, &n);
    w->interface_n = 0;
    while (w->interface_n < n && (uint64_t)w->interfaces[w->interface_n].at + w->interfaces[w->interface_n].length <= end)
        w->interface_n++;
}

/* The places of the packets that are wanted by their numbers: from the nearest place that the index knows, block by block. */
static int find_packets(struct window *w, struct error *err)
{
    const struct segment_summary *s = segment_summary(w->segment);
    struct segment_choice *c = &w->choice;
    size_t end = w->wanted;
    while (end < w->number_n && w->numbers[end] - w->numbered <= s->packets)
        end++;
    *c = (struct segment_choice){.placed = true, .to = s->bytes, .places = mem_calloc(end - w->wanted + 1, sizeof(*c->places))};
    if (!c->places)
        return error_nomem(err);
    uint64_t at = 0, next = 0; /* the block at `at` is packet `next`, or stands before it */
    int status = TD_OK;
    while (w->wanted < end && status == TD_OK) {
        uint64_t number = w->numbers[w->wanted] - w->numbered - 1, near, before, until;
        status = segment_index_locate(w->index, number, &near, &before, err);
        if (status != TD_OK)
            break;
        if (before > next || !at) {
            at = near;
            next = before;
        }
        while (next <= number && status == TD_OK) {
            struct segment_block b;
            status = segment_blocks_get(&w->blocks, at, &b, &until, err);
            if (status == 0) {
                status = segment_blocks_read(&w->blocks, at, until > at + PIECE_ALIGN ? until : at + PIECE_ALIGN, err);
                continue;
            }
            if (status < 0)
                return status;
            status = TD_OK;
            if (b.type == BLOCK_TYPE_PACKET && next++ == number)
                c->places[c->n++] = (uint32_t)(at / 4);
            at += b.length;
        }
        w->wanted++;
    }
    c->packets = c->n;
    return status;
}

/* Its index, and where packets can be. Of a segment that is being written it may know packets that came after the pinning. */
static int choose(struct window *w, struct error *err)
{
    const struct segment_summary *s = segment_summary(w->segment);
    int status = segment_index(w->segment, &w->index, err);
    segment_blocks_begin(&w->blocks, w->segment, s->bytes);
    if (status == TD_OK && w->numbers)
        status = find_packets(w, err);
    else if (status == TD_OK)
        status = segment_index_choose(w->index, w->want.start_ns, w->want.end_ns, w->filter, &w->choice, err);
    if (status != TD_OK)
        return error_prefix(err, "segment %llu: ", (unsigned long long)s->sequence);
    struct segment_choice *c = &w->choice;
    c->to = c->to < s->bytes ? c->to : s->bytes;
    c->from = c->from < c->to ? c->from : c->to;
    while (c->n && (uint64_t)c->places[c->n - 1] * 4 >= c->to)
        c->n--;
    find_interfaces(w, c->to ? c->to : s->bytes);
    w->at = w->asked_to = c->from;
    w->place = w->asked = 0;
    w->run_at = w->run_end = w->ahead_at = w->ahead_end = 0;
    w->began = false;
    return TD_OK;
}

/* A reader that got nothing at all would take the stream for a cut one. */
static int put_empty(struct window *w, struct error *err)
{
    buf_reset(&w->head);
    w->head_at = 0;
    if (!w->n || !segment_summary(w->segment)->bytes)
        return window_section_put_none(&w->head, &w->want, err);
    return window_section_put(&w->head, &w->blocks, w->interfaces, w->interface_n, &w->want, err);
}

/* Nothing comes any more of the segment at hand. */
static int finish_segment(struct window *w, struct error *err)
{
    int status = TD_OK;
    bool empty = w->next == w->n && !w->has_given;
    if (empty)
        status = put_empty(w, err);
    end_segment(w);
    if (status == TD_OK)
        w->source = empty ? THE_HEAD : NEXT_SEGMENT;
    return status;
}

static int begin_segment(struct window *w, struct error *err)
{
    if (w->next == w->n) {
        w->source = THE_END;
        return w->n ? TD_OK : finish_segment(w, err);
    }
    w->segment = w->segments[w->next++];
    const struct segment_summary *s = segment_summary(w->segment);
    bool may_be_empty = w->next == w->n && !w->has_given;
    bool has_none = w->numbers && (w->wanted == w->number_n || w->numbers[w->wanted] - w->numbered > s->packets);
    if ((!s->packets || has_none) && !may_be_empty) {
        end_segment(w);
        return TD_OK;
    }
    if (s->packets && !w->filter && !w->numbers && window_has_whole(s, segment_state(w->segment), w->want.start_ns, w->want.end_ns)) {
        w->source = AS_IT_IS;
        w->has_given = true;
        w->at = w->asked_to = 0;
        w->stats.segments_whole++;
        w->stats.packets += s->packets;
        return TD_OK;
    }
    w->source = PACKETS;
    return choose(w, err);
}

/* ---- Asking the disk beforehand ---- */

/* What is read one after the other. */
static void ask_ahead(struct window *w, uint64_t end)
{
    if (w->asked_to >= end || w->at + AHEAD / 2 < w->asked_to)
        return;
    uint64_t until = w->at + AHEAD < end ? w->at + AHEAD : end;
    segment_will_read(w->segment, w->asked_to, until - w->asked_to);
    w->asked_to = until;
}

/* Places [first, until): if some of them are in memory, all are likely to be, and a call each would be wasted. */
static bool are_cached(const struct window *w, size_t first, size_t until)
{
    const size_t some[] = {first, first + (until - first) / 2, until - 1};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        if (!segment_is_cached(w->segment, (uint64_t)w->choice.places[some[i]] * 4))
            return false;
    return true;
}

static void ask_for_places(struct window *w)
{
    const struct segment_choice *c = &w->choice;
    if (w->asked >= c->n || w->place + PLACES_AHEAD / 2 < w->asked)
        return;
    size_t until = w->place + PLACES_AHEAD < c->n ? w->place + PLACES_AHEAD : c->n;
    if (are_cached(w, w->asked, until))
        w->asked = until;
    for (; w->asked < until; w->asked++)
        segment_will_read(w->segment, (uint64_t)c->places[w->asked] * 4, GUESS);
}

/* ---- Whole segments ---- */

static int read_as_it_is(struct window *w, uint8_t *p, size_t n, size_t *ret_n, struct error *err)
{
    uint64_t left = segment_summary(w->segment)->bytes - w->at;
    n = n < left ? n : (size_t)left;
    ask_ahead(w, w->at + left);
    int status = segment_read(w->segment, w->at, p, n, err);
    if (status != TD_OK)
        return status;
    w->stats.bytes_read += n;
    w->at += n;
    *ret_n = n;
    return n == left ? finish_segment(w, err) : TD_OK;
}

/* ---- Packets ---- */

/* 1: it is of the window; 0: it is not, or no packet. */
static int is_wanted(struct window *w, const struct segment_block *b, uint64_t at, struct error *err)
{
    if (b->type != BLOCK_TYPE_PACKET)
        return w->choice.placed ? segment_blocks_damaged(&w->blocks, at, "no packet where the index has one", err) : 0;
    uint32_t iface = bytes_u32(b->p + 8, false);
    if (b->length < PACKET_MIN || iface >= w->interface_n)
        return segment_blocks_damaged(&w->blocks, at, "a packet that is too short, or of an interface that is not described", err);
    int64_t time_ns = (int64_t)((uint64_t)bytes_u32(b->p + 12, false) << 32 | bytes_u32(b->p + 16, false));
    uint32_t caplen = bytes_u32(b->p + 20, false), len = bytes_u32(b->p + 24, false);
    if (caplen > b->length - PACKET_MIN)
        return segment_blocks_damaged(&w->blocks, at, "a packet that is longer than its block", err);
    if (time_ns < w->want.start_ns || time_ns >= w->want.end_ns)
        return 0;
    if (!w->filter)
        return 1;
    const struct packet packet = {.p = b->p + PACKET_HEAD,
                                  .caplen = caplen,
                                  .len = len > caplen ? len : caplen,
                                  .time_ns = time_ns,
                                  .iface = iface,
                                  .linktype = (uint16_t)w->interfaces[iface].linktype};
    return bpf_match(w->filter, &packet);
}

/* Where the next block is that may be wanted; false: there is none. */
static bool next_block(const struct window *w, uint64_t *ret_at)
{
    const struct segment_choice *c = &w->choice;
    *ret_at = c->placed && w->place < c->n ? (uint64_t)c->places[w->place] * 4 : w->at;
    return c->placed ? w->place < c->n : w->at < c->to;
}

/* How far to read when the block at `at` is not at hand. */
static uint64_t piece_end(const struct window *w, uint64_t at)
{
    const struct segment_choice *c = &w->choice;
    if (!c->placed) {
        uint64_t end = (at + BLOCKS_PIECE) / PIECE_ALIGN * PIECE_ALIGN;
        return end < c->to ? end : c->to;
    }
    uint64_t end = at;
    for (size_t i = w->place; i < c->n; i++) {
        uint64_t place = (uint64_t)c->places[i] * 4;
        if (place > end + NEAR || place > at + BLOCKS_PIECE - GUESS)
            break;
        end = place;
    }
    return end + GUESS;
}

static int read_piece(struct window *w, uint64_t at, uint64_t least, struct error *err)
{
    uint64_t until = piece_end(w, at), before = w->blocks.bytes_read;
    if (w->choice.placed)
        ask_for_places(w);
    else
        ask_ahead(w, w->choice.to);
    int status = segment_blocks_read(&w->blocks, at, until > least ? until : least, err);
    w->stats.bytes_read += w->blocks.bytes_read - before;
    return status;
}

/* The next blocks to be given out, one after the other as they are in the segment. None: nothing comes any more. */
static int find_run(struct window *w, struct error *err)
{
    w->run_at = w->ahead_at;
    w->run_end = w->ahead_end;
    w->ahead_at = w->ahead_end = 0;
    for (uint64_t at, until; next_block(w, &at);) {
        struct segment_block b;
        int status = segment_blocks_get(&w->blocks, at, &b, &until, err);
        if (status == 0) {
            if (w->run_end)
                return TD_OK; /* reading moves what is at hand */
            status = read_piece(w, at, until, err);
            if (status != TD_OK)
                return status;
            continue;
        }
        int wanted = status < 0 ? status : is_wanted(w, &b, at, err);
        if (wanted < 0)
            return w->run_end ? TD_OK : wanted; /* first what was right */
        w->at = at + b.length;
        w->place++;
        w->stats.packets += (unsigned)wanted;
        if (wanted && w->run_end && at != w->run_end) {
            w->ahead_at = at;
            w->ahead_end = w->at;
            return TD_OK;
        }
        if (!wanted && w->run_end)
            return TD_OK;
        if (wanted) {
            w->run_at = w->run_end ? w->run_at : at;
            w->run_end = w->at;
        }
    }
    return TD_OK;
}

static void take(uint8_t *p, size_t n, const uint8_t *from, uint64_t left, size_t *ret_n)
{
    *ret_n = n < left ? n : (size_t)left;
    memcpy(p, from, *ret_n);
}

static void read_head(struct window *w, uint8_t *p, size_t n, size_t *ret_n)
{
    take(p, n, w->head.p + w->head_at, w->head.n - w->head_at, ret_n);
    w->head_at += *ret_n;
}

static int read_packets(struct window *w, uint8_t *p, size_t n, size_t *ret_n, struct error *err)
{
    if (w->head_at < w->head.n) {
        read_head(w, p, n, ret_n);
        return TD_OK;
    }
    if (w->run_at < w->run_end) {
        take(p, n, segment_blocks_at(&w->blocks, w->run_at), w->run_end - w->run_at, ret_n);
        w->run_at += *ret_n;
        return TD_OK;
    }
    int status = find_run(w, err);
    if (status != TD_OK)
        return status;
    if (!w->run_end)
        return finish_segment(w, err);
    if (!w->began) {
        w->began = w->has_given = true;
        w->head_at = 0;
        buf_reset(&w->head);
        status = window_section_put(&w->head, &w->blocks, w->interfaces, w->interface_n, &w->want, err);
    }
    return status;
}

/* ---- The stream ---- */

/* Some bytes, or a step towards them. */
static int step(struct window *w, uint8_t *p, size_t n, size_t *ret_n, struct error *err)
{
    switch (w->source) {
    case NEXT_SEGMENT: return begin_segment(w, err);
    case AS_IT_IS: return read_as_it_is(w, p, n, ret_n, err);
    case PACKETS: return read_packets(w, p, n, ret_n, err);
    case THE_HEAD:
        read_head(w, p, n, ret_n);
        if (w->head_at == w->head.n)
            w->source = THE_END;
        return TD_OK;
    case THE_END: break;
    }
    return TD_OK;
}

int window_read(struct window *w, void *p, size_t n, size_t *ret_n, struct error *err)
{
    size_t done = 0;
    while (done < n && w->source != THE_END && w->fault.status == TD_OK) {
        size_t one = 0;
        struct error fault;
        if (step(w, (uint8_t *)p + done, n - done, &one, &fault) != TD_OK)
            w->fault = fault;
        done += one;
        w->stats.bytes += one;
    }
    if (!done && w->fault.status != TD_OK)
        return error_set(err, w->fault.status, "%s", w->fault.text);
    *ret_n = done;
    return TD_OK;
}

/* ---- Pieces ---- */

int window_estimate(const struct segment *of, int64_t start_ns, int64_t end_ns, uint64_t *ret_bytes, struct error *err)
{
    struct segment *s;
    struct segment_index *index;
    struct segment_choice choice = {0};
    int status = segment_share(of, &s, err);
    if (status != TD_OK)
        return status;
    status = segment_index(s, &index, err);
    if (status == TD_OK)
        status = segment_index_choose(index, start_ns, end_ns, NULL, &choice, err);
    if (status == TD_OK)
        *ret_bytes = choice.to - choice.from;
    mem_free(choice.places);
    segment_unpin(s);
    return status;
}

int window_pieces(struct ring *ring, int64_t start_ns, int64_t end_ns, struct window_piece **ret, size_t *ret_n, struct error *err)
{
    struct segment **segments;
    size_t n;
    int status = ring_pin(ring, start_ns, end_ns, &segments, &n, err);
    if (status != TD_OK)
        return status;
    struct window_piece *pieces = mem_calloc(n ? n : 1, sizeof(*pieces));
    for (size_t i = 0; i < n; i++) {
        const struct segment_summary *s = segment_summary(segments[i]);
        enum segment_state state = segment_state(segments[i]);
        if (pieces)
            pieces[i] = (struct window_piece){*s, state, segment_file_bytes(segments[i]), window_has_whole(s, state, start_ns, end_ns)};
        segment_unpin(segments[i]);
    }
    mem_free(segments);
    if (!pieces)
        return error_nomem(err);
    *ret = pieces;
    *ret_n = n;
    return TD_OK;
}
