/* What the HTTP client takes apart of an answer, and what the server takes apart of Accept-Encoding. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "net/http_answer.h"
#include "net/http_encoding.h"
#include "net/http_events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_problem(struct td_slice in)
{
    struct http_problem problem;
    http_problem_parse(in, &problem);
    check(strlen(problem.code) < sizeof(problem.code) && strlen(problem.detail) < sizeof(problem.detail));
    check(json_is_utf8(td_str(problem.detail)));
    for (const char *p = problem.detail; *p; p++)
        check((uint8_t)*p >= ' ' && *p != 0x7f);
    for (const char *p = problem.code; *p; p++)
        check((uint8_t)*p > ' ' && (uint8_t)*p < 0x7f && *p != '"');
}

static void check_fields(struct td_slice in)
{
    struct td_slice name, value;
    struct http_content_range range;
    int64_t number;
    char tag[32];
    if (!http_field_split(in, &name, &value))
        value = in;
    else
        check(name.n > 0 && name.n + value.n < in.n);
    if (http_content_range_parse(value, &range))
        check(range.first >= 0 && range.n > 0 && range.first <= INT64_MAX - range.n &&
              (range.size == -1 || range.first + range.n <= range.size));
    if (http_number_parse(value, &number))
        check(number >= 0);
    if (http_etag_parse(value, tag, sizeof(tag)))
        check(strlen(tag) < sizeof(tag) && !strpbrk(tag, "\"\r\n "));
}

/* A line is an event's own or one of the data: nothing of it can begin a field. */
static void check_event(struct td_slice in, const char *text)
{
    struct buf b = {.n = 0};
    http_put_event(&b, &(struct http_event){text, text, in});
    const char *line = buf_cstr(&b), *end = line + b.n;
    check(b.n >= 2 && memcmp(end - 2, "\n\n", 2) == 0 && (in.n == 0 || !memchr(b.p, '\r', b.n)));
    while (line < end - 1) {
        check(strncmp(line, "data: ", 6) == 0 || strncmp(line, "id: ", 4) == 0 || strncmp(line, "event: ", 7) == 0);
        line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
    }
    buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf text = {.n = 0};
    buf_put(&text, data, n);
    const char *s = buf_cstr(&text);
    struct td_slice in = td_bytes(data, n);
    check_problem(in);
    check_fields(in);
    check_event(in, s);
    enum http_coding coding = http_coding_choose(s);
    check(coding == HTTP_IDENTITY || strcasestr(s, http_coding_name(coding)));
    http_type_is_text(s);
    http_same_origin("http://127.0.0.1:1", s);
    buf_clear(&text);
    return 0;
}
