/* Options: from the text of a configuration to a component's config struct, by its table of struct td_option.
 *
 * The rows are the core's own copies (see plugin/descriptor.h): an array, no strides. One table serves for parsing,
 * for error messages, for help and for showing what is in force. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/units.h"
#include "config/findings.h"
#include "config/yaml.h"

enum { OPTIONS_MAX = 256, OPTIONS_MAX_CHOICES = 256, OPTIONS_MAX_CONFIG_BYTES = 65536, OPTIONS_MAX_NAME = 64 };

struct options {
    const struct td_option *v;
    size_t n;
    const char *owner;              /* for messages: `dissector "http"`, `section "tap.dissection"` */
    const char *const *subsections; /* NULL-terminated names of other keys that are somebody else's; NULL: none */
    bool open;                      /* any further key is somebody else's as well */
};

/* Is the table sound: names, types, flags, offsets within `config_size`, limits, choices, defaults? For those who
 * write tables; the text says which option and why. */
int options_check_table(const struct td_option *v, size_t n, size_t config_size, struct error *err) MUST_CHECK;

/* Fills `config`, of at least the table's config_size and zeroed, from `map` (NULL or null: defaults) over the
 * defaults. What is wrong goes to `f`, all of it. Lists and strings live in `arena`, or as long as the table. */
void options_fill(const struct options *o, const struct yaml_node *map, void *config, struct arena *arena, struct findings *f);

/* Appends the value that `config` holds for an option as a YAML value of one line; secrets are masked. What is parsed
 * from it is the same value again. */
void options_put_value(struct buf *out, const struct td_option *option, const void *config);

/* "text", "size", "one of a, b" ...: what may be written. */
void options_put_type(struct buf *out, const struct td_option *option);
/* "64Ki to 10Gi", "at least 1s"; nothing if there are no limits. */
void options_put_limits(struct buf *out, const struct td_option *option);

/* A size or a duration as an option's value is written: exact, and shorter than units_format_*(): "64Ki", "1h30m". */
const char *options_size(uint64_t bytes, char out[UNITS_TEXT]);
const char *options_duration(int64_t ns, char out[UNITS_TEXT]);

#endif
