#include "options.h"

#include <inttypes.h>
#include <stdalign.h>

#include "base/json.h"
#include "base/nearest.h"

/* Value types of config struct members. */
static const struct {
    size_t size, align;
    const char *name;
} types[] = {
    [TD_OPT_STR] = {sizeof(const char *), alignof(const char *), "text"},
    [TD_OPT_BOOL] = {sizeof(bool), alignof(bool), "true or false"},
    [TD_OPT_INT] = {sizeof(int64_t), alignof(int64_t), "integer"},
    [TD_OPT_SIZE] = {sizeof(uint64_t), alignof(uint64_t), "size"},
    [TD_OPT_DUR_NS] = {sizeof(int64_t), alignof(int64_t), "duration"},
    [TD_OPT_ENUM] = {sizeof(uint32_t), alignof(uint32_t), "one of"},
    [TD_OPT_STRLIST] = {sizeof(struct td_strlist), alignof(struct td_strlist), "list of text"},
};

static bool known_type(uint32_t type)
{
    return type >= TD_OPT_STR && type <= TD_OPT_STRLIST;
}

static bool has_limits(const struct td_option *o)
{
    return (o->type == TD_OPT_INT || o->type == TD_OPT_SIZE || o->type == TD_OPT_DUR_NS) && (o->min || o->max);
}

static void *member(const struct td_option *o, void *config)
{
    return (uint8_t *)config + o->offset;
}

static const void *const_member(const struct td_option *o, const void *config)
{
    return (const uint8_t *)config + o->offset;
}

/* ---- Numbers as text ----------------------------------------------------------------------------------------- */

const char *options_size(uint64_t bytes, char out[UNITS_TEXT])
{
    static const char *const suffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
    size_t i = 0;
    while (bytes && bytes % 1024 == 0 && i + 1 < sizeof(suffixes) / sizeof(suffixes[0])) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, UNITS_TEXT, "%" PRIu64 "%s", bytes, suffixes[i]);
    return out;
}

const char *options_duration(int64_t ns, char out[UNITS_TEXT])
{
    static const struct {
        int64_t ns;
        const char *suffix;
    } units[] = {{3600ll * NS_PER_S, "h"}, {60ll * NS_PER_S, "m"}, {NS_PER_S, "s"}, {NS_PER_MS, "ms"}, {NS_PER_US, "us"}, {1, "ns"}};
    size_t n = 0;
    snprintf(out, UNITS_TEXT, "0");
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && ns > 0; i++)
        if (ns >= units[i].ns) {
            n += (size_t)snprintf(out + n, UNITS_TEXT - n, "%" PRId64 "%s", ns / units[i].ns, units[i].suffix);
            ns %= units[i].ns;
        }
    return out;
}

static void put_number(struct buf *out, uint32_t type, int64_t value)
{
    char text[UNITS_TEXT];
    if (type == TD_OPT_SIZE)
        buf_puts(out, options_size((uint64_t)value, text));
    else if (type == TD_OPT_DUR_NS)
        buf_puts(out, options_duration(value, text));
    else
        buf_i64(out, value);
}

void options_put_limits(struct buf *out, const struct td_option *o)
{
    if (!has_limits(o))
        return;
    int64_t lowest = o->type == TD_OPT_INT ? INT64_MIN : 0;
    if (o->max == INT64_MAX) {
        buf_puts(out, "at least ");
        put_number(out, o->type, o->min);
    } else if (o->min == lowest) {
        buf_puts(out, "at most ");
        put_number(out, o->type, o->max);
    } else {
        put_number(out, o->type, o->min);
        buf_puts(out, " to ");
        put_number(out, o->type, o->max);
    }
}

void options_put_type(struct buf *out, const struct td_option *o)
{
    buf_puts(out, types[o->type].name);
    for (size_t i = 0; o->type == TD_OPT_ENUM && o->choices[i]; i++)
        buf_printf(out, "%s %s", i ? "," : "", o->choices[i]);
}

/* ---- Text to a value ----------------------------------------------------------------------------------------- */

/* "X is not Y"; a secret's value is never repeated. */
static int bad_value(const struct td_option *o, const char *text, const char *why, struct error *err)
{
    char quoted[FINDINGS_QUOTE];
    return error_set(err, TD_E_CONFIG, "%s %s", o->flags & TD_OPT_SECRET ? "its value" : findings_quote(text, quoted), why);
}

