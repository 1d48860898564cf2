/* From a plugin's descriptors to the core's own copies of them.
 *
 * A plugin may have been built with an older or a newer header, so its structs may be shorter or longer than ours and
 * are never used in place: what both know is copied, tables row by row, and the rest is zero here or must be zero
 * there. Afterwards every table is an array of our own rows. Strings and functions stay where they are: plugins are never
 * unloaded. Only the plugin's data is read; none of its code runs. */
#ifndef PLUGIN_DESCRIPTOR_H
#define PLUGIN_DESCRIPTOR_H

#include "base/arena.h"
#include "base/error.h"
#include "config/options.h"

enum {
    DESCRIPTOR_MAX_COMPONENTS = 64,
    DESCRIPTOR_MAX_FIELDS = 128,
    DESCRIPTOR_MAX_BODIES = 4, /* fields with TD_F_BODY */
    DESCRIPTOR_MAX_CLAIMS = 256,
    DESCRIPTOR_MAX_POINTS = 64,
    DESCRIPTOR_MAX_NAMES = 4096, /* of an enum's values */
    DESCRIPTOR_MAX_BYTES = 4096  /* of a struct or a row */
};

struct plugin_file;

struct plugin_component {
    struct td_component c;             /* c.options: rows of struct td_option; c.ops: one of the below */
    union {                            /* by c.kind */
        struct td_dissector dissector; /* fields (and their names), claims, points: rows of the header's structs */
        struct td_exporter exporter;
        struct td_storage storage;
    };
    const struct plugin_file *file;
};

/* How far a plugin file came: each is what is being checked. */
enum plugin_step {
    PLUGIN_TRUST,   /* may the file be loaded at all? */
    PLUGIN_OPEN,    /* does the dynamic linker take it? */
    PLUGIN_SYMBOL,  /* does it have this major's symbol? */
    PLUGIN_VERSION, /* do the sizes and minors fit? */
    PLUGIN_TABLES,  /* do its tables make sense? */
    PLUGIN_LOADED
};

/* A file that was found, loaded or not. */
struct plugin_file {
    const char *path;                     /* "(built in)" for a plugin that is linked in */
    int64_t built_ns;                     /* the file's modification time, since 1970 UTC; 0: unknown */
    enum plugin_step step;                /* what it failed at, or PLUGIN_LOADED */
    const char *reason;                   /* why it is not used; NULL: it is */
    bool shadowed;                        /* another file comes first: this one was not opened */
    const char *slot;                     /* "dissectors/http.so"; NULL for a plugin that is linked in */
    const char *name, *version, *license; /* known from PLUGIN_TABLES on */
    uint32_t target_minor, header_minor;
    struct plugin_component *components;
    size_t component_count;
};

/* Copies `plugin` and its components into *file, memory from `arena`. On failure file->step says what was being checked
 * and *err what is wrong, without the path. */
int descriptor_read(const struct td_plugin *plugin, struct arena *arena, struct plugin_file *file, struct error *err) MUST_CHECK;

/* "dissector", for messages; "component" if the kind is unknown. */
const char *plugin_kind_name(uint32_t kind);
/* The folder of a kind: "dissectors". */
const char *plugin_kind_folder(uint32_t kind);
/* The fields of a component: none if it is no dissector. */
const struct td_field *plugin_fields(const struct plugin_component *component, size_t *ret_n);
/* Its options, under the name that messages use: `owner` needs PLUGIN_OWNER bytes and lives as long as the result. */
enum { PLUGIN_OWNER = 96 };
struct options plugin_options(const struct plugin_component *component, char owner[PLUGIN_OWNER]);

#endif
