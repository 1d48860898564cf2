/* What the loader takes and what it refuses, on descriptors that are broken in one place each. */
#include "plugin/descriptor.h"

#include "plugin/check.h"
#include "tap.h"
#include "unit/plugin/sample.h"

/* Copies of the sample that a test may break. */
static struct {
    struct td_option options[300];
    struct td_field fields[300];
    struct td_claim claims[3];
    struct td_point points[2];
    struct td_dissector dissector;
    struct td_exporter exporter;
    struct td_storage storage;
    struct td_component components[2];
    const struct td_component *list[70];
    struct td_plugin plugin;
} my;

static struct arena arena;
static struct plugin_file file;
static struct error err;

static void reset(void)
{
    memset(&my, 0, sizeof(my));
    memcpy(my.options, sample_options, sizeof(sample_options));
    memcpy(my.fields, sample_fields, sizeof(sample_fields));
    memcpy(my.claims, sample_claims, sizeof(sample_claims));
    memcpy(my.points, sample_points, sizeof(sample_points));
    my.dissector = sample_dissector;
    my.exporter = sample_exporter;
    my.components[0] = sample_dissector_component;
    my.components[1] = sample_exporter_component;
    my.plugin = sample_plugin;
    my.dissector.fields.v = my.fields;
    my.dissector.claims.v = my.claims;
    my.dissector.points.v = my.points;
    my.components[0].options.v = my.options;
    my.components[0].ops = &my.dissector;
    my.components[1].ops = &my.exporter;
    my.list[0] = &my.components[0];
    my.list[1] = &my.components[1];
    my.plugin.components = my.list;
}

static int read_plugin(const struct td_plugin *plugin)
{
    memset(&err, 0, sizeof(err));
    memset(&file, 0, sizeof(file));
    arena_clear(&arena);
    return descriptor_read(plugin, &arena, &file, &err);
}

static void refused(enum plugin_step step, const char *message)
{
    ok(read_plugin(&my.plugin) == TD_E_UNSUPPORTED && file.step == step, "refused: %s", message);
    like(err.text, message, "  and told so");
    reset();
}

static void test_good(void)
{
    ok(read_plugin(&sample_plugin) == TD_OK && file.step == PLUGIN_LOADED, "a good plugin %s", err.text);
    ok(file.component_count == 2, "two components");
    const struct plugin_component *d = &file.components[0], *e = &file.components[1];
    ok(d->c.ops == &d->dissector && e->c.ops == &e->exporter, "functions are in the core's own structs");
    ok(d->c.options.v != sample_options && d->c.options.stride == sizeof(struct td_option), "so are tables");
    size_t n;
    const struct td_field *fields = plugin_fields(d, &n);
    ok(n == 3 && fields != sample_fields && fields[1].names.v != sample_names && fields[1].names.n == 2, "and tables in tables");
    ok(!plugin_fields(e, &n) && n == 0, "an exporter has no fields");
    ok(d->file == &file && d->dissector.probe == sample_probe, "a component knows its file");
    is_str(plugin_kind_name(TD_KIND_EXPORTER), "exporter", "kinds have names");
    is_str(plugin_kind_name(77), "component", "unknown ones too");
}