static bool parse_int(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    int64_t value = 0;
    text += negative;
    if (!*text)
        return false;
    for (; *text; text++) {
        int digit = *text - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(negative ? -digit : digit), &value))
            return false;
    }
    *ret = value;
    return true;
}

static int parse_number(const struct td_option *o, const char *text, void *dst, struct error *err)
{
    union {
        int64_t i;
        uint64_t u;
    } value;
    if (o->type == TD_OPT_INT    ? !parse_int(text, &value.i)
        : o->type == TD_OPT_SIZE ? !units_parse_size(text, &value.u)
                                 : !units_parse_duration(text, &value.i))
        return bad_value(o, text,
                         o->type == TD_OPT_INT    ? "is not a whole number"
                         : o->type == TD_OPT_SIZE ? "is not a size; write bytes, or as 64Ki, 1.5Gi, 10M"
                                                  : "is not a duration; write as 250ms, 10s, 1h30m",
                         err);
    if (has_limits(o) && (value.i < o->min || value.i > o->max)) { /* a size beyond INT64_MAX is negative here: below any minimum */
        struct buf limits;
        buf_init(&limits, 0);
        buf_puts(&limits, "is out of range; it must be ");
        options_put_limits(&limits, o);
        int status = bad_value(o, text, buf_cstr(&limits), err);
        buf_clear(&limits);
        return status;
    }
    memcpy(dst, &value, sizeof(value));
    return TD_OK;
}

