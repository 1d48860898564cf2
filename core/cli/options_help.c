#include "options_help.h"

#include "cli/cli.h"
#include "config/options.h"

static void put_head(struct buf *out, const struct td_option *o)
{
    struct buf limits;
    buf_init(&limits, 0);
    options_put_limits(&limits, o);
    buf_printf(out, "  %s: ", o->name);
    options_put_type(out, o);
    if (limits.n)
        buf_printf(out, ", %s", buf_cstr(&limits));
    if (o->flags & TD_OPT_REQUIRED)
        buf_puts(out, "; required");
    else if (o->def)
        buf_printf(out, "; default %s", *o->def ? o->def : "\"\"");
    if (o->flags & TD_OPT_SECRET)
        buf_puts(out, "; secret");
    if (o->flags & TD_OPT_DEPRECATED)
        buf_puts(out, "; deprecated");
    buf_putc(out, '\n');
    buf_clear(&limits);
}

void options_help_put(struct buf *out, const struct td_option *v, size_t n, size_t width)
{
    for (size_t i = 0; i < n; i++) {
        put_head(out, &v[i]);
        cli_wrap(out, v[i].help, 6, width);
    }
}
