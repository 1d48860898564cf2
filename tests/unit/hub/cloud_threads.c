/* Snapshots here and in the cloud, as the API tells and moves them: hubs that share a bucket, which is a directory. */
#include <ftw.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "hub/hub.h"
#include "net/http_client.h"
#include "tap.h"

#define API "/api/v1"
#define CAPTURE "plugins/dissectors/http/captures/nginx_curl.pcap"

enum { WAIT_S = 30, BODY_MAX = 8 << 20 };

struct rig {
    char dir[64], plugins[4096];
    struct buf capture;
};
static struct rig t;

struct peer {
    struct hub *hub;
    struct http_client *client;
    struct http_result result;
    struct buf body;
    struct error err;
};

/* ---- Hubs ---- */

static int try_peer(struct peer *p, const char *name, const char *cloud)
{
    char text[8192], path[128];
    struct config *config = NULL;
    memset(p, 0, sizeof(*p));
    snprintf(path, sizeof(path), "%s/%s.yaml", t.dir, name);
    snprintf(text, sizeof(text),
             "tap:\n  dataDir: %s/%s\n  hub: {listen: '127.0.0.1:0'}\n  plugins: {path: ['%s']}\n  enabledDissectors: [http]\n"
             "  snapshots: {%s}\n",
             t.dir, name, t.plugins, cloud);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        exit(1);
    int status = config_load(path, &config, &p->err);
    return status == TD_OK ? hub_open(config, "9.9", NULL, &p->hub, &p->err) : status;
}

static void open_peer(struct peer *p, const char *name, const char *cloud)
{
    if (try_peer(p, name, cloud) != TD_OK) {
        printf("not ok - hub %s: %s\n", name, p->err.text);
        exit(1);
    }
    const struct http_client_options o = {.url = hub_url(p->hub), .agent = "test"};
    if (http_client_new(&o, &p->client, &p->err) != TD_OK)
        exit(1);
}

static void close_peer(struct peer *p)
{
    http_client_free(p->client);
    hub_close(p->hub);
    buf_clear(&p->body);
}

static const char *bucket_asked(const char *prefix, const char *interval)
{
    static char text[512];
    snprintf(text, sizeof(text), "cloud: {provider: local, prefix: %s, refreshInterval: %s, local: {path: %s/bucket, sync: false}}", prefix,
             interval, t.dir);
    return text;
}

static const char *shared_bucket(const char *prefix)
{
    return bucket_asked(prefix, "1s");
}

/* ---- Asking ---- */

static int take(void *ctx, struct td_slice bytes, struct error *err)
{
    struct buf *b = ctx;
    buf_put_slice(b, bytes);
    return b->failed ? error_nomem(err) : TD_OK;
}

static unsigned ask_with(struct peer *p, const char *method, const char *path, struct td_slice body, const char *type)
{
    char whole[1024];
    buf_clear(&p->body);
    buf_init(&p->body, BODY_MAX);
    p->result = (struct http_result){0};
    p->err.text[0] = 0;
    snprintf(whole, sizeof(whole), "%s%s", path[1] == 'm' || path[1] == 'r' ? "" : API, path); /* /metrics, /readyz */
    const struct http_call call = {
        .method = method, .path = whole, .body = body, .body_type = body.n ? type : NULL, .write = take, .ctx = &p->body};
    (void)!http_client_run(p->client, &call, &p->result, &p->err);
    return p->result.status;
}

static unsigned ask(struct peer *p, const char *method, const char *path)
{
    return ask_with(p, method, path, (struct td_slice){0}, NULL);
}

/* What a request is answered with: status, and the problem's code or a part of the body. */
static void answers(struct peer *p, const char *method, const char *path, unsigned status, const char *part)
{
    unsigned got = ask(p, method, path);
    const char *text = got < 400 ? buf_cstr(&p->body) : *p->result.code ? p->result.code : p->err.text;
    if (!ok(got == status && strstr(text, part), "%s %s: %u %s", method, path, status, part))
        tap_diag("%u %.900s", got, text);
}

/* Takes a copy of the text at a member of the last answer. */
static char *text_at(struct peer *p, const char *name, char out[128])
{
    json_t *v = json_loadb(buf_cstr(&p->body), p->body.n, 0, NULL);
    const char *text = json_string_value(json_object_get(v, name));
    snprintf(out, 128, "%s", text ? text : "");
    json_decref(v);
    return out;
}