/* Older and newer plugins. */
static void test_sizes(void)
{
    struct {
        struct td_plugin p;
        const void *newer[2];
    } longer = {my.plugin, {NULL, NULL}};
    longer.p.size = sizeof(longer);
    longer.p.header_minor = 3;
    ok(read_plugin(&longer.p) == TD_OK, "a longer struct with nothing new in it %s", err.text);
    longer.newer[1] = &longer;
    ok(read_plugin(&longer.p) != TD_OK && file.step == PLUGIN_VERSION, "a longer struct that uses what is new");
    is_str(err.text, "its struct td_plugin uses members that this core does not know", "and told so");

    struct {
        struct td_field f;
        uint64_t newer;
    } rows[2] = {{sample_fields[0], 0}, {sample_fields[1], 0}};
    my.dissector.fields = (struct td_table)TD_TABLE(rows);
    ok(read_plugin(&my.plugin) == TD_OK, "longer rows %s", err.text);
    size_t n;
    const struct td_field *fields = plugin_fields(&file.components[0], &n);
    is_str(fields[1].name, "sample_code", "are read with their stride");
    rows[1].newer = 1;
    ok(read_plugin(&my.plugin) != TD_OK, "longer rows that use what is new");
    is_str(err.text, "dissector \"sample\": its struct td_field uses members that this core does not know", "and told so");
    reset();

    my.plugin.size = 8;
    refused(PLUGIN_VERSION, "its struct td_plugin has 8 bytes, fewer than the 48 of plugin ABI 1.0");
    my.plugin.size = 1 << 20;
    refused(PLUGIN_VERSION, "its struct td_plugin claims 1048576 bytes, which cannot be");
    my.components[0].size = 16;
    refused(PLUGIN_VERSION, "its struct td_component has 16 bytes, fewer than the 72 of");
    my.dissector.size = offsetof(struct td_dissector, close);
    refused(PLUGIN_VERSION, "dissector \"sample\": its struct td_dissector has 96 bytes, fewer than the 104 of");
    my.exporter.size -= 8;
    refused(PLUGIN_VERSION, "exporter \"samplefile\": its struct td_exporter has 40 bytes, fewer than the 48 of");
    my.dissector.fields.stride = 8;
    refused(PLUGIN_VERSION, "its struct td_field has 8 bytes, fewer than the 40 of");
    my.dissector.claims.stride = 1;
    refused(PLUGIN_VERSION, "its struct td_claim has 1 bytes");
    my.dissector.points.stride = 1;
    refused(PLUGIN_VERSION, "its struct td_point has 1 bytes");
    my.components[0].options.stride = 1;
    refused(PLUGIN_VERSION, "its struct td_option has 1 bytes");
    my.fields[1].names.stride = 1;
    refused(PLUGIN_VERSION, "its struct td_name has 1 bytes");
    my.plugin.target_minor = my.plugin.header_minor = TD_ABI_MINOR + 7;
    refused(PLUGIN_VERSION, "it needs plugin ABI 1.8");
    my.plugin.target_minor = 0;
    my.plugin.header_minor = 0;
    ok(read_plugin(&my.plugin) == TD_OK, "the oldest minor will do");
}

static int storage_check(void *self)
{
    (void)self;
    return TD_OK;
}

static int storage_head(void *self, const char *key, struct td_object *ret)
{
    (void)self, (void)key, (void)ret;
    return TD_E_NOT_FOUND;
}

static int storage_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    (void)self, (void)key, (void)offset, (void)n, (void)sink, (void)ctx;
    return TD_E_NOT_FOUND;
}

static int storage_put_open(void *self, const char *key, const struct td_put *put, void **ret_upload)
{
    (void)self, (void)key, (void)put, (void)ret_upload;
    return TD_E_DENIED;
}

static int storage_put_write(void *upload, struct td_slice bytes)
{
    (void)upload, (void)bytes;
    return TD_OK;
}

static int storage_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    (void)upload, (void)sha256, (void)ret;
    return TD_OK;
}

static void storage_put_abort(void *upload)
{
    (void)upload;
}

static int storage_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    (void)self, (void)prefix, (void)after, (void)each, (void)ctx;
    return TD_OK;
}

static int storage_remove(void *self, const char *key)
{
    (void)self, (void)key;
    return TD_OK;
}

/* The first component becomes a storage backend. */
static void make_storage(void)
{
    reset();
    my.storage = (struct td_storage){.size = sizeof(struct td_storage),
                                     .check = storage_check,
                                     .head = storage_head,
                                     .get = storage_get,
                                     .put_open = storage_put_open,
                                     .put_write = storage_put_write,
                                     .put_commit = storage_put_commit,
                                     .put_abort = storage_put_abort,
                                     .list = storage_list,
                                     .remove = storage_remove};
    my.components[0].kind = TD_KIND_STORAGE;
    my.components[0].ops = &my.storage;
    my.plugin.target_minor = my.plugin.header_minor = 1;
}

