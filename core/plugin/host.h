/* The control part of the host table: what every plugin may call from everywhere. */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include "tapedeck/plugin.h"

/* Zeroes the table and sets its size, its minor and the functions tagged [any]. Who dissects sets the rest; an exporter
 * gets it as it is. */
void host_init_control(struct td_host *host);

#endif