/* Waits for the job that the last answer names; its document is then the last answer. */
static const char *end_job(struct peer *p, char state[128])
{
    char job[128], path[256];
    snprintf(path, sizeof(path), "/jobs/%s?wait=%d", text_at(p, "job", job), WAIT_S);
    ask(p, "GET", path);
    return text_at(p, "state", state);
}

static void runs(struct peer *p, const char *method, const char *path, const char *end)
{
    char state[128];
    unsigned status = ask(p, method, path);
    ok(status == 202 && strcmp(end_job(p, state), end) == 0, "%s %s: %u %s, ends %s: %.600s", method, path, status, p->result.code, state,
       buf_cstr(&p->body));
}

static void import(struct peer *p, const char *name)
{
    char path[128], state[128];
    snprintf(path, sizeof(path), "/snapshots/import?name=%s", name);
    unsigned status = ask_with(p, "POST", path, buf_slice(&t.capture), "application/octet-stream");
    ok(status == 202 && strcmp(end_job(p, state), "completed") == 0, "%s is imported: %u %s %s", name, status, state, p->err.text);
}

static char *id_of(struct peer *p, const char *name, char out[128])
{
    char path[160];
    snprintf(path, sizeof(path), "/snapshots/%s", name);
    ask(p, "GET", path);
    return text_at(p, "id", out);
}

static void is_located(struct peer *p, const char *name, const char *location)
{
    char path[160], got[128];
    snprintf(path, sizeof(path), "/snapshots/%s", name);
    ask(p, "GET", path);
    is_str(text_at(p, "location", got), location, "%s: %s", name, p->err.text);
}

/* How many a list has, and whether one of this name and location is among them. */
static bool lists(struct peer *p, const char *query, size_t n, const char *name, const char *location)
{
    char path[64];
    size_t i;
    json_t *one;
    bool found = !name;
    snprintf(path, sizeof(path), "/snapshots%s", query);
    ask(p, "GET", path);
    json_t *v = json_loadb(buf_cstr(&p->body), p->body.n, 0, NULL), *list = json_object_get(v, "snapshots");
    json_array_foreach(list, i, one)
    {
        const char *has = json_string_value(json_object_get(one, "name")), *is = json_string_value(json_object_get(one, "location"));
        found |= name && has && is && strcmp(has, name) == 0 && strcmp(is, location) == 0;
    }
    bool good = json_is_array(list) && json_array_size(list) == n && found;
    json_decref(v);
    return good;
}

/* What another hub did is seen at the next look. */
static bool comes_to_list(struct peer *p, const char *query, size_t n, const char *name, const char *location)
{
    bool seen = false;
    for (int i = 0; i < 20 * WAIT_S && !(seen = lists(p, query, n, name, location)); i++)
        usleep(50000);
    return seen;
}

/* ---- Tests ---- */

static void test_without(void)
{
    struct peer p;
    open_peer(&p, "alone", "local: {storageSize: 1Gi}");
    import(&p, "first");
    answers(&p, "GET", "/cloud", 200, "{\"enabled\":false,\"provider\":null,\"connected\":false,\"error\":null");
    answers(&p, "POST", "/snapshots/first/upload", 409, "no_cloud");
    answers(&p, "POST", "/snapshots/first/download", 409, "no_cloud");
    answers(&p, "POST", "/snapshots/first/verify?location=cloud", 409, "no_cloud");
    answers(&p, "DELETE", "/snapshots/first?from=cloud", 409, "no_cloud");
    answers(&p, "DELETE", "/snapshots/first?from=all", 409, "no_cloud");
    answers(&p, "DELETE", "/snapshots/first?from=elsewhere", 400, "invalid_request");
    answers(&p, "GET", "/snapshots?location=nowhere", 400, "invalid_request");
    ok(lists(&p, "?location=cloud", 0, NULL, NULL) && lists(&p, "", 1, "first", "Local"), "only local ones");
    ask(&p, "GET", "/metrics");
    ok(!strstr(buf_cstr(&p.body), "tapedeck_cloud"), "no metrics of a cloud");
    answers(&p, "DELETE", "/snapshots/first", 204, "");
    close_peer(&p);
}