static void test_storage(void)
{
    make_storage();
    ok(read_plugin(&my.plugin) == TD_OK && file.components[0].storage.list == storage_list, "a storage backend %s", err.text);
    ok(file.components[0].c.ops == &file.components[0].storage, "whose functions are the core's copy");
    my.plugin.target_minor = 0;
    refused(PLUGIN_VERSION,
            "storage plugin \"sample\": storage backends are part of plugin ABI 1.1, but the plugin says that 1.0 is enough; "
            "define TD_TARGET_MINOR 1");
    make_storage();
    my.storage.size = offsetof(struct td_storage, path);
    refused(PLUGIN_VERSION, "storage plugin \"sample\": its struct td_storage has 96 bytes, fewer than the 104 of plugin ABI 1.1");
    make_storage();
    my.storage.flags = 1;
    refused(PLUGIN_TABLES, "storage plugin \"sample\": it has flags that do not exist");
    static const struct {
        size_t offset;
        const char *message;
    } members[] = {
        {offsetof(struct td_storage, check), "it lacks the function check()"},
        {offsetof(struct td_storage, head), "it lacks the function head()"},
        {offsetof(struct td_storage, get), "it lacks the function get()"},
        {offsetof(struct td_storage, put_open), "it lacks the function put_open()"},
        {offsetof(struct td_storage, put_write), "it lacks the function put_write()"},
        {offsetof(struct td_storage, put_commit), "it lacks the function put_commit()"},
        {offsetof(struct td_storage, put_abort), "it lacks the function put_abort()"},
        {offsetof(struct td_storage, list), "it lacks the function list()"},
        {offsetof(struct td_storage, remove), "it lacks the function remove()"},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        make_storage();
        memset((uint8_t *)&my.storage + members[i].offset, 0, sizeof(void (*)(void)));
        refused(PLUGIN_TABLES, members[i].message);
    }
}

static void test_components(void)
{
    my.plugin.license = NULL;
    refused(PLUGIN_TABLES, "it lacks its license");
    my.plugin.components = NULL;
    refused(PLUGIN_TABLES, "it has no components");
    for (size_t i = 0; i < 69; i++)
        my.list[i] = &my.components[0];
    refused(PLUGIN_VERSION, "more than 64 components");
    my.list[1] = my.list[0];
    refused(PLUGIN_TABLES, "dissector \"sample\": it is there twice in this plugin");
    my.components[0].kind = 9;
    refused(PLUGIN_VERSION, "component \"sample\": kind 9 is unknown");
    my.components[0].ops = NULL;
    refused(PLUGIN_VERSION, "it has no functions (ops is NULL)");
    my.components[0].name = NULL;
    refused(PLUGIN_TABLES, "dissector without a name: its name must be");
    my.components[0].name = "Sample";
    refused(PLUGIN_TABLES, "dissector \"Sample\": its name must be lower-case letters");
    my.components[0].name = "";
    refused(PLUGIN_TABLES, "its name must be");
    my.components[0].summary = NULL;
    refused(PLUGIN_TABLES, "it has no summary");
    my.dissector.probe = NULL;
    refused(PLUGIN_TABLES, "it lacks the function probe()");
    my.dissector.close = NULL;
    refused(PLUGIN_TABLES, "it lacks the function close()");
    my.dissector.max_probe = 4097;
    refused(PLUGIN_TABLES, "max_probe is 4097; the limit is 4096");
    my.exporter.packet = NULL;
    refused(PLUGIN_TABLES, "exporter \"samplefile\": it lacks the function packet()");
    my.exporter.wants = 1;
    refused(PLUGIN_TABLES, "it wants more than packets");
    my.exporter.media_type = "text";
    refused(PLUGIN_TABLES, "it lacks its media type");
    my.exporter.suffix = "pcap";
    refused(PLUGIN_TABLES, "it lacks its suffix");
    my.components[0].create = NULL;
    my.components[0].destroy = NULL;
    ok(read_plugin(&my.plugin) == TD_OK, "create and destroy may be missing");
    reset();
}

static void test_options(void)
{
    my.options[3].def = "11";
    refused(PLUGIN_TABLES, "dissector \"sample\": option \"depth\" has a bad default: \"11\" is out of range");
    my.components[0].config_size = 8;
    refused(PLUGIN_TABLES, "option \"password\" lies outside the config struct");
    my.components[0].config_size = 1 << 20;
    refused(PLUGIN_TABLES, "a config struct of 1048576 bytes; the limit is 65536");
    my.components[0].options.n = 257;
    refused(PLUGIN_VERSION, "its table of struct td_option has 257 rows; the limit is 256");
    my.components[0].options.v = NULL;
    refused(PLUGIN_VERSION, "its table of struct td_option has 9 rows but no address");
}

