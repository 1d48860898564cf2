/* The client against nginx: plain and TLS, files and parts of them, redirects, compressed answers, a server that dies. */
#include "service.h"

#include <spawn.h>
#include <sys/wait.h>

#include "certificate.h"
#include "net/http_client.h"

enum { FILE_SIZE = 20000000 };

static char dir[] = "/tmp/http_nginx.XXXXXX";
static unsigned port, tls_port;

/* A port that is free now. */
static unsigned free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&in, size) != 0 || getsockname(fd, (struct sockaddr *)&in, &size) != 0)
        tap_diag("bind: %s", strerror(errno));
    close(fd);
    return ntohs(in.sin_port);
}

static bool listens(unsigned at)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)at), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
    close(fd);
    return yes;
}

static char *in_dir(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", dir, name);
    return out;
}

static void write_files(void)
{
    char path[128];
    FILE *file = fopen(in_dir("data", path), "w");
    for (uint64_t i = 0; i < FILE_SIZE; i++)
        putc_unlocked(pattern(i), file);
    fclose(file);
    file = fopen(in_dir("text.json", path), "w");
    for (int i = 0; i < 10000; i++)
        fprintf(file, "{\"call\":%d}\n", i);
    fclose(file);
    file = fopen(in_dir("nginx.conf", path), "w");
    fprintf(file,
            "daemon off; master_process off; pid nginx.pid; error_log error.log;\n"
            "events { worker_connections 64; }\n"
            "http { access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path "
            "t5;\n"
            "  types { application/json json; } gzip_types application/json; sendfile on;\n"
            "  server { listen 127.0.0.1:%u; listen 127.0.0.1:%u ssl; ssl_certificate one.pem; ssl_certificate_key one.key; root %s;\n"
            "    absolute_redirect off;\n"
            "    location /there { return 302 /data; }\n"
            "    location /slow { limit_rate 1000000; alias %s/data; }\n"
            "    location /secure { return 301 https://127.0.0.1:%u/data; }\n"
            "    location /busy { return 503; }\n"
            "    location /packed { gzip on; default_type application/json; alias %s/text.json; } } }\n",
            port, tls_port, dir, dir, tls_port, dir);
    fclose(file);
}

