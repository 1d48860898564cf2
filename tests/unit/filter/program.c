/* Bytecode: limits end an evaluation for good, and what is left behind by one record does not reach the next. */
#include "filter/program.h"

#include "call_maker.h"
#include "filter/compiled.h"
#include "filter/record.h"
#include "tap.h"

static struct call_maker maker;

/* A text that doubles `times` times, from 16 bytes on, and what is asked of it. */
static void put_doubling(struct buf *out, int times, const char *question)
{
    buf_puts(out, "(cel.bind(v0, \"0123456789abcde\" + (http ? \"x\" : \"y\"), ");
    for (int i = 1; i <= times; i++)
        buf_printf(out, "cel.bind(v%d, v%d + v%d, ", i, i - 1, i - 1);
    buf_printf(out, "size(v%d) > 0", times);
    for (int i = 0; i <= times; i++)
        buf_putc(out, ')');
    buf_printf(out, ")%s", question);
}

static char run(const char *text, struct filter_run_errors *ret_errors)
{
    struct filter_diagnostics diagnostics;
    struct filter *filter;
    struct filter_run *r;
    struct error err;
    const struct filter_call record = {maker.registry, call_maker_next(&maker)};
    struct filter_record view = filter_call_record(&record);
    filter_diagnostics_init(&diagnostics);
    int status = filter_compile(maker.registry, td_str(text), 0, &filter, &diagnostics, &err);
    filter_diagnostics_clear(&diagnostics);
    if (status != TD_OK || filter_run_new(filter, &r, &err) != TD_OK) {
        tap_diag("%s", err.text);
        return '?';
    }
    bool first = filter_match(r, &view), second = filter_match(r, &view);
    *ret_errors = *filter_run_errors(r);
    filter_run_free(r);
    filter_free(filter);
    if (first != second)
        return '!';
    return first ? 'y' : ret_errors->count ? 'e' : 'n';
}

int main(void)
{
    struct filter_run_errors errors;
    struct buf text = {0};
    call_maker_init(&maker, 3);
    put_doubling(&text, 10, "");
    is_int(run(buf_cstr(&text), &errors), 'y', "16 KiB are fine");
    buf_reset(&text);
    put_doubling(&text, 20, "");
    is_int(run(buf_cstr(&text), &errors), 'e', "16 MiB are too much for one record");
    is_int(errors.first, FILTER_E_LIMIT, "for that reason");
    is_int(errors.count, 2, "each time");
    buf_reset(&text);
    buf_puts(&text, "[1, 2].exists(x, x == 2 || ");
    put_doubling(&text, 20, ")");
    is_int(run(buf_cstr(&text), &errors), 'e', "nothing takes in a limit");
    is_int(run("[1, 2, 3].exists(x, 6 / (x - 2) > 5 && (http || dns))", &errors), 'y', "but other errors are taken in");
    is_int(errors.count, 0, "and are none");
    is_int(run("int(protocol) > 0 && (http || dns)", &errors), 'e', "a text that is no number");
    is_int(errors.first, FILTER_E_CONVERSION, "is told as such");
    is_int(errors.place, 0, "with its place");
    buf_clear(&text);
    call_maker_clear(&maker);
    return tap_done();
}
