#include "config.h"

#include <stdalign.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/environment.h"

enum { CONFIG_MAX_BYTES = 16 << 20 };

/* ---- Schema -------------------------------------------------------------------------------------------------- */

static const struct td_option tap_options[] = {
    TD_STR_OPT(struct tap_config, node, "node", "", "Name of this node, as people know it. Empty: the host's name."),
    TD_STR_OPT(struct tap_config, data_dir, "dataDir", "/var/lib/tapedeck", "Directory for everything that is kept on this machine."),
    TD_STRLIST_OPT(struct tap_config, enabled_dissectors, "enabledDissectors", NULL,
                   "Dissectors to use, by name. Without it, all that are found; [] means none."),
};

static const struct td_option capture_options[] = {
    TD_STRLIST_OPT(struct capture_config, interfaces, "interfaces", "any",
                   "Interfaces to capture on: names, patterns as veth*, or any. They may come and go."),
    TD_STR_OPT(struct capture_config, bpf, "bpf", "", "Packets to capture, as a filter in the language of tcpdump. Empty: all."),
    TD_SIZE_OPT(struct capture_config, snaplen, "snaplen", "0", 0, 262144, "Bytes to keep of each packet; 0: all."),
    TD_SIZE_OPT(struct capture_config, buffer_size, "bufferSize", "32Mi", 2 << 20, 2147483647,
                "Kernel memory for packets that wait, for each interface."),
    TD_BOOL_OPT(struct capture_config, promiscuous, "promiscuous", "false",
                "Capture packets for other machines, too, that reach an interface."),
    TD_BOOL_OPT(struct capture_config, exclude_own_traffic, "excludeOwnTraffic", "true",
                "Leave out what this program itself says and is told over its own port."),
};

static const char *const paces[] = {"full", "original", NULL};
static const char *const times[] = {"original", "now", NULL};

static const struct td_option capture_source_options[] = {
    TD_STR_OPT(struct capture_source_config, file, "file", "",
               "A capture file or a fifo that is replayed in place of capturing; - is standard input. Empty: interfaces."),
    TD_ENUM_OPT(struct capture_source_config, pace, "pace", "full", paces, "How fast: full speed, or as fast as it was captured."),
    TD_ENUM_OPT(struct capture_source_config, times, "times", "original", times,
                "Times of the packets: those in the file, or moved so that the first packet arrives now."),
};

static const char *const compressions[] = {"none", "zstd", NULL};

static const struct td_option raw_capture_options[] = {
    TD_BOOL_OPT(struct raw_capture_config, enabled, "enabled", "true", "Keep a rolling raw capture on each node's disk."),
    TD_SIZE_OPT(struct raw_capture_config, storage_size, "storageSize", "1Gi", 16 << 20, INT64_MAX,
                "Disk space of the raw capture; when it is full, the oldest segment is recycled."),
    TD_STR_OPT(struct raw_capture_config, path, "path", "", "Directory of the raw capture. Empty: raw below dataDir."),
    TD_SIZE_OPT(struct raw_capture_config, segment_size, "segmentSize", "0", 0, 1 << 30,
                "Size of a segment, the piece that is recycled. 0: a 32nd of storageSize, at most 64Mi."),
    TD_DUR_OPT(struct raw_capture_config, segment_duration_ns, "segmentDuration", "5m", NS_PER_S, INT64_MAX,
               "A segment is sealed after so long, even if it is small."),
    TD_SIZE_OPT(struct raw_capture_config, min_free_space, "minFreeSpace", "256Mi", 0, INT64_MAX,
                "Space of the file system that stays free, whatever storageSize allows."),
    TD_ENUM_OPT(struct raw_capture_config, compression, "compression", "none", compressions,
                "Compress segments after they are sealed, at the lowest priority."),
    TD_INT_OPT(struct raw_capture_config, compression_level, "compressionLevel", "1", 1, 19, "Of zstd: higher is smaller and slower."),
};

