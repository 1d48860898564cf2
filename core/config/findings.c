#include "findings.h"

#include <stdarg.h>

#include "base/json.h"

void findings_init(struct findings *f)
{
    f->n = f->errors = f->more = 0;
    f->status = TD_OK;
}

static void add(struct findings *f, bool warning, int status, const struct yaml_node *where, const char *fmt, va_list args)
{
    if (!warning) {
        f->status = f->errors ? f->status : status;
        f->errors++;
    }
    if (f->n == FINDINGS_MAX) {
        f->more++;
        return;
    }
    struct finding *finding = &f->v[f->n++];
    finding->warning = warning;
    int n = 0;
    if (where)
        n = snprintf(finding->text, sizeof(finding->text), "%.200s:%u:%u: ", where->file, where->line, where->column);
    vsnprintf(finding->text + n, sizeof(finding->text) - (size_t)n, fmt, args);
}

void findings_error(struct findings *f, const struct yaml_node *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(f, false, TD_E_CONFIG, where, fmt, args);
    va_end(args);
}

void findings_warn(struct findings *f, const struct yaml_node *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(f, true, TD_OK, where, fmt, args);
    va_end(args);
}

static void add_status(struct findings *f, int status, const struct yaml_node *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(f, false, status, where, fmt, args);
    va_end(args);
}

void findings_add(struct findings *f, const struct yaml_node *where, const struct error *err)
{
    add_status(f, err->status, where, "%s", err->text);
}

int findings_status(const struct findings *f, struct error *err)
{
    if (!f->errors)
        return TD_OK;
    const char *first = "more errors than can be listed";
    for (size_t i = f->n; i-- > 0;)
        if (!f->v[i].warning)
            first = f->v[i].text;
    if (f->errors == 1)
        return error_set(err, f->status, "%s", first);
    return error_set(err, f->status, "%s (and %zu more; `tapedeck config check` lists them)", first, f->errors - 1);
}

void findings_print(const struct findings *f, FILE *out)
{
    for (size_t i = 0; i < f->n; i++)
        fprintf(out, "%s%s\n", f->v[i].warning ? "warning: " : "", f->v[i].text);
    if (f->more)
        fprintf(out, "and %zu more\n", f->more);
}

const char *findings_quote(const char *text, char out[FINDINGS_QUOTE])
{
    static const char ellipsis[] = "...\"";
    size_t n = 0, end = FINDINGS_QUOTE - sizeof(ellipsis);
    bool utf8 = json_is_utf8(td_str(text));
    out[n++] = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool escape = c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8);
        /* Never cut inside a character: only before one that begins. */
        size_t room = escape ? 4 : (c >= 0xc0 ? 4 : 1);
        if ((c & 0xc0) != 0x80 && n + room > end) {
            memcpy(out + n, ellipsis, sizeof(ellipsis));
            return out;
        }
        if (escape)
            n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
        else
            out[n++] = (char)c;
    }
    out[n++] = '"';
    out[n] = 0;
    return out;
}
