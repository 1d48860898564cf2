/* `tapedeck manual`: manual pages in roff (man(7)), made from the tables and usage texts of the commands. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/command_words.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/usage_text.h"

const char manual_usage[] = "Usage: tapedeck manual [COMMAND]\n"
                            "       tapedeck manual --list\n"
                            "\n"
                            "Prints the manual page of tapedeck, or of one command, as man(1) reads it:\n"
                            "\n"
                            "      tapedeck manual snapshot | man -l -\n"
                            "\n"
                            "      --list            the names of all pages\n"
                            "  -h, --help            this text\n";

/* ---- roff ---- */

/* Words on one line; nothing in them is a request or an escape. */
static void put_words(struct buf *out, struct td_slice text)
{
    struct buf words;
    buf_init(&words, 0);
    usage_put_words(&words, text, 0);
    if (words.n && (words.p[0] == '.' || words.p[0] == '\''))
        buf_lit(out, "\\&");
    for (size_t i = 0; i < words.n; i++) {
        char c = (char)words.p[i];
        if (c == '\\')
            buf_lit(out, "\\e");
        else if (c == '-')
            buf_lit(out, "\\-");
        else
            buf_putc(out, c);
    }
    buf_clear(&words);
}

static void put_line(struct buf *out, const char *request, struct td_slice text)
{
    buf_puts(out, request);
    put_words(out, text);
    buf_putc(out, '\n');
}

static void put_option(void *ctx, const struct command_option *o)
{
    struct buf *out = ctx;
    struct buf head;
    buf_init(&head, 0);
    if (o->letter)
        buf_printf(&head, "-%c%s", o->letter, o->name.n ? ", " : "");
    if (o->name.n)
        buf_printf(&head, "--%.*s", (int)o->name.n, (const char *)o->name.p);
    buf_lit(out, ".TP\n\\fB");
    put_words(out, buf_slice(&head));
    buf_lit(out, "\\fR");
    if (o->value.n) {
        buf_lit(out, " \\fI");
        put_words(out, o->value);
        buf_lit(out, "\\fR");
    }
    buf_putc(out, '\n');
    for (const char *c = o->choices; c && *c; c += strcspn(c, "|") + (c[strcspn(c, "|")] == '|'))
        buf_printf(out, "%s%.*s", c == o->choices ? "" : ", ", (int)strcspn(c, "|"), c);
    if (o->choices)
        buf_lit(out, "; ");
    put_words(out, o->help);
    buf_putc(out, '\n');
    buf_clear(&head);
}

static void put_paragraphs(struct buf *out, const char *text)
{
    while (text && *text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        put_line(out, ".PP\n", td_bytes(text, n));
        text += end ? n + 2 : n;
    }
}

/* ---- Pages ---- */

static void put_title(struct buf *out, const char *command, const char *what)
{
    buf_lit(out, ".TH TAPEDECK");
    if (command)
        buf_lit(out, "\\-");
    for (const char *c = command ? command : ""; *c; c++)
        buf_putc(out, (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c));
    buf_printf(out, " 1 \"\" \"Tapedeck " CLI_VERSION "\" \"Tapedeck\"\n.SH NAME\ntapedeck%s%s \\- ", command ? "\\-" : "",
               command ? command : "");
    put_line(out, "", td_str(what));
}

static void put_environment(struct buf *out)
{
    static const struct {
        const char *name, *what;
    } variables[] = {{"TAPEDECK_HUB", "where the hub is; otherwise http://127.0.0.1:8898"},
                     {"TAPEDECK_TOKEN_FILE", "the file with the token that the hub wants, which only its owner may read"},
                     {"TAPEDECK_TOKEN", "the token itself"},
                     {"TAPEDECK_CA", "certificates (PEM) to trust for https"},
                     {"TAPEDECK_PLUGIN_PATH", "directories to search for plugins before all others, with colons between them"},
                     {"NO_COLOR", "if it is set, nothing is coloured"}};
    buf_lit(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        buf_printf(out, ".TP\n.B %s\n", variables[i].name);
        put_line(out, "", td_str(variables[i].what));
    }
}

