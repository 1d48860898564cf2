#include "config/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"
#include "tap.h"

static struct error err;

static const char *text_at(const struct yaml_tree *tree, const char *path)
{
    const struct config config = {.tree = (struct yaml_tree *)(uintptr_t)tree}; /* only read */
    const struct yaml_node *node = tree ? config_node(&config, path) : NULL;
    return node && node->kind == YAML_TEXT ? node->text : "nothing";
}

static void clear(void)
{
    size_t n;
    const struct environment_row *rows = environment_rows(&n);
    for (size_t i = 0; i < n; i++)
        unsetenv(rows[i].variable);
}

static void test_without_file(void)
{
    struct yaml_tree *tree = NULL;
    ok(environment_apply(&tree, &err) == TD_OK && !tree, "no variable changes nothing");
    setenv("SNAPSHOT_AWS_REGION", "", 1);
    ok(environment_apply(&tree, &err) == TD_OK && !tree, "nor does an empty one");
    setenv("SNAPSHOT_CLOUD_PREFIX", "mine/", 1);
    setenv("SNAPSHOT_AWS_BUCKET", "bucket", 1);
    setenv("SNAPSHOT_AZBLOB_CONTAINER", "box", 1);
    is_int(environment_apply(&tree, &err), TD_OK, "three variables");
    is_str(text_at(tree, "tap.snapshots.cloud.prefix"), "mine/", "a section's option");
    is_str(text_at(tree, "tap.snapshots.cloud.s3.bucket"), "bucket", "a plugin's");
    is_str(text_at(tree, "tap.snapshots.cloud.azblob.container"), "box", "another's");
    is_str(text_at(tree, "tap.snapshots.cloud.s3.region"), "nothing", "what is not set is not there");
    yaml_tree_free(tree);
    clear();
}

static void test_over_file(void)
{
    struct yaml_tree *tree = NULL;
    const char *file =
        "all: &all {bucket: file, region: r}\ntap:\n  snapshots:\n    cloud: {provider: s3, s3: *all, other: *all, azblob: }\n";
    is_int(yaml_tree_parse(td_str(file), "c.yaml", &tree, &err), TD_OK, "a file %s", err.text);
    setenv("SNAPSHOT_AWS_BUCKET", "changed", 1);
    setenv("SNAPSHOT_AWS_SECRET_KEY", "s: {e}\"c\n", 1);
    setenv("SNAPSHOT_AZBLOB_CONTAINER", "box", 1);
    is_int(environment_apply(&tree, &err), TD_OK, "is overridden");
    is_str(text_at(tree, "tap.snapshots.cloud.s3.bucket"), "changed", "what it had");
    is_str(text_at(tree, "tap.snapshots.cloud.s3.region"), "r", "not what stands beside it");
    is_str(text_at(tree, "tap.snapshots.cloud.s3.secretKey"), "s: {e}\"c\n", "any text is possible");
    is_str(text_at(tree, "tap.snapshots.cloud.other.bucket"), "file", "an alias elsewhere stays as it is");
    is_str(text_at(tree, "tap.snapshots.cloud.azblob.container"), "box", "in place of nothing");
    is_str(text_at(tree, "all.bucket"), "file", "nor does the anchor change");
    yaml_tree_free(tree);
    tree = NULL;
    is_int(yaml_tree_parse(TD_LIT("tap:\n  snapshots: [a]\n"), "c.yaml", &tree, &err), TD_OK, "a file with a list");
    is_int(environment_apply(&tree, &err), TD_E_CONFIG, "a list on the way");
    is_str(err.text, "c.yaml:2:14: here a list, which SNAPSHOT_AWS_BUCKET wants to change, should be a mapping of at most 999 keys",
           "is told");
    yaml_tree_free(tree);
    clear();
}

static void test_config(void)
{
    struct config *config = NULL;
    struct findings f;
    findings_init(&f);
    setenv("SNAPSHOT_CLOUD_PROVIDER", "s3", 1);
    ok(config_read(NULL, &config, &f) == TD_OK && !f.errors, "a configuration from the environment alone");
    is_str(config->cloud_snapshots.provider, "s3", "has its values");
    ok(!config->file, "and no file");
    config_free(config);
    clear();
}

int main(void)
{
    clear();
    test_without_file();
    test_over_file();
    test_config();
    return tap_done();
}