static int parse_bool(const struct td_option *o, const char *text, bool *dst, struct error *err)
{
    static const char *const words[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    for (size_t i = 0; i < 6; i++)
        if (strcmp(text, words[i]) == 0) {
            *dst = i < 3;
            return TD_OK;
        }
    return bad_value(o, text, "is neither true nor false", err);
}

static int parse_enum(const struct td_option *o, const char *text, uint32_t *dst, struct error *err)
{
    struct nearest near;
    nearest_init(&near, text);
    for (uint32_t i = 0; o->choices[i]; i++) {
        if (strcmp(text, o->choices[i]) == 0) {
            *dst = i;
            return TD_OK;
        }
        nearest_try(&near, o->choices[i]);
    }
    struct buf why;
    buf_init(&why, 0);
    buf_puts(&why, "is not ");
    options_put_type(&why, o);
    if (near.best)
        buf_printf(&why, "; did you mean \"%s\"?", near.best);
    int status = bad_value(o, text, buf_cstr(&why), err);
    buf_clear(&why);
    return status;
}

/* A default: items between commas. *dst is set only if all of them could be copied. */
static int split_list(const char *text, struct td_strlist *dst, struct arena *arena, struct error *err)
{
    size_t n = *text ? 1 : 0;
    for (const char *s = text; *s; s++)
        n += *s == ',';
    const char **items = arena_alloc(arena, n * sizeof(const char *), alignof(const char *));
    for (size_t i = 0; items && i < n; i++) {
        size_t length = strcspn(text, ",");
        items[i] = arena_strndup(arena, text, length);
        if (!items[i])
            return error_nomem(err);
        text += length + 1;
    }
    if (!items)
        return error_nomem(err);
    *dst = (struct td_strlist){items, n};
    return TD_OK;
}

/* A list of one. */
static int one_item(const char *text, struct td_strlist *dst, struct arena *arena, struct error *err)
{
    const char **items = arena_alloc(arena, sizeof(const char *), alignof(const char *));
    if (!items || !(items[0] = arena_strndup(arena, text, strlen(text))))
        return error_nomem(err);
    *dst = (struct td_strlist){items, 1};
    return TD_OK;
}

/* A value as it stands in a file or, for all but lists, as a table's default. */
static int parse_text(const struct td_option *o, const char *text, void *config, struct arena *arena, struct error *err)
{
    void *dst = member(o, config);
    switch (o->type) {
    case TD_OPT_STR: {
        const char *copy = arena_strndup(arena, text, strlen(text));
        if (!copy)
            return error_nomem(err);
        memcpy(dst, &copy, sizeof(copy));
        return TD_OK;
    }
    case TD_OPT_BOOL: return parse_bool(o, text, dst, err);
    case TD_OPT_ENUM: return parse_enum(o, text, dst, err);
    case TD_OPT_STRLIST: return one_item(text, dst, arena, err);
    default: return parse_number(o, text, dst, err);
    }
}

static int parse_default(const struct td_option *o, void *config, struct arena *arena, struct error *err)
{
    if (!o->def)
        return TD_OK;
    return o->type == TD_OPT_STRLIST ? split_list(o->def, member(o, config), arena, err) : parse_text(o, o->def, config, arena, err);
}

/* ---- Checking a table ---------------------------------------------------------------------------------------- */

static bool good_name(const char *name)
{
    size_t n = strlen(name);
    if (!n || n > OPTIONS_MAX_NAME || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == n;
}

static const char *choices_fault(const struct td_option *o)
{
    if (o->type != TD_OPT_ENUM)
        return o->choices ? "has choices, but is no enum" : NULL;
    if (!o->choices || !o->choices[0])
        return "is an enum without choices";
    size_t n = 0;
    while (o->choices[n])
        if (++n > OPTIONS_MAX_CHOICES)
            return "has more than 256 choices";
    return NULL;
}

/* What is wrong with a row by itself, or NULL. */
static const char *row_fault(const struct td_option *o, size_t config_size)
{
    if (!known_type(o->type))
        return "has a type that this core does not know";
    if (!o->help)
        return "has no help";
    if (o->offset > config_size || types[o->type].size > config_size - o->offset)
        return "lies outside the config struct";
    if (o->offset % types[o->type].align)
        return "is not aligned in the config struct";
    if ((o->flags & TD_OPT_REQUIRED) && o->def)
        return "is required, but has a default";
    if ((o->min || o->max) && !has_limits(o))
        return "has limits, but is no number";
    if (o->min > o->max)
        return "has a minimum above its maximum";
    if (o->type != TD_OPT_INT && o->min < 0)
        return "has a negative minimum";
    return choices_fault(o);
}

/* A default that its own table refuses. */
static int check_default(const struct td_option *o, struct error *err)
{
    alignas(16) uint8_t value[sizeof(struct td_strlist)] = {0};
    struct td_option here = *o;
    struct arena arena;
    struct error why = {TD_OK, ""};
    here.offset = 0;
    arena_init(&arena, 1 << 20);
    int status = parse_default(&here, value, &arena, &why);
    arena_clear(&arena);
    if (status == TD_OK || status == TD_E_NOMEM)
        return status == TD_OK ? TD_OK : error_nomem(err);
    return error_set(err, TD_E_UNSUPPORTED, "option \"%s\" has a bad default: %s", o->name, why.text);
}

static bool overlap(const struct td_option *a, const struct td_option *b)
{
    return a->offset < b->offset + types[b->type].size && b->offset < a->offset + types[a->type].size;
}

int options_check_table(const struct td_option *v, size_t n, size_t config_size, struct error *err)
{
    if (n > OPTIONS_MAX)
        return error_set(err, TD_E_UNSUPPORTED, "%zu options; the limit is %d", n, OPTIONS_MAX);
    if (config_size > OPTIONS_MAX_CONFIG_BYTES)
        return error_set(err, TD_E_UNSUPPORTED, "a config struct of %zu bytes; the limit is %d", config_size, OPTIONS_MAX_CONFIG_BYTES);
    for (size_t i = 0; i < n; i++) {
        const struct td_option *o = &v[i];
        if (!o->name)
            return error_set(err, TD_E_UNSUPPORTED, "option %zu has no name", i);
        char quoted[FINDINGS_QUOTE];
        if (!good_name(o->name))
            return error_set(err, TD_E_UNSUPPORTED, "option name %s; it must be camelCase of at most %d letters and digits",
                             findings_quote(o->name, quoted), OPTIONS_MAX_NAME);
        const char *fault = row_fault(o, config_size);
        for (size_t j = 0; j < i && !fault; j++) {
            if (strcmp(v[j].name, o->name) == 0)
                fault = "is there twice";
            else if (overlap(&v[j], o))
                fault = "shares its member of the config struct with another";
        }
        if (fault)
            return error_set(err, TD_E_UNSUPPORTED, "option \"%s\" %s", o->name, fault);
        int status = check_default(o, err);
        if (status != TD_OK)
            return status;
    }
    return TD_OK;
}

/* ---- Filling a config struct --------------------------------------------------------------------------------- */

static void fail_option(const struct options *o, const struct td_option *option, const struct yaml_node *where, struct error *why,
                        struct findings *f)
{
    if (why->status == TD_E_CONFIG)
        error_prefix(why, "option \"%s\" of %s: ", option->name, o->owner);
    findings_add(f, where, why);
}

/* As split_list(), from a list in the file. */
static int fill_list(const struct td_option *o, const struct yaml_node *list, void *config, struct arena *arena, struct error *err)
{
    struct td_strlist *dst = member(o, config);
    const char **items = arena_alloc(arena, list->n * sizeof(const char *), alignof(const char *));
    for (uint32_t i = 0; items && i < list->n; i++) {
        const struct yaml_node *item = list->items[i];
        if (item->kind != YAML_TEXT)
            return error_set(err, TD_E_CONFIG, "item %u must be text, not %s", i + 1, yaml_kind_name(item));
        items[i] = arena_strndup(arena, item->text, item->n);
        if (!items[i])
            return error_nomem(err);
    }
    if (!items)
        return error_nomem(err);
    *dst = (struct td_strlist){items, list->n};
    return TD_OK;
}

static void fill_option(const struct options *o, const struct td_option *option, const struct yaml_node *value, void *config,
                        struct arena *arena, struct findings *f)
{
    struct error why = {TD_OK, ""};
    int status;
    if (option->type == TD_OPT_STRLIST && value->kind == YAML_LIST)
        status = fill_list(option, value, config, arena, &why);
    else if (value->kind == YAML_TEXT)
        status = parse_text(option, value->text, config, arena, &why);
    else
        status = error_set(&why, TD_E_CONFIG, "must be a single value, not %s", yaml_kind_name(value));
    if (status != TD_OK)
        fail_option(o, option, value, &why, f);
    else if (option->flags & TD_OPT_DEPRECATED)
        findings_warn(f, value, "option \"%s\" of %s is deprecated: %s", option->name, o->owner, option->help);
}

static const struct td_option *find_option(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->v[i].name, name) == 0)
            return &o->v[i];
    return NULL;
}

