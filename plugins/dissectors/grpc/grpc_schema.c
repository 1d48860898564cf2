#include "grpc_schema.h"

#include "grpc_wire.h"

#include <stdlib.h>

enum { MAX_DEPTH = 32 /* of messages within messages */ };

/* A growing array. */
struct list {
    void *v;
    size_t n, cap;
};

struct grpc_schema {
    struct list messages, enums, methods; /* of struct grpc_message, grpc_enum, method */
    struct list pieces;                   /* void *: sets, names and tables */
};

/* A method before its types are resolved. */
struct method {
    struct grpc_method public;
    struct td_slice input, output;
};

/* ---- Memory ------------------------------------------------------------------------------------------------------------ */

static void *add_row(struct list *l, size_t size)
{
    if (l->n == GRPC_MAX_TYPES * 8u)
        return NULL;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        void *v = realloc(l->v, cap * size);
        if (!v)
            return NULL;
        l->v = v;
        l->cap = cap;
    }
    return memset((uint8_t *)l->v + l->n++ * size, 0, size);
}

static void *keep_memory(struct grpc_schema *s, size_t n)
{
    void **row = (void **)add_row(&s->pieces, sizeof(void *));
    return row ? *row = malloc(n ? n : 1) : NULL;
}

/* "a" + between + "b"; empty: out of memory, or too long. */
static struct td_slice join(struct grpc_schema *s, struct td_slice a, char between, struct td_slice b)
{
    uint8_t *p = a.n + b.n < GRPC_MAX_NAME ? (uint8_t *)keep_memory(s, a.n + 1 + b.n) : NULL;
    if (!p)
        return td_bytes(NULL, 0);
    if (a.n)
        memcpy(p, a.p, a.n);
    p[a.n] = (uint8_t)between;
    if (b.n)
        memcpy(p + a.n + 1, b.p, b.n);
    return td_bytes(p, a.n + 1 + b.n);
}

struct grpc_schema *grpc_schema_new(void)
{
    return (struct grpc_schema *)calloc(1, sizeof(struct grpc_schema));
}

void grpc_schema_free(struct grpc_schema *s)
{
    size_t i;
    if (!s)
        return;
    for (i = 0; i < s->pieces.n; i++)
        free(((void **)s->pieces.v)[i]);
    free(s->pieces.v);
    free(s->messages.v);
    free(s->enums.v);
    free(s->methods.v);
    free(s);
}

/* ---- Descriptors -------------------------------------------------------------------------------------------------------- */

/* The last value that the field has: text or bytes, or a number. */
static struct td_slice find_bytes(struct td_slice in, uint32_t number)
{
    struct td_cursor c = td_cursor(in);
    struct td_slice found = {NULL, 0};
    struct grpc_value v;
    while (grpc_next_value(&c, &v))
        if (v.number == number && v.wire == GRPC_LEN)
            found = v.bytes;
    return found;
}

static uint64_t find_number(struct td_slice in, uint32_t number)
{
    struct td_cursor c = td_cursor(in);
    uint64_t found = 0;
    struct grpc_value v;
    while (grpc_next_value(&c, &v))
        if (v.number == number && v.wire == GRPC_VARINT)
            found = v.bits;
    return found;
}

static bool is_sound(struct td_slice in)
{
    struct td_cursor c = td_cursor(in);
    struct grpc_value v;
    while (grpc_next_value(&c, &v))
        ;
    return !c.failed;
}

static bool add_enum(struct grpc_schema *s, struct td_slice raw, struct td_slice scope)
{
    struct grpc_enum *e = (struct grpc_enum *)add_row(&s->enums, sizeof(*e));
    if (!e)
        return false;
    e->name = join(s, scope, '.', find_bytes(raw, 1));
    e->raw = raw;
    return e->name.n > 0;
}

/* A message, and those within it that are still to be looked at. */
struct scope {
    struct td_slice name;
    struct td_cursor rest;
    uint32_t messages, enums; /* fields in which they stand */
};

static bool add_message(struct grpc_schema *s, struct td_slice raw, struct td_slice scope, struct scope *ret)
{
    struct grpc_message *m = (struct grpc_message *)add_row(&s->messages, sizeof(*m));
    if (!m || !is_sound(raw))
        return false;
    m->name = join(s, scope, '.', find_bytes(raw, 1));
    m->raw = raw;
    m->map_entry = find_number(find_bytes(raw, 7), 7) != 0;
    *ret = (struct scope){m->name, td_cursor(raw), 3, 4};
    return m->name.n > 0;
}