static const struct td_option worker_options[] = {
    TD_STR_OPT(struct worker_config, listen, "listen", "127.0.0.1:48999",
               "Address and port of the worker's API. Only loopback addresses work without a token."),
    TD_STR_OPT(struct worker_config, token_file, "tokenFile", "", "File with the token that clients must show. Empty: none."),
    TD_STR_OPT(struct worker_config, user, "user", "",
               "User to become once everything is open. Empty: stay; all rights but that to capture are given up all the same."),
};

static const struct td_option tls_options[] = {
    TD_STR_OPT(struct tls_config, certificate, "cert", "", "PEM file with the certificate and those between it and a known authority."),
    TD_STR_OPT(struct tls_config, key, "key", "", "PEM file with the certificate's private key."),
};

static const struct td_option hub_options[] = {
    TD_STR_OPT(struct hub_config, listen, "listen", "127.0.0.1:8898",
               "Address and port of the hub's API. Only loopback addresses work without tokens and TLS."),
    TD_STR_OPT(struct hub_config, token_file, "tokenFile", "",
               "File with a token a line: viewer TOKEN # NAME, or operator, or admin. Empty: none."),
    TD_STRLIST_OPT(struct hub_config, workers, "workers", NULL,
                   "The workers: http://HOST:PORT, https://HOST:PORT, or dns:NAME:PORT for every address that a name has."),
    TD_STR_OPT(struct hub_config, worker_token_file, "workerTokenFile", "", "File with the token that the workers want. Empty: none."),
    TD_STR_OPT(struct hub_config, worker_ca, "workerCa", "",
               "PEM file with the authorities that the workers' certificates come from. Empty: the system's."),
    TD_DUR_OPT(struct hub_config, worker_patience_ns, "workerPatience", "1m", NS_PER_S, 24 * 3600 * (int64_t)NS_PER_S,
               "A worker that gives nothing for so long while a snapshot is made is given up: the snapshot lacks the rest, and says so."),
    TD_STR_OPT(struct hub_config, audit_log, "auditLog", "",
               "File that gets a line for everything that somebody creates, exports, deletes or stops. Empty: the log gets it."),
};

static const struct td_option local_snapshots_options[] = {
    TD_SIZE_OPT(struct local_snapshots_config, storage_size, "storageSize", "20Gi", 16 << 20, INT64_MAX,
                "Disk space for all snapshots that are kept locally."),
    TD_STR_OPT(struct local_snapshots_config, path, "path", "",
               "Directory of the snapshots, on the file system of dataDir. Empty: snapshots below dataDir."),
};

static const char *const absences[] = {"refuse", "degraded", NULL};

static const struct td_option cloud_snapshots_options[] = {
    TD_STR_OPT(struct cloud_snapshots_config, provider, "provider", "",
               "Storage plugin that holds snapshots in the cloud; its own options stand under its name. Empty: none."),
    TD_STR_OPT(struct cloud_snapshots_config, prefix, "prefix", "",
               "Put before the name of every object, to share a bucket or container with others: production/. Hubs that have the same one "
               "see the same snapshots."),
    TD_INT_OPT(struct cloud_snapshots_config, parallel, "parallel", "4", 1, 64, "Objects on the way at once in each upload or download."),
    TD_DUR_OPT(struct cloud_snapshots_config, refresh_interval_ns, "refreshInterval", "1m", NS_PER_S, 24 * 3600 * (int64_t)NS_PER_S,
               "How often it is asked which snapshots are there: those that other hubs upload are seen after so long."),
    TD_DUR_OPT(struct cloud_snapshots_config, patience_ns, "patience", "10m", NS_PER_S, 24 * 3600 * (int64_t)NS_PER_S,
               "What fails in passing is tried again; an upload or download that has not come forward for so long fails."),
    TD_ENUM_OPT(struct cloud_snapshots_config, unavailable_at_start, "unavailableAtStart", "refuse", absences,
                "If the provider does not answer when the hub starts: do not start, or start and ask it again and again. What trying again "
                "cannot mend, as wrong credentials, is refused in any case."),
};

