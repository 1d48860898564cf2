/* `tapedeck capture info`: what a capture holds, as numbers and checksums. */
#ifndef CLI_CMD_CAPTURE_H
#define CLI_CMD_CAPTURE_H

/* argv[0] is "capture". The process's exit code. */
int cmd_capture(int argc, char **argv);

#endif
