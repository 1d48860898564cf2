#include "command_words.h"

#include "cli/options.h"
#include "cli/usage_text.h"

static void give_option(const struct verb_option *o, command_option_fn *fn, void *ctx)
{
    fn(ctx, &(struct command_option){o->letter, td_str(o->name), td_str(o->value), td_str(o->help), o->choices, o->place});
}

/* What the value is called says what it is. */
static enum verb_place place_of(struct td_slice value)
{
    return td_starts(value, TD_LIT("FILE")) || td_starts(value, TD_LIT("OUT")) || td_starts(value, TD_LIT("DIR")) ? PLACE_FILE : PLACE_TEXT;
}

void command_each_option(const struct command *command, const struct verb *verb, command_option_fn *fn, void *ctx)
{
    if (verb || command->noun) {
        for (size_t i = 0; verb && verb->options && verb->options[i]; i++)
            give_option(verb->options[i], fn, ctx);
        give_option(&option_help, fn, ctx);
        return;
    }
    size_t at = 0;
    for (struct usage_item item = usage_next(command->usage, &at); item.kind != USAGE_END; item = usage_next(command->usage, &at)) {
        struct usage_option o;
        if (item.kind == USAGE_ENTRY && usage_option_parse(item.head, &o))
            fn(ctx, &(struct command_option){o.letter, o.name, o.value, item.text, NULL, place_of(o.value)});
    }
}

void command_each_verb(const struct command *command, command_verb_fn *fn, void *ctx)
{
    if (command->noun) {
        for (size_t i = 0; i < command->noun->n; i++)
            fn(ctx, td_str(command->noun->verbs[i].name), td_str(command->noun->verbs[i].summary));
        return;
    }
    size_t at = 0;
    for (struct usage_item item = usage_next(command->usage, &at); item.kind != USAGE_END; item = usage_next(command->usage, &at)) {
        struct usage_option o;
        if (item.kind == USAGE_ENTRY && !usage_option_parse(item.head, &o))
            fn(ctx, item.head, item.text);
    }
}
