#include "net/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

void metrics_begin(struct metrics *m, struct buf *out)
{
    *m = (struct metrics){.out = out, .begin = out->n};
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The names of labels have no colons. */
static bool is_name(const char *s, bool colons)
{
    if (!is_letter(*s) && !(colons && *s == ':'))
        return false;
    while (is_letter(*s) || (*s >= '0' && *s <= '9') || (colons && *s == ':'))
        s++;
    return *s == '\0';
}

static void refuse(struct metrics *m, const char *name)
{
    if (!m->wrong)
        m->wrong = name;
    m->family = NULL;
}

/* What was written tells which families there are; line breaks in texts are escaped, so that nothing else looks like it. */
static bool is_new(const struct metrics *m, const char *name)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "# TYPE %s ", name);
    if (n < 0 || (size_t)n >= sizeof(line))
        return false;
    return m->out->n == m->begin || !memmem(m->out->p + m->begin, m->out->n - m->begin, line, (size_t)n);
}

static void put_escaped(struct buf *out, const char *s, bool quotes)
{
    for (; *s; s++) {
        if (*s == '\n')
            buf_lit(out, "\\n");
        else if (*s == '\\')
            buf_lit(out, "\\\\");
        else if (*s == '"' && quotes)
            buf_lit(out, "\\\"");
        else
            buf_putc(out, *s);
    }
}

void metrics_family(struct metrics *m, enum metric_type type, const char *name, const char *help)
{
    size_t n = strlen(name);
    bool total = n >= 6 && strcmp(name + n - 6, "_total") == 0;
    if (!is_name(name, true) || total != (type == METRIC_COUNTER) || !is_new(m, name)) {
        refuse(m, name);
        return;
    }
    m->family = name;
    buf_printf(m->out, "# HELP %s ", name);
    put_escaped(m->out, help, false);
    buf_printf(m->out, "\n# TYPE %s %s\n", name, type == METRIC_COUNTER ? "counter" : "gauge");
}

/* Everything before the value; false if nothing is to be written. */
static bool put_sample(struct metrics *m, const struct metric_label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_name(labels[i].name, false) || strncmp(labels[i].name, "__", 2) == 0)
            refuse(m, labels[i].name);
    if (!m->family) {
        refuse(m, "a sample without a family");
        return false;
    }
    buf_puts(m->out, m->family);
    for (size_t i = 0; i < n; i++) {
        buf_printf(m->out, "%c%s=\"", i ? ',' : '{', labels[i].name);
        put_escaped(m->out, labels[i].value, true);
        buf_putc(m->out, '"');
    }
    if (n)
        buf_putc(m->out, '}');
    buf_putc(m->out, ' ');
    return true;
}

void metrics_u64(struct metrics *m, uint64_t value, const struct metric_label *labels, size_t n)
{
    if (!put_sample(m, labels, n))
        return;
    buf_u64(m->out, value);
    buf_putc(m->out, '\n');
}

void metrics_double(struct metrics *m, double value, const struct metric_label *labels, size_t n)
{
    if (!put_sample(m, labels, n))
        return;
    if (isnan(value))
        buf_lit(m->out, "NaN");
    else if (isinf(value))
        buf_puts(m->out, value > 0 ? "+Inf" : "-Inf");
    else
        buf_printf(m->out, "%.17g", value);
    buf_putc(m->out, '\n');
}

int metrics_end(struct metrics *m, struct error *err)
{
    if (m->out->failed)
        return error_nomem(err);
    if (m->wrong)
        return error_set(err, TD_E_INTERNAL, "metric %s: a wrong name, or there already; counters, and only they, end in _total", m->wrong);
    return TD_OK;
}