static void test_moving(void)
{
    struct peer a, b;
    char id[128], path[256];
    open_peer(&a, "a", shared_bucket("one/"));
    open_peer(&b, "b", shared_bucket("one/"));
    import(&a, "first");
    is_located(&a, "first", "Local");
    answers(&a, "POST", "/snapshots/first/download", 409, "not_in_cloud");
    answers(&a, "DELETE", "/snapshots/first?from=cloud", 409, "not_in_cloud");
    answers(&a, "POST", "/snapshots/second/upload", 404, "snapshot_not_found");
    answers(&a, "POST", "/snapshots/first/upload?allow_same_name=perhaps", 400, "invalid_request");
    runs(&a, "POST", "/snapshots/first/upload", "completed");
    ok(strstr(buf_cstr(&a.body), "\"transferred_objects\":3"), "three objects are sent: %.900s", buf_cstr(&a.body));
    is_located(&a, "first", "Local + Cloud");
    runs(&a, "POST", "/snapshots/first/upload", "completed");
    ok(strstr(buf_cstr(&a.body), "\"transferred_objects\":0"), "none is sent again");
    ok(lists(&a, "?location=cloud", 1, "first", "Local + Cloud") && lists(&a, "?location=local", 1, "first", "Local + Cloud") &&
           lists(&a, "", 1, "first", "Local + Cloud"),
       "each list has it once");
    answers(&a, "DELETE", "/snapshots/first", 409, "in_both_places");
    like(a.err.text, "from=local, from=cloud or from=all", "which says what to do");
    answers(&a, "DELETE", "/snapshots/first?from=local", 204, "");
    is_located(&a, "first", "Cloud");
    answers(&a, "GET", "/snapshots/first", 200, "\"packets\":242");
    ok(!strstr(buf_cstr(&a.body), "\"segments\""), "what the catalog does not know is not told");
    ok(lists(&a, "?location=cloud", 1, "first", "Cloud") && lists(&a, "?location=local", 0, NULL, NULL), "and listed where it is");

    ok(comes_to_list(&b, "", 1, "first", "Cloud"), "another hub sees it");
    runs(&b, "POST", "/snapshots/first/download", "completed");
    is_located(&b, "first", "Local + Cloud");
    answers(&b, "POST", "/snapshots/first/download", 409, "exists");
    snprintf(path, sizeof(path), "/snapshots/%s/pcap", id_of(&b, "first", id));
    is_int(ask(&b, "GET", path), 200, "its id is as good as its name");
    snprintf(path, sizeof(path), "/snapshots/%s", id);
    answers(&b, "GET", path, 200, "\"location\":\"Local + Cloud\"");
    answers(&b, "GET", "/cloud", 200,
            "\"enabled\":true,\"provider\":\"local\",\"connected\":true,\"error\":null,\"prefix\":\"one/\",\"snapshots\":1");
    answers(&b, "GET", "/metrics", 200, "tapedeck_cloud_connected{provider=\"local\"} 1");
    answers(&b, "GET", "/metrics", 200, "tapedeck_cloud_transferred_objects_total{provider=\"local\",direction=\"download\"} 3");
    answers(&b, "GET", "/metrics", 200, "tapedeck_snapshot_jobs{kind=\"download\",state=\"completed\"} 1");
    runs(&b, "DELETE", "/snapshots/first?from=all", "completed");
    ok(lists(&b, "", 0, NULL, NULL) && comes_to_list(&a, "", 0, NULL, NULL), "deleted in both places, it is nowhere");
    answers(&a, "POST", "/snapshots/first/download", 404, "snapshot_not_found");
    snprintf(path, sizeof(path), "/snapshots/%s?from=cloud", id);
    runs(&a, "DELETE", path, "completed"); /* what an interrupted deletion left has no name any more */
    close_peer(&b);
    close_peer(&a);
}

