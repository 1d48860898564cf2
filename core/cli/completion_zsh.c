#include "cli/command_words.h"
#include "cli/completion.h"
#include "cli/usage_text.h"

enum { HELP_BYTES = 100 };

static const char head[] = "#compdef tapedeck\n"
                           "# Completion of tapedeck for zsh; made by `tapedeck completion zsh`.\n"
                           "_tapedeck_snapshots() { compadd -- ${(f)\"$(tapedeck snapshot list 2>/dev/null </dev/null | cut -f 1)\"} }\n"
                           "_tapedeck_dissections() {\n"
                           "    _tapedeck_snapshots\n"
                           "    compadd -- ${(f)\"$(tapedeck dissection list 2>/dev/null </dev/null | cut -f 1,2 | tr '\\t' /)\"}\n"
                           "    _files\n"
                           "}\n"
                           "_tapedeck_jobs() { compadd -- ${(f)\"$(tapedeck job list 2>/dev/null </dev/null | cut -f 1)\"} }\n"
                           "_tapedeck_nodes() { compadd -- ${(f)\"$(tapedeck node list 2>/dev/null </dev/null | cut -f 1)\"} }\n"
                           "_tapedeck() {\n";

static const char *action(enum verb_place place)
{
    static const char *const names[] = {" ", "_files", "_tapedeck_snapshots", "_tapedeck_dissections", "_tapedeck_jobs", "_tapedeck_nodes"};
    return names[place];
}

/* Inside of single quotes, and of [ ] or before a colon. */
static void put_escaped(struct buf *out, struct td_slice text)
{
    struct buf words;
    buf_init(&words, 0);
    usage_put_words(&words, text, HELP_BYTES);
    for (size_t i = 0; i < words.n; i++) {
        if (words.p[i] == '\'') {
            buf_lit(out, "'\\''");
            continue;
        }
        if (strchr("[]:\\`$", words.p[i]))
            buf_putc(out, '\\');
        buf_putc(out, (char)words.p[i]);
    }
    buf_clear(&words);
}

static void put_choices(struct buf *out, const char *choices)
{
    buf_putc(out, '(');
    for (const char *c = choices; *c; c++)
        buf_putc(out, *c == '|' ? ' ' : *c);
    buf_putc(out, ')');
}

static void put_option(void *ctx, const struct command_option *o)
{
    struct buf *out = ctx;
    buf_lit(out, " \\\n            '*'");
    if (o->letter && o->name.n)
        buf_printf(out, "{-%c,--%.*s%s}", o->letter, (int)o->name.n, (const char *)o->name.p, o->value.n ? "=" : "");
    else if (o->letter)
        buf_printf(out, "-%c", o->letter);
    else
        buf_printf(out, "--%.*s%s", (int)o->name.n, (const char *)o->name.p, o->value.n ? "=" : "");
    buf_lit(out, "'[");
    put_escaped(out, o->help);
    buf_putc(out, ']');
    if (o->value.n) {
        buf_putc(out, ':');
        put_escaped(out, o->value);
        buf_putc(out, ':');
        if (o->choices)
            put_choices(out, o->choices);
        else
            buf_puts(out, action(o->place));
    }
    buf_putc(out, '\'');
}

static void put_verb(void *ctx, struct td_slice name, struct td_slice help)
{
    struct buf *out = ctx;
    buf_lit(out, " '");
    put_escaped(out, name);
    buf_putc(out, ':');
    put_escaped(out, help);
    buf_putc(out, '\'');
}

static void put_arguments(struct buf *out, const struct command *command, const struct verb *verb, enum verb_place place)
{
    buf_lit(out, "        _arguments -s -S");
    command_each_option(command, verb, put_option, out);
    buf_printf(out, " \\\n            '*: :%s'\n        ;;\n", action(place));
}

static void put_command(struct buf *out, const struct command *command)
{
    size_t before = out->n;
    buf_printf(out, "    '%s ')\n        verbs=(", command->name);
    size_t begin = out->n;
    command_each_verb(command, put_verb, out);
    if (out->n == begin)
        out->n = before; /* it has none */
    else
        buf_lit(out, ")\n        _describe verb verbs\n        ;;\n");
    for (size_t i = 0; command->noun && i < command->noun->n; i++) {
        const struct verb *verb = &command->noun->verbs[i];
        buf_printf(out, "    '%s %s')\n        shift words; (( CURRENT-- ))\n", command->name, verb->name);
        put_arguments(out, command, verb, verb->place);
    }
    if (!command->noun) {
        buf_printf(out, "    '%s '*)\n", command->name);
        put_arguments(out, command, NULL, command->place);
    }
}

void completion_put_zsh(struct buf *out)
{
    size_t n;
    const struct command *all = commands(&n);
    buf_puts(out, head);
    buf_lit(out, "    local -a commands verbs\n    local verb=\n    if (( CURRENT == 2 )); then\n        commands=(");
    for (size_t i = 0; i < n; i++)
        put_verb(out, td_str(all[i].name), td_str(all[i].help));
    buf_lit(out, ")\n        _describe command commands\n        return\n    fi\n"
                 "    (( CURRENT > 3 )) && verb=$words[3]\n"
                 "    local which=\"$words[2] $verb\"\n"
                 "    shift words; (( CURRENT-- ))\n"
                 "    case $which in\n");
    for (size_t i = 0; i < n; i++)
        put_command(out, &all[i]);
    buf_lit(out, "    esac\n}\n"
                 "if [[ $funcstack[1] == _tapedeck ]]; then _tapedeck \"$@\"; else compdef _tapedeck tapedeck; fi\n");
}
