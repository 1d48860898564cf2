#ifndef CLI_CMD_PLUGIN_H
#define CLI_CMD_PLUGIN_H

/* argv[0] is "plugin"; returns the exit code. */
int cmd_plugin(int argc, char **argv);

#endif
