#include "verbs.h"

#include <getopt.h>
#include <stdio.h>

#include "base/nearest.h"
#include "cli/cli.h"
#include "cli/options.h"

enum { HELP_COLUMN = 26 };

/* ---- Help ---- */

void verb_put_option(struct buf *out, const struct verb_option *option)
{
    if (option->letter)
        buf_printf(out, "-%c, ", option->letter);
    buf_printf(out, "--%s", option->name);
    if (option->value)
        buf_printf(out, " %s", option->value);
}

/* "table, json or yaml" */
static void put_choices(struct buf *out, const char *choices, const char *word)
{
    while (*choices) {
        size_t n = strcspn(choices, "|");
        buf_put(out, choices, n);
        choices += n;
        if (!*choices)
            return;
        choices++;
        if (strchr(choices, '|'))
            buf_lit(out, ", ");
        else
            buf_printf(out, " %s ", word);
    }
}

/* A head at the left and its text in a column of its own. */
static void put_entry(struct buf *out, const char *head, const char *text)
{
    size_t begin = out->n;
    struct buf wrapped;
    buf_init(&wrapped, 0);
    cli_wrap(&wrapped, text, HELP_COLUMN, cli_width());
    const char *lines = buf_cstr(&wrapped);
    buf_puts(out, head);
    if (out->n - begin + 2 > HELP_COLUMN) {
        buf_printf(out, "\n%s", lines);
    } else {
        buf_printf(out, "%*s", (int)(HELP_COLUMN - (out->n - begin)), "");
        buf_puts(out, lines + strspn(lines, " "));
    }
    buf_clear(&wrapped);
}

static void put_option(struct buf *out, const struct verb_option *option)
{
    struct buf head, text;
    buf_init(&head, 0);
    buf_init(&text, 0);
    buf_puts(&head, option->letter ? "  " : "      ");
    verb_put_option(&head, option);
    if (option->choices) {
        put_choices(&text, option->choices, "or");
        buf_lit(&text, "; ");
    }
    buf_puts(&text, option->help);
    put_entry(out, buf_cstr(&head), buf_cstr(&text));
    buf_clear(&head);
    buf_clear(&text);
}

static void put_paragraphs(struct buf *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        struct buf paragraph;
        buf_init(&paragraph, 0);
        buf_put(&paragraph, text, n);
        buf_putc(out, '\n');
        cli_wrap(out, buf_cstr(&paragraph), 0, cli_width());
        buf_clear(&paragraph);
        text += end ? n + 2 : n;
    }
}

static void put_noun_help(struct buf *out, const struct noun *noun)
{
    buf_printf(out, "Usage: tapedeck %s VERB [OPTIONS]\n\n%s.\n\n", noun->name, noun->summary);
    for (size_t i = 0; i < noun->n; i++) {
        char usage[128];
        snprintf(usage, sizeof(usage), "  %s %s", noun->verbs[i].name, noun->verbs[i].operands);
        put_entry(out, usage, noun->verbs[i].summary);
    }
    if (noun->text)
        put_paragraphs(out, noun->text);
    buf_printf(out, "\n`tapedeck %s VERB --help` tells more.\n", noun->name);
}

void verbs_put_help(struct buf *out, const struct noun *noun, const struct verb *verb)
{
    if (!verb) {
        put_noun_help(out, noun);
        return;
    }
    buf_printf(out, "Usage: tapedeck %s %s [OPTIONS]%s%s\n\n%s.\n", noun->name, verb->name, *verb->operands ? " " : "", verb->operands,
               verb->summary);
    if (verb->text)
        put_paragraphs(out, verb->text);
    buf_putc(out, '\n');
    for (size_t i = 0; verb->options && verb->options[i]; i++)
        put_option(out, verb->options[i]);
    put_option(out, &option_help);
    if (noun->text)
        put_paragraphs(out, noun->text);
}

static int print_help(const struct noun *noun, const struct verb *verb)
{
    struct buf out;
    buf_init(&out, 0);
    verbs_put_help(&out, noun, verb);
    int code = cli_write(&out);
    buf_clear(&out);
    return code;
}

/* ---- Parsing ---- */

static bool is_choice(const char *choices, const char *text)
{
    for (size_t n; *choices; choices += n + (choices[n] == '|')) {
        n = strcspn(choices, "|");
        if (strlen(text) == n && memcmp(choices, text, n) == 0)
            return true;
    }
    return false;
}

