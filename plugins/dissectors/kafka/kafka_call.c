#include "kafka_call.h"

enum { BODIES = 768 * 1024 /* bytes of bodies that a connection's open calls hold together */ };

void kafka_calls_init(struct kafka_calls *calls, const struct td_host *host, const struct kafka_config *config, struct td_conn *conn,
                      struct td_arena *arena)
{
    calls->host = host;
    calls->config = config;
    calls->conn = conn;
    calls->arena = arena;
    calls->body_room = config->max_body > BODIES ? config->max_body : BODIES;
    calls->topics.host = host;
    calls->topics.arena = arena;
    for (unsigned field = 0; field < F_COUNT; field++)
        calls->wanted |= host->wants(conn, field) ? UINT64_C(1) << field : 0;
}

/* ---- The ones that wait ----------------------------------------------------------------------------------------- */

/* Ids are whatever clients like, and after a gap they are looked for at every byte: nobody is to know which ones fall together. */
static struct kafka_place *place_of(const struct kafka_calls *calls, int32_t correlation_id)
{
    uint64_t h = ((uint64_t)(uintptr_t)calls ^ (uint32_t)correlation_id) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return &calls->places[h >> 32 & (calls->place_n - 1)];
}

static void append_place(struct kafka_calls *calls, struct kafka_call *p)
{
    struct kafka_place *place = place_of(calls, p->correlation_id);
    p->like_newer = NULL;
    p->like_older = place->newest;
    if (place->newest)
        place->newest->like_newer = p;
    else
        place->oldest = p;
    place->newest = p;
}

static void leave_place(struct kafka_calls *calls, struct kafka_call *p)
{
    struct kafka_place *place = place_of(calls, p->correlation_id);
    if (p->like_older)
        p->like_older->like_newer = p->like_newer;
    else
        place->oldest = p->like_newer;
    if (p->like_newer)
        p->like_newer->like_older = p->like_older;
    else
        place->newest = p->like_older;
}

static void make_places(struct kafka_calls *calls)
{
    enum { FEW_WAIT = 16, EACH = 4, LEAST = 16, MOST = 4096 };
    if (calls->places || calls->count < FEW_WAIT)
        return;
    calls->place_n = LEAST;
    while (calls->place_n < MOST && calls->place_n * EACH < calls->config->max_pending)
        calls->place_n *= 2;
    calls->places = calls->host->alloc(calls->arena, calls->place_n * sizeof(struct kafka_place), _Alignof(struct kafka_place));
    for (struct kafka_call *p = calls->places ? calls->oldest : NULL; p; p = p->newer)
        append_place(calls, p);
}

static void append(struct kafka_calls *calls, struct kafka_call *p)
{
    make_places(calls);
    if (calls->places)
        append_place(calls, p);
    p->waits = true;
    p->newer = NULL;
    p->older = calls->newest;
    if (calls->newest)
        calls->newest->newer = p;
    else
        calls->oldest = p;
    calls->newest = p;
    calls->count++;
}

static void take_out(struct kafka_calls *calls, struct kafka_call *p)
{
    if (!p->waits)
        return;
    if (p->older)
        p->older->newer = p->newer;
    else
        calls->oldest = p->newer;
    if (p->newer)
        p->newer->older = p->older;
    else
        calls->newest = p->older;
    if (calls->places)
        leave_place(calls, p);
    p->waits = false;
    calls->count--;
}

static struct kafka_call *new_entry(struct kafka_calls *calls)
{
    struct kafka_call *p = calls->free;
    if (!p)
        return calls->host->alloc(calls->arena, sizeof(*p), _Alignof(struct kafka_call));
    calls->free = p->newer;
    memset(p, 0, sizeof(*p));
    return p;
}

static void set_u64(const struct kafka_calls *calls, const struct kafka_call *p, unsigned field, uint64_t value)
{
    if (kafka_wants(calls, field))
        calls->host->set_u64(p->call, field, value);
}

static void set_i64(const struct kafka_calls *calls, const struct kafka_call *p, unsigned field, int64_t value)
{
    if (kafka_wants(calls, field))
        calls->host->set_i64(p->call, field, value);
}

static void set_text(const struct kafka_calls *calls, const struct kafka_call *p, unsigned field, struct td_slice value)
{
    if (value.n && kafka_wants(calls, field))
        calls->host->set_bytes(p->call, field, value);
}

