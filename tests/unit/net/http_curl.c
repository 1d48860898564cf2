/* The server against curl: plain and TLS, certificates that change, transfers that are cut. */
#include "service.h"

#include "certificate.h"

static struct service service;
static char dir[] = "/tmp/http_curl.XXXXXX";
static const char *scheme;

/* Runs curl on the service; what it writes, with " exit=N" behind. mem_free() it. */
static char *curl(const char *options, const char *path)
{
    char command[1024];
    struct buf all = {.n = 0};
    uint8_t part[65536];
    size_t n;
    snprintf(command, sizeof(command), "exec curl -q -s -S --noproxy '*' --max-time 20 %s '%s://127.0.0.1:%u%s' 2>&1", options, scheme,
             http_server_port(service.server), path);
    FILE *pipe = popen(command, "r");
    while (pipe && (n = fread(part, 1, sizeof(part), pipe)) > 0)
        buf_put(&all, part, n);
    int status = pipe ? pclose(pipe) : -1;
    buf_printf(&all, " exit=%d", status < 0 ? status : status >> 8);
    buf_cstr(&all);
    return (char *)all.p;
}

static void says(const char *options, const char *path, const char *part)
{
    char *answer = curl(options, path);
    if (!ok(strstr(answer, part), "%s: curl %.40s %s: %s", scheme, options, path, part))
        tap_diag("got %.600s", answer);
    mem_free(answer);
}

#define TOKEN " -H 'Authorization: Bearer " ADMIN "'"

static void test_transfers(const char *trust)
{
    char options[512], path[64];
    uint64_t size = 0;
    snprintf(options, sizeof(options), "%s" TOKEN, trust);
    says(options, "/things/x/part?start=1", "x,1,3 exit=0");
    says(trust, "/things/x/part?start=1", "\"code\":\"token_missing\"");
    says(options, "/things/{a,b}/part", "a,-,3b,-,3 exit=0");
    snprintf(options, sizeof(options), "%s -I" TOKEN, trust);
    says(options, "/stream", "200 OK");
    says(options, "/stream", " exit=0");
    snprintf(options, sizeof(options), "%s -o /dev/null -w '%%{http_code} %%{size_download}'" TOKEN, trust);
    says(options, "/stream?size=5000000", "200 5000000 exit=0");
    says(options, "/stream?size=5000000&length=5000000", "200 5000000 exit=0");
    says(options, "/stream?size=5000000&fail=1000000", "200 1000000 exit=18"); /* curl: partial file */
    says(options, "/stream?size=5000000&fail=1000000&length=5000000", "200 1000000 exit=18");
    says(options, "/object?size=100000&fail=50000", "exit=18");
    snprintf(options, sizeof(options), "%s -o %s/part -r 0-99999 -w '%%{http_code} '" TOKEN, trust, dir);
    says(options, "/object?size=300000", "206  exit=0");
    snprintf(options, sizeof(options), "%s -o %s/part -C - -w '%%{http_code} '" TOKEN, trust, dir);
    says(options, "/object?size=300000", "206  exit=0");
    snprintf(path, sizeof(path), "%s/part", dir);
    FILE *file = fopen(path, "r");
    for (int c; file && (c = fgetc(file)) != EOF && (uint8_t)c == pattern(size);)
        size++;
    if (file)
        fclose(file);
    is_int(size, 300000, "%s: a transfer that was broken off is taken up again", scheme);
    snprintf(options, sizeof(options), "head -c 4000000 /dev/zero >%s/zeros", dir);
    is_int(system(options), 0, "a body is made");
    snprintf(options, sizeof(options), "%s --data-binary @%s/zeros -o /dev/null -w '%%{http_code} %%{size_download}'" TOKEN, trust, dir);
    says(options, "/echo", "201 4000000 exit=0");
    snprintf(options, sizeof(options), "%s --data-binary @%s/zeros -w '%%{http_code}'" TOKEN, trust, dir);
    says(options, "/things/x/part", "\"code\":\"body_too_long\"}\n413");
}

static char *file(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return mem_strdup(path);
}

/* A client that has a session to the old certificate, and goes on. */
static void test_certificates(char *one, char *one_key, char *two, char *two_key)
{
    struct error err = {.text = ""};
    char trust_one[256], trust_two[256];
    snprintf(trust_one, sizeof(trust_one), "--cacert %s" TOKEN, one);
    snprintf(trust_two, sizeof(trust_two), "--cacert %s" TOKEN, two);
    says(trust_two, "/things/x/part", "exit=60");  /* curl: certificate not trusted */
    says("--tls-max 1.1 -k", "/hello", "exit=35"); /* handshake failed */
    scheme = "http";
    char *clear = curl("", "/hello");
    ok(!strstr(clear, "hello"), "without TLS it says nothing");
    mem_free(clear);
    scheme = "https";
    is_int(http_server_set_tls(service.server, one, two_key, &err), TD_E_CONFIG, "a key of another certificate is refused");
    like(err.text, "does not belong to the certificate", "with the reason");
    is_int(http_server_set_tls(service.server, one_key, one_key, &err), TD_E_CONFIG, "and what is no certificate");
    chmod(two_key, 0644);
    is_int(http_server_set_tls(service.server, two, two_key, &err), TD_E_DENIED, "and a key that others can read");
    like(err.text, "chmod 600", "with the remedy");
    chmod(two_key, 0600);
    is_int(http_server_set_tls(service.server, NULL, NULL, &err), TD_E_UNSUPPORTED, "TLS cannot be turned off");
    is_int(http_server_set_tls(service.server, "", "", &err), TD_E_UNSUPPORTED, "nor with empty names");
    is_int(http_server_set_tls(service.server, two, NULL, &err), TD_E_CONFIG, "a certificate alone is none");
    says(trust_one, "/things/x/part", "x,-,3 exit=0");
    is_int(http_server_set_tls(service.server, two, two_key, &err), TD_OK, "a certificate can be replaced: %s", err.text);
    says(trust_two, "/things/x/part", "x,-,3 exit=0");
    says(trust_one, "/things/x/part", "exit=60");
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    char *one = file("one.pem"), *one_key = file("one.key"), *two = file("two.pem"), *two_key = file("two.key");
    char *old = file("old.pem"), *old_key = file("old.key"), trust[256], command[256];
    certificate_make("one", 3600, one, one_key);
    certificate_make("two", 3600, two, two_key);
    certificate_make("old", -3600, old, old_key);
    struct http_server_options options = {.tokens = all_tokens, .token_count = 3};

    scheme = "http";
    service_start(&service, options);
    test_transfers("");
    service_stop(&service);

    scheme = "https";
    options.tls_certificate = one;
    options.tls_key = one_key;
    service_start(&service, options);
    like(http_server_url(service.server), "https://127.0.0.1:", "its address says https");
    snprintf(trust, sizeof(trust), "--cacert %s", one);
    test_transfers(trust);
    test_certificates(one, one_key, two, two_key);
    service_stop(&service);

    options.tls_certificate = old;
    options.tls_key = old_key;
    service_start(&service, options);
    snprintf(trust, sizeof(trust), "--cacert %s", old);
    says(trust, "/hello", "exit=60");
    says("-k", "/hello", "hello\n exit=0");
    service_stop(&service);

    snprintf(command, sizeof(command), "rm -r %s", dir);
    is_int(system(command), 0, "nothing is left behind");
    char *names[] = {one, one_key, two, two_key, old, old_key};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        mem_free(names[i]);
    return tap_done();
}
