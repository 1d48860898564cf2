#include "kafka_batches.h"

#include "kafka_record_json.h"

static struct td_slice as_slice(const struct td_cursor *c)
{
    return td_bytes(c->p, td_left(c));
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

/* Transaction markers: version and type in two bytes each. */
static void json_control(struct kafka_json *j, struct td_slice key)
{
    struct td_cursor c = td_cursor(key);
    td_skip(&c, 2);
    uint16_t type = td_be16(&c);
    if (!c.failed && type <= 1)
        kafka_json_word(j, "control", type ? "\"COMMIT\"" : "\"ABORT\"");
    else if (!c.failed)
        kafka_json_integer(j, "control", type);
}

static void json_bytes(struct kafka_json *j, const char *name, const char *base64_name, bool there, struct td_slice bytes)
{
    if (there)
        kafka_json_bytes(j, name, base64_name, bytes);
    else
        kafka_json_word(j, name, "null");
}

static void json_headers(struct kafka_json *j, struct kafka_record *r)
{
    struct td_slice name, value;
    bool has_value;
    if (!r->header_count || !kafka_json_open(j, "headers", ']'))
        return;
    while (!j->full && kafka_record_header(r, &name, &has_value, &value))
        kafka_json_pair(j, name, has_value, value);
    kafka_json_close(j);
}

static void json_record(struct kafka_json *j, struct kafka_record *r, bool control)
{
    if ((!control && kafka_record_json(j, r)) || !kafka_json_open(j, NULL, '}'))
        return;
    kafka_json_integer(j, "offset", r->offset);
    if (r->timestamp >= 0)
        kafka_json_integer(j, "timestamp", r->timestamp);
    if (control) {
        json_control(j, r->key);
    } else {
        json_bytes(j, "key", "keyBase64", r->has_key, r->key);
        json_bytes(j, "value", "valueBase64", r->has_value, r->value);
        json_headers(j, r);
    }
    kafka_json_close(j);
}

static bool wants_more(const struct kafka_filling *f)
{
    return !f->json.full && !f->unopened && f->shown < f->calls->config->max_records;
}

/* Something else than headers stands where they should, or something behind them. */
static bool is_damaged(const struct kafka_record *r)
{
    return r->headers.failed || (r->header_count == 0 && td_left(&r->headers));
}

static void add_record(struct kafka_batches *b, struct kafka_filling *f, struct kafka_record *r)
{
    if (!wants_more(f))
        return;
    f->shown++;
    b->read++;
    json_record(&f->json, r, b->batch.control);
    if (is_damaged(r))
        f->call->flags |= TD_PARTIAL;
}

/* All of the batch was read: what its header promises must have come. */
static void check_count(const struct kafka_batches *b, const struct kafka_filling *f)
{
    if (wants_more(f) && b->read != b->batch.count)
        f->call->flags |= TD_PARTIAL;
}

static void add_records(struct kafka_batches *b, struct kafka_filling *f, struct td_slice plain)
{
    struct td_cursor c = td_cursor(plain);
    struct kafka_record r;
    while (wants_more(f) && kafka_record_next(&c, &b->batch, &r))
        add_record(b, f, &r);
    if (c.failed)
        f->call->flags |= TD_PARTIAL;
    check_count(b, f);
}

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

static void json_batch(struct kafka_json *j, const struct kafka_batch *b)
{
    const char *codec = kafka_codec_name(b->codec);
    kafka_json_integer(j, b->magic == 2 ? "baseOffset" : "offset", b->base_offset);
    kafka_json_integer(j, "magic", b->magic);
    if (codec)
        kafka_json_text(j, "compression", td_str(codec));
    else
        kafka_json_integer(j, "compression", b->codec);
    if (b->magic > 0)
        kafka_json_text(j, "timestampType", b->append_time ? TD_LIT("LogAppendTime") : TD_LIT("CreateTime"));
    if (b->magic == 1)
        kafka_json_integer(j, "timestamp", b->base_timestamp);
    if (b->magic != 2)
        return;
    kafka_json_integer(j, "partitionLeaderEpoch", b->leader_epoch);
    kafka_json_integer(j, "producerId", b->producer_id);
    kafka_json_integer(j, "producerEpoch", b->producer_epoch);
    kafka_json_integer(j, "baseSequence", b->base_sequence);
    kafka_json_word(j, "isTransactional", b->transactional ? "true" : "false");
    kafka_json_word(j, "isControl", b->control ? "true" : "false");
    kafka_json_integer(j, "count", b->count);
}

/* Opens an object for the batch and, if it has records in it, their array. */
static void open_batch(struct kafka_batches *b, struct kafka_filling *f, bool array)
{
    if (!wants_more(f) || !kafka_json_open(&f->json, NULL, '}'))
        return;
    b->open = true;
    json_batch(&f->json, &b->batch);
    if (array && !kafka_json_open(&f->json, "records", ']'))
        f->json.full = true;
}

static void close_batch(struct kafka_batches *b, struct kafka_filling *f)
{
    if (b->open) { /* an array in an object */
        kafka_json_close(&f->json);
        kafka_json_close(&f->json);
    }
    b->open = false;
}

/* Whatever was opened since `depth`. */
static void close_to(struct kafka_filling *f, unsigned depth)
{
    while (f->json.depth > depth)
        kafka_json_close(&f->json);
}

/* A few bytes may come to very many, and a message may have very many batches: beyond some batches of the largest size it is not worth it.
 */
static struct td_slice decompress(struct kafka_filling *f, unsigned codec, struct td_slice in)
{
    enum { LARGEST_ONES = 4 };
    struct kafka_calls *calls = f->calls;
    size_t cap = (size_t)calls->config->max_decompressed;
    bool whole = false, spent = f->decompressed >= LARGEST_ONES * (uint64_t)cap;
    uint8_t *room = spent ? NULL : calls->host->scratch(calls->conn, cap);
    size_t n = room ? kafka_decode(codec, in, calls->spare, room, cap, &whole) : 0;
    f->decompressed += whole ? n : cap; /* of damaged ones nobody knows how much was tried */
    if (!whole)
        f->call->flags |= TD_PARTIAL;
    return td_bytes(room, n);
}

static void compressed_batch(struct kafka_batches *b, struct kafka_filling *f, struct td_slice bytes)
{
    unsigned depth = f->json.depth;
    open_batch(b, f, true);
    if (wants_more(f))
        add_records(b, f, decompress(f, b->batch.codec, td_sub(bytes, KAFKA_BATCH_HEADER, (size_t)b->batch.size)));
    close_to(f, depth);
    b->open = false;
}

/* ---- Messages of magic 0 and 1 ----------------------------------------------------------------------------------- */

/* What a wrapper's content tells before it is gone through. */
struct inner {
    uint32_t count;
    int64_t last_offset;
    bool whole; /* nothing else stands behind the messages */
};

static struct inner survey(struct td_slice set)
{
    struct inner in = {0, -1, false};
    struct kafka_batch m;
    while (kafka_batch_read(set, &m) == 2 && m.size <= set.n && m.magic < 2) {
        in.count++;
        in.last_offset = m.base_offset;
        set = td_sub(set, (size_t)m.size, set.n);
    }
    in.whole = set.n == 0;
    return in;
}

/* Offsets in a wrapper count from its first message, and the wrapper has the last one's (KIP-31); those of magic 0 are what they are.
 * A producer does not know them yet. */
static void add_messages(struct kafka_batches *b, struct kafka_filling *f, struct td_slice set, int64_t last_offset)
{
    bool counted = b->batch.magic == 1 && b->batch.base_offset > last_offset;
    uint64_t base = counted ? (uint64_t)b->batch.base_offset - (uint64_t)last_offset : 0;
    struct kafka_batch m;
    struct kafka_record r;
    while (wants_more(f) && kafka_batch_read(set, &m) == 2 && m.size <= set.n) {
        if (m.magic > 1 || m.codec || !kafka_message_read(set, &m, &r)) {
            f->call->flags |= TD_PARTIAL; /* wrappers are not nested */
            return;
        }
        r.offset = (int64_t)((uint64_t)r.offset + base);
        if (b->batch.append_time)
            r.timestamp = b->batch.base_timestamp;
        add_record(b, f, &r);
        set = td_sub(set, (size_t)m.size, set.n);
    }
}

static void wrapper(struct kafka_batches *b, struct kafka_filling *f, struct td_slice content)
{
    unsigned depth = f->json.depth;
    struct td_slice set = decompress(f, b->batch.codec, content);
    struct inner in = survey(set);
    f->call->record_count += in.count;
    if (!in.whole)
        f->call->flags |= TD_PARTIAL;
    open_batch(b, f, true);
    add_messages(b, f, set, in.last_offset);
    close_to(f, depth);
    b->open = false;
}

static void message(struct kafka_batches *b, struct kafka_filling *f, struct td_slice bytes)
{
    struct kafka_record r;
    unsigned depth = f->json.depth;
    if (!kafka_message_read(bytes, &b->batch, &r)) {
        f->call->flags |= TD_PARTIAL;
        return;
    }
    if (b->batch.codec && r.has_value) {
        if (wants_more(f) || kafka_wants(f->calls, F_RECORD_COUNT))
            wrapper(b, f, r.value);
        return;
    }
    f->call->record_count++;
    if (!wants_more(f))
        return;
    f->shown++;
    open_batch(b, f, false);
    json_bytes(&f->json, "key", "keyBase64", r.has_key, r.key);
    json_bytes(&f->json, "value", "valueBase64", r.has_value, r.value);
    close_to(f, depth);
    b->open = false;
}

/* ---- The way through --------------------------------------------------------------------------------------------- */

void kafka_batches_begin(struct kafka_batches *b, struct kafka_filling *f, const char *name, uint64_t n)
{
    struct kafka_call *p = f->call;
    memset(b, 0, sizeof(*b));
    b->left = n;
    p->has_records = true;
    p->record_bytes += n;
    if (f->unopened || !kafka_json_open(&f->json, name, ']'))
        f->unopened++;
}

void kafka_batches_end(struct kafka_batches *b, struct kafka_filling *f)
{
    close_batch(b, f);
    b->left = b->batch_left = 0;
    if (f->unopened)
        f->unopened--;
    else
        kafka_json_close(&f->json);
}

static void use(struct kafka_batches *b, struct td_cursor *c, uint64_t n)
{
    td_skip(c, (size_t)n);
    b->left -= n;
}

static enum kafka_batches_result skip(struct kafka_batches *b, uint64_t n, uint64_t *ret_n)
{
    b->left -= n;
    *ret_n = n;
    return KAFKA_BATCHES_SKIP;
}

/* Records of an open batch that is not compressed, one by one. */
static enum kafka_batches_result plain_records(struct kafka_batches *b, struct kafka_filling *f, struct td_cursor *c, uint64_t *ret_n)
{
    struct kafka_record r;
    while (b->batch_left && wants_more(f)) {
        struct td_cursor before = *c, size = *c;
        size_t there = td_left(c);
        int32_t n = kafka_varint(&size);
        uint64_t whole = td_pos(&size) - td_pos(c) + (n > 0 ? (uint32_t)n : 0);
        if (size.failed && there < 5 && there < b->batch_left) {
            *ret_n = there + 1;
            return KAFKA_BATCHES_MORE;
        }
        if (size.failed || n < 0 || whole > b->batch_left || whole > f->calls->config->max_batch)
            break;
        if (there < whole) {
            *ret_n = whole;
            return KAFKA_BATCHES_MORE;
        }
        if (!kafka_record_next(c, &b->batch, &r)) {
            *c = before;
            break;
        }
        add_record(b, f, &r);
        b->left -= whole;
        b->batch_left -= whole;
    }
    if (b->batch_left && wants_more(f))
        f->call->flags |= TD_PARTIAL; /* damaged, or too large a record */
    check_count(b, f);
    close_batch(b, f);
    uint64_t rest = b->batch_left;
    b->batch_left = 0;
    return rest ? skip(b, rest, ret_n) : KAFKA_BATCHES_SKIP;
}

/* Of a batch that is not gone into, header and count are told. */
static void pass_over(struct kafka_batches *b, struct kafka_filling *f)
{
    unsigned depth = f->json.depth;
    if (wants_more(f))
        f->call->flags |= TD_PARTIAL;
    if (b->batch.magic == 2)
        open_batch(b, f, false);
    close_to(f, depth);
    b->open = false;
}

static enum kafka_batches_result whole_batch(struct kafka_batches *b, struct kafka_filling *f, struct td_cursor *c, uint64_t *ret_n)
{
    bool decode = wants_more(f) || (b->batch.magic < 2 && b->batch.codec && kafka_wants(f->calls, F_RECORD_COUNT));
    bool fits = b->batch.size <= f->calls->config->max_batch;
    if (decode && fits && td_left(c) < b->batch.size) {
        *ret_n = b->batch.size;
        return KAFKA_BATCHES_MORE;
    }
    f->call->codecs |= (uint8_t)(1u << b->batch.codec);
    if (b->batch.magic == 2 && b->batch.count > 0)
        f->call->record_count += (uint32_t)b->batch.count;
    if (!decode || !fits) {
        if (b->batch.magic < 2)
            f->call->record_count++;
        pass_over(b, f);
        return skip(b, b->batch.size, ret_n);
    }
    if (b->batch.magic < 2)
        message(b, f, as_slice(c));
    else
        compressed_batch(b, f, as_slice(c));
    use(b, c, b->batch.size);
    *ret_n = 0;
    return KAFKA_BATCHES_SKIP;
}

static enum kafka_batches_result next_batch(struct kafka_batches *b, struct kafka_filling *f, struct td_cursor *c, uint64_t *ret_n)
{
    uint64_t there = td_left(c);
    b->read = 0;
    int read = kafka_batch_read(as_slice(c), &b->batch);
    if (b->left < KAFKA_BATCH_START || read < 0 || (read && b->batch.size > b->left)) {
        if (read < 0 && b->left >= KAFKA_BATCH_START)
            f->call->flags |= TD_PARTIAL;
        return KAFKA_BATCHES_DONE; /* brokers cut off what exceeds what was asked for */
    }
    if (read < 2 && there < b->left) {
        *ret_n = read ? KAFKA_BATCH_HEADER : KAFKA_BATCH_START;
        *ret_n = *ret_n > b->left ? b->left : *ret_n;
        if (*ret_n > there)
            return KAFKA_BATCHES_MORE;
    }
    if (read < 2)
        return KAFKA_BATCHES_DONE;
    if (b->batch.magic < 2 || b->batch.codec || !wants_more(f))
        return whole_batch(b, f, c, ret_n);
    f->call->codecs |= 1u << KAFKA_PLAIN;
    f->call->record_count += b->batch.count > 0 ? (uint32_t)b->batch.count : 0;
    open_batch(b, f, true);
    use(b, c, KAFKA_BATCH_HEADER);
    b->batch_left = b->batch.size - KAFKA_BATCH_HEADER;
    if (!b->batch_left) { /* of a compacted topic, or of a producer that is remembered */
        check_count(b, f);
        close_batch(b, f);
    }
    *ret_n = 0;
    return KAFKA_BATCHES_SKIP;
}

enum kafka_batches_result kafka_batches_go_on(struct kafka_batches *b, struct kafka_filling *f, struct td_cursor *c, uint64_t *ret_n)
{
    enum kafka_batches_result result;
    do {
        *ret_n = 0;
        if (!b->left)
            return KAFKA_BATCHES_DONE;
        result = b->batch_left ? plain_records(b, f, c, ret_n) : next_batch(b, f, c, ret_n);
    } while (result == KAFKA_BATCHES_SKIP && !*ret_n);
    return result;
}