static const struct td_option plugins_options[] = {
    TD_STRLIST_OPT(struct plugins_config, path, "path", NULL,
                   "Directories to search for plugins, before all others. Relative ones start from this file's directory."),
};

static const struct td_option dissection_options[] = {
    TD_SIZE_OPT(struct dissection_config, max_memory, "maxMemory", "32Mi", 8 << 20, INT64_MAX,
                "Memory for all connections together; when it is used up, the connections that were idle longest are dropped."),
    TD_SIZE_OPT(struct dissection_config, max_connection_memory, "maxConnectionMemory", "2Mi", 64 << 10, INT64_MAX,
                "Memory for one connection: its out-of-order segments, its unparsed bytes and its dissector's state."),
    TD_SIZE_OPT(struct dissection_config, max_fragment_memory, "maxFragmentMemory", "4Mi", 64 << 10, INT64_MAX,
                "Memory for IP fragments that wait for others; the oldest datagram is given up first."),
    TD_DUR_OPT(struct dissection_config, tcp_idle_ns, "tcpIdleTimeout", "1h", NS_PER_S, INT64_MAX,
               "A TCP connection without a packet for so long, in capture time, is over."),
    TD_DUR_OPT(struct dissection_config, udp_idle_ns, "udpIdleTimeout", "60s", NS_PER_S, INT64_MAX,
               "A UDP flow without a packet for so long, in capture time, is over."),
    TD_STRLIST_OPT(struct dissection_config, decode_as, "decodeAs", NULL,
                   "Ports whose protocol is known: tcp.port==8888,http or udp.port==5300-5310,dns. A later rule wins."),
    TD_INT_OPT(struct dissection_config, threads, "threads", "0", 0, 256, "Threads that dissect; 0: as many as there are cores."),
};

static const struct td_option delayed_dissection_options[] = {
    TD_STR_OPT(struct delayed_dissection_config, cpu, "cpu", "",
               "Processors that a snapshot's dissection may keep busy: 2, 1.5 or 500m. Empty: as many as tap.dissection.threads."),
    TD_SIZE_OPT(struct delayed_dissection_config, memory, "memory", "2Gi", 128 << 20, INT64_MAX,
                "Memory that a snapshot's dissection may use."),
};

#define OPTIONS(a) (a), sizeof(a) / sizeof((a)[0])
#define VALUES(member) offsetof(struct config, member)

static const struct config_section sections[] = {
    {"tap", "Everything that Tapedeck does.", OPTIONS(tap_options), 0, VALUES(tap)},
    {"tap.capture", "Recording packets.", OPTIONS(capture_options), 0, VALUES(capture)},
    {"tap.capture.source", "Where packets come from, if not from interfaces.", OPTIONS(capture_source_options), 0, VALUES(capture_source)},
    {"tap.capture.raw", "The rolling raw capture of each node.", OPTIONS(raw_capture_options), 0, VALUES(raw_capture)},
    {"tap.worker", "The process that captures on a node.", OPTIONS(worker_options), 0, VALUES(worker)},
    {"tap.worker.tls", "Encryption of the worker's API. Empty: none.", OPTIONS(tls_options), 0, VALUES(worker_tls)},
    {"tap.hub", "The process that keeps snapshots and serves the API.", OPTIONS(hub_options), 0, VALUES(hub)},
    {"tap.hub.tls", "Encryption of the hub's API. Empty: none.", OPTIONS(tls_options), 0, VALUES(hub_tls)},
    {"tap.snapshots", "Time windows kept for good.", NULL, 0, 0, 0},
    {"tap.snapshots.local", "Snapshots on this machine.", OPTIONS(local_snapshots_options), 0, VALUES(local_snapshots)},
    {"tap.snapshots.cloud", "Snapshots in cloud storage.", OPTIONS(cloud_snapshots_options), TD_KIND_STORAGE, VALUES(cloud_snapshots)},
    {"tap.dissection", "How packets become calls.", OPTIONS(dissection_options), 0, VALUES(dissection)},
    {"tap.delayedDissection", "Dissecting snapshots, in a process of its own.", OPTIONS(delayed_dissection_options), 0,
     VALUES(delayed_dissection)},
    {"tap.dissectors", "Options of the dissectors, by name.", NULL, 0, TD_KIND_DISSECTOR, 0},
    {"tap.exporters", "Options of the exporters, by name.", NULL, 0, TD_KIND_EXPORTER, 0},
    {"tap.plugins", "Where plugins are found.", OPTIONS(plugins_options), 0, VALUES(plugins)},
};
enum { SECTION_COUNT = sizeof(sections) / sizeof(sections[0]) };