/* What needs the packets here says how to get them. */
static void test_not_local(void)
{
    static const struct {
        const char *method, *path, *body;
    } refused[] = {
        {"GET", "/snapshots/far/pcap", NULL},
        {"GET", "/snapshots/far/pcapng", NULL},
        {"GET", "/snapshots/far/archive", NULL},
        {"POST", "/snapshots/far/verify", NULL},
        {"POST", "/snapshots/far/upload", NULL},
        {"POST", "/dissections", "{\"snapshot\":\"far\"}"},
        {"GET", "/calls?db=far", NULL},
        {"GET", "/calls?db=far/default", NULL},
        {"POST", "/calls", "{\"db\":\"far\"}"},
        {"GET", "/calls/stream?db=far", NULL},
        {"GET", "/calls/far%2Fdefault%2F1", NULL},
        {"GET", "/calls/far%2Fdefault%2F1/pcap", NULL},
        {"GET", "/fields?db=far", NULL},
        {"POST", "/filter/check", "{\"filter\":\"http\",\"db\":\"far\"}"},
        {"POST", "/filter/complete", "{\"filter\":\"ht\",\"db\":\"far/default\"}"},
    };
    struct peer p;
    open_peer(&p, "c", shared_bucket("two/"));
    import(&p, "far");
    runs(&p, "POST", "/snapshots/far/upload", "completed");
    answers(&p, "DELETE", "/snapshots/far?from=local", 204, "");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        unsigned status = ask_with(&p, refused[i].method, refused[i].path, td_str(refused[i].body ? refused[i].body : ""), NULL);
        ok(status == 409 && strcmp(p.result.code, "not_local") == 0 && strstr(p.err.text, "/snapshots/far/download") &&
               strstr(p.err.text, "tapedeck snapshot download far"),
           "%s %s: %u %s %s", refused[i].method, refused[i].path, status, p.result.code, p.err.text);
    }
    answers(&p, "DELETE", "/snapshots/far?from=local", 409, "not_local");
    answers(&p, "GET", "/calls?db=farther", 404, "not_found");
    runs(&p, "POST", "/snapshots/far/verify?location=cloud", "completed");
    like(buf_cstr(&p.body), "\"result\":{\"faults\":[]}", "nothing is wrong with it");
    runs(&p, "DELETE", "/snapshots/far", "completed"); /* there is only one copy: nothing has to be said */
    ok(lists(&p, "", 0, NULL, NULL), "the last copy is gone");
    close_peer(&p);
}

/* Several hubs gave one name to several snapshots. */
static void test_names(void)
{
    struct peer p;
    char first[128], second[128], path[256];
    open_peer(&p, "d", shared_bucket("three/"));
    import(&p, "twin");
    id_of(&p, "twin", first);
    runs(&p, "POST", "/snapshots/twin/upload", "completed");
    answers(&p, "DELETE", "/snapshots/twin?from=local", 204, "");
    import(&p, "twin");
    id_of(&p, "twin", second);
    ok(strcmp(first, second) != 0, "two snapshots called twin");
    is_located(&p, "twin", "Local");
    ok(lists(&p, "", 2, "twin", "Cloud"), "both are listed");
    answers(&p, "POST", "/snapshots/twin/upload", 409, "name_taken");
    like(p.err.text, "allow_same_name=true", "which says how to do it all the same");
    answers(&p, "POST", "/snapshots/twin/download", 409, "name_taken");
    answers(&p, "DELETE", "/snapshots/twin", 409, "ambiguous_name");
    answers(&p, "DELETE", "/snapshots/twin?from=cloud", 409, "ambiguous_name");
    runs(&p, "POST", "/snapshots/twin/upload?allow_same_name=true", "completed");
    is_located(&p, "twin", "Local + Cloud");
    answers(&p, "DELETE", "/snapshots/twin?from=local", 204, "");
    answers(&p, "GET", "/snapshots/twin", 409, "ambiguous_name");
    ok(strstr(p.err.text, first) && strstr(p.err.text, second), "both ids are listed: %s", p.err.text);
    answers(&p, "POST", "/snapshots/twin/download", 409, "ambiguous_name");
    answers(&p, "POST", "/snapshots/twin/verify?location=cloud", 409, "ambiguous_name");
    answers(&p, "GET", "/snapshots/twin/pcap", 409, "not_local");
    snprintf(path, sizeof(path), "/snapshots/%s/download", first);
    runs(&p, "POST", path, "completed");
    is_str(id_of(&p, "twin", path), first, "the one that was meant is here");
    snprintf(path, sizeof(path), "/snapshots/%s/download", second);
    answers(&p, "POST", path, 409, "name_taken");
    snprintf(path, sizeof(path), "/snapshots/%s/verify?location=cloud", second);
    runs(&p, "POST", path, "completed");
    snprintf(path, sizeof(path), "/snapshots/%s?from=cloud", second);
    runs(&p, "DELETE", path, "completed");
    answers(&p, "DELETE", "/snapshots/twin?from=local", 204, "");
    is_located(&p, "twin", "Cloud");
    close_peer(&p);
}

