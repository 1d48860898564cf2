#include "call/call.h"

#include <stdio.h>

#include "base/mem.h"
#include "sample.h"
#include "tap.h"

static struct field_set fields;
static struct td_call call;
static char text[4096];

/* All values of a field: "name=value" or "value" or "number", each with a semicolon. */
static const char *values_of(uint32_t field)
{
    struct call_value v;
    size_t n = 0;
    text[0] = 0;
    for (uint32_t at = 0; call_next_value(&call, field, &at, &v) && n < sizeof(text);) {
        if (v.name.p && v.name.n)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s=", (int)v.name.n, (const char *)v.name.p);
        if (v.bytes.p)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s;", (int)v.bytes.n, (const char *)v.bytes.p);
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%lld;", (long long)v.number);
    }
    return text;
}

static void test_values(void)
{
    ok(!call_has(&call, F_METHOD), "a new call has no values");
    is_str(values_of(F_METHOD), "", "and gives none");
    ok(call_set_bytes(&call, F_METHOD, TD_LIT("GET")), "text");
    ok(call_set_u64(&call, F_STATUS, 200), "a number");
    ok(call_set_u64(&call, F_SECURE, 1), "a truth");
    ok(call_set_i64(&call, F_OFFSET, -5), "a number below zero");
    ok(call_set_i64(&call, F_BEGUN, INT64_MIN), "a time");
    ok(call_set_i64(&call, F_TOOK, INT64_MAX), "a duration");
    ok(call_set_u64(&call, F_KIND, UINT64_MAX), "a value of an enum");
    ok(call_set_bytes(&call, F_ADDRESS, td_bytes("\300\0\2\1", 4)), "an address of four bytes");
    ok(call_set_bytes(&call, F_DIGEST, TD_LIT("")), "bytes: none");
    is_str(values_of(F_METHOD), "GET;", "text, read");
    is_str(values_of(F_STATUS), "200;", "number, read");
    is_str(values_of(F_OFFSET), "-5;", "below zero, read");
    is_str(values_of(F_BEGUN), "-9223372036854775808;", "time, read");
    is_str(values_of(F_KIND), "-1;", "enum, read");
    is_str(values_of(F_DIGEST), ";", "an empty value is a value");
    ok(!call_has(&call, F_UNUSED), "what was not set is not there");

    ok(call_set_bytes(&call, F_METHOD, TD_LIT("a much longer method than the first one")), "set again");
    is_str(values_of(F_METHOD), "a much longer method than the first one;", "the last counts");
    is_str(values_of(F_STATUS), "200;", "the others stay");
    call_set_u64(&call, F_STATUS, 404);
    is_str(values_of(F_STATUS), "404;", "a number, set again");
}

static void test_wrong_types(void)
{
    ok(!call_set_u64(&call, F_METHOD, 1) && !call_set_u64(&call, F_OFFSET, 1) && !call_set_u64(&call, F_TOOK, 1),
       "u64 is for u64, bool and enum");
    ok(!call_set_i64(&call, F_METHOD, 1) && !call_set_i64(&call, F_STATUS, 1) && !call_set_i64(&call, F_KIND, 1),
       "i64 is for i64, times, durations");
    ok(!call_set_bytes(&call, F_STATUS, TD_LIT("x")) && !call_set_bytes(&call, F_REQUEST_HEADERS, TD_LIT("x")),
       "bytes are for text, bytes, addresses");
    ok(!call_set_bytes(&call, F_ADDRESS, TD_LIT("12345")) && !call_set_bytes(&call, F_ADDRESS, TD_LIT("")), "an address has 4 or 16 bytes");
    ok(!call_set_pair(&call, F_METHOD, TD_LIT("a"), TD_LIT("b")), "pairs are for maps");
    ok(!call_append_bytes(&call, F_METHOD, TD_LIT("x")), "only bodies are appended to");
    ok(!call_set_u64(&call, F_COUNT, 1) && !call_set_i64(&call, 9999, 1) && !call_set_bytes(&call, F_COUNT, TD_LIT("")) &&
           !call_set_pair(&call, UINT32_MAX, TD_LIT(""), TD_LIT("")) && !call_append_bytes(&call, F_COUNT, TD_LIT("")),
       "fields that there are not");
}

static void test_lists(void)
{
    call_reset(&call, 1 << 20);
    ok(!call_has(&call, F_METHOD) && values_of(F_METHOD)[0] == 0, "reset, all is gone");
    call_set_bytes(&call, F_TAGS, TD_LIT("first")); /* the record at offset 0 */
    for (uint64_t i = 0; i < 5; i++) {
        call_set_u64(&call, F_CODES, i * i);
        call_set_pair(&call, F_REQUEST_HEADERS, i % 2 ? TD_LIT("b") : TD_LIT("a"), TD_LIT("x"));
    }
    call_set_bytes(&call, F_TAGS, TD_LIT(""));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("empty"), TD_LIT(""));
    call_set_bytes(&call, F_TAGS, TD_LIT("third"));
    is_str(values_of(F_TAGS), "first;;third;", "a list, with others between");
    is_str(values_of(F_CODES), "0;1;4;9;16;", "a list of numbers");
    is_str(values_of(F_REQUEST_HEADERS), "a=x;b=x;a=x;b=x;a=x;empty=;", "a map keeps order and repetitions");
    call_reset(&call, 0);
    ok(call.values.cap == 0, "a reset gives memory above the limit back");
}