const struct config_section *config_sections(size_t *ret_n)
{
    *ret_n = SECTION_COUNT;
    return sections;
}

/* Names of the sections directly below `path` ("": at the top), NULL-terminated. */
static void subsection_names(const char *path, const char *names[SECTION_COUNT + 1])
{
    size_t n = 0, length = strlen(path);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const char *below = sections[i].path;
        if (length) {
            if (strncmp(below, path, length) != 0 || below[length] != '.')
                continue;
            below += length + 1;
        }
        if (!strchr(below, '.'))
            names[n++] = below;
    }
    names[n] = NULL;
}

/* ---- Loading ------------------------------------------------------------------------------------------------- */

static void fill_section(struct config *config, const struct config_section *section, struct findings *f)
{
    const char *names[SECTION_COUNT + 1];
    char owner[80];
    subsection_names(section->path, names);
    snprintf(owner, sizeof(owner), "section \"%s\"", section->path);
    struct options o = {.v = section->v, .n = section->n, .owner = owner, .subsections = names, .open = section->kind != 0};
    options_fill(&o, config_node(config, section->path), (uint8_t *)config + section->offset, &config->arena, f);
}

static void fill_top(struct config *config, struct findings *f)
{
    const char *names[SECTION_COUNT + 1];
    subsection_names("", names);
    struct options o = {.owner = "the configuration", .subsections = names};
    options_fill(&o, yaml_tree_root(config->tree), config, &config->arena, f);
}

static void parse_decode_rules(struct config *config, struct findings *f)
{
    const struct td_strlist *list = &config->dissection.decode_as;
    const struct yaml_node *value = yaml_get(config_node(config, "tap.dissection"), "decodeAs");
    if (list->n > CONFIG_MAX_DECODE_RULES) {
        findings_error(f, value, "more than %d rules in decodeAs", CONFIG_MAX_DECODE_RULES);
        return;
    }
    struct error why;
    config->decode_rules = arena_alloc(&config->arena, list->n * sizeof(struct decode_rule), alignof(struct decode_rule));
    if (!config->decode_rules) {
        error_nomem(&why);
        findings_add(f, NULL, &why);
        return;
    }
    for (size_t i = 0; i < list->n; i++)
        if (decode_rule_parse(list->v[i], &config->decode_rules[config->decode_rule_count], &why) == TD_OK)
            config->decode_rule_count++;
        else
            findings_add(f, yaml_item(value, i), &why);
}

static void check_memory(const struct config *config, struct findings *f)
{
    char connection[UNITS_TEXT], all[UNITS_TEXT];
    const struct dissection_config *d = &config->dissection;
    if (d->max_connection_memory > d->max_memory)
        findings_error(f, config_node(config, "tap.dissection"), "maxConnectionMemory, %s, is more than maxMemory, %s",
                       options_size(d->max_connection_memory, connection), options_size(d->max_memory, all));
}

static void check_processors(const struct config *config, struct findings *f)
{
    unsigned processors;
    const struct yaml_node *section = config_node(config, "tap.delayedDissection");
    if (!config_processors(config->delayed_dissection.cpu, &processors))
        findings_error(f, yaml_get(section, "cpu"), "tap.delayedDissection.cpu is no number of processors; write 2, 1.5 or 500m");
}