static void test_fields(void)
{
    my.dissector.fields.n = 129;
    refused(PLUGIN_VERSION, "its table of struct td_field has 129 rows; the limit is 128");
    my.fields[2].name = NULL;
    refused(PLUGIN_TABLES, "field 2 has no name");
    my.fields[2].name = "Request";
    refused(PLUGIN_TABLES, "field name \"Request\"");
    my.fields[2].name = my.fields[0].name;
    refused(PLUGIN_TABLES, "field \"sample_method\" is there twice");
    my.fields[0].type = 0;
    refused(PLUGIN_TABLES, "has a type that this core does not know");
    my.fields[0].type = TD_MAP + 1;
    refused(PLUGIN_TABLES, "has a type that this core does not know");
    my.fields[0].doc = NULL;
    refused(PLUGIN_TABLES, "has no documentation");
    my.fields[0].flags = 1u << 20;
    refused(PLUGIN_TABLES, "has flags that do not exist");
    my.fields[0].flags = 1u << 20;
    my.plugin.header_minor = TD_ABI_MINOR + 1;
    ok(read_plugin(&my.plugin) == TD_OK, "flags of a newer header are its own affair");
    reset();
    my.fields[2].flags = TD_F_LIST;
    refused(PLUGIN_TABLES, "is a list of maps");
    my.fields[1].flags = TD_F_BODY;
    refused(PLUGIN_TABLES, "is a body, but neither bytes nor a string");
    static const struct td_field bodies[] = {{"sample_a", TD_BYTES, TD_F_BODY, "One.", {0}},
                                             {"sample_b", TD_BYTES, TD_F_BODY, "Two.", {0}},
                                             {"sample_c", TD_STRING, TD_F_BODY, "Three.", {0}},
                                             {"sample_d", TD_BYTES, TD_F_BODY, "Four.", {0}},
                                             {"sample_e", TD_BYTES, TD_F_BODY, "Five.", {0}}};
    my.dissector.fields = (struct td_table)TD_TABLE(bodies);
    refused(PLUGIN_TABLES, "field \"sample_e\" is a body too many");
    my.fields[0].flags = TD_F_METHOD | TD_F_TARGET;
    refused(PLUGIN_TABLES, "is more than one of method, target and status");
    my.fields[2].flags = TD_F_TARGET;
    refused(PLUGIN_TABLES, "is a column of the summary, but a map");
    my.fields[1].flags = TD_F_METHOD;
    refused(PLUGIN_TABLES, "field \"sample_code\" is a column of the summary that another field is already");
    my.fields[1].type = TD_U64;
    refused(PLUGIN_TABLES, "has names for its values, but is no enum");
    static const struct td_name unsorted[] = {{2, "two"}, {2, "deux"}}, nameless[] = {{2, NULL}};
    my.fields[1].names = (struct td_table)TD_TABLE(unsorted);
    refused(PLUGIN_TABLES, "has names that are not in ascending order");
    my.fields[1].names = (struct td_table)TD_TABLE(nameless);
    refused(PLUGIN_TABLES, "has a value without a name");
}

static void test_claims(void)
{
    my.claims[0].on = 0;
    refused(PLUGIN_TABLES, "claim 0 is on something that this core does not know");
    my.claims[1].port_hi = 6999;
    refused(PLUGIN_TABLES, "claim 1 has a port range that cannot be");
    my.claims[0].port_hi = 1;
    refused(PLUGIN_TABLES, "claim 0 has a port range that cannot be");
    my.claims[2].point = NULL;
    refused(PLUGIN_TABLES, "claim 2 is on a point, but names none");
    my.claims[2].port_lo = 1;
    refused(PLUGIN_TABLES, "claim 2 is on a point, but has ports");
    my.claims[0].key = "x";
    refused(PLUGIN_TABLES, "claim 0 has a point or a key, but is not on a point");
    my.points[0].doc = NULL;
    refused(PLUGIN_TABLES, "point 0 lacks its name or its documentation");
    my.points[1] = my.points[0];
    my.dissector.points.n = 2;
    refused(PLUGIN_TABLES, "point \"sample.inner\" is there twice");
}

int main(void)
{
    arena_init(&arena, 1 << 20);
    reset();
    test_good();
    test_sizes();
    test_components();
    test_storage();
    test_options();
    test_fields();
    test_claims();
    arena_clear(&arena);
    return tap_done();
}