static void test_short_of_memory(void)
{
    char large[200];
    memset(large, 'x', sizeof(large));
    call.values.max = 150;
    ok(call_set_bytes(&call, F_PATH, td_bytes(large, sizeof(large))), "a value for which there is no room is no misuse");
    ok(!call_has(&call, F_PATH) && call.incomplete_values, "it is lost, and the call says so");
    call_set_bytes(&call, F_METHOD, TD_LIT("GET"));
    is_str(values_of(F_METHOD), "GET;", "a smaller one fits");
    call_set_bytes(&call, F_TAGS, TD_LIT("a"));
    for (int i = 0; i < 20; i++)
        call_set_bytes(&call, F_TAGS, TD_LIT("b"));
    ok(strncmp(values_of(F_TAGS), "a;b;", 4) == 0 && strlen(text) < 20, "a list keeps its beginning: %s", text);
    call.values.max = 0;
    call_set_bytes(&call, F_TAGS, TD_LIT("end"));
    like(values_of(F_TAGS), "b;end;", "and goes on when there is room again");
    call_reset(&call, 0);
    ok(!call.incomplete_values, "a reset forgets it");
    mem_fail_at(1);
    call_set_u64(&call, F_STATUS, 1);
    ok(call.incomplete_values && !call_has(&call, F_STATUS), "no memory at all");
    mem_fail_at(0);
    call_reset(&call, 0);
}

static const char *body_of(uint32_t field)
{
    const struct call_body *body = call_get_body(&call, field);
    if (!body)
        return NULL;
    snprintf(text, sizeof(text), "%.*s%s", (int)body->bytes.n, body->bytes.p ? (const char *)body->bytes.p : "", body->cut ? " (cut)" : "");
    return text;
}

static size_t memory_of_bodies(void)
{
    size_t n = 0;
    for (int i = 0; i < CALL_BODIES; i++)
        n += call.bodies[i].bytes.cap;
    return n;
}

static void test_bodies(void)
{
    struct call_value v;
    uint32_t at = 0;
    is_str(body_of(F_REQUEST_BODY), NULL, "no body yet");
    ok(call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("one ")) && call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("two")), "appended");
    ok(call_append_bytes(&call, F_RESPONSE_BODY, TD_LIT("answer")) && call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("!")),
       "another between");
    is_str(body_of(F_REQUEST_BODY), "one two!", "the one");
    is_str(body_of(F_RESPONSE_BODY), "answer", "the other");
    ok(call_has(&call, F_REQUEST_BODY) && !call_next_value(&call, F_REQUEST_BODY, &at, &v), "a body is there, and has no values");
    ok(call_set_bytes(&call, F_REQUEST_BODY, TD_LIT("new")), "set");
    is_str(body_of(F_REQUEST_BODY), "new", "begins anew");
    ok(call_append_bytes(&call, F_BODY_3, TD_LIT("")), "an empty one");
    is_str(body_of(F_BODY_3), "", "is one");
    ok(call_append_bytes(&call, F_BODY_4, TD_LIT("4")) && !call_append_bytes(&call, F_BODY_5, TD_LIT("5")), "there is room for four");
    ok(!call_has(&call, F_BODY_5) && !call_get_body(&call, F_BODY_5), "the fifth is not there");

    struct buf *bytes = &call.bodies[0].bytes;
    buf_clear(bytes);
    bytes->max = 8;
    call_set_bytes(&call, F_REQUEST_BODY, TD_LIT("new"));
    ok(call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("123456")), "beyond its ceiling");
    is_str(body_of(F_REQUEST_BODY), "new (cut)", "it is cut");
    call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("1"));
    is_str(body_of(F_REQUEST_BODY), "new (cut)", "and nothing comes after the cut");
    call_set_bytes(&call, F_REQUEST_BODY, TD_LIT("short"));
    is_str(body_of(F_REQUEST_BODY), "short", "set anew it is whole");
    bytes->max = 0;

    size_t with = memory_of_bodies();
    call_reset(&call, 1 << 20);
    is_str(body_of(F_REQUEST_BODY), NULL, "after a reset there are none");
    ok(with && memory_of_bodies() == with, "but the memory is kept");
    call_append_bytes(&call, F_BODY_5, TD_LIT("5"));
    is_str(body_of(F_BODY_5), "5", "for another one");
    call_reset(&call, 0);
    is_int(memory_of_bodies(), 0, "unless it is more than was allowed");
}