/* All types of a file, those within others included. */
static bool add_types(struct grpc_schema *s, struct td_slice file, struct td_slice package)
{
    struct scope stack[MAX_DEPTH];
    size_t depth = 1;
    stack[0] = (struct scope){package, td_cursor(file), 4, 5};
    while (depth) {
        struct scope *top = &stack[depth - 1];
        struct grpc_value v;
        if (!grpc_next_value(&top->rest, &v)) {
            if (top->rest.failed)
                return false;
            depth--;
        } else if (v.wire == GRPC_LEN && v.number == top->enums) {
            if (!is_sound(v.bytes) || !add_enum(s, v.bytes, top->name))
                return false;
        } else if (v.wire == GRPC_LEN && v.number == top->messages) {
            if (depth == MAX_DEPTH || !add_message(s, v.bytes, top->name, &stack[depth]))
                return false;
            depth++;
        }
    }
    return true;
}

static bool add_service(struct grpc_schema *s, struct td_slice raw, struct td_slice package)
{
    struct td_cursor c = td_cursor(raw);
    struct td_slice name = join(s, td_sub(package, 1, package.n), '.', find_bytes(raw, 1)), path;
    struct grpc_value v;
    if (!package.n)
        name = td_sub(name, 1, name.n);
    path = join(s, td_bytes(NULL, 0), '/', name);
    if (!path.n)
        return false;
    while (grpc_next_value(&c, &v)) {
        struct method *m;
        if (v.number != 2 || v.wire != GRPC_LEN)
            continue;
        m = (struct method *)add_row(&s->methods, sizeof(*m));
        if (!m || !is_sound(v.bytes))
            return false;
        m->public.name = join(s, path, '/', find_bytes(v.bytes, 1));
        m->input = find_bytes(v.bytes, 2);
        m->output = find_bytes(v.bytes, 3);
        m->public.client_streaming = find_number(v.bytes, 5) != 0;
        m->public.server_streaming = find_number(v.bytes, 6) != 0;
        if (!m->public.name.n)
            return false;
    }
    return !c.failed;
}

static bool add_file(struct grpc_schema *s, struct td_slice file)
{
    struct td_cursor c = td_cursor(file);
    struct td_slice package = find_bytes(file, 2);
    struct grpc_value v;
    if (package.n) {
        package = join(s, td_bytes(NULL, 0), '.', package);
        if (!package.n)
            return false;
    }
    if (!add_types(s, file, package))
        return false;
    while (grpc_next_value(&c, &v))
        if (v.number == 6 && v.wire == GRPC_LEN && !add_service(s, v.bytes, package))
            return false;
    return true;
}

bool grpc_schema_add(struct grpc_schema *s, struct td_slice set, const char **ret_why)
{
    struct td_cursor c;
    struct grpc_value v;
    uint8_t *copy;
    bool any = false;
    *ret_why = "not a FileDescriptorSet, as protoc --descriptor_set_out writes it";
    if (set.n > GRPC_MAX_SET || !is_sound(set))
        return false;
    copy = (uint8_t *)keep_memory(s, set.n);
    if (!copy) {
        *ret_why = "out of memory";
        return false;
    }
    if (set.n)
        memcpy(copy, set.p, set.n);
    c = td_cursor(td_bytes(copy, set.n));
    while (grpc_next_value(&c, &v)) {
        if (v.number != 1 || v.wire != GRPC_LEN)
            return false;
        any = true;
        if (!is_sound(v.bytes) || !add_file(s, v.bytes))
            return false;
    }
    return any;
}

/* ---- Resolving --------------------------------------------------------------------------------------------------------- */

static int compare(struct td_slice a, struct td_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* All rows begin with their name. */
static int by_name(const void *a, const void *b)
{
    return compare(*(const struct td_slice *)a, *(const struct td_slice *)b);
}

static const void *find_row(const struct list *l, size_t size, struct td_slice name)
{
    return l->n ? bsearch(&name, l->v, l->n, size, by_name) : NULL;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct grpc_field *)a)->number, y = ((const struct grpc_field *)b)->number;
    return (x > y) - (x < y);
}

static int by_value(const void *a, const void *b)
{
    int32_t x = ((const struct grpc_enum_value *)a)->number, y = ((const struct grpc_enum_value *)b)->number;
    return (x > y) - (x < y);
}

static uint32_t count(struct td_slice in, uint32_t number)
{
    struct td_cursor c = td_cursor(in);
    struct grpc_value v;
    uint32_t n = 0;
    while (grpc_next_value(&c, &v))
        n += v.number == number && v.wire == GRPC_LEN;
    return n;
}

/* "field_name" is "fieldName" in JSON. */
static struct td_slice camel_case(struct grpc_schema *s, struct td_slice name)
{
    uint8_t *p = (uint8_t *)keep_memory(s, name.n);
    size_t i, n = 0;
    bool upper = false;
    for (i = 0; p && i < name.n; i++) {
        uint8_t c = name.p[i];
        if (c != '_')
            p[n++] = upper && (uint8_t)(c - 'a') < 26u ? (uint8_t)(c - 32) : c;
        upper = c == '_';
    }
    return td_bytes(p, n);
}