static bool is_subsection(const struct options *o, const char *name)
{
    for (size_t i = 0; o->subsections && o->subsections[i]; i++)
        if (strcmp(o->subsections[i], name) == 0)
            return true;
    return o->open;
}

/* The names that a key may have: the nearest to the wrong one, and all of them as far as they fit. */
struct known_names {
    struct nearest near;
    char all[200];
    size_t n;
};

static void add_known(struct known_names *known, const char *name)
{
    nearest_try(&known->near, name);
    if (known->n < sizeof(known->all))
        known->n += (size_t)snprintf(known->all + known->n, sizeof(known->all) - known->n, "%s%s", known->n ? ", " : "", name);
}

static void fail_unknown(const struct options *o, const struct yaml_node *key, struct findings *f)
{
    struct known_names known = {.n = 0};
    char quoted[FINDINGS_QUOTE];
    nearest_init(&known.near, key->text);
    for (size_t i = 0; i < o->n; i++)
        add_known(&known, o->v[i].name);
    for (size_t i = 0; o->subsections && o->subsections[i]; i++)
        add_known(&known, o->subsections[i]);
    findings_quote(key->text, quoted);
    if (known.near.best)
        findings_error(f, key, "unknown option %s of %s; did you mean \"%s\"?", quoted, o->owner, known.near.best);
    else if (known.n)
        findings_error(f, key, "unknown option %s of %s; there are: %s%s", quoted, o->owner, known.all,
                       known.n < sizeof(known.all) ? "" : "...");
    else
        findings_error(f, key, "unknown option %s of %s; it has none", quoted, o->owner);
}

