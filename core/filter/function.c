#include "filter/function_table.h"

/* The types of the signatures. A and B stand for any type. */
#define BOOL (&filter_types[FILTER_BOOL])
#define INT (&filter_types[FILTER_INT])
#define UINT (&filter_types[FILTER_UINT])
#define DOUBLE (&filter_types[FILTER_DOUBLE])
#define STRING (&filter_types[FILTER_STRING])
#define BYTES (&filter_types[FILTER_BYTES])
#define TIMESTAMP (&filter_types[FILTER_TIMESTAMP])
#define DURATION (&filter_types[FILTER_DURATION])
#define IP (&filter_types[FILTER_IP])
#define CIDR (&filter_types[FILTER_CIDR])
#define DYN (&filter_types[FILTER_DYN])
#define A (&filter_types[FILTER_PARAM])
#define B (&param_b)
#define LIST_A (&list_a)
#define LIST_DYN (&filter_types[FILTER_LIST])
#define LIST_STRING (&list_string)
#define LIST_INT (&list_int)
#define LIST_UINT (&list_uint)
#define LIST_DOUBLE (&list_double)
#define MAP_A_B (&map_a_b)
#define TYPE_A (&type_a)
#define OPTIONAL_A (&optional_a)

static const struct filter_type param_b = {.kind = FILTER_PARAM, .param = 1};
static const struct filter_type list_a = {.kind = FILTER_LIST, .value = A};
static const struct filter_type list_string = {.kind = FILTER_LIST, .value = STRING};
static const struct filter_type list_int = {.kind = FILTER_LIST, .value = INT};
static const struct filter_type list_uint = {.kind = FILTER_LIST, .value = UINT};
static const struct filter_type list_double = {.kind = FILTER_LIST, .value = DOUBLE};
static const struct filter_type map_a_b = {.kind = FILTER_MAP, .key = A, .value = B};
static const struct filter_type type_a = {.kind = FILTER_TYPE, .value = A};
static const struct filter_type optional_a = {.kind = FILTER_OPTIONAL, .value = A};

/* A row: its name, the types of its arguments in parentheses, and so on. */
#define TYPES(...) __VA_ARGS__
#define ROW(text, types, r, f, d)                                                                                                     \
    .name = (text), .args = {TYPES types}, .arg_n = sizeof((const void *[]){TYPES types}) / sizeof(void *), .result = (r), .fn = (f), \
    .doc = (d)
#define GLOBAL(...)      \
    {                    \
        ROW(__VA_ARGS__) \
    }
#define VARIADIC(...)                      \
    {                                      \
        ROW(__VA_ARGS__), .variadic = true \
    }
#define GLOBAL_REGEX(...)                                 \
    {                                                     \
        ROW(__VA_ARGS__), .prepare = FILTER_PREPARE_REGEX \
    }
#define METHOD(...)                        \
    {                                      \
        ROW(__VA_ARGS__), .receiver = true \
    }
#define METHOD_REGEX(...)                                                   \
    {                                                                       \
        ROW(__VA_ARGS__), .receiver = true, .prepare = FILTER_PREPARE_REGEX \
    }
#define METHOD_ZONE(...)                                                   \
    {                                                                      \
        ROW(__VA_ARGS__), .receiver = true, .prepare = FILTER_PREPARE_ZONE \
    }
