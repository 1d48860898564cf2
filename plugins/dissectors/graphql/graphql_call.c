#include "graphql_call.h"

#include "../form/form.h"
#include "graphql_json.h"

enum {
    GLANCE = 4096,     /* bytes after which a request must look like GraphQL */
    MAX_TEXT = 4096,   /* bytes of a document, of variables, that are told */
    MAX_MESSAGE = 512, /* bytes of an error's message */
    MAX_SUMMARY = 200,
    MAX_FORM = 16384 /* bytes of a form's values; others are passed over */
};

struct conn {
    const struct graphql *graphql;
    struct td_conn *conn;
    struct td_call *layer;
    bool recognised;
    bool done[2];
    bool partial; /* told already */
    /* Of all answers in the response: */
    bool cut; /* there may be more of them, or of what they have */
    uint64_t errors;
    bool has_data, answered;
};

static const struct td_host *host_of(const struct conn *c)
{
    return c->graphql->host;
}

static void set_text(struct conn *c, unsigned field, struct td_slice value)
{
    if (value.n)
        host_of(c)->set_bytes(c->layer, field, value);
}

static void recognise(struct conn *c)
{
    if (!c->recognised)
        host_of(c)->confirm(c->conn);
    c->recognised = true;
}

/* Of what a batch, a request or an answer has, not all was there to be read. */
static void set_partial(struct conn *c)
{
    if (c->recognised && !c->partial)
        host_of(c)->set_partial(c->layer);
    c->partial |= c->recognised;
}

/* ---- Requests -------------------------------------------------------------------------------------------------------------- */

/* What a request says; JSON values as they stand in the text, or a document that stands for itself. */
struct request {
    struct td_slice query, name, variables, extensions, id;
    bool plain;   /* `query` and `name` are the texts themselves, no JSON strings */
    bool foreign; /* it has members that GraphQL does not know */
};

/* "{ user posts }" for who did not give a name. */
static void set_summary(struct conn *c, const struct gql_document *document)
{
    uint8_t room[MAX_SUMMARY];
    size_t n = 0;
    uint32_t i;
    if (document->name.n) {
        set_text(c, F_SUMMARY, document->name);
        return;
    }
    room[n++] = '{';
    for (i = 0; i < document->n_fields && n + document->fields[i].n + 3 <= sizeof(room); i++) {
        room[n++] = ' ';
        memcpy(room + n, document->fields[i].p, document->fields[i].n);
        n += document->fields[i].n;
    }
    room[n++] = ' ';
    room[n++] = '}';
    set_text(c, F_SUMMARY, td_bytes(room, n));
}

static void set_document(struct conn *c, struct td_slice text, const struct gql_document *document)
{
    uint32_t i;
    host_of(c)->set_u64(c->layer, F_TYPE, document->type);
    set_text(c, F_NAME, document->name);
    set_summary(c, document);
    for (i = 0; i < document->n_fields; i++)
        set_text(c, F_FIELDS, document->fields[i]);
    set_text(c, F_DOCUMENT, td_sub(text, 0, MAX_TEXT));
}

/* The text of a JSON string, perhaps in `room`; or the value itself. */
static struct td_slice text_of(const struct request *r, struct td_slice value, uint8_t *room)
{
    return r->plain ? value : gql_json_string(value, room);
}

/* Documents that the server knows: by a hash (persisted queries) or by another id (trusted documents). An id alone is found in much JSON
 * of others. */
static struct td_slice known_document(const struct request *r)
{
    struct td_slice hash = gql_json_find(gql_json_find(r->extensions, "persistedQuery"), "sha256Hash");
    bool own = !r->foreign && (r->name.n || r->variables.n || r->extensions.n);
    return hash.n ? hash : r->query.n || own ? r->id : td_bytes(NULL, 0);
}

