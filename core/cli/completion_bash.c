#include "cli/command_words.h"
#include "cli/completion.h"

/* What is the same for all commands. Names come from the hub, if it answers. */
static const char head[] =
    "# Completion of tapedeck for bash; made by `tapedeck completion bash`.\n"
    "_tapedeck_names() {\n"
    "    case $1 in\n"
    "    snapshot) tapedeck snapshot list 2>/dev/null | cut -f 1 ;;\n"
    "    dissection)\n"
    "        tapedeck snapshot list 2>/dev/null | cut -f 1\n"
    "        tapedeck dissection list 2>/dev/null | cut -f 1,2 | tr '\\t' /\n"
    "        ;;\n"
    "    job) tapedeck job list 2>/dev/null | cut -f 1 ;;\n"
    "    node) tapedeck node list 2>/dev/null | cut -f 1 ;;\n"
    "    esac\n"
    "}\n"
    "_tapedeck_offer() { # PLACE WORDS: for the word under the cursor, $cur\n"
    "    if [[ -n $2 && ($cur == -* || -z $1) ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$2\" -- \"$cur\")\n"
    "    elif [[ $1 == file ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "    elif [[ -n $1 ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$(_tapedeck_names \"$1\" </dev/null)\" -- \"$cur\")\n"
    "        [[ $1 != dissection ]] || { compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- \"$cur\")); }\n"
    "    fi\n"
    "}\n"
    "_tapedeck() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    COMPREPLY=()\n";

static const char *place_name(enum verb_place place)
{
    static const char *const names[] = {"''", "file", "snapshot", "dissection", "job", "node"};
    return names[place];
}

static void put_word(void *ctx, struct td_slice name, struct td_slice help)
{
    struct buf *out = ctx;
    (void)help;
    if (out->n && out->p[out->n - 1] != '\'')
        buf_putc(out, ' ');
    buf_put_slice(out, name);
}

static void put_option_word(void *ctx, const struct command_option *o)
{
    struct buf *out = ctx;
    if (!o->name.n)
        return;
    if (out->n && out->p[out->n - 1] != '\'')
        buf_putc(out, ' ');
    buf_lit(out, "--");
    buf_put_slice(out, o->name);
}

/* What may stand behind an option that takes a value. */
static void put_value_case(void *ctx, const struct command_option *o)
{
    struct buf *out = ctx;
    if (!o->value.n)
        return;
    buf_lit(out, "        ");
    if (o->letter)
        buf_printf(out, "-%c%s", o->letter, o->name.n ? " | " : "");
    if (o->name.n)
        buf_printf(out, "--%.*s", (int)o->name.n, (const char *)o->name.p);
    buf_printf(out, ") _tapedeck_offer %s '", place_name(o->place));
    for (const char *c = o->choices ? o->choices : ""; *c; c++)
        buf_putc(out, *c == '|' ? ' ' : *c);
    buf_lit(out, "' ;;\n");
}

static void put_options(struct buf *out, const struct command *command, const struct verb *verb, enum verb_place place)
{
    buf_lit(out, "        case $prev in\n");
    command_each_option(command, verb, put_value_case, out);
    buf_printf(out, "        *) _tapedeck_offer %s '", place_name(place));
    command_each_option(command, verb, put_option_word, out);
    buf_lit(out, "' ;;\n        esac\n        ;;\n");
}

static void count_verb(void *ctx, struct td_slice name, struct td_slice help)
{
    (void)name;
    (void)help;
    ++*(size_t *)ctx;
}

static void put_command(struct buf *out, const struct command *command)
{
    size_t verbs = 0;
    command_each_verb(command, count_verb, &verbs);
    if (verbs) {
        buf_printf(out, "    '%s ')\n        _tapedeck_offer '' '", command->name);
        command_each_verb(command, put_word, out);
        buf_lit(out, " --help'\n        ;;\n");
    }
    for (size_t i = 0; command->noun && i < command->noun->n; i++) {
        const struct verb *verb = &command->noun->verbs[i];
        buf_printf(out, "    '%s %s')\n", command->name, verb->name);
        put_options(out, command, verb, verb->place);
    }
    if (!command->noun) {
        buf_printf(out, "    '%s '*)\n", command->name);
        put_options(out, command, NULL, command->place);
    }
}

void completion_put_bash(struct buf *out)
{
    size_t n;
    const struct command *all = commands(&n);
    buf_puts(out, head);
    buf_lit(out, "    local verb=\n"
                 "    [[ $COMP_CWORD -gt 2 ]] && verb=${COMP_WORDS[2]}\n"
                 "    if [[ $COMP_CWORD -eq 1 ]]; then\n"
                 "        _tapedeck_offer '' '");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s ", all[i].name);
    buf_lit(out, "--help --version'\n        return\n    fi\n    case \"${COMP_WORDS[1]} $verb\" in\n");
    for (size_t i = 0; i < n; i++)
        put_command(out, &all[i]);
    buf_lit(out, "    esac\n}\ncomplete -F _tapedeck tapedeck\n");
}
