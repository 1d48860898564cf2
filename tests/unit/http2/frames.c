/* HTTP/2's frames: those of each type, and the public test cases if they are at hand (SUITES, else ../shared/corpus/suites: see
 * http2-frame-test-case), good and faulty ones. */
#include "tap.h"

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../../plugins/dissectors/http2/http2_frame.h"

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0;
    for (; hex[0] && hex[1] && n < cap; hex += 2) {
        char two[3] = {hex[0], hex[1], 0};
        out[n++] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

/* What is wrong with a frame, or NULL. */
static const char *read_frame(struct td_slice in, struct http2_frame *f, struct http2_payload *p)
{
    const char *fault;
    if (!http2_read_header(in, f))
        return "short";
    fault = http2_header_fault(f, HTTP2_DEFAULT_MAX_FRAME);
    if (!fault && in.n != (size_t)HTTP2_FRAME_HEADER + f->length)
        return "of another length";
    return fault ? fault : http2_read_payload(f, td_sub(in, HTTP2_FRAME_HEADER, in.n), p);
}

static void test_types(void)
{
    static const struct {
        const char *wire, *what; /* type, flags, stream, length; then what the payload says */
    } cases[] = {
        {"000003000900000001"
         "036100",
         "0 9 1 3: bad"},
        {"000004000900000001"
         "02610000",
         "0 9 1 4: content 1 padding 3"},
        {"00000e012d00000003"
         "0180000007ff82868400",
         "short"},
        {"00000a012d00000003"
         "0180000007ff82868400",
         "1 45 3 10: content 3 padding 2 on 7 weight 256 exclusive"},
        {"000005020000000003"
         "0000000b00",
         "2 0 3 5: content 0 padding 0 on 11 weight 1"},
        {"000004030000000003"
         "00000008",
         "3 0 3 4: content 0 padding 0 error 8"},
        {"000006040000000000"
         "000300000064",
         "4 0 0 6: content 6 padding 0"},
        {"000000040100000000", "4 1 0 0: content 0 padding 0"},
        {"000006040100000000"
         "000300000064",
         "4 1 0 6: bad"},
        {"000005050400000001"
         "0000000282",
         "5 4 1 5: content 1 padding 0 stream 2"},
        {"000005050400000001"
         "0000000382",
         "5 4 1 5: bad"},
        {"000008060000000000"
         "0102030405060708",
         "6 0 0 8: content 8 padding 0"},
        {"00000a070000000000"
         "00000005000000026869",
         "7 0 0 10: content 2 padding 0 error 2 stream 5"},
        {"000004080000000001"
         "80000005",
         "8 0 1 4: content 0 padding 0 increment 5"},
        {"000004080000000000"
         "00000000",
         "8 0 0 4: bad"},
        {"000001090400000001"
         "82",
         "9 4 1 1: content 1 padding 0"},
        {"000002200000000001"
         "0000",
         "32 0 1 2: content 2 padding 0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t wire[64];
        struct http2_frame f = {0};
        struct http2_payload p = {0};
        char text[128];
        size_t n = from_hex(cases[i].wire, wire, sizeof(wire));
        const char *fault = read_frame(td_bytes(wire, n), &f, &p);
        if (fault && strcmp(fault, "of another length") == 0)
            snprintf(text, sizeof(text), "short");
        else if (fault)
            snprintf(text, sizeof(text), "%u %u %u %u: bad", f.type, f.flags, f.stream, f.length);
        else
            snprintf(text, sizeof(text), "%u %u %u %u: content %zu padding %u", f.type, f.flags, f.stream, f.length, p.content.n,
                     p.padding);
        size_t at = strlen(text);
        if (!fault && p.has_priority)
            at += (size_t)snprintf(text + at, sizeof(text) - at, " on %u weight %u%s", p.priority.dependency, p.priority.weight,
                                   p.priority.exclusive ? " exclusive" : "");
        if (!fault && p.error)
            at += (size_t)snprintf(text + at, sizeof(text) - at, " error %u", p.error);
        if (!fault && p.stream)
            at += (size_t)snprintf(text + at, sizeof(text) - at, " stream %u", p.stream);
        if (!fault && p.increment)
            snprintf(text + at, sizeof(text) - at, " increment %u", p.increment);
        is_str(text, cases[i].what, "%s", cases[i].wire);
    }
}

static void test_counting(void)
{
    uint8_t wire[128];
    uint64_t end;
    size_t n = from_hex("000000040100000000"
                        "000008060000000000"
                        "0102030405060708"
                        "000004080000000001"
                        "00000005",
                        wire, sizeof(wire));
    is_int(http2_count_frames(td_bytes(wire, n), 16384, 9, &end), 3, "three frames");
    is_int((int64_t)end, (int64_t)n, "to the end");
    is_int(http2_count_frames(td_bytes(wire, n), 16384, 2, &end), 2, "no more than asked for");
    is_int(http2_count_frames(td_bytes(wire + 1, n - 1), 16384, 9, &end), 0, "none one byte later");
    is_int(http2_count_frames(td_bytes(wire, n - 2), 16384, 9, &end), 3, "the last one may be cut");
    is_int(http2_count_frames(td_bytes(wire, 3), 16384, 9, &end), 0, "but not all of them");
}

static void check_case(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL), *error = json_object_get(root, "error"), *frame = json_object_get(root, "frame");
    const char *name = strstr(path, "test-case/");
    uint8_t *wire = malloc(1 << 16);
    struct http2_frame f = {0};
    struct http2_payload p = {0};
    size_t n = from_hex(json_string_value(json_object_get(root, "wire")), wire, 1 << 16);
    const char *fault = read_frame(td_bytes(wire, n), &f, &p);
    if (error && !json_is_null(error)) {
        ok(fault != NULL, "%s: refused (%s)", name, fault ? fault : "");
    } else {
        json_t *payload = json_object_get(frame, "frame_payload"), *part;
        ok(!fault && f.type == json_integer_value(json_object_get(frame, "type")) &&
               f.flags == json_integer_value(json_object_get(frame, "flags")) &&
               f.stream == json_integer_value(json_object_get(frame, "stream_identifier")) &&
               f.length == json_integer_value(json_object_get(frame, "length")),
           "%s: header (%s)", name, fault ? fault : "");
        static const char *const texts[] = {"data", "header_block_fragment", "opaque_data", "additional_debug_data"};
        for (size_t i = 0; i < 4; i++)
            if ((part = json_object_get(payload, texts[i])) && json_is_string(part))
                ok(td_eq(p.content, td_str(json_string_value(part))), "%s: %s", name, texts[i]);
        if ((part = json_object_get(payload, "padding_length")) && json_is_integer(part))
            is_int(p.padding, json_integer_value(part) + 1, "%s: padding", name);
        if ((part = json_object_get(payload, "weight")) && json_is_integer(part))
            is_int(p.priority.weight, json_integer_value(part), "%s: weight", name);
        if ((part = json_object_get(payload, "error_code")) && json_is_integer(part))
            is_int(p.error, json_integer_value(part), "%s: error", name);
        if ((part = json_object_get(payload, "window_size_increment")) && json_is_integer(part))
            is_int(p.increment, json_integer_value(part), "%s: increment", name);
    }
    free(wire);
    json_decref(root);
}

static void test_cases(void)
{
    char pattern[1024];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/http2-frame-test-case/*/*.json",
             getenv("SUITES") ? getenv("SUITES") : "../shared/corpus/suites");
    if (glob(pattern, 0, NULL, &found) != 0) {
        ok(true, "the public test cases # SKIP not at hand");
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_case(found.gl_pathv[i]);
    globfree(&found);
}

int main(void)
{
    test_types();
    test_counting();
    test_cases();
    return tap_done();
}
