/* What a dissection did, for people: on stderr, so that it never mixes with the calls. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include <stdio.h>

#include "dissect/engine.h"

void summary_print(FILE *out, const struct engine_stats *stats, const struct dissector_set *set);

#endif