/* What another hub did since the cloud was last asked. */
static void test_stale(void)
{
    struct peer a, b;
    char state[128], id[128];
    open_peer(&a, "h", bucket_asked("seven/", "24h"));
    open_peer(&b, "i", bucket_asked("seven/", "24h"));
    ok(comes_to_list(&b, "", 0, NULL, NULL), "nothing is there");
    for (int i = 0; i < 20 * WAIT_S && ask(&b, "GET", "/cloud") == 200 && !strstr(buf_cstr(&b.body), "\"connected\":true"); i++)
        usleep(50000);
    import(&b, "new");
    runs(&b, "POST", "/snapshots/new/upload", "completed"); /* so that its own question is over as well */
    runs(&b, "DELETE", "/snapshots/new?from=all", "completed");
    import(&a, "new");
    id_of(&a, "new", id);
    runs(&a, "POST", "/snapshots/new/upload", "completed");
    ok(lists(&b, "", 0, NULL, NULL), "the other hub does not know");
    import(&b, "new");
    is_int(ask(&b, "POST", "/snapshots/new/upload"), 202, "and would upload another one of its name");
    is_str(end_job(&b, state), "failed", "which the job finds out");
    ok(strstr(buf_cstr(&b.body), "\"code\":\"exists\"") && strstr(buf_cstr(&b.body), id), "and tells: %.900s", buf_cstr(&b.body));
    answers(&b, "POST", "/snapshots/new/upload", 409, "name_taken");
    answers(&b, "DELETE", "/snapshots/new?from=local", 204, "");
    import(&a, "late");
    runs(&a, "POST", "/snapshots/late/upload", "completed");
    runs(&b, "POST", "/snapshots/late/download", "completed"); /* before it is said that there is none, it is asked */
    is_located(&b, "late", "Local + Cloud");
    runs(&a, "DELETE", "/snapshots/late?from=cloud", "completed");
    ok(lists(&b, "?location=cloud", 2, "late", "Local + Cloud"), "what was removed by others is still listed");
    answers(&b, "DELETE", "/snapshots/late?from=local", 409, "not_in_cloud");
    like(b.err.text, "the only copy", "but the last copy is not deleted, without a word");
    is_located(&b, "late", "Local");
    runs(&b, "POST", "/snapshots/late/upload", "completed");
    answers(&b, "DELETE", "/snapshots/late?from=local", 204, "");
    is_located(&b, "late", "Cloud");
    ok(lists(&a, "?location=local", 2, "late", "Local"), "that it is there again others do not know");
    answers(&a, "DELETE", "/snapshots/late", 409, "in_both_places");
    runs(&a, "DELETE", "/snapshots/late?from=all", "completed"); /* but look, before it is gone from one place only */
    is_int(ask(&a, "GET", "/snapshots/late"), 404, "it is nowhere any more");
    is_int(ask(&b, "POST", "/snapshots/late/download"), 202, "and would be downloaded");
    is_str(end_job(&b, state), "failed", "but is not there");
    like(buf_cstr(&b.body), "\"code\":\"not_found\"", "as is told");
    ok(lists(&b, "?location=cloud", 1, "new", "Cloud"), "and then known");
    close_peer(&b);
    close_peer(&a);
}

/* Whether there are dissections is known before it is downloaded. */
static void test_dissected(void)
{
    struct peer p;
    char id[128], path[512];
    open_peer(&p, "j", shared_bucket("eight/"));
    import(&p, "seen");
    id_of(&p, "seen", id);
    runs(&p, "POST", "/snapshots/seen/upload", "completed");
    answers(&p, "DELETE", "/snapshots/seen?from=local", 204, "");
    answers(&p, "GET", "/snapshots/seen", 200, "\"status\":\"Completed\"");
    snprintf(path, sizeof(path), "%s/bucket/eight/%s/dissections", t.dir, id);
    bool made = mkdir(path, 0750) == 0;
    snprintf(path, sizeof(path), "%s/bucket/eight/%s/dissections/default.calls", t.dir, id);
    FILE *f = made ? fopen(path, "w") : NULL;
    ok(f && fclose(f) == 0, "another hub adds a dissection");
    for (int i = 0; i < 20 * WAIT_S && ask(&p, "GET", "/snapshots/seen") == 200 && !strstr(buf_cstr(&p.body), "Dissected"); i++)
        usleep(50000);
    answers(&p, "GET", "/snapshots/seen", 200, "\"status\":\"Dissected\"");
    answers(&p, "GET", "/snapshots", 200, "\"status\":\"Dissected\"");
    close_peer(&p);
}

