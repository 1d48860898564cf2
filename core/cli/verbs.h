/* A command that is a noun with verbs, `tapedeck snapshot create`: one table gives parsing, checks, usage text, shell completion and the
 * manual page. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* What a shell may offer in a place. */
enum verb_place {
    PLACE_TEXT, /* nothing */
    PLACE_FILE,
    PLACE_SNAPSHOT,
    PLACE_DISSECTION, /* SNAPSHOT/DISSECTION */
    PLACE_JOB,
    PLACE_NODE
};

/* What was given; NULL and false: it was not. Options of the table say where they belong here. */
struct verb_args {
    const char *noun, *verb;
    const char *config_path, *at, *output, *out_path;
    const char *last, *start, *end, *nodes, *bpf, *filter, *format, *compression, *name, *dissection;
    const char *hub, *token_file, *ca;
    const char *location, *from;
    bool wait, allow_partial, allow_same_name, connections, dissections, quiet, connect;
    bool json;       /* -o json */
    char **operands; /* NULL-terminated */
    size_t n;
};

struct verb_option {
    const char *name;    /* "output" */
    char letter;         /* 'o', or 0 */
    const char *value;   /* "FORMAT"; NULL: takes none */
    const char *choices; /* "table|json": nothing else is taken; NULL: anything */
    const char *help;    /* "where to write"; begins small, ends without a full stop */
    enum verb_place place;
    size_t member; /* of struct verb_args: a const char *, or a bool if it takes no value */
};

enum { VERB_MAX_OPTIONS = 24 };

struct verb {
    const char *name, *operands, *summary; /* "show", "NAME", one line without a full stop */
    size_t min_operands, max_operands;
    const struct verb_option *const *options; /* ends with NULL; NULL: none. --help is always there */
    enum verb_place place;                    /* of the operands */
    const char *text;                         /* paragraphs for --help and the manual page; NULL: the summary says it all */
    int (*run)(const struct verb_args *);     /* returns the exit code */
};

struct noun {
    const char *name, *summary; /* "snapshot", one line without a full stop */
    const char *text;           /* paragraphs that hold for all verbs, or NULL */
    const struct verb *verbs;
    size_t n;
};

/* argv[0] is the noun. The exit code. */
int verbs_run(const struct noun *noun, int argc, char **argv);
/* The option as it stands in usage texts: "-o, --output FORMAT". */
void verb_put_option(struct buf *out, const struct verb_option *option);
/* What --help says, for the noun (`verb` NULL) or for one verb. */
void verbs_put_help(struct buf *out, const struct noun *noun, const struct verb *verb);

#endif
