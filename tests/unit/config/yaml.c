#include "config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "tap.h"

static struct error err;

static struct yaml_tree *parse(const char *text)
{
    struct yaml_tree *tree = NULL;
    memset(&err, 0, sizeof(err));
    return yaml_tree_parse(td_str(text), "f.yaml", &tree, &err) == TD_OK ? tree : NULL;
}

static void refused(const char *text, const char *message)
{
    struct yaml_tree *tree = parse(text);
    ok(!tree && err.status == TD_E_CONFIG, "refused: %.30s", message);
    is_str(err.text, message, "  and told so");
    yaml_tree_free(tree);
}

static void test_tree(void)
{
    struct yaml_tree *tree = parse("a: 1\nb:\n  - x\n  - \"y z\"\n  - {c: ~, d: 'null'}\n# comment\ne:\n");
    const struct yaml_node *root = tree ? yaml_tree_root(tree) : NULL;
    if (!ok(root && root->kind == YAML_MAP && root->n == 3, "a mapping of three"))
        return;
    const struct yaml_node *b = yaml_get(root, "b");
    is_str(yaml_get(root, "a")->text, "1", "a scalar is text");
    ok(b->kind == YAML_LIST && b->n == 3, "a list of three");
    ok(b->items[1]->line == 4 && b->items[1]->column == 5 && !b->items[1]->plain, "an item knows its place and its quotes");
    is_str(b->items[1]->file, "f.yaml", "and its file");
    ok(yaml_is_null(yaml_get(b->items[2], "c")) && yaml_is_null(yaml_get(root, "e")), "~ and nothing are null");
    ok(!yaml_is_null(yaml_get(b->items[2], "d")), "quoted null is text");
    ok(!yaml_get(root, "x") && !yaml_get(b, "x") && !yaml_get(NULL, "x"), "what is not there is NULL");
    ok(yaml_item(b, 0) == b->items[0] && yaml_item(b->items[0], 7) == b->items[0], "one value stands for a list of one");
    ok(root->height == 3 && root->weight == 14, "height %u and weight %u", root->height, root->weight);
    yaml_tree_free(tree);

    tree = parse("{\"a\": [1, 2], \"b\": \"\\u00e9\"}");
    is_str(tree ? yaml_get(yaml_tree_root(tree), "b")->text : NULL, "é", "JSON is YAML");
    yaml_tree_free(tree);
    tree = parse("");
    ok(tree && !yaml_tree_root(tree), "an empty text has no root");
    yaml_tree_free(tree);
}

static void test_aliases(void)
{
    struct yaml_tree *tree = parse("base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\ntwo: {<<: [{y: 9}, *b], z: 4}\nthree: *b\n");
    const struct yaml_node *root = tree ? yaml_tree_root(tree) : NULL;
    if (!ok(root != NULL, "aliases and merge keys"))
        return;
    const struct yaml_node *one = yaml_get(root, "one"), *two = yaml_get(root, "two");
    is_str(yaml_get(one, "x")->text, "1", "a merged key");
    is_int(yaml_get(one, "x")->line, 1, "stands where it was written");
    is_str(yaml_get(one, "y")->text, "3", "an explicit key wins over a merged one");
    is_str(yaml_get(two, "y")->text, "9", "an earlier mapping wins over a later one");
    ok(!yaml_get(one, "<<") && one->n == 2 && two->n == 3, "the merge key itself is gone, and nothing is there twice");
    ok(yaml_get(root, "three") == yaml_get(root, "base"), "an alias is the same node");
    yaml_tree_free(tree);

    tree = parse("a: &x 1\nb: &x 2\nc: *x\n");
    is_str(tree ? yaml_get(yaml_tree_root(tree), "c")->text : NULL, "2", "the latest anchor of a name counts");
    yaml_tree_free(tree);
    refused("a: *x\n", "f.yaml:1:4: alias to an anchor that is not defined before it");
    refused("a: &x [1, *x]\n", "f.yaml:1:11: alias to a value that contains it");
    refused("a: {<<: 5}\n", "f.yaml:1:5: only a mapping, or a list of mappings, can be merged with \"<<\"");
    refused("a: {<<: {x: 1}, <<: {y: 1}}\n", "f.yaml:1:17: key \"<<\" stands here for the second time; first in line 1");
}