static const struct filter_function functions[] = {
    GLOBAL("bool", (BOOL), BOOL, call_identity, "the truth that a text tells: true, false, t, f, 1, 0"),
    GLOBAL("bool", (STRING), BOOL, call_bool_string, "the truth that a text tells: true, false, t, f, 1, 0"),
    GLOBAL("bytes", (BYTES), BYTES, call_identity, "the bytes of a text in UTF-8"),
    GLOBAL("bytes", (STRING), BYTES, call_bytes_string, "the bytes of a text in UTF-8"),
    GLOBAL("double", (DOUBLE), DOUBLE, call_identity, "a floating-point number"),
    GLOBAL("double", (INT), DOUBLE, call_double_int, "a floating-point number"),
    GLOBAL("double", (UINT), DOUBLE, call_double_uint, "a floating-point number"),
    GLOBAL("double", (STRING), DOUBLE, call_double_string, "a floating-point number"),
    GLOBAL("duration", (DURATION), DURATION, call_identity, "a span of time from text such as \"1h2m3.5s\""),
    GLOBAL("duration", (STRING), DURATION, call_duration_string, "a span of time from text such as \"1h2m3.5s\""),
    GLOBAL("dyn", (A), DYN, call_identity, "the value, its type known only when the filter runs"),
    GLOBAL("int", (INT), INT, call_identity, "a whole number; of a time: seconds since 1970"),
    GLOBAL("int", (UINT), INT, call_int_uint, "a whole number; of a time: seconds since 1970"),
    GLOBAL("int", (DOUBLE), INT, call_int_double, "a whole number; of a time: seconds since 1970"),
    GLOBAL("int", (STRING), INT, call_int_string, "a whole number; of a time: seconds since 1970"),
    GLOBAL("int", (TIMESTAMP), INT, call_int_timestamp, "a whole number; of a time: seconds since 1970"),
    GLOBAL("string", (STRING), STRING, call_identity, "the value as text"),
    GLOBAL("string", (BOOL), STRING, call_string_bool, "the value as text"),
    GLOBAL("string", (INT), STRING, call_string_int, "the value as text"),
    GLOBAL("string", (UINT), STRING, call_string_uint, "the value as text"),
    GLOBAL("string", (DOUBLE), STRING, call_string_double, "the value as text"),
    GLOBAL("string", (BYTES), STRING, call_string_bytes, "the value as text"),
    GLOBAL("string", (TIMESTAMP), STRING, call_string_timestamp, "the value as text"),
    GLOBAL("string", (DURATION), STRING, call_string_duration, "the value as text"),
    GLOBAL("string", (IP), STRING, call_string_ip, "the value as text"),
    GLOBAL("string", (CIDR), STRING, call_string_cidr, "the value as text"),
    GLOBAL("timestamp", (TIMESTAMP), TIMESTAMP, call_identity,
           "a moment from text such as \"2026-01-02T03:04:05Z\", or from seconds since 1970"),
    GLOBAL("timestamp", (INT), TIMESTAMP, call_timestamp_int,
           "a moment from text such as \"2026-01-02T03:04:05Z\", or from seconds since 1970"),
    GLOBAL("timestamp", (STRING), TIMESTAMP, call_timestamp_string,
           "a moment from text such as \"2026-01-02T03:04:05Z\", or from seconds since 1970"),
    GLOBAL("type", (A), TYPE_A, call_type, "the type of a value"),
    GLOBAL("uint", (UINT), UINT, call_identity, "a whole number without a sign"),
    GLOBAL("uint", (INT), UINT, call_uint_int, "a whole number without a sign"),
    GLOBAL("uint", (DOUBLE), UINT, call_uint_double, "a whole number without a sign"),
    GLOBAL("uint", (STRING), UINT, call_uint_string, "a whole number without a sign"),
    GLOBAL("size", (STRING), INT, call_size_string, "how many characters, bytes, elements or pairs it has"),
    GLOBAL("size", (BYTES), INT, call_size_bytes, "how many characters, bytes, elements or pairs it has"),
    GLOBAL("size", (LIST_A), INT, call_size_list, "how many characters, bytes, elements or pairs it has"),
    GLOBAL("size", (MAP_A_B), INT, call_size_map, "how many characters, bytes, elements or pairs it has"),
    METHOD("size", (STRING), INT, call_size_string, "how many characters, bytes, elements or pairs it has"),
    METHOD("size", (BYTES), INT, call_size_bytes, "how many characters, bytes, elements or pairs it has"),
    METHOD("size", (LIST_A), INT, call_size_list, "how many characters, bytes, elements or pairs it has"),
    METHOD("size", (MAP_A_B), INT, call_size_map, "how many characters, bytes, elements or pairs it has"),
    METHOD("contains", (STRING, STRING), BOOL, call_contains, "has it the other in it?"),
    METHOD("contains", (BYTES, BYTES), BOOL, call_contains, "has it the other in it?"),
    METHOD("contains", (BYTES, STRING), BOOL, call_contains, "has it the other in it?"),
    METHOD("startsWith", (STRING, STRING), BOOL, call_starts_with, "does it begin with the other?"),
    METHOD("startsWith", (BYTES, BYTES), BOOL, call_starts_with, "does it begin with the other?"),
    METHOD("startsWith", (BYTES, STRING), BOOL, call_starts_with, "does it begin with the other?"),
    METHOD("endsWith", (STRING, STRING), BOOL, call_ends_with, "does it end with the other?"),
    METHOD("endsWith", (BYTES, BYTES), BOOL, call_ends_with, "does it end with the other?"),
    METHOD("endsWith", (BYTES, STRING), BOOL, call_ends_with, "does it end with the other?"),
    METHOD_REGEX("matches", (STRING, STRING), BOOL, call_matches, "does a part of it match the regular expression (RE2)?"),
    METHOD_REGEX("matches", (BYTES, STRING), BOOL, call_matches, "does a part of it match the regular expression (RE2)?"),
    GLOBAL_REGEX("matches", (STRING, STRING), BOOL, call_matches, "does a part of it match the regular expression (RE2)?"),
    GLOBAL_REGEX("matches", (BYTES, STRING), BOOL, call_matches, "does a part of it match the regular expression (RE2)?"),
    METHOD("getFullYear", (TIMESTAMP), INT, call_full_year, "the year"),
    METHOD_ZONE("getFullYear", (TIMESTAMP, STRING), INT, call_full_year_in, "the year; in a time zone"),
    METHOD("getMonth", (TIMESTAMP), INT, call_month, "the month, 0 to 11"),
    METHOD_ZONE("getMonth", (TIMESTAMP, STRING), INT, call_month_in, "the month, 0 to 11; in a time zone"),
    METHOD("getDate", (TIMESTAMP), INT, call_date, "the day of the month, 1 to 31"),
    METHOD_ZONE("getDate", (TIMESTAMP, STRING), INT, call_date_in, "the day of the month, 1 to 31; in a time zone"),
    METHOD("getDayOfMonth", (TIMESTAMP), INT, call_day_of_month, "the day of the month, 0 to 30"),
    METHOD_ZONE("getDayOfMonth", (TIMESTAMP, STRING), INT, call_day_of_month_in, "the day of the month, 0 to 30; in a time zone"),
    METHOD("getDayOfWeek", (TIMESTAMP), INT, call_day_of_week, "the day of the week; Sunday is 0"),
    METHOD_ZONE("getDayOfWeek", (TIMESTAMP, STRING), INT, call_day_of_week_in, "the day of the week; Sunday is 0; in a time zone"),
    METHOD("getDayOfYear", (TIMESTAMP), INT, call_day_of_year, "the day of the year, 0 to 365"),
    METHOD_ZONE("getDayOfYear", (TIMESTAMP, STRING), INT, call_day_of_year_in, "the day of the year, 0 to 365; in a time zone"),
    METHOD("getHours", (TIMESTAMP), INT, call_hours, "the hour of the day; of a duration: all its hours"),
    METHOD_ZONE("getHours", (TIMESTAMP, STRING), INT, call_hours_in, "the hour of the day; in a time zone"),
    METHOD("getHours", (DURATION), INT, call_duration_hours, "the hour of the day; of a duration: all its hours"),
    METHOD("getMinutes", (TIMESTAMP), INT, call_minutes, "the minute of the hour; of a duration: all its minutes"),
    METHOD_ZONE("getMinutes", (TIMESTAMP, STRING), INT, call_minutes_in, "the minute of the hour; in a time zone"),
    METHOD("getMinutes", (DURATION), INT, call_duration_minutes, "the minute of the hour; of a duration: all its minutes"),
    METHOD("getSeconds", (TIMESTAMP), INT, call_seconds, "the second of the minute; of a duration: all its seconds"),
    METHOD_ZONE("getSeconds", (TIMESTAMP, STRING), INT, call_seconds_in, "the second of the minute; in a time zone"),
    METHOD("getSeconds", (DURATION), INT, call_duration_seconds, "the second of the minute; of a duration: all its seconds"),
    METHOD("getMilliseconds", (TIMESTAMP), INT, call_milliseconds, "the milliseconds within the second"),
    METHOD_ZONE("getMilliseconds", (TIMESTAMP, STRING), INT, call_milliseconds_in, "the milliseconds within the second; in a time zone"),
    METHOD("getMilliseconds", (DURATION), INT, call_duration_milliseconds, "the milliseconds within the second"),
    {.name = "now", .result = TIMESTAMP, .fn = call_now, .doc = "when the filter was compiled"},
    GLOBAL("map_get", (MAP_A_B, A, B), B, call_map_get, "the value of a key, or the default"),
    METHOD("charAt", (STRING, INT), STRING, call_char_at, "the character at a position"),
    METHOD("indexOf", (STRING, STRING), INT, call_index_of, "where the other begins first, in characters, or -1; from a position on"),
    METHOD("indexOf", (STRING, STRING, INT), INT, call_index_of_from,
           "where the other begins first, in characters, or -1; from a position on"),
    METHOD("lastIndexOf", (STRING, STRING), INT, call_last_index_of,
           "where the other begins last, in characters, or -1; at a position or before"),
    METHOD("lastIndexOf", (STRING, STRING, INT), INT, call_last_index_of_from,
           "where the other begins last, in characters, or -1; at a position or before"),
    METHOD("join", (LIST_STRING), STRING, call_join, "the texts of a list in one, a separator between them"),
    METHOD("join", (LIST_STRING, STRING), STRING, call_join_with, "the texts of a list in one, a separator between them"),
    METHOD("lowerAscii", (STRING), STRING, call_lower_ascii, "with the letters A to Z as small letters"),
    METHOD("upperAscii", (STRING), STRING, call_upper_ascii, "with the letters a to z as capitals"),
    METHOD("replace", (STRING, STRING, STRING), STRING, call_replace, "with a text replaced by another, everywhere or so many times"),
    METHOD("replace", (STRING, STRING, STRING, INT), STRING, call_replace_n,
           "with a text replaced by another, everywhere or so many times"),
    METHOD("split", (STRING, STRING), LIST_STRING, call_split, "the parts between separators, all or at most so many"),
    METHOD("split", (STRING, STRING, INT), LIST_STRING, call_split_n, "the parts between separators, all or at most so many"),
    METHOD("substring", (STRING, INT), STRING, call_substring, "the part from one position up to another or the end"),
    METHOD("substring", (STRING, INT, INT), STRING, call_substring_to, "the part from one position up to another or the end"),
    METHOD("substring", (BYTES, INT), BYTES, call_substring_bytes, "the part from one position up to another or the end"),
    METHOD("substring", (BYTES, INT, INT), BYTES, call_substring_bytes_to, "the part from one position up to another or the end"),
    METHOD("trim", (STRING), STRING, call_trim, "without white space at its ends"),
    METHOD("reverse", (STRING), STRING, call_reverse, "its characters in reverse order"),
    METHOD("format", (STRING, LIST_DYN), STRING, call_format,
           "the text with %s, %d, %f, %e, %x, %o, %b replaced by the elements of a list"),
    GLOBAL("strings.quote", (STRING), STRING, call_quote, "the text in double quotes, special characters escaped"),
    GLOBAL("ip", (STRING), IP, call_ip, "an IP address from text"),
    METHOD("ip", (CIDR), IP, call_cidr_ip, "the address of a network, as it was written"),
    GLOBAL("ip.isCanonical", (STRING), BOOL, call_is_canonical, "is this how the address is written as a rule?"),
    GLOBAL("isIP", (STRING), BOOL, call_is_ip, "is it an IP address?"),
    GLOBAL("cidr", (STRING), CIDR, call_cidr, "a network from text such as \"10.0.0.0/8\""),
    GLOBAL("isCIDR", (STRING), BOOL, call_is_cidr, "is it a network such as \"10.0.0.0/8\"?"),
    METHOD("family", (IP), INT, call_family, "4 or 6"),
    METHOD("isUnspecified", (IP), BOOL, call_is_unspecified, "is it 0.0.0.0 or ::?"),
    METHOD("isLoopback", (IP), BOOL, call_is_loopback, "is it in 127.0.0.0/8, or ::1?"),
    METHOD("isGlobalUnicast", (IP), BOOL, call_is_global_unicast,
           "is it none of unspecified, loopback, link-local, multicast and broadcast?"),
    METHOD("isLinkLocalMulticast", (IP), BOOL, call_is_link_local_multicast, "is it in 224.0.0.0/24 or ff02::/16?"),
    METHOD("isLinkLocalUnicast", (IP), BOOL, call_is_link_local_unicast, "is it in 169.254.0.0/16 or fe80::/10?"),
    METHOD("containsIP", (CIDR, IP), BOOL, call_contains_ip, "is the address in the network?"),
    METHOD("containsIP", (CIDR, STRING), BOOL, call_contains_ip_string, "is the address in the network?"),
    METHOD("containsCIDR", (CIDR, CIDR), BOOL, call_contains_cidr, "is the other network in this one?"),
    METHOD("containsCIDR", (CIDR, STRING), BOOL, call_contains_cidr_string, "is the other network in this one?"),
    METHOD("prefixLength", (CIDR), INT, call_prefix_length, "how many bits all addresses of the network share"),
    METHOD("masked", (CIDR), CIDR, call_masked, "the network with the bits behind its prefix set to zero"),
    VARIADIC("math.greatest", (INT), INT, call_greatest, "the greatest of some numbers"),
    VARIADIC("math.greatest", (UINT), UINT, call_greatest, "the greatest of some numbers"),
    VARIADIC("math.greatest", (DOUBLE), DOUBLE, call_greatest, "the greatest of some numbers"),
    GLOBAL("math.greatest", (LIST_INT), INT, call_greatest, "the greatest of some numbers"),
    GLOBAL("math.greatest", (LIST_UINT), UINT, call_greatest, "the greatest of some numbers"),
    GLOBAL("math.greatest", (LIST_DOUBLE), DOUBLE, call_greatest, "the greatest of some numbers"),
    GLOBAL("math.greatest", (LIST_DYN), DYN, call_greatest, "the greatest of some numbers"),
    VARIADIC("math.greatest", (DYN), DYN, call_greatest, "the greatest of some numbers"),
    VARIADIC("math.least", (INT), INT, call_least, "the least of some numbers"),
    VARIADIC("math.least", (UINT), UINT, call_least, "the least of some numbers"),
    VARIADIC("math.least", (DOUBLE), DOUBLE, call_least, "the least of some numbers"),
    GLOBAL("math.least", (LIST_INT), INT, call_least, "the least of some numbers"),
    GLOBAL("math.least", (LIST_UINT), UINT, call_least, "the least of some numbers"),
    GLOBAL("math.least", (LIST_DOUBLE), DOUBLE, call_least, "the least of some numbers"),
    GLOBAL("math.least", (LIST_DYN), DYN, call_least, "the least of some numbers"),
    VARIADIC("math.least", (DYN), DYN, call_least, "the least of some numbers"),
    GLOBAL("math.ceil", (DOUBLE), DOUBLE, call_ceil, "the next whole number not below"),
    GLOBAL("math.floor", (DOUBLE), DOUBLE, call_floor, "the next whole number not above"),
    GLOBAL("math.round", (DOUBLE), DOUBLE, call_round, "the nearest whole number; halves away from zero"),
    GLOBAL("math.trunc", (DOUBLE), DOUBLE, call_trunc, "the whole number towards zero"),
    GLOBAL("math.abs", (INT), INT, call_abs, "the number without its sign"),
    GLOBAL("math.abs", (UINT), UINT, call_abs, "the number without its sign"),
    GLOBAL("math.abs", (DOUBLE), DOUBLE, call_abs, "the number without its sign"),
    GLOBAL("math.sign", (INT), INT, call_sign, "-1, 0 or 1"),
    GLOBAL("math.sign", (UINT), UINT, call_sign, "-1, 0 or 1"),
    GLOBAL("math.sign", (DOUBLE), DOUBLE, call_sign, "-1, 0 or 1"),
    GLOBAL("math.isNaN", (DOUBLE), BOOL, call_is_nan, "is it not a number?"),
    GLOBAL("math.isInf", (DOUBLE), BOOL, call_is_inf, "is it infinite?"),
    GLOBAL("math.isFinite", (DOUBLE), BOOL, call_is_finite, "is it neither infinite nor NaN?"),
    GLOBAL("math.sqrt", (DOUBLE), DOUBLE, call_sqrt, "the square root"),
    GLOBAL("math.sqrt", (INT), DOUBLE, call_sqrt, "the square root"),
    GLOBAL("math.sqrt", (UINT), DOUBLE, call_sqrt, "the square root"),
    GLOBAL("math.bitAnd", (INT, INT), INT, call_bit_and, "the bits that both have"),
    GLOBAL("math.bitAnd", (UINT, UINT), UINT, call_bit_and, "the bits that both have"),
    GLOBAL("math.bitOr", (INT, INT), INT, call_bit_or, "the bits that either has"),
    GLOBAL("math.bitOr", (UINT, UINT), UINT, call_bit_or, "the bits that either has"),
    GLOBAL("math.bitXor", (INT, INT), INT, call_bit_xor, "the bits that one of them has"),
    GLOBAL("math.bitXor", (UINT, UINT), UINT, call_bit_xor, "the bits that one of them has"),
    GLOBAL("math.bitNot", (INT), INT, call_bit_not, "all bits turned over"),
    GLOBAL("math.bitNot", (UINT), UINT, call_bit_not, "all bits turned over"),
    GLOBAL("math.bitShiftLeft", (INT, INT), INT, call_bit_shift_left, "the bits moved up"),
    GLOBAL("math.bitShiftLeft", (UINT, INT), UINT, call_bit_shift_left, "the bits moved up"),
    GLOBAL("math.bitShiftRight", (INT, INT), INT, call_bit_shift_right, "the bits moved down, zeros from above"),
    GLOBAL("math.bitShiftRight", (UINT, INT), UINT, call_bit_shift_right, "the bits moved down, zeros from above"),
    GLOBAL("base64.encode", (BYTES), STRING, call_base64_encode, "the bytes as text in base64"),
    GLOBAL("base64.decode", (STRING), BYTES, call_base64_decode, "the bytes that a text in base64 stands for"),
    {.name = "optional.none", .result = OPTIONAL_A, .fn = call_optional_none, .doc = "an optional value that is missing"},
    GLOBAL("optional.of", (A), OPTIONAL_A, call_optional_of, "an optional value that is there"),
    GLOBAL("optional.ofNonZeroValue", (A), OPTIONAL_A, call_optional_of_non_zero, "the same, but missing if it is 0, \"\", [] and so on"),
    METHOD("hasValue", (OPTIONAL_A), BOOL, call_has_value, "is the optional value there?"),
    METHOD("value", (OPTIONAL_A), A, call_value, "the optional value; an error if it is missing"),
    METHOD("or", (OPTIONAL_A, OPTIONAL_A), OPTIONAL_A, call_or, "the optional value, or another one if it is missing"),
    METHOD("orValue", (OPTIONAL_A, A), A, call_or_value, "the optional value, or a default if it is missing"),
};