/* Reads a list back and compares; false at the first difference. */
static bool frames_are(const struct call_frames *f, const uint64_t *want, size_t n)
{
    uint64_t frame = 0;
    size_t i = 0;
    for (size_t at = 0; call_next_frame(f, &at, &frame); i++)
        if (i >= n || frame != want[i])
            return false;
    return i == n;
}

static void test_frames(void)
{
    static uint64_t want[20000];
    struct call_frames *f = &call.half[TD_CLIENT].frames;
    ok(frames_are(f, want, 0), "no frames");
    const uint64_t odd[] = {0, 1, 3, 2, 1, 1000000, 5, 6, 7, UINT64_MAX, 0, UINT64_MAX / 2, 1ull << 63, 8};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        call_add_frame(f, odd[i]);
        call_add_frame(f, odd[i]); /* one packet brought two parts */
    }
    ok(frames_are(f, odd, sizeof(odd) / sizeof(odd[0])), "forwards, backwards, far; each once");
    is_int(f->count, sizeof(odd) / sizeof(odd[0]), "counted");
    call_reset(&call, 0);

    for (size_t i = 0; i < 20000; i++) { /* mostly forwards by a few, now and then back */
        want[i] = 7000000 + i * 3 - (i % 50 == 0 ? 40 : 0);
        call_add_frame(f, want[i]);
    }
    ok(frames_are(f, want, 20000), "twenty thousand frames");
    ok(f->few_n + f->more.n < 20000 * 5 / 4, "in %zu bytes", f->few_n + f->more.n);
    call_reset(&call, 0);
    ok(frames_are(f, want, 0), "reset");
}

static void test_frames_cut(void)
{
    uint64_t want[60];
    struct call_frames *f = &call.half[TD_SERVER].frames;
    size_t kept = 0;
    f->more.max = 10;
    for (uint64_t i = 0; i < 60; i++) {
        want[i] = i * 1000;
        call_add_frame(f, want[i]);
        kept += !f->cut;
    }
    ok(f->cut && kept >= 15 && kept < 30, "without memory the list is cut after %zu", kept);
    ok(frames_are(f, want, kept), "what stands is right");
    is_int(f->count, 60, "all are counted");
    call_reset(&call, 0);
    ok(!f->cut, "reset");
    f->more.max = 0;
    for (uint64_t frame = 1; !f->cut && frame < 100000000; frame += 200)
        call_add_frame(f, frame);
    ok(f->cut && f->count > 100000, "the limit of a list is more than 100,000 packets: %llu", (unsigned long long)f->count);
    call_reset(&call, 0);
}

static void test_packets(void)
{
    struct call_half *h = &call.half[TD_CLIENT];
    const uint64_t want[] = {4, 6, 5};
    ok(!call_half_complete(h), "a half that was not seen is not complete");
    is_int(call_duration(&call), 0, "and takes no time");
    call_add_packet(h, 4, 1000, 100);
    call_add_packet(h, 6, 3000, 50);
    call_add_packet(h, 5, 500, 1);
    ok(h->seen && h->first_ns == 500 && h->last_ns == 3000 && h->bytes == 151, "times and bytes of three packets");
    ok(frames_are(&h->frames, want, 3), "and their frames");
    is_int(call_time(&call), 500, "a call begins with its request");
    is_int(call_duration(&call), 0, "without an answer it takes no time");
    call_add_packet(&call.half[TD_SERVER], 7, 4500, 10);
    is_int(call_duration(&call), 4000, "first byte of the request to last of the answer");
    ok(call_half_complete(h), "complete");
    h->missing = 1;
    ok(!call_half_complete(h), "not with bytes missing");
    h->missing = 0;
    h->cut = true;
    ok(!call_half_complete(h), "nor cut");

    call_reset(&call, 0);
    ok(!h->seen && h->bytes == 0 && !h->cut, "reset");
    call_add_packet(&call.half[TD_SERVER], 7, -10, 10);
    is_int(call_time(&call), -10, "an answer alone begins the call");
    call_add_packet(h, 8, 100, 10);
    is_int(call_duration(&call), 0, "an answer before its question takes no time");
    call.half[TD_CLIENT].first_ns = INT64_MIN;
    call.half[TD_SERVER].last_ns = INT64_MAX;
    is_int(call_duration(&call), INT64_MAX, "times at the ends of time");
}

int main(void)
{
    is_int(sample_call(&fields, &call), TD_OK, "a call");
    test_values();
    test_wrong_types();
    test_lists();
    test_short_of_memory();
    test_bodies();
    test_frames();
    test_frames_cut();
    test_packets();
    call_clear(&call);
    field_set_clear(&fields);
    return tap_done();
}
