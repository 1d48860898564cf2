/* Usage texts, read back: completion and the manual pages are made from what --help says.
 *
 * Their form: "Usage: ..." and more such lines below it; paragraphs that begin at the margin; entries, indented by 2 to 8, whose head and
 * text have two spaces or more between them and whose further lines are indented by 16 or more ("  -w, --write FILE   the file"); and
 * examples, indented, which are neither. */
#ifndef CLI_USAGE_TEXT_H
#define CLI_USAGE_TEXT_H

#include "base/buf.h"

enum usage_kind {
    USAGE_SYNOPSIS, /* `text`: one way to call it */
    USAGE_TEXT,     /* `text`: a paragraph */
    USAGE_ENTRY,    /* `head`: an option, or a verb; `text` */
    USAGE_EXAMPLE,  /* `text`: a line */
    USAGE_END
};

struct usage_item {
    enum usage_kind kind;
    struct td_slice head, text; /* of the usage text; `text` may go over lines and their indents: see usage_put_words() */
};

/* The next item; *at is 0 at first. */
struct usage_item usage_next(const char *usage, size_t *at);
/* The words of a text with one space between them, at most `max` bytes (0: all of it). */
void usage_put_words(struct buf *out, struct td_slice text, size_t max);

struct usage_option {
    char letter;                 /* 0: none */
    struct td_slice name, value; /* "write", "FILE"; empty: none */
};
/* The head of an entry. False: it is no option. */
bool usage_option_parse(struct td_slice head, struct usage_option *ret);

#endif