enum { FUNCTION_N = sizeof functions / sizeof functions[0] };

const struct filter_function *filter_functions(uint32_t *ret_n)
{
    *ret_n = FUNCTION_N;
    return functions;
}

int32_t filter_function_find(struct td_slice name)
{
    for (uint32_t i = 0; i < FUNCTION_N; i++)
        if (td_eq(td_str(functions[i].name), name))
            return (int32_t)i;
    return -1;
}

/* Can a parameter of this type take the value, as far as its kind says? */
static bool takes(const struct filter_type *type, const struct filter_value *v)
{
    return type->kind == FILTER_DYN || type->kind == FILTER_PARAM || type->kind == v->kind;
}

static bool takes_all(const struct filter_function *f, bool receiver, const struct filter_value *args, uint32_t n)
{
    if (f->receiver != receiver || (f->variadic ? n == 0 : n != f->arg_n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!takes(f->args[f->variadic ? 0 : i], &args[i]))
            return false;
    return true;
}

static struct filter_value call_variadic(struct filter_context *ctx, const struct filter_function *f, const struct filter_value *args,
                                         uint32_t n)
{
    struct filter_value *all = arena_alloc(ctx->arena, sizeof *all, _Alignof(struct filter_value));
    struct filter_list *list = filter_list_new(ctx->arena, n);
    if (!all || !list)
        return filter_fail(FILTER_E_LIMIT);
    memcpy(list->v, args, n * sizeof *args);
    *all = (struct filter_value){.kind = FILTER_LIST, .list = list};
    return f->fn(ctx, all);
}

struct filter_value filter_function_call(struct filter_context *ctx, uint32_t first, bool receiver, const struct filter_value *args,
                                         uint32_t n)
{
    for (uint32_t i = first; i < FUNCTION_N && (i == first || strcmp(functions[i].name, functions[first].name) == 0); i++) {
        const struct filter_function *f = &functions[i];
        if (takes_all(f, receiver, args, n))
            return f->variadic ? call_variadic(ctx, f, args, n) : f->fn(ctx, args);
    }
    return filter_fail(FILTER_E_NO_OVERLOAD);
}