static int no_choice(const struct noun *noun, const struct verb *verb, const struct verb_option *option, const char *text)
{
    struct buf what, choices;
    buf_init(&what, 0);
    buf_init(&choices, 0);
    for (const char *c = option->value; *c; c++)
        buf_putc(&what, (char)td_ascii_lower((uint8_t)*c));
    put_choices(&choices, option->choices, "and");
    cli_error("%s %s: \"%s\" is no %s; there are %s", noun->name, verb->name, text, buf_cstr(&what), buf_cstr(&choices));
    buf_clear(&what);
    buf_clear(&choices);
    return CLI_USAGE;
}

static int set_option(const struct noun *noun, const struct verb *verb, const struct verb_option *option, const char *text,
                      struct verb_args *ret)
{
    char *member = (char *)ret + option->member;
    if (!option->value) {
        memcpy(member, &(bool){true}, sizeof(bool));
        return CLI_OK;
    }
    if (option->choices && !is_choice(option->choices, text))
        return no_choice(noun, verb, option, text);
    memcpy(member, &text, sizeof(text));
    return CLI_OK;
}

enum { OPTION_BASE = 256 };

/* What getopt_long() wants to know; returns how many the verb has. */
static size_t describe(const struct verb *verb, struct option *longs, char *shorts)
{
    size_t n = 0;
    *shorts++ = ':';
    *shorts++ = 'h';
    for (; verb->options && verb->options[n] && n < VERB_MAX_OPTIONS; n++) {
        const struct verb_option *o = verb->options[n];
        longs[n] = (struct option){o->name, o->value ? required_argument : no_argument, NULL, OPTION_BASE + (int)n};
        if (o->letter)
            *shorts++ = o->letter;
        if (o->letter && o->value)
            *shorts++ = ':';
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n + 1] = (struct option){0};
    *shorts = 0;
    return n;
}

static const struct verb_option *find_option(const struct verb *verb, size_t n, int c)
{
    if (c >= OPTION_BASE)
        return verb->options[c - OPTION_BASE];
    for (size_t i = 0; i < n; i++)
        if (verb->options[i]->letter && verb->options[i]->letter == c)
            return verb->options[i];
    return NULL;
}

/* The exit code, or -1: the verb may run. */
static int parse_options(const struct noun *noun, const struct verb *verb, int argc, char **argv, struct verb_args *ret)
{
    struct option longs[VERB_MAX_OPTIONS + 2];
    char shorts[2 * VERB_MAX_OPTIONS + 3];
    size_t n = describe(verb, longs, shorts);
    int c;
    optind = 0; /* begin anew: another command line may have been parsed before */
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == 'h')
            return print_help(noun, verb);
        const struct verb_option *option = c == ':' || c == '?' ? NULL : find_option(verb, n, c);
        if (!option) {
            cli_error("%s %s: \"%s\" %s; see tapedeck %s %s --help", noun->name, verb->name, argv[optind - 1],
                      c == ':' ? "needs a value" : "is no option here", noun->name, verb->name);
            return CLI_USAGE;
        }
        int code = set_option(noun, verb, option, optarg, ret);
        if (code != CLI_OK)
            return code;
    }
    ret->operands = argv + optind;
    ret->n = (size_t)(argc - optind);
    ret->json = ret->output && strcmp(ret->output, "json") == 0;
    if (ret->n >= verb->min_operands && ret->n <= verb->max_operands)
        return -1;
    cli_error("%s %s: too %s arguments; usage: tapedeck %s %s %s", noun->name, verb->name, ret->n < verb->min_operands ? "few" : "many",
              noun->name, verb->name, verb->operands);
    return CLI_USAGE;
}

int verbs_run(const struct noun *noun, int argc, char **argv)
{
    struct nearest near;
    if (argc < 2) {
        cli_error("%s: a verb is missing; see tapedeck %s --help", noun->name, noun->name);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help(noun, NULL);
    nearest_init(&near, argv[1]);
    for (size_t i = 0; i < noun->n; i++) {
        const struct verb *verb = &noun->verbs[i];
        if (strcmp(verb->name, argv[1]) == 0) {
            struct verb_args args = {.noun = noun->name, .verb = verb->name};
            int code = parse_options(noun, verb, argc - 1, argv + 1, &args);
            return code >= 0 ? code : verb->run(&args);
        }
        nearest_try(&near, verb->name);
    }
    if (near.best)
        cli_error("%s: unknown verb \"%s\"; did you mean \"%s\"?", noun->name, argv[1], near.best);
    else
        cli_error("%s: unknown verb \"%s\"; see tapedeck %s --help", noun->name, argv[1], noun->name);
    return CLI_USAGE;
}
