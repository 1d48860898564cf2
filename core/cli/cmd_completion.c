/* `tapedeck completion`: scripts for shells. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/completion.h"

const char completion_usage[] = "Usage: tapedeck completion bash|zsh|fish\n"
                                "\n"
                                "Prints a script that completes commands, options, files, and the names that the hub knows:\n"
                                "\n"
                                "      source <(tapedeck completion bash)\n"
                                "      tapedeck completion zsh >~/.zfunc/_tapedeck\n"
                                "      tapedeck completion fish >~/.config/fish/completions/tapedeck.fish\n"
                                "\n"
                                "  bash                  for bash 4 and later\n"
                                "  zsh                   for zsh, in a directory of $fpath\n"
                                "  fish                  for fish\n"
                                "  -h, --help            this text\n";

int cmd_completion(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*put)(struct buf *);
    } shells[] = {{"bash", completion_put_bash}, {"zsh", completion_put_zsh}, {"fish", completion_put_fish}};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return printf("%s", completion_usage) < 0 ? CLI_FAILURE : CLI_OK;
    for (size_t i = 0; argc == 2 && i < sizeof(shells) / sizeof(shells[0]); i++) {
        struct buf out;
        if (strcmp(argv[1], shells[i].name) != 0)
            continue;
        buf_init(&out, 0);
        shells[i].put(&out);
        int code = cli_write(&out);
        buf_clear(&out);
        return code;
    }
    return cli_usage("completion ", "say for which shell: bash, zsh or fish");
}