static void put_exit_codes(struct buf *out)
{
    static const char *const codes[] = {"fine",
                                        "failed",
                                        "usage, configuration or filter",
                                        "not found",
                                        "not allowed",
                                        "conflict or quota",
                                        "done in part",
                                        "the remote side cannot be reached"};
    buf_lit(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        buf_printf(out, ".TP\n.B %zu\n%s\n", i, codes[i]);
}

static void put_main_page(struct buf *out)
{
    size_t n;
    const struct command *all = commands(&n);
    put_title(out, NULL, "the network's dashcam");
    buf_lit(
        out,
        ".SH SYNOPSIS\n.B tapedeck\n.I COMMAND\n[...]\n.SH DESCRIPTION\n"
        "A worker on each node keeps a rolling raw capture of the traffic on disk. When something has happened, a snapshot keeps a time\n"
        "window of it for good; it is dissected into API calls, searched, and exported for Wireshark.\n.SH COMMANDS\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, ".TP\n.BR tapedeck\\-%s (1)\n", all[i].name);
        put_line(out, "", td_str(all[i].help));
    }
    put_environment(out);
    put_exit_codes(out);
}

static void put_noun_page(struct buf *out, const struct command *command)
{
    const struct noun *noun = command->noun;
    buf_lit(out, ".SH SYNOPSIS\n");
    for (size_t i = 0; i < noun->n; i++) {
        buf_printf(out, "%s.B tapedeck %s %s\n[OPTIONS] ", i ? ".br\n" : "", noun->name, noun->verbs[i].name);
        put_line(out, "", td_str(noun->verbs[i].operands));
    }
    put_line(out, ".SH DESCRIPTION\n", td_str(noun->summary));
    put_paragraphs(out, noun->text);
    for (size_t i = 0; i < noun->n; i++) {
        const struct verb *verb = &noun->verbs[i];
        buf_printf(out, ".SH \"tapedeck %s %s\"\n", noun->name, verb->name);
        put_line(out, "", td_str(verb->summary));
        put_paragraphs(out, verb->text);
        command_each_option(command, verb, put_option, out);
    }
}

static void put_entry(struct buf *out, const struct usage_item *item)
{
    struct usage_option o;
    if (usage_option_parse(item->head, &o)) {
        put_option(out, &(struct command_option){o.letter, o.name, o.value, item->text, NULL, PLACE_TEXT});
        return;
    }
    put_line(out, ".TP\n.B ", item->head);
    put_line(out, "", item->text);
}

static void put_usage_page(struct buf *out, const struct command *command)
{
    enum usage_kind before = USAGE_END;
    size_t at = 0;
    for (struct usage_item item = usage_next(command->usage, &at); item.kind != USAGE_END; item = usage_next(command->usage, &at)) {
        if (before == USAGE_EXAMPLE && item.kind != USAGE_EXAMPLE)
            buf_lit(out, ".RE\n");
        if (before == USAGE_SYNOPSIS && item.kind != USAGE_SYNOPSIS)
            buf_lit(out, ".SH DESCRIPTION\n");
        switch (item.kind) {
        case USAGE_SYNOPSIS: put_line(out, before == USAGE_SYNOPSIS ? ".br\n" : ".SH SYNOPSIS\n", item.text); break;
        case USAGE_TEXT: put_line(out, before == USAGE_SYNOPSIS ? "" : ".PP\n", item.text); break;
        case USAGE_EXAMPLE:
            buf_puts(out, before == USAGE_EXAMPLE ? ".br\n" : ".PP\n.RS\n");
            put_line(out, "", item.text);
            break;
        default: put_entry(out, &item); break;
        }
        before = item.kind;
    }
    if (before == USAGE_EXAMPLE)
        buf_lit(out, ".RE\n");
}

static void put_page(struct buf *out, const struct command *command)
{
    put_title(out, command->name, command->help);
    if (command->noun)
        put_noun_page(out, command);
    else
        put_usage_page(out, command);
    buf_lit(out, ".SH SEE ALSO\n.BR tapedeck (1)\n");
}

static void put_list(struct buf *out)
{
    size_t n;
    const struct command *all = commands(&n);
    buf_lit(out, "tapedeck\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "tapedeck-%s\n", all[i].name);
}

static int put(struct buf *out, const char *word)
{
    size_t n;
    const struct command *all = commands(&n);
    if (!word) {
        put_main_page(out);
        return CLI_OK;
    }
    if (strcmp(word, "--list") == 0) {
        put_list(out);
        return CLI_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, word) == 0) {
            put_page(out, &all[i]);
            return CLI_OK;
        }
    return cli_usage("manual ", "there is no command \"%s\"", word);
}

int cmd_manual(int argc, char **argv)
{
    struct buf out;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return printf("%s", manual_usage) < 0 ? CLI_FAILURE : CLI_OK;
    if (argc > 2)
        return cli_usage("manual ", "\"%s\" is one word too many", argv[2]);
    buf_init(&out, 0);
    int code = put(&out, argc == 2 ? argv[1] : NULL);
    if (code == CLI_OK)
        code = cli_write(&out);
    buf_clear(&out);
    return code;
}
