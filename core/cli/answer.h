/* A hub's answers as people want them: tables, JSON, YAML. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/verbs.h"

enum answer_kind {
    ANSWER_TEXT, /* also numbers, as they are */
    ANSWER_TIME, /* RFC 3339; to the second on a terminal */
    ANSWER_SIZE, /* bytes; 1.5 GiB on a terminal */
    ANSWER_PERCENT,
    ANSWER_STATUS, /* of a snapshot: "Completed, partial" if it is not complete */
    ANSWER_NODES   /* an array of nodes, or of names: how many; "2 of 3" if some are not complete */
};

struct answer_column {
    const char *title, *member; /* "SIZE", "size"; a path as "room.used" */
    enum answer_kind kind;
};

/* What stands at `member` of an answer, an array, a row for each. As a table: with a header on a terminal; elsewhere tabs and full values.
 */
int answer_print_list(const struct verb_args *args, const json_t *answer, const char *member, const struct answer_column *columns,
                      size_t n);
/* One object: a line for each column that it has; behind it, if it is not NULL, the list at `member`. */
int answer_print_object(const struct verb_args *args, const json_t *object, const struct answer_column *lines, size_t line_n,
                        const char *member, const struct answer_column *columns, size_t n);
/* A value as text: nothing in it steers a terminal. */
void answer_put_value(struct buf *out, const json_t *value);

#endif