static size_t put_number(char *out, size_t room, const char *prefix, int value)
{
    char digits[8];
    size_t n = strlen(prefix), at = 0;
    unsigned v = value < 0 ? 0u - (unsigned)value : (unsigned)value;
    do
        digits[at++] = (char)('0' + v % 10);
    while (v /= 10);
    if (n + at > room)
        return 0;
    memcpy(out, prefix, n);
    while (at)
        out[n++] = digits[--at];
    return n;
}

static void summarise(struct kafka_call *p, struct td_slice text, bool topic)
{
    if (!topic && p->summary_n)
        return;
    if (topic && !p->summary_is_topics) {
        p->summary_n = 0; /* topics tell more than what stands there */
        p->summary_is_topics = true;
    } else if (topic && p->summary_n + 2 + text.n <= KAFKA_SUMMARY) {
        memcpy(p->summary + p->summary_n, ", ", 2);
        p->summary_n = (uint16_t)(p->summary_n + 2);
    } else if (topic) {
        return;
    }
    if (text.n > (size_t)KAFKA_SUMMARY - p->summary_n)
        text.n = (size_t)KAFKA_SUMMARY - p->summary_n;
    if (text.n)
        memcpy(p->summary + p->summary_n, text.p, text.n);
    p->summary_n = (uint16_t)(p->summary_n + text.n);
}

static void set_header(const struct kafka_calls *calls, struct kafka_call *p, const struct kafka_header *h)
{
    char unknown[16];
    p->api = h->api;
    p->api_key = h->api_key;
    p->api_version = h->api_version;
    p->known = h->known && h->api->request;
    p->flexible = h->flexible;
    p->request_size = h->length;
    set_u64(calls, p, F_API_KEY, (uint64_t)h->api_key);
    set_text(calls, p, F_API_KEY_NAME,
             h->api ? td_str(h->api->name) : td_bytes(unknown, put_number(unknown, sizeof(unknown), "Api", h->api_key)));
    set_u64(calls, p, F_API_VERSION, (uint64_t)h->api_version);
    set_text(calls, p, F_CLIENT_ID, h->client_id);
    set_u64(calls, p, F_REQUEST_SIZE, h->length);
    if (h->api_key == KAFKA_API_VERSIONS) /* about nothing but the client itself */
        summarise(p, h->client_id, false);
}

struct kafka_call *kafka_call_new(struct kafka_calls *calls, const struct kafka_header *h, int32_t correlation_id)
{
    if (h && calls->count >= calls->config->max_pending)
        kafka_call_end(calls, calls->oldest);
    struct kafka_call *p = new_entry(calls);
    if (!p)
        return NULL;
    p->call = calls->host->call(calls->conn);
    p->correlation_id = correlation_id;
    p->api_key = -1;
    if (h)
        set_header(calls, p, h);
    set_i64(calls, p, F_CORRELATION_ID, correlation_id);
    set_u64(calls, p, F_REQUEST, h != NULL);
    if (h)
        append(calls, p);
    return p;
}

struct kafka_call *kafka_call_find(const struct kafka_calls *calls, int32_t correlation_id)
{
    struct kafka_call *p = calls->places ? place_of(calls, correlation_id)->oldest : calls->oldest;
    while (p && p->correlation_id != correlation_id)
        p = calls->places ? p->like_newer : p->newer;
    return p;
}

void kafka_call_answered(struct kafka_calls *calls, struct kafka_call *p)
{
    p->responded = true;
    if (p->older && !p->older->doubtful)
        set_u64(calls, p, F_OUT_OF_ORDER, 1);
    for (struct kafka_call *older = p->older; older && !older->overtaken; older = older->older)
        older->overtaken = true;
    take_out(calls, p);
}

void kafka_calls_doubt(struct kafka_calls *calls)
{
    for (struct kafka_call *p = calls->newest; p && !p->doubtful; p = p->older)
        p->doubtful = true;
}

/* ---- Ends -------------------------------------------------------------------------------------------------------- */