static void test_refusals(void)
{
    refused("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key \"a\" stands here for the second time; first in line 1");
    refused("a: !!int 1\n", "f.yaml:1:4: tags are not supported; write the value alone");
    refused("a: !x [1]\n", "f.yaml:1:4: tags are not supported; write the value alone");
    refused("? [1]\n: 2\n", "f.yaml:1:3: a key must be text");
    refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document; a configuration is one");
    refused("a: \"x\\0y\"\n", "f.yaml:1:4: text with a zero byte");
    refused("a: [1, 2\n", "f.yaml:2:1: did not find expected ',' or ']' while parsing a flow sequence (from line 1)");
    refused("a: 1\n\tb: 2\n", "f.yaml:2:1: found a tab character that violates indentation while scanning a plain scalar (from line 1)");
    refused("a: \xff\n", "f.yaml: invalid leading UTF-8 octet at byte 3; a configuration is UTF-8 text");
}

/* `head`, then `unit` n times, then `tail`. */
static struct yaml_tree *parse_repeated(const char *head, const char *unit, size_t n, const char *tail)
{
    struct buf text;
    buf_init(&text, 0);
    buf_puts(&text, head);
    for (size_t i = 0; i < n; i++)
        buf_puts(&text, unit);
    buf_puts(&text, tail);
    struct yaml_tree *tree = parse(buf_cstr(&text));
    buf_clear(&text);
    return tree;
}

static void limit(struct yaml_tree *within, const char *name)
{
    ok(within != NULL, "%s: the limit itself is allowed", name);
    yaml_tree_free(within);
}

static void beyond(struct yaml_tree *tree, const char *message)
{
    ok(!tree, "beyond the limit is refused");
    like(err.text, message, "and told so");
    yaml_tree_free(tree);
}

static void test_limits(void)
{
    limit(parse_repeated("", "[", YAML_MAX_DEPTH, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), "depth");
    beyond(parse_repeated("", "[", YAML_MAX_DEPTH + 1, ""), "f.yaml:1:65: nested deeper than 64 levels");
    beyond(parse_repeated("x: &a [[1]]\ny: ", "[", YAML_MAX_DEPTH - 2, "*a"), "f.yaml:2:66: nested deeper than 64 levels");
    limit(parse_repeated("[1", ",1", YAML_MAX_NODES - 2, "]"), "nodes");
    beyond(parse_repeated("[1", ",1", YAML_MAX_NODES - 1, "]"), "more than 100000 values");
    beyond(parse_repeated("x: 1\n", "y: &a 1\n", YAML_MAX_ANCHORS + 1, ""), "more than 256 anchors");
    beyond(parse_repeated("a: ", "                ", YAML_MAX_BYTES / 16, "1"), "longer than 1 MiB");
    beyond(parse_repeated("", "kkkkkkkkkkkkkkkk", 9, ": 1"), "f.yaml:1:1: a key of more than 128 bytes");

    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < YAML_MAX_KEYS; i++)
        buf_printf(&text, "k%d: 1\n", i);
    limit(parse(buf_cstr(&text)), "keys");
    buf_puts(&text, "more: 1\n");
    beyond(parse(buf_cstr(&text)), "f.yaml:1:1: a mapping of more than 1000 keys");
    buf_clear(&text);

    buf_puts(&text, "a0: &a0 [1,1,1,1,1,1,1,1,1]\n");
    for (int i = 1; i < 10; i++)
        buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
                   i - 1, i - 1, i - 1);
    beyond(parse(buf_cstr(&text)), "more than 100000 values, counting what aliases stand for");
    buf_clear(&text);
}

static void test_load(void)
{
    struct yaml_tree *tree = NULL;
    char path[] = "/tmp/tapedeck-yaml-XXXXXX";
    int fd = mkstemp(path);
    ok(fd >= 0 && write(fd, "a: b\n", 5) == 5, "a file is written");
    is_int(yaml_tree_load(path, &tree, &err), TD_OK, "and loaded");
    is_str(tree ? yaml_get(yaml_tree_root(tree), "a")->text : NULL, "b", "with its value");
    yaml_tree_free(tree);
    close(fd);
    unlink(path);
    is_int(yaml_tree_load(path, &tree, &err), TD_E_CONFIG, "a file that is not there");
    like(err.text, "No such file", "is told with its reason");
    is_int(yaml_tree_load("/tmp", &tree, &err), TD_E_CONFIG, "a directory is no file");
    is_str(err.text, "/tmp: Is a directory", "and told so");
}

int main(void)
{
    test_tree();
    test_aliases();
    test_refusals();
    test_limits();
    test_load();
    return tap_done();
}
