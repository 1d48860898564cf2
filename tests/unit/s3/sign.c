/* Signature Version 4: examples that AWS has published, and every case of its test suite, if that lies beside the checkout (or where
 * AWS_SIGNING_SUITE says). */
#include "../../../plugins/storage/s3/s3_sign.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "tap.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* ---- The examples of "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference ---- */

static struct s3_keys example_keys(void)
{
    return (struct s3_keys){.access_key = "AKIAIOSFODNN7EXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
}

static struct s3_signing example(const struct s3_keys *keys)
{
    return (struct s3_signing){.method = "GET",
                               .host = "examplebucket.s3.amazonaws.com",
                               .path = "/",
                               .payload_sha256 = EMPTY_SHA256,
                               .keys = keys,
                               .region = "us-east-1",
                               .service = "s3",
                               .time_ns = 1369353600000000000, /* 20130524T000000Z */
                               .sends_payload_header = true};
}

static void signs(const struct s3_signing *s, const char *names, const char *signature, const char *what)
{
    struct s3_signature made = {0};
    char expected[1024];
    is_int(s3_sign(s, &made), TD_OK, "%s is signed", what);
    snprintf(expected, sizeof(expected),
             "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=%s, "
             "Signature=%s",
             names, signature);
    is_str(cloud_cstr(&made.authorization), expected, "  as published");
    s3_signature_clear(&made);
}

static void test_examples(void)
{
    const struct s3_keys keys = example_keys();
    struct s3_signing s = example(&keys);
    const char *range[] = {"Range: bytes=0-9"};
    s.path = "/test.txt";
    s.headers = range;
    s.header_n = 1;
    signs(&s, "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
          "GET of an object's range");

    const char *put[] = {"Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY"};
    s.method = "PUT";
    s.path = "/test%24file.text";
    s.headers = put;
    s.header_n = 2;
    s.payload_sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    signs(&s, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", "PUT of an object");

    const struct s3_parameter lifecycle[] = {{"lifecycle", ""}}, list[] = {{"prefix", "J"}, {"max-keys", "2"}};
    s = example(&keys);
    s.parameters = lifecycle;
    s.parameter_n = 1;
    signs(&s, "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
          "GET of a bucket's lifecycle");
    s.parameters = list;
    s.parameter_n = 2;
    signs(&s, "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
          "GET of a list of objects");
}

/* ---- Cases of our own ---- */

static void test_canonical(void)
{
    struct s3_keys keys = example_keys();
    struct s3_signing s = example(&keys);
    struct s3_signature made = {0};
    const struct s3_parameter parameters[] = {{"b", "2"}, {"a-", "x"}, {"a", "z"}, {"a", "y z"}, {"\xc3\xbc", "/"}};
    const char *headers[] = {"X-Two:  a   b ", "x-one: 1", "X-Two: c"};
    snprintf(keys.token, sizeof(keys.token), "token");
    s.path = "/a//../%20b";
    s.parameters = parameters;
    s.parameter_n = 5;
    s.headers = headers;
    s.header_n = 3;
    is_int(s3_sign(&s, &made), TD_OK, "a request with everything");
    is_str(cloud_cstr(&made.canonical),
           "GET\n/a//../%20b\n%C3%BC=%2F&a=y%20z&a=z&a-=x&b=2\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:" EMPTY_SHA256
           "\nx-amz-date:20130524T000000Z\nx-amz-security-token:token\nx-one:1\nx-two:a b,c\n\n"
           "host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-one;x-two\n" EMPTY_SHA256,
           "in its canonical form; the path as it stands");
    is_str(made.date, "X-Amz-Date: 20130524T000000Z", "the date");
    is_str(made.payload, "X-Amz-Content-Sha256: " EMPTY_SHA256, "the payload");
    is_str(cloud_cstr(&made.token), "X-Amz-Security-Token: token", "and the token to send");
    ok(!strstr(made.authorization.p, keys.secret_key) && !strstr(made.canonical.p, keys.secret_key), "the secret is nowhere");

    static struct s3_parameter many[S3_MAX_PARAMETERS + 1];
    for (size_t i = 0; i <= S3_MAX_PARAMETERS; i++)
        many[i] = (struct s3_parameter){"p", "v"};
    s.parameters = many;
    s.parameter_n = S3_MAX_PARAMETERS + 1;
    is_int(s3_sign(&s, &made), TD_E_LIMIT, "too many parameters");
    s.parameter_n = S3_MAX_PARAMETERS;
    is_int(s3_sign(&s, &made), TD_OK, "just as many");
    headers[0] = "no colon";
    is_int(s3_sign(&s, &made), TD_E_LIMIT, "a header without a value");
    s.header_n = 0;
    s.payload_sha256 = S3_UNSIGNED_PAYLOAD;
    ok(s3_sign(&s, &made) == TD_OK && strstr(made.canonical.p, "\nUNSIGNED-PAYLOAD"), "a payload that is not signed");
    s3_signature_clear(&made);

    struct cloud_text query = {0};
    s3_put_query(&query, parameters, 2);
    is_str(cloud_cstr(&query), "b=2&a-=x", "a query as it is sent");
    cloud_text_clear(&query);
}

static void test_normalized(void)
{
    static const char *const cases[][2] = {{"/", "/"},        {"//", "/"},           {"/a/b", "/a/b"},   {"/a/./b/", "/a/b/"},
                                           {"/a/../b", "/b"}, {"/..", "/"},          {"/a/..", "/"},     {"/a/b/..", "/a/"},
                                           {"/a/.", "/a/"},   {"//a//b//", "/a/b/"}, {"/../../a", "/a"}, {"/a/.../b", "/a/.../b"}};
    const struct s3_keys keys = example_keys();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct s3_signing s = example(&keys);
        struct s3_signature made = {0};
        char expected[64];
        s.path = cases[i][0];
        s.normalize = true;
        snprintf(expected, sizeof(expected), "GET\n%s\n\n", cases[i][1]);
        ok(s3_sign(&s, &made) == TD_OK && strncmp(cloud_cstr(&made.canonical), expected, strlen(expected)) == 0, "%s is %s", cases[i][0],
           cases[i][1]);
        s3_signature_clear(&made);
    }
}

/* ---- The suite ---- */

static char *load(const char *folder, const char *name)
{
    char path[1024];
    struct cloud_text t = {0};
    char bytes[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    for (size_t n; f && (n = fread(bytes, 1, sizeof(bytes), f));)
        cloud_put(&t, bytes, n);
    if (f)
        fclose(f);
    return t.p ? t.p : calloc(1, 1);
}

/* A request as the suite writes it: a line, headers (with values of several lines), a body. */
struct request {
    char *text, *method, *path, *body, host[256];
    struct cloud_text encoded;
    struct s3_parameter parameters[S3_MAX_PARAMETERS];
    size_t parameter_n, header_n;
    const char *headers[CLOUD_MAX_HEADERS];
};

static void decode(char *text)
{
    char *to = text;
    for (; *text; text++) {
        uint8_t byte = 0;
        char digits[3] = {text[0] == '%' ? text[1] : 0, text[0] == '%' && text[1] ? text[2] : 0, 0};
        bool is_encoded = digits[1] && cloud_read_hex(digits, &byte, 1);
        *to++ = is_encoded ? (char)byte : *text;
        text += is_encoded ? 2 : 0;
    }
    *to = 0;
}

static void read_query(struct request *r, char *query)
{
    while (query && *query && r->parameter_n < S3_MAX_PARAMETERS) {
        char *next = strchr(query, '&');
        if (next)
            *next++ = 0;
        char *value = strchr(query, '=');
        if (value)
            *value++ = 0;
        struct s3_parameter *p = &r->parameters[r->parameter_n++];
        *p = (struct s3_parameter){query, value ? value : ""};
        decode(query);
        if (value)
            decode(value);
        query = next;
    }
}

static void read_request(char *text, struct request *r)
{
    char *line = text, *end = strstr(text, "\n\n");
    *r = (struct request){.text = text, .body = end ? end + 2 : text + strlen(text)};
    if (end)
        *end = 0;
    char *headers = strchr(line, '\n');
    if (headers)
        *headers++ = 0;
    r->method = line;
    r->path = strchr(line, ' ');
    *r->path++ = 0;
    char *version = strrchr(r->path, ' ');
    *version = 0;
    char *query = strchr(r->path, '?');
    if (query)
        *query++ = 0;
    read_query(r, query);
    cloud_put_encoded(&r->encoded, r->path, true);
    while (headers && *headers) {
        char *next = headers;
        do
            next = strchr(next, '\n');
        while (next && (*++next == ' ' || *next == '\t'));
        if (next)
            next[-1] = 0;
        if (strncasecmp(headers, "host:", 5) == 0)
            snprintf(r->host, sizeof(r->host), "%s", headers + 5);
        else
            r->headers[r->header_n++] = headers;
        headers = next;
    }
}

static const char *member(const json_t *map, const char *name)
{
    const char *text = json_string_value(json_object_get(map, name));
    return text ? text : "";
}

static void run_case(const char *folder, const char *name)
{
    char *context_text = load(folder, "context.json"), *canonical = load(folder, "header-canonical-request.txt"),
         *to_sign = load(folder, "header-string-to-sign.txt"), *signature = load(folder, "header-signature.txt");
    json_t *context = json_loads(context_text, 0, NULL), *credentials = json_object_get(context, "credentials");
    struct request r;
    struct s3_keys keys = {0};
    struct s3_signature made = {0};
    struct cloud_text hex = {0};
    uint8_t sum[CLOUD_SHA256];
    int64_t time_ns = 0;
    read_request(load(folder, "request.txt"), &r);
    snprintf(keys.access_key, sizeof(keys.access_key), "%s", member(credentials, "access_key_id"));
    snprintf(keys.secret_key, sizeof(keys.secret_key), "%s", member(credentials, "secret_access_key"));
    snprintf(keys.token, sizeof(keys.token), "%s", member(credentials, "token"));
    bool good = cloud_read_iso8601(member(context, "timestamp"), &time_ns) && cloud_sha256(td_str(r.body), sum);
    cloud_put_hex(&hex, sum, sizeof(sum));
    struct s3_signing s = {.method = r.method,
                           .host = r.host,
                           .path = cloud_cstr(&r.encoded),
                           .parameters = r.parameters,
                           .parameter_n = r.parameter_n,
                           .headers = r.headers,
                           .header_n = r.header_n,
                           .payload_sha256 = cloud_cstr(&hex),
                           .keys = &keys,
                           .region = member(context, "region"),
                           .service = member(context, "service"),
                           .time_ns = time_ns,
                           .normalize = json_is_true(json_object_get(context, "normalize")),
                           .sends_payload_header = json_is_true(json_object_get(context, "sign_body")),
                           .token_unsigned = json_is_true(json_object_get(context, "omit_session_token"))};
    ok(good && s3_sign(&s, &made) == TD_OK, "%s", name);
    is_str(cloud_cstr(&made.canonical), canonical, "  its canonical form");
    is_str(cloud_cstr(&made.to_sign), to_sign, "  what is signed");
    const char *at = made.authorization.n ? strstr(made.authorization.p, "Signature=") : NULL;
    is_str(at ? at + 10 : "", signature, "  its signature");
    s3_signature_clear(&made);
    cloud_text_clear(&hex);
    cloud_text_clear(&r.encoded);
    json_decref(context);
    free(r.text);
    free(context_text);
    free(canonical);
    free(to_sign);
    free(signature);
}

static void test_suite(void)
{
    const char *given = getenv("AWS_SIGNING_SUITE");
    const char *folder = given ? given : "../shared/corpus/suites/aws-signing-test-suite/tests/aws-signing-test-suite/v4";
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort);
    if (n < 0) {
        tap_skip("AWS's test suite is not here");
        return;
    }
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            run_case(path, names[i]->d_name);
        free(names[i]);
    }
    ok(n > 30, "the suite has its cases");
    free(names);
}

int main(void)
{
    test_examples();
    test_canonical();
    test_normalized();
    test_suite();
    return tap_done();
}
