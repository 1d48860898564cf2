#ifndef CLI_CMD_CONFIG_H
#define CLI_CMD_CONFIG_H

/* argv[0] is "config"; returns the exit code. */
int cmd_config(int argc, char **argv);

#endif
