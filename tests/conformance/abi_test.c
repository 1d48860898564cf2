/* Plugins built against the frozen header of each minor, loaded into today's core: what fits works, and what does not is
 * refused with everything that one needs to know. */
#include "abi/layout.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/host.h"
#include "plugin/instance.h"
#include "plugin/loader.h"
#include "plugin/registry.h"
#include "tap.h"

static char root[] = "/tmp/tapedeck-abi-XXXXXX";
static struct arena arena;
static struct error err;
static struct td_host host;

/* Copies a sample to where only this user can write, whatever the umask of the build was. */
static bool install(const char *sample, const char *folder, const char *name)
{
    char from[256], to[256], bytes[65536];
    const char *build = getenv("BUILD");
    snprintf(from, sizeof(from), "%s/obj/abi/%s.so", build ? build : "build", sample);
    snprintf(to, sizeof(to), "%s/%s", root, folder);
    mkdir(to, 0755);
    snprintf(to, sizeof(to), "%s/%s/dissectors", root, folder);
    mkdir(to, 0755);
    snprintf(to, sizeof(to), "%s/%s/dissectors/%s.so", root, folder, name);
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    ssize_t n = -1;
    bool good = in >= 0 && out >= 0 && fchmod(out, 0755) == 0;
    while (good && (n = read(in, bytes, sizeof(bytes))) > 0)
        good = write(out, bytes, (size_t)n) == n;
    close(in);
    close(out);
    return ok(good && n == 0, "%s is installed", sample);
}

static const char *installed(const char *folder, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s/dissectors/%s.so", root, folder, name);
    return path;
}

/* ---- One plugin ---------------------------------------------------------------------------------------------- */

static struct plugin_file load(const char *sample)
{
    struct plugin_file file = {0};
    memset(&err, 0, sizeof(err));
    if (install(sample, "single", sample) && loader_load(installed("single", sample), &arena, &file, &err) != TD_OK)
        tap_diag("%s", err.text);
    return file;
}

static void refused(const char *sample, enum plugin_step step, const char *reason)
{
    struct plugin_file file = load(sample);
    ok(file.step == step && err.status != TD_OK, "%s is refused", sample);
    char head[300];
    snprintf(head, sizeof(head), "%s: %s", installed("single", sample), reason);
    like(err.text, head, "  the file and the reason are told");
    like(err.text, "(built 20", "  and when it was built");
    like(err.text, "; this core offers plugin ABI 1.1)", "  and what this core offers");
}

static void test_refusals(void)
{
    refused("wrong_major", PLUGIN_SYMBOL, "built for plugin ABI major 2; rebuild it with this core's headers");
    refused("no_symbol", PLUGIN_SYMBOL, "not a plugin of Tapedeck: it has no symbol td_plugin_v1");
    refused("target_too_new", PLUGIN_VERSION, "it needs plugin ABI 1.7");
    refused("short_struct", PLUGIN_VERSION,
            "dissector \"shortstruct\": its struct td_dissector has 96 bytes, fewer than the 104 of plugin ABI 1.0");
    refused("long_nonzero", PLUGIN_VERSION, "dissector \"longnonzero\": its struct td_dissector uses members that this core does not know");
    refused("null_ops", PLUGIN_VERSION, "dissector \"nullops\": it has no functions (ops is NULL)");
    refused("null_member", PLUGIN_TABLES, "dissector \"nullmember\": it lacks the function data()");
    refused("undefined", PLUGIN_OPEN, "cannot be linked: undefined symbol: tapedeck_offers_no_such_function");

    struct plugin_file file;
    char path[256];
    snprintf(path, sizeof(path), "%s/text.so", root);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    ok(fd >= 0 && write(fd, "not an object\n", 14) == 14, "a text file");
    close(fd);
    ok(loader_load(path, &arena, &file, &err) != TD_OK && file.step == PLUGIN_OPEN, "is refused");
    like(err.text, "cannot be linked: ", "by the dynamic linker");
    ok(loader_load("/nowhere/x.so", &arena, &file, &err) == TD_E_NOT_FOUND && file.step == PLUGIN_TRUST, "no file");
    like(err.text, "/nowhere/x.so: No such file or directory", "is told so");
}

static void test_newer(void)
{
    struct plugin_file file = load("long_zero");
    ok(file.step == PLUGIN_LOADED, "a plugin of a newer header that uses nothing new is taken %s", err.text);
    ok(file.header_minor == 9 && file.target_minor == 0, "its minors are known");
}

/* ---- Two instances ------------------------------------------------------------------------------------------- */

static int create(const struct plugin_component *component, const char *text, struct td_inst **ret)
{
    struct yaml_tree *tree;
    int status = yaml_tree_parse(td_str(text), "c.yaml", &tree, &err);
    if (status == TD_OK) {
        status = instance_create(component, yaml_tree_root(tree), &host, ret, &err);
        yaml_tree_free(tree);
    }
    return status;
}

static int probe(const struct td_inst *inst)
{
    return inst->component->dissector.probe(inst->self, NULL, TD_CLIENT, TD_LIT("x"));
}

