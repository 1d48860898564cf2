#include "usage_text.h"

enum { ENTRY_MAX_INDENT = 8, FURTHER_INDENT = 16 };

struct line {
    struct td_slice text; /* without its indent and what is blank at its end */
    size_t indent, next;  /* where the next one begins */
};

static struct line line_at(struct td_slice all, size_t at)
{
    struct line l = {.indent = 0};
    const uint8_t *newline = at < all.n ? memchr(all.p + at, '\n', all.n - at) : NULL;
    size_t end = newline ? (size_t)(newline - all.p) : all.n;
    l.next = newline ? end + 1 : end;
    while (at < end && all.p[at] == ' ') {
        at++;
        l.indent++;
    }
    while (end > at && all.p[end - 1] == ' ')
        end--;
    l.text = td_sub(all, at, end);
    return l;
}

/* Two spaces: the end of an entry's head. The line's length if there are none. */
static size_t head_length(struct td_slice text)
{
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == ' ' && text.p[i + 1] == ' ')
            return i;
    return text.n;
}

/* From the line at `at` on while they belong to it; returns where they end. */
static size_t end_of_paragraph(struct td_slice all, size_t at)
{
    struct line l = line_at(all, at);
    while (l.text.n && l.indent == 0) {
        at = l.next;
        l = line_at(all, at);
    }
    return at;
}

static size_t end_of_entry(struct td_slice all, size_t at)
{
    struct line l = line_at(all, at);
    while (l.text.n && l.indent >= FURTHER_INDENT) {
        at = l.next;
        l = line_at(all, at);
    }
    return at;
}

struct usage_item usage_next(const char *usage, size_t *at)
{
    static const char label[] = "Usage: ";
    struct td_slice all = td_str(usage);
    struct line l = line_at(all, *at);
    while (!l.text.n && l.next > *at) {
        *at = l.next;
        l = line_at(all, *at);
    }
    size_t begin = *at;
    *at = l.next;
    if (!l.text.n)
        return (struct usage_item){.kind = USAGE_END};
    if (td_starts(l.text, td_str(label)))
        return (struct usage_item){USAGE_SYNOPSIS, {0}, td_sub(l.text, sizeof(label) - 1, l.text.n)};
    if (l.indent == 0) {
        *at = end_of_paragraph(all, begin);
        return (struct usage_item){USAGE_TEXT, {0}, td_sub(all, begin, *at)};
    }
    if (l.indent == sizeof(label) - 1 && td_starts(l.text, TD_LIT("tapedeck ")))
        return (struct usage_item){USAGE_SYNOPSIS, {0}, l.text};
    size_t n = head_length(l.text);
    if (l.indent > ENTRY_MAX_INDENT || (n == l.text.n && l.text.p[0] != '-'))
        return (struct usage_item){USAGE_EXAMPLE, {0}, l.text};
    *at = end_of_entry(all, l.next);
    size_t text = (size_t)(l.text.p - all.p) + n;
    return (struct usage_item){USAGE_ENTRY, td_sub(l.text, 0, n), td_sub(all, text, *at)};
}

void usage_put_words(struct buf *out, struct td_slice text, size_t max)
{
    size_t begin = out->n;
    for (size_t i = 0; i < text.n;) {
        size_t from = i;
        while (i < text.n && text.p[i] != ' ' && text.p[i] != '\n')
            i++;
        if (max && i > from && out->n - begin + 1 + i - from > max) {
            buf_lit(out, " ...");
            return;
        }
        if (i > from && out->n > begin)
            buf_putc(out, ' ');
        buf_put_slice(out, td_sub(text, from, i));
        while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\n'))
            i++;
    }
}

bool usage_option_parse(struct td_slice head, struct usage_option *ret)
{
    *ret = (struct usage_option){0};
    if (head.n >= 2 && head.p[0] == '-' && head.p[1] != '-') {
        ret->letter = (char)head.p[1];
        head = td_starts(td_sub(head, 2, head.n), TD_LIT(", ")) ? td_sub(head, 4, head.n) : td_sub(head, 2, head.n);
    }
    if (!td_starts(head, TD_LIT("--")))
        return ret->letter != 0;
    const uint8_t *space = memchr(head.p, ' ', head.n);
    size_t n = space ? (size_t)(space - head.p) : head.n;
    ret->name = td_sub(head, 2, n);
    ret->value = td_sub(head, n + 1, head.n);
    return true;
}
