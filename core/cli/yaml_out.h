/* JSON as YAML, for people who read it. */
#ifndef CLI_YAML_OUT_H
#define CLI_YAML_OUT_H

#include <jansson.h>

#include "base/buf.h"

/* Block style, two spaces a level; text that YAML could take for something else stands in quotes. What is nested deeper than 64 levels
 * stands on one line, as JSON, which is YAML as well. */
void yaml_put_json(struct buf *out, const json_t *value);

#endif