static void set_errors(const struct kafka_calls *calls, const struct kafka_call *p)
{
    char unknown[16];
    if (!p->has_error)
        return;
    const char *name = kafka_error_name(p->error);
    set_i64(calls, p, F_ERROR_CODE, p->error);
    set_text(calls, p, F_ERROR,
             name ? td_str(name) : td_bytes(unknown, put_number(unknown, sizeof(unknown), p->error < 0 ? "ERROR_-" : "ERROR_", p->error)));
    for (int code = KAFKA_ERROR_MIN; code <= KAFKA_ERROR_MAX; code++) {
        unsigned bit = (unsigned)(code - KAFKA_ERROR_MIN);
        if (p->errors[bit / 64] >> (bit % 64) & 1)
            set_text(calls, p, F_ERRORS, td_str(kafka_error_name(code)));
    }
}

static void set_rest(const struct kafka_calls *calls, const struct kafka_call *p)
{
    set_u64(calls, p, F_RESPONSE, p->responded);
    set_u64(calls, p, F_SIZE, (uint64_t)p->request_size + p->response_size);
    set_text(calls, p, F_SUMMARY, td_bytes(p->summary, p->summary_n));
    set_errors(calls, p);
    if (p->has_records) {
        set_u64(calls, p, F_RECORD_COUNT, p->record_count);
        set_u64(calls, p, F_RECORD_BYTES, p->record_bytes);
    }
    for (unsigned codec = 0; codec < 8; codec++) {
        const char *name = kafka_codec_name(codec);
        if (p->codecs >> codec & 1 && name)
            set_text(calls, p, F_COMPRESSION, td_str(name));
    }
    if (!p->responded && p->overtaken)
        set_u64(calls, p, F_RESPONSE_LOST, 1);
}

void kafka_call_end(struct kafka_calls *calls, struct kafka_call *p)
{
    set_rest(calls, p);
    calls->host->commit(p->call, p->flags);
    take_out(calls, p);
    calls->body_room += p->body_room;
    if (p->seen) {
        p->seen->next = calls->free_seen;
        calls->free_seen = p->seen;
    }
    p->newer = calls->free;
    calls->free = p;
}

void kafka_calls_close(struct kafka_calls *calls)
{
    while (calls->oldest)
        kafka_call_end(calls, calls->oldest);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static uint64_t hash(struct td_slice s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ s.p[i]) * 0x100000001b3u;
    return h;
}

/* Is this topic new to the call, and is there room to remember it? */
static bool note_topic(struct kafka_calls *calls, struct kafka_call *p, uint64_t h)
{
    unsigned n = p->topic_count;
    for (unsigned i = 0; i < n && i < KAFKA_FEW; i++)
        if (p->few[i] == h)
            return false;
    for (unsigned i = KAFKA_FEW; i < n; i++)
        if (p->seen->hash[i] == h)
            return false;
    if (n == KAFKA_TOPICS_LISTED)
        return false;
    if (n >= KAFKA_FEW && !p->seen) {
        p->seen = calls->free_seen;
        if (p->seen)
            calls->free_seen = p->seen->next;
        else
            p->seen = calls->host->alloc(calls->arena, sizeof(*p->seen), _Alignof(struct kafka_seen));
        if (!p->seen)
            return false;
    }
    *(n < KAFKA_FEW ? &p->few[n] : &p->seen->hash[n]) = h;
    p->topic_count++;
    return true;
}

static void add_topic(struct kafka_filling *f, struct td_slice name)
{
    if (!name.n || !note_topic(f->calls, f->call, hash(name)))
        return;
    set_text(f->calls, f->call, F_TOPICS, name);
    summarise(f->call, name, true);
}

static bool learns_topics(const struct kafka_filling *f)
{
    return f->response && (f->call->api_key == KAFKA_METADATA || f->call->api_key == KAFKA_CREATE_TOPICS);
}

static void keep_name(struct kafka_filling *f, struct td_slice name)
{
    f->name_n = name.n <= KAFKA_TOPIC_NAME_MAX ? (uint8_t)name.n : 0;
    if (f->name_n)
        memcpy(f->name, name.p, name.n);
}

static void add_topic_id(struct kafka_filling *f, struct td_slice id)
{
    char text[KAFKA_ID_TEXT];
    if (kafka_id_is_zero(id))
        return;
    if (learns_topics(f) && f->name_n) {
        kafka_topics_learn(&f->calls->topics, id, td_bytes(f->name, f->name_n));
        return;
    }
    struct td_slice name = kafka_topics_name(&f->calls->topics, id);
    if (!name.n) {
        kafka_id_text(id, text);
        name = td_bytes(text, sizeof(text));
    }
    add_topic(f, name);
}

