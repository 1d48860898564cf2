#include "plugin/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "tap.h"
#include "unit/plugin/sample.h"

static struct registry *registry;
static struct td_host host;
static struct error err;

static struct yaml_tree *tree;

static const struct yaml_node *node(const char *text)
{
    yaml_tree_free(tree);
    tree = NULL;
    return yaml_tree_parse(td_str(text), "c.yaml", &tree, &err) == TD_OK ? yaml_tree_root(tree) : NULL;
}

static int create(const char *text, struct td_inst **ret)
{
    memset(&err, 0, sizeof(err));
    return instance_create(registry_find(registry, TD_KIND_DISSECTOR, "sample"), node(text), &host, ret, &err);
}

static void test_two(void)
{
    struct td_inst *one = NULL, *two = NULL;
    ok(create("label: one\n", &one) == TD_OK && create("label: two\nmode: fast\n", &two) == TD_OK, "two instances at once %s", err.text);
    const struct sample_state *a = one->self, *b = two->self;
    is_str(a->config->label, "one", "the first has its own options");
    is_str(b->config->label, "two", "and the second");
    ok(a->config->mode == 1 && b->config->mode == 0 && a->inst == one && b->inst == two, "and its own self");
    ok(!host.cancelled(one), "nobody is cancelled");
    instance_cancel(one);
    ok(host.cancelled(one) && !host.cancelled(two), "cancelling the first leaves the second");
    ok(host.iface(one, "x-nothing/1") == NULL, "there are no extensions");

    is_int(host.fail(one, TD_E_RETRY, "PUT %s: HTTP %d", "x", 503), TD_E_RETRY, "fail returns its status");
    is_int(instance_error(one, TD_E_RETRY, &err), TD_E_RETRY, "an error");
    is_str(err.text, "dissector \"sample\": PUT x: HTTP 503", "has the plugin's text");
    (void)instance_error(one, TD_E_RETRY, &err);
    is_str(err.text, "dissector \"sample\": temporary failure", "once");
    host.fail(one, TD_E_RETRY, "stale");
    (void)instance_error(one, TD_E_DENIED, &err);
    is_str(err.text, "dissector \"sample\": not allowed", "and only if it belongs to this status");
    char long_text[4000];
    memset(long_text, 'x', sizeof(long_text));
    host.fail(one, TD_E_LIMIT, "%.4000s", long_text);
    (void)instance_error(one, TD_E_LIMIT, &err);
    ok(strlen(err.text) < sizeof(err.text), "long texts are cut");
    instance_destroy(one);
    instance_destroy(two);
    instance_destroy(NULL);
}

struct failing {
    struct td_inst *inst;
    int number;
    bool right;
};

/* Fails and asks why, again and again, while others do the same. */
static void *fail_often(void *arg)
{
    struct failing *f = arg;
    char want[64];
    struct error why;
    f->right = true;
    for (int i = 0; i < 2000; i++) {
        host.fail(f->inst, TD_E_RETRY, "thread %d, failure %d", f->number, i);
        (void)instance_error(f->inst, TD_E_RETRY, &why);
        snprintf(want, sizeof(want), "dissector \"sample\": thread %d, failure %d", f->number, i);
        f->right = f->right && strcmp(why.text, want) == 0;
    }
    host.fail(f->inst, TD_E_RETRY, "nobody asks for this one");
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 6, ROUNDS = 5 };
    struct td_inst *inst = NULL;
    pthread_t threads[THREADS];
    struct failing failing[THREADS];
    bool right = create("", &inst) == TD_OK;
    for (int round = 0; round < ROUNDS && right; round++) {
        for (int i = 0; i < THREADS; i++) {
            failing[i] = (struct failing){.inst = inst, .number = i};
            pthread_create(&threads[i], NULL, fail_often, &failing[i]);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            right = right && failing[i].right;
        }
    }
    ok(right, "each of %d threads is told its own failures, though %d texts are never asked for", THREADS, THREADS * ROUNDS);
    instance_destroy(inst);
}