/* The first operation of a request is the one that is told. False: it is none of GraphQL's. */
static bool take_request(struct conn *c, const struct request *r, bool first)
{
    struct gql_document document;
    uint8_t *room = (uint8_t *)host_of(c)->scratch(c->conn, r->query.n + r->name.n + MAX_MESSAGE);
    struct td_slice query, name, known = known_document(r);
    if (!room)
        return false;
    query = text_of(r, r->query, room);
    name = text_of(r, r->name, room + r->query.n);
    if (query.n && !gql_read_document(query, name, &document))
        return false;
    if (!query.n && gql_json_kind(known) != '"')
        return false;
    if (!first)
        return true;
    recognise(c);
    if (query.n) {
        set_document(c, query, &document);
    } else {
        set_text(c, F_NAME, name);
        set_text(c, F_SUMMARY, name);
    }
    if (known.n > 2 && known.n <= MAX_MESSAGE)
        set_text(c, F_PERSISTED_QUERY, gql_json_string(known, room + r->query.n + r->name.n));
    if (gql_json_kind(r->variables) == '{')
        set_text(c, F_VARIABLES, td_sub(r->variables, 0, MAX_TEXT));
    return true;
}

static void read_member(struct request *r, struct td_slice key, struct td_slice value)
{
    if (td_eq(key, TD_LIT("query")))
        r->query = value;
    else if (td_eq(key, TD_LIT("operationName")))
        r->name = value;
    else if (td_eq(key, TD_LIT("variables")))
        r->variables = value;
    else if (td_eq(key, TD_LIT("extensions")))
        r->extensions = value;
    else if (td_eq(key, TD_LIT("documentId")) || td_eq(key, TD_LIT("doc_id")))
        r->id = value;
    else
        r->foreign = true;
}

static bool take_object(struct conn *c, struct td_slice object, bool first)
{
    struct request r;
    struct td_slice rest = object, key, value;
    bool cut;
    memset(&r, 0, sizeof(r));
    while (gql_json_member(&rest, &key, &value, &cut))
        if (!cut)
            read_member(&r, key, value);
    return take_request(c, &r, first);
}

/* The first operation is the one that is told; how many there are is known only of a batch that is whole. */
static bool take_batch(struct conn *c, struct td_slice text, bool whole)
{
    struct td_slice element;
    uint64_t n = 0;
    for (; gql_json_element(&text, &element); n++)
        if (n == 0 && (gql_json_kind(element) != '{' || !take_object(c, element, true)))
            return false;
    if (n && whole)
        host_of(c)->set_u64(c->layer, F_OPERATIONS, n);
    return n > 0;
}

static bool is_whole(struct td_slice text)
{
    return gql_json_value(text).n > 0;
}

/* One request, or a batch of them. */
static bool take_json(struct conn *c, struct td_slice text)
{
    bool whole, good;
    while (text.n && gql_json_kind(text) == 0) /* whitespace */
        text = td_sub(text, 1, text.n);
    if (gql_json_kind(text) != '{' && gql_json_kind(text) != '[')
        return false;
    whole = is_whole(text);
    good = gql_json_kind(text) == '{' ? take_object(c, text, true) : take_batch(c, text, whole);
    if (!whole)
        set_partial(c);
    return good;
}

/* As in the query of a GET, or in a form. */
static bool take_form(struct conn *c, struct td_slice text)
{
    struct request r;
    struct td_slice name, value;
    uint8_t room[MAX_FORM];
    size_t used = 0;
    memset(&r, 0, sizeof(r));
    r.plain = true;
    while (form_next_pair(&text, &name, &value)) {
        if (value.n > sizeof(room) - used)
            continue;
        read_member(&r, name, form_decode(value, room + used));
        used += value.n;
    }
    return (r.query.n || r.extensions.n) && take_request(c, &r, true);
}