static void fill_entries(const struct options *o, const struct yaml_node *map, void *config, struct arena *arena, struct findings *f)
{
    for (uint32_t i = 0; i < map->n; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        const struct td_option *option = find_option(o, entry->key->text);
        if (option && !yaml_is_null(entry->value))
            fill_option(o, option, entry->value, config, arena, f);
        else if (!option && !is_subsection(o, entry->key->text))
            fail_unknown(o, entry->key, f);
    }
}

void options_fill(const struct options *o, const struct yaml_node *map, void *config, struct arena *arena, struct findings *f)
{
    for (size_t i = 0; i < o->n; i++) {
        struct error why = {TD_OK, ""};
        if (parse_default(&o->v[i], config, arena, &why) != TD_OK)
            fail_option(o, &o->v[i], map, &why, f);
    }
    if (!yaml_is_null(map)) {
        if (map->kind == YAML_MAP)
            fill_entries(o, map, config, arena, f);
        else
            findings_error(f, map, "%s must be a mapping of options to values, not %s", o->owner, yaml_kind_name(map));
    }
    for (size_t i = 0; i < o->n; i++)
        if ((o->v[i].flags & TD_OPT_REQUIRED) && yaml_is_null(yaml_get(map, o->v[i].name)))
            findings_error(f, map, "option \"%s\" of %s is required: %s", o->v[i].name, o->owner, o->v[i].help);
}

/* ---- Showing ------------------------------------------------------------------------------------------------- */

/* The character that begins at `s`, of a text that is valid UTF-8; returns its bytes. */
static size_t decode_utf8(const char *s, uint32_t *ret_code)
{
    const uint8_t *p = (const uint8_t *)s;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (p[i] & 0x3f);
    *ret_code = code;
    return n;
}

/* Does it not stand for itself in a text between double quotes (YAML 1.1 sections 5.1 and 5.4)? */
static bool must_escape(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff ||
           (code >= 0xfffe && code <= 0xffff) || code == '"' || code == '\\';
}

static void put_quoted(struct buf *out, const char *text)
{
    bool utf8 = json_is_utf8(td_str(text));
    buf_putc(out, '"');
    while (*text) {
        uint32_t code = (uint8_t)*text;
        size_t n = utf8 ? decode_utf8(text, &code) : 1;
        if (must_escape(code) || (!utf8 && code >= 0x80))
            buf_printf(out, "\\u%04x", code);
        else
            buf_put(out, text, n);
        text += n;
    }
    buf_putc(out, '"');
}

/* Plain where every YAML reader takes it for text. */
static void put_string(struct buf *out, const char *text)
{
    static const char *const special[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_0123456789.-";
    size_t n = strlen(text);
    bool plain = n && strspn(text, letters) == n && !strchr("0123456789.-", text[0]);
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        plain = plain && !td_eq_nocase(td_str(text), td_str(special[i]));
    if (plain)
        buf_put(out, text, n);
    else
        put_quoted(out, text);
}

static void put_list(struct buf *out, const struct td_strlist *list)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            buf_puts(out, ", ");
        put_string(out, list->v[i]);
    }
    buf_putc(out, ']');
}

static bool is_set(const struct td_option *o, const void *value)
{
    static const uint8_t zero[sizeof(struct td_strlist)];
    return memcmp(value, zero, types[o->type].size) != 0;
}

void options_put_value(struct buf *out, const struct td_option *o, const void *config)
{
    const void *value = const_member(o, config);
    union {
        const char *text;
        int64_t number;
        uint32_t index;
    } v = {NULL};
    if (o->type == TD_OPT_STR || o->type == TD_OPT_STRLIST ? !is_set(o, value) : false) {
        buf_puts(out, "null");
        return;
    }
    if (o->flags & TD_OPT_SECRET) {
        buf_puts(out, "\"********\"");
        return;
    }
    switch (o->type) {
    case TD_OPT_BOOL: buf_puts(out, *(const bool *)value ? "true" : "false"); break;
    case TD_OPT_STRLIST: put_list(out, value); break;
    case TD_OPT_STR:
        memcpy(&v.text, value, sizeof(v.text));
        put_string(out, v.text);
        break;
    case TD_OPT_ENUM:
        memcpy(&v.index, value, sizeof(v.index));
        put_string(out, o->choices[v.index]);
        break;
    default: memcpy(&v.number, value, sizeof(v.number)); put_number(out, o->type, v.number);
    }
}