static void read_field(struct grpc_schema *s, struct td_slice raw, struct grpc_field *f)
{
    struct td_slice type = find_bytes(raw, 6);
    f->number = (uint32_t)find_number(raw, 3);
    f->type = (uint8_t)find_number(raw, 5);
    f->repeated = find_number(raw, 4) == 3;
    f->name = find_bytes(raw, 10);
    if (!f->name.n)
        f->name = camel_case(s, find_bytes(raw, 1));
    if (f->type == GRPC_MESSAGE)
        f->message = (const struct grpc_message *)find_row(&s->messages, sizeof(struct grpc_message), type);
    if (f->type == GRPC_ENUM)
        f->enumeration = (const struct grpc_enum *)find_row(&s->enums, sizeof(struct grpc_enum), type);
}

static uint8_t known_by_name(struct td_slice name)
{
    static const char *const wrappers[] = {"Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"};
    struct td_slice package = TD_LIT(".google.protobuf."), type = td_sub(name, package.n, name.n), value = TD_LIT("Value");
    size_t i;
    if (!td_starts(name, package))
        return 0;
    if (td_eq(type, TD_LIT("Timestamp")))
        return GRPC_TIMESTAMP;
    if (td_eq(type, TD_LIT("Duration")))
        return GRPC_DURATION;
    for (i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++)
        if (td_starts(type, td_str(wrappers[i])) && td_eq(td_sub(type, strlen(wrappers[i]), type.n), value))
            return GRPC_WRAPPER;
    return 0;
}

static bool finish_message(struct grpc_schema *s, struct grpc_message *m)
{
    struct td_cursor c = td_cursor(m->raw);
    struct grpc_value v;
    m->fields = (struct grpc_field *)keep_memory(s, count(m->raw, 2) * sizeof(*m->fields));
    if (!m->fields)
        return false;
    while (grpc_next_value(&c, &v)) {
        if (v.number != 2 || v.wire != GRPC_LEN)
            continue;
        m->fields[m->n] = (struct grpc_field){0};
        read_field(s, v.bytes, &m->fields[m->n++]);
    }
    qsort(m->fields, m->n, sizeof(*m->fields), by_number);
    m->known = known_by_name(m->name);
    return true;
}

static bool finish_enum(struct grpc_schema *s, struct grpc_enum *e)
{
    struct td_cursor c = td_cursor(e->raw);
    struct grpc_value v;
    e->values = (struct grpc_enum_value *)keep_memory(s, count(e->raw, 2) * sizeof(*e->values));
    if (!e->values)
        return false;
    while (grpc_next_value(&c, &v))
        if (v.number == 2 && v.wire == GRPC_LEN)
            e->values[e->n++] = (struct grpc_enum_value){(int32_t)find_number(v.bytes, 2), find_bytes(v.bytes, 1)};
    qsort(e->values, e->n, sizeof(*e->values), by_value);
    return true;
}

bool grpc_schema_finish(struct grpc_schema *s)
{
    size_t i;
    if (s->messages.n)
        qsort(s->messages.v, s->messages.n, sizeof(struct grpc_message), by_name);
    if (s->enums.n)
        qsort(s->enums.v, s->enums.n, sizeof(struct grpc_enum), by_name);
    if (s->methods.n)
        qsort(s->methods.v, s->methods.n, sizeof(struct method), by_name);
    for (i = 0; i < s->enums.n; i++)
        if (!finish_enum(s, (struct grpc_enum *)s->enums.v + i))
            return false;
    for (i = 0; i < s->messages.n; i++)
        if (!finish_message(s, (struct grpc_message *)s->messages.v + i))
            return false;
    for (i = 0; i < s->methods.n; i++) {
        struct method *m = (struct method *)s->methods.v + i;
        m->public.input = grpc_schema_message(s, m->input);
        m->public.output = grpc_schema_message(s, m->output);
    }
    return true;
}

/* ---- Looking up --------------------------------------------------------------------------------------------------------- */

const struct grpc_method *grpc_schema_method(const struct grpc_schema *s, struct td_slice path)
{
    return s ? (const struct grpc_method *)find_row(&s->methods, sizeof(struct method), path) : NULL;
}

const struct grpc_message *grpc_schema_message(const struct grpc_schema *s, struct td_slice name)
{
    return s ? (const struct grpc_message *)find_row(&s->messages, sizeof(struct grpc_message), name) : NULL;
}

const struct grpc_field *grpc_message_field(const struct grpc_message *m, uint32_t number)
{
    struct grpc_field key = {.number = number};
    return m->n ? (const struct grpc_field *)bsearch(&key, m->fields, m->n, sizeof(key), by_number) : NULL;
}

bool grpc_enum_name(const struct grpc_enum *e, int32_t number, struct td_slice *ret)
{
    struct grpc_enum_value key = {number, {NULL, 0}};
    const struct grpc_enum_value *found =
        e->n ? (const struct grpc_enum_value *)bsearch(&key, e->values, e->n, sizeof(key), by_value) : NULL;
    if (found)
        *ret = found->name;
    return found != NULL;
}