/* The multipart request specification: the part "operations" has what a request with JSON has. */
static bool take_parts(struct conn *c, struct td_slice text, struct td_slice content_type)
{
    struct form_parts parts;
    struct td_slice boundary = form_boundary(content_type), piece;
    const uint8_t *begin = NULL;
    enum form_event event;
    if (!form_parts_begin(&parts, boundary))
        return false;
    while ((event = form_parts_next(&parts, &text, &piece)) != FORM_MORE) {
        if (event == FORM_HEAD)
            begin = td_eq(form_parameter(form_part_field(piece, "content-disposition"), "name"), TD_LIT("operations")) ? text.p : NULL;
        else if (event == FORM_PART_END && begin)
            return take_json(c, td_bytes(begin, (size_t)(text.p - begin)));
    }
    return false;
}

static bool is_type(struct td_slice content_type, const char *type)
{
    size_t n = strlen(type);
    return td_eq_nocase(td_sub(content_type, 0, n), td_bytes(type, n)) &&
           (content_type.n == n || content_type.p[n] == ';' || content_type.p[n] == ' ');
}

enum verdict { NO, MORE, YES };

/* Types of JSON are believed, but for a form: clients name them where the query of a GET is all there is. */
static bool begins_as_json(struct td_slice type, struct td_slice text)
{
    size_t i = 0;
    while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\n' || text.p[i] == '\r' || text.p[i] == '\t'))
        i++;
    if (i == text.n || text.p[i] == '{' || text.p[i] == '[')
        return true;
    return (uint8_t)(td_ascii_lower(text.p[i]) - 'a') >= 26 &&
           (is_type(type, "application/json") || is_type(type, "application/graphql+json"));
}

/* Could it be one? The first member says so, or it is none: most JSON is not GraphQL's, and this is asked of all of it. */
static enum verdict glance(struct td_slice text)
{
    static const char *const first[] = {"query", "operationName", "variables", "extensions", "documentId", "doc_id", "id"};
    const uint8_t *end;
    size_t i = 0, k;
    while (i < text.n &&
           (text.p[i] == ' ' || text.p[i] == '\n' || text.p[i] == '\r' || text.p[i] == '\t' || text.p[i] == '[' || text.p[i] == '{'))
        i++;
    if (i == text.n)
        return i < GLANCE ? MORE : NO;
    text = td_sub(text, i, i + 20);
    if (text.p[0] != '"')
        return NO;
    text = td_sub(text, 1, text.n);
    end = text.n ? (const uint8_t *)memchr(text.p, '"', text.n) : NULL;
    if (!end)
        return text.n < 19 ? MORE : NO;
    for (k = 0; k < sizeof(first) / sizeof(first[0]); k++)
        if (td_eq(td_bytes(text.p, (size_t)(end - text.p)), td_str(first[k])))
            return YES;
    return NO;
}

/* ---- Answers --------------------------------------------------------------------------------------------------------------- */

static void take_error(struct conn *c, struct td_slice error)
{
    uint8_t room[MAX_MESSAGE * 2];
    struct td_slice message = gql_json_find(error, "message"), code = gql_json_find(gql_json_find(error, "extensions"), "code");
    struct td_slice path = gql_json_find(error, "path");
    if (c->errors++)
        return;
    if (message.n > sizeof(room)) { /* long ones are cut, with their quotes put right */
        message = td_sub(message, 1, MAX_MESSAGE);
        set_text(c, F_ERROR_MESSAGE, message);
    } else {
        set_text(c, F_ERROR_MESSAGE, gql_json_string(message, room));
    }
    if (code.n <= sizeof(room))
        set_text(c, F_ERROR_CODE, gql_json_kind(code) == '"' ? gql_json_string(code, room) : code);
    if (gql_json_kind(path) == '[' && path.n <= MAX_MESSAGE)
        set_text(c, F_ERROR_PATH, path);
}

static void take_errors(struct conn *c, struct td_slice errors)
{
    struct td_slice one;
    c->answered = true;
    while (gql_json_element(&errors, &one))
        take_error(c, one);
}

