#include "cli/command_words.h"
#include "cli/completion.h"
#include "cli/usage_text.h"

enum { HELP_BYTES = 100 };

static const char head[] = "# Completion of tapedeck for fish; made by `tapedeck completion fish`.\n"
                           "function __tapedeck_at # COMMAND [VERB]: is that what stands before the cursor?\n"
                           "    set -l words (commandline -opc)\n"
                           "    if test (count $argv) -eq 0\n"
                           "        test (count $words) -eq 1\n"
                           "    else if test (count $argv) -eq 1\n"
                           "        test (count $words) -ge 2; and test $words[2] = $argv[1]\n"
                           "    else\n"
                           "        test (count $words) -ge 3; and test $words[2] = $argv[1]; and test $words[3] = $argv[2]\n"
                           "    end\n"
                           "end\n"
                           "function __tapedeck_noun # COMMAND: its verb is to come\n"
                           "    set -l words (commandline -opc)\n"
                           "    test (count $words) -eq 2; and test $words[2] = $argv[1]\n"
                           "end\n"
                           "function __tapedeck_names # PLACE\n"
                           "    switch $argv[1]\n"
                           "        case snapshot dissection\n"
                           "            tapedeck snapshot list 2>/dev/null </dev/null | cut -f 1\n"
                           "    end\n"
                           "    switch $argv[1]\n"
                           "        case dissection\n"
                           "            tapedeck dissection list 2>/dev/null </dev/null | cut -f 1,2 | tr \\t /\n"
                           "        case job node\n"
                           "            tapedeck $argv[1] list 2>/dev/null </dev/null | cut -f 1\n"
                           "    end\n"
                           "end\n"
                           "complete -c tapedeck -f\n";

struct fish {
    struct buf *out;
    const char *command, *verb; /* verb: NULL: none */
};

static void put_quoted(struct buf *out, struct td_slice text)
{
    struct buf words;
    buf_init(&words, 0);
    usage_put_words(&words, text, HELP_BYTES);
    buf_putc(out, '\'');
    for (size_t i = 0; i < words.n; i++) {
        if (words.p[i] == '\'' || words.p[i] == '\\')
            buf_putc(out, '\\');
        buf_putc(out, (char)words.p[i]);
    }
    buf_putc(out, '\'');
    buf_clear(&words);
}

/* " -n ..." for the command and its verb, if it has one. */
static void put_condition(const struct fish *f)
{
    buf_printf(f->out, "complete -c tapedeck -n '__tapedeck_at %s%s%s'", f->command, f->verb ? " " : "", f->verb ? f->verb : "");
}

static void put_place(struct buf *out, enum verb_place place)
{
    static const char *const names[] = {"", "", "snapshot", "dissection", "job", "node"};
    if (place == PLACE_FILE)
        buf_lit(out, " -F");
    else if (place != PLACE_TEXT)
        buf_printf(out, "%s -a '(__tapedeck_names %s)'", place == PLACE_DISSECTION ? " -F" : "", names[place]);
}

static void put_option(void *ctx, const struct command_option *o)
{
    const struct fish *f = ctx;
    put_condition(f);
    if (o->letter)
        buf_printf(f->out, " -s %c", o->letter);
    if (o->name.n)
        buf_printf(f->out, " -l %.*s", (int)o->name.n, (const char *)o->name.p);
    if (o->value.n)
        buf_lit(f->out, " -r");
    if (o->choices) {
        buf_lit(f->out, " -a '");
        for (const char *c = o->choices; *c; c++)
            buf_putc(f->out, *c == '|' ? ' ' : *c);
        buf_putc(f->out, '\'');
    } else if (o->value.n) {
        put_place(f->out, o->place);
    }
    buf_lit(f->out, " -d ");
    put_quoted(f->out, o->help);
    buf_putc(f->out, '\n');
}

static void put_verb(void *ctx, struct td_slice name, struct td_slice help)
{
    const struct fish *f = ctx;
    buf_printf(f->out, "complete -c tapedeck -n '__tapedeck_noun %s' -a %.*s -d ", f->command, (int)name.n, (const char *)name.p);
    put_quoted(f->out, help);
    buf_putc(f->out, '\n');
}

static void put_operands(const struct fish *f, enum verb_place place)
{
    if (place == PLACE_TEXT)
        return;
    put_condition(f);
    put_place(f->out, place);
    buf_putc(f->out, '\n');
}

void completion_put_fish(struct buf *out)
{
    size_t n;
    const struct command *all = commands(&n);
    buf_puts(out, head);
    for (size_t i = 0; i < n; i++) {
        struct fish f = {out, all[i].name, NULL};
        buf_printf(out, "complete -c tapedeck -n __tapedeck_at -a %s -d ", all[i].name);
        put_quoted(out, td_str(all[i].help));
        buf_putc(out, '\n');
        command_each_verb(&all[i], put_verb, &f);
        if (!all[i].noun) {
            command_each_option(&all[i], NULL, put_option, &f);
            put_operands(&f, all[i].place);
        }
        for (size_t v = 0; all[i].noun && v < all[i].noun->n; v++) {
            f.verb = all[i].noun->verbs[v].name;
            command_each_option(&all[i], &all[i].noun->verbs[v], put_option, &f);
            put_operands(&f, all[i].noun->verbs[v].place);
        }
    }
}
