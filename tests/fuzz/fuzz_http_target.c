/* The text of a client that the HTTP server takes apart itself: targets, and the Range field. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "net/http_range.h"
#include "net/http_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const known[] = {"start", "end", NULL};
    struct buf text = {.n = 0};
    struct http_target t;
    struct error err;
    buf_put(&text, data, n);
    buf_cstr(&text);
    char *s = (char *)text.p;
    size_t length = strlen(s);
    struct http_range range = http_range_parse(s, n);
    check(range.kind != HTTP_RANGE_PART || (range.first < n && range.length > 0 && range.length <= n - range.first));
    if (http_target_parse(s, &t, &err) == TD_OK) {
        for (size_t i = 0; i < t.segment_count; i++) {
            const char *segment = t.segments[i];
            check(segment >= s && segment + strlen(segment) <= s + length && json_is_utf8(td_str(segment)));
            check(strcmp(segment, ".") != 0 && strcmp(segment, "..") != 0 && !strpbrk(segment, "\r\n"));
        }
        for (size_t i = 0; i < t.parameter_count; i++)
            check(json_is_utf8(td_str(t.parameters[i].name)) && json_is_utf8(td_str(t.parameters[i].value)));
        (void)!http_target_check(&t, known, &err);
        if (http_target_fits(&t, "/things/{name}/part"))
            check(http_target_segment(&t, "/things/{name}/part", "name") == t.segments[1]);
    }
    buf_clear(&text);
    return 0;
}
