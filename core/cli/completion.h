/* Scripts that complete tapedeck's words in a shell, made from the tables of commands. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "base/buf.h"

void completion_put_bash(struct buf *out);
void completion_put_zsh(struct buf *out);
void completion_put_fish(struct buf *out);

#endif