/* In a bucket that is a directory, a prefix must not lead to where local snapshots lie. */
static void test_apart(void)
{
    static const struct {
        const char *path, *prefix;
        int want;
    } tried[] = {
        {"l/snapshots", "''", TD_E_CONFIG}, {"l", "snapshots/", TD_E_CONFIG}, {"l", "snapshots/below/", TD_OK}, {"l", "beside/", TD_OK}};
    struct peer p;
    char text[512];
    open_peer(&p, "l", "local: {storageSize: 1Gi}");
    close_peer(&p);
    for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
        snprintf(text, sizeof(text), "cloud: {provider: local, prefix: %s, local: {path: %s/%s, sync: false}}", tried[i].prefix, t.dir,
                 tried[i].path);
        int status = try_peer(&p, "l", text);
        is_int(status, tried[i].want, "%s, %s%s%s", tried[i].path, tried[i].prefix, status ? ": " : "", status ? p.err.text : "");
        if (p.hub)
            hub_close(p.hub);
    }
}

/* What was lost there is found out, and said. */
static void test_damage(void)
{
    struct peer p;
    char command[512], id[128], state[128];
    open_peer(&p, "e", shared_bucket("four/"));
    import(&p, "broken");
    id_of(&p, "broken", id);
    runs(&p, "POST", "/snapshots/broken/upload", "completed");
    snprintf(command, sizeof(command), "%s/bucket/four/%s/imported/0000000000.idx", t.dir, id);
    bool removed = unlink(command) == 0;
    if (!removed) {
        snprintf(command, sizeof(command), "%s/bucket/four/%s/imported/0000000001.idx", t.dir, id);
        removed = unlink(command) == 0;
    }
    ok(removed, "an object is lost");
    runs(&p, "POST", "/snapshots/broken/verify?location=cloud", "failed");
    like(buf_cstr(&p.body), "\"fault\":\"is missing\"", "its loss is told");
    answers(&p, "DELETE", "/snapshots/broken?from=local", 204, "");
    ask(&p, "POST", "/snapshots/broken/download");
    is_str(end_job(&p, state), "failed", "it cannot be downloaded");
    like(buf_cstr(&p.body), "\"code\":\"corrupt_data\"", "for that reason");
    ok(lists(&p, "?location=local", 0, NULL, NULL), "and nothing of it is here");
    is_int(ask(&p, "GET", "/readyz"), 200, "the hub does not mind");
    close_peer(&p);
}

/* It is there again after a restart, and so is what jobs did. */
static void test_restart(void)
{
    struct peer p;
    open_peer(&p, "f", shared_bucket("five/"));
    import(&p, "kept");
    runs(&p, "POST", "/snapshots/kept/upload", "completed");
    close_peer(&p);
    open_peer(&p, "f", shared_bucket("five/"));
    ok(comes_to_list(&p, "", 1, "kept", "Local + Cloud"), "known again");
    answers(&p, "GET", "/jobs?kind=upload", 200, "\"state\":\"completed\"");
    close_peer(&p);
    open_peer(&p, "f", "local: {storageSize: 1Gi}");
    ok(lists(&p, "", 1, "kept", "Local"), "without a cloud it is local");
    close_peer(&p);
}

static bool is_idle(struct peer *p)
{
    ask(p, "GET", "/jobs");
    return !strstr(buf_cstr(&p->body), "\"pending\"") && !strstr(buf_cstr(&p->body), "\"running\"");
}

/* An upload was being given up when the hub was killed, and by then another one has put the manifest: what may be missing is sent. */
static void test_mending(void)
{
    struct peer p;
    char command[640], id[128], object[256];
    open_peer(&p, "j", shared_bucket("eight/"));
    import(&p, "torn");
    id_of(&p, "torn", id);
    runs(&p, "POST", "/snapshots/torn/upload", "completed");
    close_peer(&p);
    snprintf(object, sizeof(object), "%s/bucket/eight/%s/imported/0000000001.pcapng", t.dir, id);
    snprintf(command, sizeof(command), "mkdir %s/j/hub/work/%s.upload && touch %s/j/hub/work/%s.upload/removing", t.dir, id, t.dir, id);
    ok(system(command) == 0 && unlink(object) == 0, "an object is missing");
    open_peer(&p, "j", shared_bucket("eight/"));
    for (int i = 0; i < 20 * WAIT_S && access(object, F_OK) != 0; i++)
        usleep(50000);
    ok(access(object, F_OK) == 0, "and sent again");
    for (int i = 0; i < 20 * WAIT_S && !is_idle(&p); i++)
        usleep(50000);
    runs(&p, "POST", "/snapshots/torn/verify?location=cloud", "completed");
    answers(&p, "GET", "/jobs?kind=cleanup", 200, "\"state\":\"completed\"");
    close_peer(&p);
}