static void test_instances(void)
{
    struct td_inst *one = NULL, *two = NULL, *none = NULL;
    struct plugin_file file = load("good");
    if (!ok(file.step == PLUGIN_LOADED && file.component_count == 1, "a good plugin %s", err.text))
        return;
    const struct plugin_component *good = &file.components[0];
    is_str(file.name, "good", "its name");
    ok(create(good, "label: ab", &one) == TD_OK && create(good, "label: abcde", &two) == TD_OK, "two instances at once %s", err.text);
    ok(one && two && probe(one) == 2 && probe(two) == 5 && probe(one) == 2, "each with its own state");
    instance_destroy(one);
    ok(two && probe(two) == 5, "one outlives the other");
    instance_destroy(two);
    is_int(create(good, "maxBodySzie: 1Mi", &none), TD_E_CONFIG, "a misspelt option");
    is_str(err.text, "c.yaml:1:1: unknown option \"maxBodySzie\" of dissector \"good\"; did you mean \"maxBodySize\"?", "is told");
    is_int(create(good, "maxBodySize: 2Mi", &none), TD_E_CONFIG, "an option out of range");
    is_str(err.text, "c.yaml:1:14: option \"maxBodySize\" of dissector \"good\": \"2Mi\" is out of range; it must be 1 to 1Mi", "is told");

    file = load("failing_create");
    ok(file.step == PLUGIN_LOADED, "a plugin whose create fails is loaded");
    is_int(instance_create(&file.components[0], NULL, &host, &none, &err), TD_E_CONFIG, "but not created");
    is_str(err.text, "dissector \"failing\": no luck today", "and says why");
    ok(!none, "nothing is left");
}

/* ---- A folder of plugins ------------------------------------------------------------------------------------- */

static const struct plugin_file *find_file(const struct registry *registry, const char *path)
{
    size_t n;
    const struct plugin_file *const *files = registry_files(registry, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i]->path, path) == 0)
            return files[i];
    return NULL;
}

static void refused_in(const struct registry *registry, const char *folder, const char *name, bool shadowed, const char *reason)
{
    const struct plugin_file *file = find_file(registry, installed(folder, name));
    ok(file && file->shadowed == shadowed, "%s/%s is listed", folder, name);
    like(file ? file->reason : NULL, reason, "  with its reason");
}

static void test_registry(void)
{
    char path[128], text[256], want[512];
    struct config *config = NULL;
    struct registry *registry = NULL;
    struct findings f;
    bool all = install("good", "first", "good") && install("duplicate", "first", "other") && install("wrong_major", "first", "old") &&
               install("good", "second", "good") && install("long_zero", "second", "long") && install("long_zero", "third", "zzz");
    if (!all)
        return;
    snprintf(path, sizeof(path), "%s/second::%s/second/../second:%s/third", root, root, root);
    setenv(REGISTRY_PATH_ENV, path, 1);
    findings_init(&f);
    snprintf(text, sizeof(text), "tap: {plugins: {path: %s/first}}", root);
    ok(config_parse(td_str(text), "c.yaml", &config, &f) == TD_OK && !f.errors, "a configuration with a plugin path");
    ok(config && registry_open(config, &registry, &err) == TD_OK, "bad plugins do not stop the others %s", err.text);
    if (!registry)
        return;
    size_t n;
    const struct plugin_component *const *components = registry_components(registry, TD_KIND_DISSECTOR, &n);
    ok(n == 2 && strcmp(components[0]->c.name, "good") == 0 && strcmp(components[1]->c.name, "longzero") == 0, "by name");
    ok(!registry_components(registry, TD_KIND_EXPORTER, &n) && n == 0, "no exporters");
    ok(registry_find(registry, TD_KIND_DISSECTOR, "good") == components[0], "found by kind and name");
    ok(!registry_find(registry, TD_KIND_EXPORTER, "good") && !registry_find(registry, TD_KIND_DISSECTOR, "x"), "or not");
    is_str(components[0]->file->path, installed("first", "good"), "the configuration's path comes first");
    is_str(components[1]->file->path, installed("second", "long"), "then the environment's, once");
    (void)registry_files(registry, &n);
    is_int(n, 6, "six files were found");
    refused_in(registry, "first", "old", false, "built for plugin ABI major 2");
    snprintf(want, sizeof(want), "other.so: dissector \"good\" is in %s already (built 20", installed("first", "good"));
    refused_in(registry, "first", "other", false, want);
    snprintf(want, sizeof(want), "hidden by %s, which is found first", installed("first", "good"));
    refused_in(registry, "second", "good", true, want);
    snprintf(want, sizeof(want), "dissector \"longzero\" is in %s already", installed("second", "long"));
    refused_in(registry, "third", "zzz", false, want);
    registry_free(registry);

    setenv(REGISTRY_PATH_ENV, "/nowhere", 1);
    is_int(registry_open(config, &registry, &err), TD_E_CONFIG, "a plugin directory that is not there");
    is_str(err.text, REGISTRY_PATH_ENV ": plugin directory /nowhere: No such file or directory", "is told with who named it");
    unsetenv(REGISTRY_PATH_ENV);
    config_free(config);
    snprintf(text, sizeof(text), "tap:\n plugins:\n  path: [nowhere]\n");
    ok(config_parse(td_str(text), "/etc/x/c.yaml", &config, &f) == TD_OK, "a relative one");
    is_int(registry_open(config, &registry, &err), TD_E_CONFIG, "starts from the configuration's directory");
    is_str(err.text, "/etc/x/c.yaml:3:9: plugin directory /etc/x/nowhere: No such file or directory", "and is told with its place");
    config_free(config);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int main(void)
{
    unsetenv(REGISTRY_PATH_ENV);
    arena_init(&arena, 16 << 20);
    host_init_control(&host);
    if (!ok(mkdtemp(root) != NULL, "a directory for the test"))
        return tap_done();
    test_refusals();
    test_newer();
    test_instances();
    test_registry();
    ok(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "nothing is left behind");
    arena_clear(&arena);
    return tap_done();
}