/* An execution result (the specification, section 7.1). */
static void take_result(struct conn *c, struct td_slice object)
{
    struct td_slice rest = object, key, value;
    bool cut, within = false;
    while (gql_json_member(&rest, &key, &value, &cut)) {
        char kind = gql_json_kind(value);
        if (td_eq(key, TD_LIT("data"))) {
            c->answered = true;
            c->has_data |= kind != 'n';
        } else if (td_eq(key, TD_LIT("errors")) && kind == '[') {
            take_errors(c, value);
        } else if (td_eq(key, TD_LIT("payload")) && kind == '{' && !within) {
            rest = value; /* of an event of a subscription */
            within = true;
        }
    }
}

/* One result, a batch of them; or lines that have some: of an event stream, or of parts that come one by one. */
static void take_results(struct conn *c, struct td_slice text)
{
    struct td_slice one;
    while (text.n && (text.p[0] == ' ' || text.p[0] == '\n' || text.p[0] == '\r' || text.p[0] == '\t'))
        text = td_sub(text, 1, text.n);
    if (gql_json_kind(text) == '{') {
        c->cut |= !is_whole(text);
        take_result(c, text);
    } else if (gql_json_kind(text) == '[') {
        c->cut |= !is_whole(text);
        while (gql_json_element(&text, &one))
            if (gql_json_kind(one) == '{')
                take_result(c, one);
    } else {
        while (text.n) {
            const uint8_t *end = (const uint8_t *)memchr(text.p, '\n', text.n);
            one = td_sub(text, 0, end ? (size_t)(end - text.p) : text.n);
            text = td_sub(text, one.n + 1, text.n);
            if (td_starts(one, TD_LIT("data:")))
                one = td_sub(one, one.n > 5 && one.p[5] == ' ' ? 6 : 5, one.n);
            if (gql_json_kind(one) == '{')
                take_result(c, one);
        }
    }
}

/* That something is not there, only the whole answer tells. */
static void set_results(struct conn *c)
{
    if (c->cut)
        set_partial(c);
    if (!c->answered)
        return;
    if (c->has_data || !c->cut)
        host_of(c)->set_u64(c->layer, F_HAS_DATA, c->has_data);
    if (c->errors || !c->cut)
        host_of(c)->set_u64(c->layer, F_ERRORS, c->errors);
}

/* ---- Messages of WebSockets -------------------------------------------------------------------------------------------------- */

/* graphql-transport-ws, and the older graphql-ws: {"id": ..., "type": ..., "payload": ...}. */
static bool take_message(struct conn *c, struct td_slice text)
{
    struct td_slice type = gql_json_find(text, "type"), id = gql_json_find(text, "id"), payload = gql_json_find(text, "payload");
    uint8_t room[256];
    struct td_slice name = type.n <= sizeof(room) ? gql_json_string(type, room) : td_bytes(NULL, 0);
    bool starts = td_eq(name, TD_LIT("subscribe")) || td_eq(name, TD_LIT("start"));
    bool answers = td_eq(name, TD_LIT("next")) || td_eq(name, TD_LIT("data"));
    bool fails = td_eq(name, TD_LIT("error"));
    if (!name.n)
        return false;
    recognise(c);
    set_text(c, F_MESSAGE_TYPE, name);
    if (id.n <= sizeof(room))
        set_text(c, F_MESSAGE_ID, gql_json_kind(id) == '"' ? gql_json_string(id, room) : id);
    if (starts)
        (void)take_object(c, payload, true);
    else
        set_text(c, F_SUMMARY, type.n <= sizeof(room) ? gql_json_string(type, room) : type);
    if (answers)
        take_result(c, payload);
    else if (fails && gql_json_kind(payload) == '[')
        take_errors(c, payload);
    else if (fails && gql_json_kind(payload) == '{') {
        c->answered = true;
        take_error(c, payload);
    }
    c->cut |= !is_whole(text);
    return true;
}