/* Takes over `tree`, which may be NULL. */
static int fill(struct yaml_tree *tree, const char *file, struct config **ret, struct findings *f)
{
    struct error why;
    struct config *config = mem_calloc(1, sizeof(*config));
    if (!config) {
        yaml_tree_free(tree);
        int status = error_nomem(&why);
        findings_add(f, NULL, &why);
        return status;
    }
    config->tree = tree;
    arena_init(&config->arena, CONFIG_MAX_BYTES);
    if (file && !(config->file = arena_strndup(&config->arena, file, strlen(file)))) {
        error_nomem(&why);
        findings_add(f, NULL, &why);
    }
    if (tree)
        fill_top(config, f);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        fill_section(config, &sections[i], f);
    parse_decode_rules(config, f);
    check_memory(config, f);
    check_processors(config, f);
    *ret = config;
    return TD_OK;
}

int config_parse(struct td_slice text, const char *file, struct config **ret, struct findings *f)
{
    struct yaml_tree *tree;
    struct error why;
    int status = yaml_tree_parse(text, file, &tree, &why);
    if (status != TD_OK) {
        findings_add(f, NULL, &why);
        return status;
    }
    return fill(tree, file, ret, f);
}

int config_read(const char *path, struct config **ret, struct findings *f)
{
    struct yaml_tree *tree = NULL;
    struct error why;
    int status = path ? yaml_tree_load(path, &tree, &why) : TD_OK;
    if (status == TD_OK)
        status = environment_apply(&tree, &why);
    if (status != TD_OK) {
        yaml_tree_free(tree);
        findings_add(f, NULL, &why);
        return status;
    }
    return fill(tree, path, ret, f);
}

int config_load(const char *path, struct config **ret, struct error *err)
{
    struct findings f;
    struct config *config = NULL;
    findings_init(&f);
    int status = config_read(path, &config, &f);
    if (f.errors)
        status = findings_status(&f, err);
    for (size_t i = 0; i < f.n; i++)
        if (f.v[i].warning)
            log_event(TD_LOG_WARN, "config", "%s", f.v[i].text);
    if (status == TD_OK)
        *ret = config;
    else
        config_free(config);
    return status;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    yaml_tree_free(config->tree);
    arena_clear(&config->arena);
    mem_free(config);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

bool config_dissector_enabled(const struct config *config, const char *name)
{
    const struct td_strlist *list = &config->tap.enabled_dissectors;
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], name) == 0)
            return true;
    return !list->v;
}

bool config_processors(const char *text, unsigned *ret)
{
    enum { MILLI = 1000, MOST = 1 << 20 };
    uint64_t milli = 0, part = MILLI;
    const char *p = text ? text : "";
    *ret = 0;
    if (!*p)
        return true;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9' && milli <= (uint64_t)MOST * MILLI; p++)
        milli = milli * 10 + (uint64_t)(*p - '0') * MILLI;
    if (*p == 'm') {
        milli = (milli + MILLI - 1) / MILLI;
        p++;
    } else if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            part /= 10;
            milli += (uint64_t)(*p - '0') * part;
        }
    }
    if (*p || !milli || milli > (uint64_t)MOST * MILLI)
        return false;
    *ret = (unsigned)((milli + MILLI - 1) / MILLI);
    return true;
}

const struct yaml_node *config_node(const struct config *config, const char *path)
{
    const struct yaml_node *node = config->tree ? yaml_tree_root(config->tree) : NULL;
    char name[OPTIONS_MAX_NAME + 1];
    while (node && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(name))
            return NULL;
        memcpy(name, path, n);
        name[n] = 0;
        node = yaml_get(node, name);
        path += n + (path[n] == '.');
    }
    return node;
}

bool config_path(const struct config *config, const char *path, char *out, size_t n)
{
    const char *slash = config->file ? strrchr(config->file, '/') : NULL;
    bool relative = path[0] != '/' && strcmp(path, "-") != 0 && slash;
    int written = relative ? snprintf(out, n, "%.*s/%s", (int)(slash - config->file), config->file, path) : snprintf(out, n, "%s", path);
    return written >= 0 && (size_t)written < n;
}

const struct yaml_node *config_component(const struct config *config, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (sections[i].kind == kind)
            return yaml_get(config_node(config, sections[i].path), name);
    return NULL;
}