static pid_t start(void)
{
    char conf[128];
    char *argv[] = {"nginx", "-e", "stderr", "-p", dir, "-c", in_dir("nginx.conf", conf), NULL};
    char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    pid_t pid = -1;
    if (posix_spawn(&pid, "/usr/sbin/nginx", NULL, NULL, argv, environment) != 0)
        return -1;
    if (eventually(listens(port) && listens(tls_port)))
        return pid;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

static struct http_client *client(bool tls, const char *ca)
{
    struct http_client *c = NULL;
    struct error err = {.text = ""};
    char url[64];
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u", tls ? "https" : "http", tls ? tls_port : port);
    if (http_client_new(&(struct http_client_options){.url = url, .ca = ca, .agent = "tapedeck/test", .idle_s = 5}, &c, &err) != TD_OK)
        tap_diag("%s", err.text);
    return c;
}

struct taken {
    uint64_t first, n, kill_at;
    bool wrong;
    pid_t pid;
};

static int take(void *ctx, struct td_slice bytes, struct error *err)
{
    struct taken *t = ctx;
    (void)err;
    for (size_t i = 0; i < bytes.n; i++)
        t->wrong = t->wrong || bytes.p[i] != pattern(t->first + t->n + i);
    t->n += bytes.n;
    if (t->kill_at && t->n >= t->kill_at) {
        kill(t->pid, SIGKILL);
        t->kill_at = 0;
    }
    return TD_OK;
}

static int get(struct http_client *c, const char *path, struct taken *t, struct http_result *res, struct error *err)
{
    err->text[0] = '\0';
    return http_client_run(c, &(struct http_call){.method = "GET", .path = path, .write = take, .ctx = t}, res, err);
}

static void test_files(struct http_client *c, const char *scheme)
{
    struct http_result res;
    struct error err;
    struct taken t = {0};
    char etag[128];
    is_int(get(c, "/data", &t, &res, &err), TD_OK, "%s: a file: %s", scheme, err.text);
    ok(t.n == FILE_SIZE && !t.wrong && res.length == FILE_SIZE && res.etag[0], "comes whole");
    snprintf(etag, sizeof(etag), "%s", res.etag);
    for (int right = 0; right < 2; right++) {
        t = (struct taken){.first = right ? 1000 : 0};
        const struct http_call call = {.method = "GET",
                                       .path = "/data",
                                       .range_first = 1000,
                                       .range_n = 500,
                                       .write = take,
                                       .ctx = &t,
                                       .if_range = right ? etag : "other"};
        is_int(http_client_run(c, &call, &res, &err), TD_OK, "a part of it: %s", err.text);
        ok(res.status == (right ? 206 : 200) && t.n == (right ? 500 : FILE_SIZE) && !t.wrong, "%s",
           right ? "comes" : "is all, if it changed");
        ok(!right || (res.range_first == 1000 && res.range_size == FILE_SIZE && res.length == 500), "and says which");
    }
    t = (struct taken){0};
    is_int(get(c, "/there", &t, &res, &err), TD_OK, "a redirect within the server: %s", err.text);
    ok(t.n == FILE_SIZE && !t.wrong, "is followed");
    is_int(get(c, "/nothing", &t, &res, &err), TD_E_NOT_FOUND, "what is not there");
    like(err.text, "/nothing: Not Found (404)", "is told without the page's HTML");
    is_int(get(c, "/busy", &t, &res, &err), TD_E_RETRY, "a busy server is to be asked again");
    is_int(http_client_run(c, &(struct http_call){.method = "POST", .path = "/data", .body = TD_LIT("{}")}, &res, &err), TD_E_UNSUPPORTED,
           "POST to a file");
}

static int gather(void *ctx, struct td_slice bytes, struct error *err)
{
    (void)err;
    buf_put_slice(ctx, bytes);
    return TD_OK;
}

static void test_compressed(struct http_client *c)
{
    struct buf plain = {.n = 0}, unpacked = {.n = 0};
    struct http_result res;
    struct error err = {.text = ""};
    is_int(http_client_get(c, "/packed", 1 << 20, &plain, &res, &err), TD_OK, "text: %s", err.text);
    ok(plain.n > 100000 && res.length == (int64_t)plain.n, "comes as it is");
    const struct http_call call = {.method = "GET", .path = "/packed", .compressed = true, .write = gather, .ctx = &unpacked};
    is_int(http_client_run(c, &call, &res, &err), TD_OK, "compressed, if it may: %s", err.text);
    is_int(res.length, -1, "so that nobody knows its length");
    is_mem(unpacked.p, unpacked.n, plain.p, plain.n, "and is unpacked");
    buf_clear(&plain);
    buf_clear(&unpacked);
}

static void test_trust(const char *other)
{
    static const char nowhere[] = "/nowhere/ca.pem";
    struct http_result res;
    struct error err = {.text = ""};
    struct taken t = {0};
    struct http_client *system = client(true, NULL), *wrong = client(true, other), *missing = client(true, nowhere),
                       *plain = client(false, NULL);
    is_int(get(system, "/data", &t, &res, &err), TD_E_DENIED, "a certificate that nobody signed");
    like(err.text, "not trusted", "is refused");
    is_int(get(wrong, "/data", &t, &res, &err), TD_E_DENIED, "so is one of another CA");
    is_int(get(missing, "/data", &t, &res, &err), TD_E_CONFIG, "a file of CAs that is not there");
    like(err.text, nowhere, "is named");
    is_int(get(plain, "/secure", &t, &res, &err), TD_E_CONFIG, "a redirect to TLS");
    like(err.text, "configure that address", "is for the configuration");
    is_int(t.n, 0, "and nothing was read");
    http_client_free(system);
    http_client_free(wrong);
    http_client_free(missing);
    http_client_free(plain);
}

static void test_death(pid_t pid, struct http_client *c)
{
    struct http_result res;
    struct error err;
    struct taken t = {.kill_at = 1000000, .pid = pid};
    is_int(get(c, "/slow", &t, &res, &err), TD_E_RETRY, "a server that dies in the middle");
    like(err.text, "broken off in its answer", "is told");
    ok(t.n >= 1000000 && t.n < FILE_SIZE && !t.wrong && res.status == 200, "after what came");
    waitpid(pid, NULL, 0);
    is_int(get(c, "/data", &t, &res, &err), TD_E_RETRY, "and cannot be reached afterwards");
}

int main(void)
{
    char one[128], one_key[128], two[128], two_key[128], command[160];
    if (access("/usr/sbin/nginx", X_OK) != 0) {
        tap_skip("nginx is not installed");
        return tap_done();
    }
    if (!mkdtemp(dir))
        return 1;
    signal(SIGPIPE, SIG_IGN);
    port = free_port();
    tls_port = free_port();
    certificate_make("one", 3600, in_dir("one.pem", one), in_dir("one.key", one_key));
    certificate_make("two", 3600, in_dir("two.pem", two), in_dir("two.key", two_key));
    write_files();
    pid_t pid = start();
    ok(pid > 0, "nginx starts");
    if (pid > 0) {
        struct http_client *plain = client(false, NULL), *tls = client(true, one);
        test_files(plain, "http");
        test_files(tls, "https");
        test_compressed(plain);
        test_trust(two);
        test_death(pid, plain);
        http_client_free(plain);
        http_client_free(tls);
    }
    snprintf(command, sizeof(command), "rm -r %s", dir);
    is_int(system(command), 0, "nothing is left behind");
    return tap_done();
}