/* ---- Callbacks -------------------------------------------------------------------------------------------------------------- */

/* By its media type, and by how it begins: the query of a GET, whose media type says nothing of it, is a form. */
static bool take_text(struct conn *c, struct td_slice type, struct td_slice text)
{
    struct request r;
    memset(&r, 0, sizeof(r));
    r.plain = true;
    r.query = text;
    if (is_type(type, "application/graphql") && take_request(c, &r, true))
        return true;
    if (is_type(type, "multipart/form-data") && take_parts(c, text, type))
        return true;
    return take_form(c, text);
}

static enum verdict judge_request(struct conn *c, struct td_slice text, bool last)
{
    struct td_slice type = host_of(c)->peek(c->layer, F_CONTENT_TYPE);
    bool full = last || text.n > c->graphql->config->max_document, document = is_type(type, "application/graphql");
    bool json = !document && begins_as_json(type, text);
    uint8_t copy[256];
    if (json) {
        enum verdict first = glance(text);
        if (first == NO || (first == MORE && full))
            return NO;
    }
    if (!full)
        return MORE;
    if (json)
        return take_json(c, text) ? YES : NO;
    if (type.n > sizeof(copy))
        return NO;
    if (type.n)
        memcpy(copy, type.p, type.n); /* setters end its life */
    if (!take_text(c, td_bytes(copy, type.n), text))
        return NO;
    if (!last)
        set_partial(c);
    return YES;
}

struct td_step graphql_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    struct conn *c = (struct conn *)state;
    bool last = chunk->flags & TD_CHUNK_LAST, full = chunk->bytes.n > c->graphql->config->max_document;
    enum verdict verdict = MORE;
    (void)conn;
    if (c->done[dir])
        return td_used(chunk->bytes.n);
    if (host_of(c)->peek(c->layer, F_SUBPROTOCOL).n) {
        if (last || full)
            verdict = take_message(c, chunk->bytes) ? YES : NO;
    } else if (dir == TD_CLIENT) {
        verdict = judge_request(c, chunk->bytes, last);
    } else if (!c->recognised) {
        verdict = NO;
    } else if (last || full) {
        c->cut |= !last;
        take_results(c, chunk->bytes);
        verdict = YES;
    }
    if (verdict == NO)
        return td_lost();
    if (verdict == MORE)
        return td_need(0, chunk->bytes.n < GLANCE ? chunk->bytes.n + 1 : (size_t)c->graphql->config->max_document + 1);
    c->done[dir] = true;
    return td_used(chunk->bytes.n);
}

/* What was there before it has been read. */
int graphql_gap(void *state, struct td_conn *conn, int dir, uint64_t offset, uint64_t len)
{
    struct conn *c = (struct conn *)state;
    (void)conn;
    (void)offset;
    (void)len;
    c->done[dir] = true;
    c->cut |= dir == TD_SERVER;
    set_partial(c);
    return dir == TD_CLIENT && !c->recognised ? TD_E_CORRUPT : TD_OK;
}

void graphql_close(void *state, struct td_conn *conn, int why)
{
    struct conn *c = (struct conn *)state;
    (void)conn;
    c->cut |= why == TD_CLOSE_LOST; /* memory was short: what came is not shown any more */
    set_results(c);
}

int graphql_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **ret_state)
{
    const struct graphql *graphql = (const struct graphql *)self;
    struct td_call *layer = graphql->host->layer(conn);
    struct conn *c = layer ? (struct conn *)graphql->host->alloc(arena, sizeof(*c), sizeof(void *)) : NULL;
    (void)flow;
    if (!c)
        return layer ? TD_E_NOMEM : TD_E_UNSUPPORTED;
    c->graphql = graphql;
    c->conn = conn;
    c->layer = layer;
    *ret_state = c;
    return TD_OK;
}