/* ---- Many at once ---- */

enum { CROWD = 6, ROUNDS = 40 };

struct visitor {
    struct peer peer; /* the hub is not its own */
    unsigned nth, wrong;
};

/* Whatever is asked at the same time, each answer is one that is described. */
static void *visit(void *arg)
{
    static const struct {
        const char *method, *path;
    } asked[] = {{"GET", "/snapshots"},
                 {"POST", "/snapshots/busy/upload"},
                 {"GET", "/snapshots/busy"},
                 {"DELETE", "/snapshots/busy?from=local"},
                 {"GET", "/cloud"},
                 {"POST", "/snapshots/busy/download"},
                 {"GET", "/metrics"},
                 {"POST", "/snapshots/busy/verify?location=cloud"},
                 {"GET", "/snapshots/busy/pcap"}};
    struct visitor *v = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned k = (v->nth * 7 + i * (v->nth + 1)) % (sizeof(asked) / sizeof(asked[0]));
        unsigned status = ask(&v->peer, asked[k].method, asked[k].path);
        v->wrong += status != 200 && status != 202 && status != 204 && status != 409;
        if (status != 200 && status != 202 && status != 204 && status != 409)
            tap_diag("%s %s: %u %s", asked[k].method, asked[k].path, status, v->peer.err.text);
    }
    return NULL;
}

/* It is never deleted from the cloud: so it must be there in the end, whole. */
static void test_crowd(void)
{
    struct peer p;
    struct visitor v[CROWD];
    pthread_t threads[CROWD];
    unsigned wrong = 0;
    open_peer(&p, "g", shared_bucket("six/"));
    import(&p, "busy");
    runs(&p, "POST", "/snapshots/busy/upload", "completed");
    const struct http_client_options o = {.url = hub_url(p.hub), .agent = "test"};
    for (unsigned i = 0; i < CROWD; i++) {
        v[i] = (struct visitor){.nth = i};
        if (http_client_new(&o, &v[i].peer.client, &v[i].peer.err) != TD_OK || pthread_create(&threads[i], NULL, visit, &v[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        http_client_free(v[i].peer.client);
        buf_clear(&v[i].peer.body);
        wrong += v[i].wrong;
    }
    is_int(wrong, 0, "answers of many at once");
    for (int i = 0; i < 20 * WAIT_S && !is_idle(&p); i++)
        usleep(50000);
    runs(&p, "POST", "/snapshots/busy/verify?location=cloud", "completed");
    ask(&p, "POST", "/snapshots/busy/download"); /* if it is not here */
    for (int i = 0; i < 20 * WAIT_S && !is_idle(&p); i++)
        usleep(50000);
    is_located(&p, "busy", "Local + Cloud");
    runs(&p, "POST", "/snapshots/busy/verify", "completed");
    close_peer(&p);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int main(void)
{
    char plugins[1024], bytes[65536];
    size_t n;
    log_set_level(getenv("VERBOSE") ? TD_LOG_INFO : 0); /* failures are part of it */
    signal(SIGPIPE, SIG_IGN);
    unsetenv("TAPEDECK_PLUGIN_PATH");
    snprintf(plugins, sizeof(plugins), "%s/plugins", getenv("BUILD") ? getenv("BUILD") : "build");
    snprintf(t.dir, sizeof(t.dir), "/tmp/tapedeck-hub-XXXXXX");
    FILE *f = fopen(CAPTURE, "rb");
    if (!f || !realpath(plugins, t.plugins) || !mkdtemp(t.dir))
        return 1;
    while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
        buf_put(&t.capture, bytes, n);
    fclose(f);
    test_without();
    test_moving();
    test_not_local();
    test_names();
    test_stale();
    test_dissected();
    test_apart();
    test_damage();
    test_restart();
    test_mending();
    test_crowd();
    buf_clear(&t.capture);
    ok(nftw(t.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "nothing is left behind");
    return tap_done();
}