static void add_partition(struct kafka_filling *f, int64_t partition)
{
    struct kafka_call *p = f->call;
    if (partition < 0 || p->partition_count == KAFKA_PARTITIONS_LISTED)
        return;
    if (partition < KAFKA_PARTITION_BITS) {
        uint64_t bit = UINT64_C(1) << (partition % 64);
        if (p->partitions[partition / 64] & bit)
            return;
        p->partitions[partition / 64] |= bit;
    }
    p->partition_count++;
    set_u64(f->calls, p, F_PARTITIONS, (uint64_t)partition);
}

static void add_error(struct kafka_call *p, int64_t code)
{
    p->has_error = true;
    if (code == 0)
        return;
    if (!p->error)
        p->error = (int16_t)code;
    if (code >= KAFKA_ERROR_MIN && code <= KAFKA_ERROR_MAX) {
        unsigned bit = (unsigned)(code - KAFKA_ERROR_MIN);
        p->errors[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
}

static void set_once(struct kafka_filling *f, bool *done, unsigned field, struct td_slice value, bool in_summary)
{
    if (*done || !value.n)
        return;
    *done = true;
    set_text(f->calls, f->call, field, value);
    if (in_summary)
        summarise(f->call, value, false);
}

static void set_coordinator_key(struct kafka_filling *f, struct td_slice key)
{
    bool transaction = f->kind == 1;
    set_once(f, transaction ? &f->call->transaction : &f->call->group, transaction ? F_TRANSACTIONAL_ID : F_GROUP_ID, key, true);
}

static void add_resource(struct kafka_filling *f, struct td_slice name)
{
    enum { TOPIC_RESOURCE = 2, GROUP_RESOURCE = 32 };
    if (f->kind == TOPIC_RESOURCE)
        add_topic(f, name);
    else if (f->kind == GROUP_RESOURCE)
        set_once(f, &f->call->group, F_GROUP_ID, name, true);
    else
        summarise(f->call, name, false);
}

static void fill_text(struct kafka_filling *f, const struct kafka_event *e)
{
    struct kafka_call *p = f->call;
    switch (e->row->role) {
    case TOPIC:
        if (learns_topics(f))
            keep_name(f, e->bytes);
        add_topic(f, e->bytes);
        break;
    case GROUP: set_once(f, &p->group, F_GROUP_ID, e->bytes, true); break;
    case MEMBER: set_once(f, &p->member, F_MEMBER_ID, e->bytes, false); break;
    case TRANSACTIONAL_ID: set_once(f, &p->transaction, F_TRANSACTIONAL_ID, e->bytes, true); break;
    case MECHANISM: set_once(f, &p->mechanism, F_SASL_MECHANISM, e->bytes, true); break;
    case ERROR_TEXT: set_once(f, &p->error_text, F_ERROR_MESSAGE, e->bytes, false); break;
    case COORDINATOR_KEY:
        if (p->api_version == 0 || p->api_version >= 4)
            set_coordinator_key(f, e->bytes);
        else
            keep_name(f, e->bytes);
        break;
    case RESOURCE_NAME: add_resource(f, e->bytes); break;
    default: break;
    }
}

static void fill_integer(struct kafka_filling *f, const struct kafka_event *e)
{
    struct kafka_call *p = f->call;
    switch (e->row->role) {
    case PARTITION: add_partition(f, e->integer); break;
    case ERROR: add_error(p, e->integer); break;
    case ACKS:
        p->has_acks = true;
        p->acks = (int16_t)e->integer;
        set_i64(f->calls, p, F_ACKS, e->integer);
        break;
    case THROTTLE: set_i64(f->calls, p, F_THROTTLE_TIME, e->integer * 1000000); break;
    case PRODUCER_ID:
        if (!p->producer && e->integer >= 0)
            set_i64(f->calls, p, F_PRODUCER_ID, e->integer);
        p->producer = true;
        break;
    case KEY_TYPE:
    case RESOURCE_TYPE:
        f->kind = e->integer;
        if (e->row->role == KEY_TYPE && f->name_n)
            set_coordinator_key(f, td_bytes(f->name, f->name_n));
        break;
    default: break;
    }
}

/* ---- Bodies ------------------------------------------------------------------------------------------------------ */

static unsigned body_field(const struct kafka_filling *f)
{
    return f->response ? F_RESPONSE_BODY : F_REQUEST_BODY;
}

static void append_body(void *ctx, struct td_slice text)
{
    struct kafka_filling *f = ctx;
    f->calls->host->append_bytes(f->call->call, body_field(f), text);
}

void kafka_filling_begin(struct kafka_filling *f, struct kafka_calls *calls, struct kafka_call *p, bool response)
{
    f->calls = calls;
    f->call = p;
    f->response = response;
    f->unopened = 0;
    f->kind = 0;
    f->name_n = 0;
    f->shown = 0;
    f->decompressed = 0;
    uint64_t room = kafka_wants(calls, body_field(f)) ? calls->config->max_body : 0;
    if (room > calls->body_room)
        room = calls->body_room;
    calls->body_room -= room;
    p->body_room += room;
    kafka_json_init(&f->json, room);
    uint8_t buffer[KAFKA_BUFFER];
    kafka_filling_borrow(f, buffer);
    f->unopened = !kafka_json_open(&f->json, NULL, '}');
    kafka_filling_flush(f);
}

void kafka_filling_borrow(struct kafka_filling *f, uint8_t buffer[KAFKA_BUFFER])
{
    kafka_json_borrow(&f->json, buffer, KAFKA_BUFFER, append_body, f);
}

void kafka_filling_flush(struct kafka_filling *f)
{
    kafka_json_flush(&f->json);
}

void kafka_filling_end(struct kafka_filling *f)
{
    uint8_t buffer[KAFKA_BUFFER];
    kafka_filling_borrow(f, buffer);
    while (f->json.depth)
        kafka_json_close(&f->json);
    kafka_filling_flush(f);
    f->call->body_room -= f->json.room;
    f->calls->body_room += f->json.room; /* for others */
    f->json.room = 0;
}

static void json_open(struct kafka_filling *f, const char *name, uint8_t closer)
{
    if (f->unopened || !kafka_json_open(&f->json, name, closer))
        f->unopened++;
}

static void json_close(struct kafka_filling *f)
{
    if (f->unopened)
        f->unopened--;
    else
        kafka_json_close(&f->json);
}

static void json_left_out(struct kafka_json *j, const char *name, const char *why)
{
    kafka_json_text(j, name, td_str(why));
}

static void json_id(struct kafka_json *j, const char *name, struct td_slice id)
{
    char text[KAFKA_ID_TEXT];
    kafka_id_text(id, text);
    kafka_json_text(j, name, td_bytes(text, sizeof(text)));
}

static void json_value(struct kafka_filling *f, const struct kafka_event *e)
{
    struct kafka_json *j = &f->json;
    const char *name = e->element ? NULL : e->row->name;
    if (f->unopened)
        return;
    switch (e->kind) {
    case KAFKA_NULL: kafka_json_word(j, name, "null"); break;
    case KAFKA_FALSE_TRUE: kafka_json_word(j, name, e->integer ? "true" : "false"); break;
    case KAFKA_INTEGER: kafka_json_integer(j, name, e->integer); break;
    case KAFKA_REAL: kafka_json_real(j, name, e->real); break;
    case KAFKA_ID: json_id(j, name, e->bytes); break;
    case KAFKA_TEXT: kafka_json_text(j, name, e->bytes); break;
    case KAFKA_BINARY:
        if (e->row->role == SECRET)
            json_left_out(j, name, "(left out: credentials)");
        else
            kafka_json_base64(j, name, e->bytes);
        break;
    case KAFKA_TOO_LONG: json_left_out(j, name, "(left out: too long)"); break;
    default: break;
    }
}

void kafka_filling_event(void *filling, const struct kafka_event *e)
{
    struct kafka_filling *f = filling;
    switch (e->kind) {
    case KAFKA_ARRAY_BEGIN: json_open(f, e->row->name, ']'); return;
    case KAFKA_STRUCT_BEGIN:
        f->name_n = 0;
        json_open(f, e->integer ? NULL : e->row->name, '}');
        return;
    case KAFKA_ARRAY_END:
    case KAFKA_STRUCT_END: json_close(f); return;
    case KAFKA_TEXT: fill_text(f, e); break;
    case KAFKA_INTEGER: fill_integer(f, e); break;
    case KAFKA_ID:
        if (e->row->role == TOPIC_ID)
            add_topic_id(f, e->bytes);
        break;
    default: break;
    }
    json_value(f, e);
}