static void test_failures(void)
{
    struct td_inst *inst = NULL;
    is_int(create("label: broken\n", &inst), TD_E_CONFIG, "a failing create");
    is_str(err.text, "c.yaml:1:1: dissector \"sample\": label \"broken\" cannot work", "is told with its place");
    is_int(create("label: silent\n", &inst), TD_E_DENIED, "a create that fails without a word");
    is_str(err.text, "c.yaml:1:1: dissector \"sample\": not allowed", "is told by its status");
    is_int(create("maxBodySzie: 1\n", &inst), TD_E_CONFIG, "a misspelt option");
    is_str(err.text, "c.yaml:1:1: unknown option \"maxBodySzie\" of dissector \"sample\"; did you mean \"maxBodySize\"?", "is told well");
    ok(!inst, "nothing was created");
    is_int(instance_create(registry_find(registry, TD_KIND_EXPORTER, "samplefile"), NULL, &host, &inst, &err), TD_OK, "no create at all");
    ok(inst && !inst->self && !inst->config, "means no state");
    instance_destroy(inst);
}

/* Runs `say` with stderr in a file; returns what was written. */
static const char *captured(void (*say)(struct td_inst *), struct td_inst *inst, char out[16384])
{
    FILE *kept = tmpfile();
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(kept), STDERR_FILENO);
    say(inst);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(kept);
    out[fread(out, 1, 16383, kept)] = 0;
    fclose(kept);
    return out;
}

static void say_much(struct td_inst *inst)
{
    for (int i = 0; i < 50; i++)
        host.log(inst, TD_LOG_WARN, "event %d", i);
}

static void test_log(void)
{
    struct td_inst *inst = NULL;
    char text[16384];
    size_t lines = 0;
    is_int(create("", &inst), TD_OK, "an instance that talks too much");
    captured(say_much, inst, text);
    for (const char *s = text; *s; s++)
        lines += *s == '\n';
    is_int(lines, RATE_EVENTS, "is heard ten times");
    like(text, "component=dissector.sample msg=\"event 0\"", "under its name");
    instance_destroy(inst);

    struct rate rate = {0};
    uint32_t suppressed = 99;
    int64_t now = 5;
    ok(rate_admit(&rate, now, &suppressed) && suppressed == 0, "the first is admitted");
    for (int i = 1; i < RATE_EVENTS; i++)
        (void)rate_admit(&rate, now, &suppressed);
    ok(!rate_admit(&rate, now, &suppressed) && !rate_admit(&rate, now + RATE_WINDOW_NS - 1, &suppressed), "then no more");
    ok(rate_admit(&rate, now + RATE_WINDOW_NS, &suppressed) && suppressed == 2, "until the window is over; two were lost");
    ok(rate_admit(&rate, now + RATE_WINDOW_NS, &suppressed) && suppressed == 0, "which is told once");
}

static void test_memory(void)
{
    bool told = true, done = false;
    unsigned long nth = 1;
    for (; nth < 1000 && !done; nth++) {
        struct td_inst *inst = NULL;
        const struct yaml_node *options = node("label: x\nhosts: [a, b, c]\n");
        mem_fail_at(nth);
        int status = instance_create(registry_find(registry, TD_KIND_DISSECTOR, "sample"), options, &host, &inst, &err);
        done = !mem_failed();
        told = told && status == (done ? TD_OK : TD_E_NOMEM);
        mem_fail_at(0);
        instance_destroy(inst);
    }
    ok(told && done && nth > 2, "each of %lu allocations may fail", nth - 2);
}

int main(void)
{
    host_init_control(&host);
    ok(host.size == sizeof(host) && host.abi_minor == TD_ABI_MINOR && !host.alloc && !host.commit, "the control part alone");
    if (registry_new(&registry, &err) != TD_OK || registry_add_static(registry, &sample_plugin, &err) != TD_OK) {
        ok(false, "the sample plugin is added: %s", err.text);
        return tap_done();
    }
    test_two();
    test_threads();
    test_failures();
    test_log();
    test_memory();
    yaml_tree_free(tree);
    registry_free(registry);
    return tap_done();
}
