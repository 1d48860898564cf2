#include "base/clock.h"
#include "cli/filter_text.h"

#include <stdio.h>
#include <time.h>

#include "base/units.h"
#include "cli/cli.h"

int filter_text_tell(const char *text, const struct filter_diagnostics *diagnostics, int status, const struct error *err)
{
    struct buf out;
    buf_init(&out, 0);
    if (diagnostics->n) {
        filter_diagnostics_put_text(&out, diagnostics, td_str(text));
        fwrite(out.p, 1, out.n, stderr);
    }
    buf_clear(&out);
    if (status == TD_E_CONFIG && diagnostics->n)
        return CLI_USAGE;
    return status == TD_OK ? CLI_OK : cli_fail(err);
}

int filter_text_compile(const struct field_registry *fields, const char *text, struct filter **ret)
{
    struct filter_diagnostics diagnostics;
    struct error err = {0};
    filter_diagnostics_init(&diagnostics);
    int status = filter_compile(fields, td_str(text), clock_ns(CLOCK_REALTIME), ret, &diagnostics, &err);
    int code = filter_text_tell(text, &diagnostics, status, &err);
    filter_diagnostics_clear(&diagnostics);
    return code;
}

void filter_text_tell_errors(const char *text, const struct filter_run_errors *errors)
{
    if (errors->count)
        fprintf(stderr, "%llu calls could not be judged and are left out; the first because of: %s, at \"%.40s\"\n",
                (unsigned long long)errors->count, filter_error_text(errors->first), text + errors->place);
}
