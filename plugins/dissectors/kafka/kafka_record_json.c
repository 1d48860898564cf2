#include "kafka_record_json.h"

#include "kafka_escape.h"

/* Up to the bytes' colon; copied whole, as that is quicker than as long as it is. */
struct label {
    uint8_t n;
    char text[15];
};
#define LABEL(text)            \
    {                          \
        sizeof(text) - 1, text \
    }

static const struct label key_labels[] = {LABEL(",\"key\":"), LABEL(",\"keyBase64\":")};
static const struct label value_labels[] = {LABEL(",\"value\":"), LABEL(",\"valueBase64\":")};
static const struct label header_label = LABEL("{\"key\":");

enum {
    LABELS = 256,        /* bytes of the names, numbers and punctuation of a record, and what is written in vain behind it */
    HEADER_LABELS = 48,  /* the same of a header */
    SMALLEST_HEADER = 2, /* bytes */
};

struct writing {
    uint8_t *to;
    const uint8_t *end;    /* of the buffer */
    const uint8_t *behind; /* as kafka_record.end */
};

static inline void put_label(struct writing *w, const struct label *label)
{
    memcpy(w->to, label->text, sizeof(label->text));
    w->to += label->n;
}

/* A literal: the compiler knows how long it is. */
#define PUT_WORD(w, literal)                              \
    do {                                                  \
        memcpy((w)->to, "" literal, sizeof(literal) - 1); \
        (w)->to += sizeof(literal) - 1;                   \
    } while (0)

/* False: people cannot read it. */
static inline bool put_text(struct writing *w, struct td_slice s, bool readable)
{
    size_t behind = s.n ? (size_t)(w->behind - (s.p + s.n)) : 0;
    *w->to++ = '"';
    struct kafka_escaped done = kafka_escape(s, behind, w->to, w->end);
    if (done.used < s.n) /* rare */
        done.to = kafka_escape_all(td_sub(s, done.used, s.n), behind, readable, done.to, w->end);
    if (!done.to)
        return false;
    *done.to++ = '"';
    w->to = done.to;
    return true;
}

/* With the first label as text, if people can read it; with the second in base64. */
static inline void put_bytes(struct writing *w, const struct label labels[2], bool there, struct td_slice s)
{
    uint8_t *begin = w->to;
    put_label(w, &labels[0]);
    if (!there) {
        PUT_WORD(w, "null");
    } else if (!put_text(w, s, true)) {
        w->to = begin;
        put_label(w, &labels[1]);
        *w->to++ = '"';
        w->to = kafka_put_base64(w->to, s);
        *w->to++ = '"';
    }
}

static void put_headers(struct writing *w, struct kafka_record *r)
{
    struct td_slice name, value;
    bool has_value;
    PUT_WORD(w, ",\"headers\":[");
    while (kafka_record_header(r, &name, &has_value, &value)) {
        put_label(w, &header_label);
        (void)put_text(w, name, false);
        put_bytes(w, value_labels, has_value, value);
        PUT_WORD(w, "},");
    }
    w->to -= w->to[-1] == ',';
    *w->to++ = ']';
}

bool kafka_record_json(struct kafka_json *j, struct kafka_record *r)
{
    if (r->header_count > r->size / SMALLEST_HEADER || r->size > j->cap)
        return false;
    struct writing w = {.end = j->buffer + j->cap, .behind = r->end};
    w.to = kafka_json_begin_quick(j, LABELS + r->header_count * HEADER_LABELS + KAFKA_ESCAPED_MOST * r->size);
    if (!w.to)
        return false;
    PUT_WORD(&w, "{\"offset\":");
    w.to = kafka_put_decimal(w.to, r->offset);
    if (r->timestamp >= 0) {
        PUT_WORD(&w, ",\"timestamp\":");
        w.to = kafka_put_decimal(w.to, r->timestamp);
    }
    put_bytes(&w, key_labels, r->has_key, r->key);
    put_bytes(&w, value_labels, r->has_value, r->value);
    if (r->header_count)
        put_headers(&w, r);
    *w.to++ = '}';
    kafka_json_end_quick(j, w.to);
    return true;
}
