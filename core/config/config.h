/* The configuration of the whole program: one YAML file, checked against tables and filled with defaults.
 *
 * What belongs to the core is parsed here. What belongs to plugins (tap.dissectors.<name>, tap.exporters.<name>,
 * tap.snapshots.cloud.<provider>) is kept as nodes: only a plugin's own table can check it, see plugin/configure.h.
 * Immutable after loading; readable by all threads. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "config/decode_as.h"
#include "config/findings.h"
#include "config/options.h"
#include "config/yaml.h"

struct tap_config {
    const char *node;                     /* "": the host's name */
    const char *data_dir;                 /* a directory */
    struct td_strlist enabled_dissectors; /* v NULL: not said, so all that are found */
};

struct capture_config {
    struct td_strlist interfaces;
    const char *bpf;
    uint64_t snaplen, buffer_size;
    bool promiscuous, exclude_own_traffic;
};

enum capture_pace { CAPTURE_PACE_FULL, CAPTURE_PACE_ORIGINAL };
enum capture_times { CAPTURE_TIMES_ORIGINAL, CAPTURE_TIMES_NOW };

struct capture_source_config {
    const char *file; /* "": network interfaces */
    uint32_t pace;    /* enum capture_pace */
    uint32_t times;   /* enum capture_times */
};

enum raw_compression { RAW_COMPRESSION_NONE, RAW_COMPRESSION_ZSTD };

struct raw_capture_config {
    bool enabled;
    uint64_t storage_size, segment_size, min_free_space;
    const char *path; /* "": below data_dir */
    int64_t segment_duration_ns, compression_level;
    uint32_t compression; /* enum raw_compression */
};

struct worker_config {
    const char *listen, *token_file, *user;
};

struct tls_config {
    const char *certificate, *key;
};

struct hub_config {
    const char *listen, *token_file;
    struct td_strlist workers; /* URLs, or dns:name:port: every address of that name is a worker */
    const char *worker_token_file, *worker_ca;
    int64_t worker_patience_ns;
    const char *audit_log; /* "": the log */
};

struct local_snapshots_config {
    uint64_t storage_size;
    const char *path; /* "": below data_dir */
};

enum cloud_absence { CLOUD_ABSENCE_REFUSE, CLOUD_ABSENCE_DEGRADED };

struct cloud_snapshots_config {
    const char *provider; /* name of a storage plugin; "": none */
    const char *prefix;
    int64_t parallel; /* objects of one transfer */
    int64_t refresh_interval_ns, patience_ns;
    uint32_t unavailable_at_start; /* enum cloud_absence */
};

struct plugins_config {
    struct td_strlist path; /* as written; relative ones start from the file's directory */
};

struct dissection_config {
    uint64_t max_memory, max_connection_memory, max_fragment_memory;
    int64_t tcp_idle_ns, udp_idle_ns;
    struct td_strlist decode_as;
    int64_t threads; /* 0: as many as there are cores */
};

struct delayed_dissection_config {
    const char *cpu; /* as written; config_processors() tells what it means */
    uint64_t memory;
};

enum { CONFIG_MAX_DECODE_RULES = 256 };

struct config {
    struct tap_config tap;
    struct capture_config capture;
    struct capture_source_config capture_source;
    struct raw_capture_config raw_capture;
    struct worker_config worker;
    struct tls_config worker_tls;
    struct hub_config hub;
    struct tls_config hub_tls;
    struct local_snapshots_config local_snapshots;
    struct cloud_snapshots_config cloud_snapshots;
    struct plugins_config plugins;
    struct dissection_config dissection;
    struct delayed_dissection_config delayed_dissection;
    struct decode_rule *decode_rules; /* parsed dissection.decode_as, in its order */
    size_t decode_rule_count;
    const char *file;       /* NULL: built-in defaults */
    struct yaml_tree *tree; /* NULL: built-in defaults */
    struct arena arena;     /* of everything above */
};

/* Loads a file, or the built-in defaults if `path` is NULL; environment variables override either (config/environment.h). Warnings are
 * logged; the first error is told, with the number of others. */
int config_load(const char *path, struct config **ret, struct error *err) MUST_CHECK;
/* As config_load(), but all errors and warnings go to `f`. TD_OK if the file is YAML at all: the configuration is then the
 * caller's, for further checks, and fit for use only if f->errors is 0. */
int config_read(const char *path, struct config **ret, struct findings *f) MUST_CHECK;
/* As config_read(), from text; `file` is what errors call it. */
int config_parse(struct td_slice text, const char *file, struct config **ret, struct findings *f) MUST_CHECK;
void config_free(struct config *config);

/* A path that the configuration names: relative ones start from the file's directory. False: too long for `out`. */
bool config_path(const struct config *config, const char *path, char *out, size_t n);

/* How many processors a quantity as Kubernetes has it allows to keep busy: "2", "0.5", "500m"; parts count as a whole. "": any number, 0.
 * False: no such quantity, or none above 0. */
bool config_processors(const char *text, unsigned *ret);

/* May this dissector be used? */
bool config_dissector_enabled(const struct config *config, const char *name);
/* The mapping of options for a component of a td_kind, or NULL if the file has none. */
const struct yaml_node *config_component(const struct config *config, uint32_t kind, const char *name);
/* The node at a path of sections, as "tap.snapshots.cloud", or NULL. */
const struct yaml_node *config_node(const struct config *config, const char *path);

/* The sections of the file in the order in which they are shown, parents before their children. For help and for
 * showing. */
struct config_section {
    const char *path; /* "tap.capture.raw" */
    const char *help;
    const struct td_option *v; /* its options */
    size_t n;
    uint32_t kind; /* td_kind: its other keys are names of such components; 0: none */
    size_t offset; /* of the struct that holds the values, in struct config */
};
const struct config_section *config_sections(size_t *ret_n);

#endif
