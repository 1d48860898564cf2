/* The words of a command line, whatever table or text they come from: for completion and for the manual pages. */
#ifndef CLI_COMMAND_WORDS_H
#define CLI_COMMAND_WORDS_H

#include "cli/commands.h"

struct command_option {
    char letter;                 /* 0: none */
    struct td_slice name, value; /* "write", "FILE"; an empty value: takes none */
    struct td_slice help;        /* may go over lines; see usage_put_words() */
    const char *choices;         /* "table|json", or NULL */
    enum verb_place place;       /* of its value */
};

typedef void command_option_fn(void *ctx, const struct command_option *);
/* Of a command, or of one of its verbs if it is a noun; --help is the last. */
void command_each_option(const struct command *, const struct verb *, command_option_fn *, void *ctx);

typedef void command_verb_fn(void *ctx, struct td_slice name, struct td_slice help);
/* Of a noun, and of those that parse their verbs by themselves. */
void command_each_verb(const struct command *, command_verb_fn *, void *ctx);

#endif
