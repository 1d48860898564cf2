/* What the storage backend s3 makes of answers that a real service gives seldom, or never: errors of each kind, redirects, pages, damage.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "plugin/host.h"
#include "scripted_server.h"
#include "snapshot/sha256.h"
#include "snapshot/storage.h"
#include "tap.h"

extern const struct td_plugin td_plugin_v1_s3;

enum { PART = 5 << 20 };
#define SECRET "secret0that0must0not0be0seen"
#define ERROR(code) "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>It says so.</Message></Error>"

static struct {
    struct registry *registry;
    struct td_host host;
    struct storage *s;
    struct scripted_server server;
    char dir[64];
    uint8_t *bytes; /* 4 * PART */
    struct error err;
} t;

/* ---- Helpers ---- */

static void open_by(const char *keys, const char *options)
{
    char text[1024];
    struct yaml_tree *tree = NULL;
    snprintf(text, sizeof(text), "{bucket: b-1, endpoint: \"http://127.0.0.1:%u\", %s, %s, %s}", t.server.port,
             strstr(options, "partSize") ? "parallelParts: 2" : "partSize: 5Mi", keys, options);
    memset(&t.err, 0, sizeof(t.err));
    int status = yaml_tree_parse(td_str(text), "c.yaml", &tree, &t.err);
    if (status == TD_OK)
        status = storage_open(t.registry, &t.host, "s3", yaml_tree_root(tree), &t.s, &t.err);
    ok(status == TD_OK, "a backend with {%s} %s", options, t.err.text);
    yaml_tree_free(tree);
    scripted_begin(&t.server);
}

static void open_with(const char *options)
{
    open_by("accessKey: AK, secretKey: " SECRET, options);
}

static void on(const char *asked, const char *answer)
{
    scripted_on(&t.server, asked, answer, 0);
}

static void once(const char *asked, const char *answer)
{
    scripted_on(&t.server, asked, answer, 1);
}

static unsigned asked(const char *text)
{
    return scripted_count(&t.server, text);
}

/* ---- The check at the start ---- */

static void checks(const char *options, int status, const char *text)
{
    is_int(storage_check(t.s, &t.err), status, "the check says so %s", options);
    like(t.err.text, text, "  with the reason");
    ok(!strstr(t.err.text, SECRET), "  without the secret");
    storage_close(t.s);
}

static void test_regions(void)
{
    struct storage_object object;
    open_with("region: ''");
    once("HEAD /b-1", "301 Moved\nx-amz-bucket-region: eu-central-1\n\n");
    on("HEAD /b-1", "200 OK\n\n");
    on("GET /b-1?uploads", "200 OK\n\n<ListMultipartUploadsResult/>");
    on("HEAD /b-1/k", "200 OK\n\n");
    is_int(storage_check(t.s, &t.err), TD_E_RETRY, "a check that comes as far as the trial object");
    is_int(asked("/us-east-1/s3/aws4_request"), 1, "a region that nobody told is asked");
    ok(asked("/eu-central-1/s3/aws4_request") > 1, "then the one that the answer names");
    storage_close(t.s);

    open_with("region: us-west-2");
    on("HEAD /b-1", "301 Moved\nx-amz-bucket-region: eu-central-1\n\n");
    on("GET /b-1", "301 Moved\nx-amz-bucket-region: eu-central-1\n\n" ERROR("PermanentRedirect"));
    checks("of a wrong region", TD_E_CONFIG, "the bucket is in region eu-central-1, not in us-west-2; correct region");

    open_with("region: us-west-2");
    on("HEAD /b-1", "400 Bad\n\n");
    on("GET /b-1?",
       "400 Bad\n\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>eu-central-1</Region></Error>");
    checks("of a wrong region in the signature", TD_E_CONFIG, "the bucket is in region eu-central-1, not in us-west-2; correct region");
    open_with("region: us-west-2");
    on("HEAD /b-1", "400 Bad\nx-amz-bucket-region: eu-central-1\n\n");
    on("GET /b-1?", "400 Bad\nx-amz-bucket-region: eu-central-1\n\n");
    checks("of one that only a header names", TD_E_CONFIG, "the bucket is in region eu-central-1, not in us-west-2; correct region");
    open_with("region: us-west-2");
    on("HEAD /b-1", "400 Bad\n\n");
    on("GET /b-1?", "400 Bad\n\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>expected garage</Message></Error>");
    checks("of one that stands in its words", TD_E_CONFIG, "is not in region us-west-2 (expected garage); correct region");

    open_with("pathStyle: auto");
    once("GET /b-1/k", "400 Bad\n\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>ap-1</Region></Error>");
    on("GET /b-1/k", "200 OK\n\nhello");
    struct buf b;
    buf_init(&b, 0);
    ok(storage_get_bytes(t.s, "k", 100, &b, &t.err) == TD_OK && b.n == 5 && asked("/ap-1/s3/"), "also in the midst of things %s",
       t.err.text);
    buf_clear(&b);
    on("HEAD /b-1/m", "307 Elsewhere\nLocation: http://elsewhere/\n\n");
    is_int(storage_head(t.s, "m", &object, &t.err), TD_E_CONFIG, "a redirect that tells no region");
    like(t.err.text, "is to be asked elsewhere (http://elsewhere/)", "  is told, not followed");
    storage_close(t.s);
}

static void test_clock(void)
{
    open_with("region: r-1");
    on("HEAD /b-1", "403 No\n\n");
    on("GET /b-1",
       "403 No\n\n<Error><Code>RequestTimeTooSkewed</Code><Message>x</Message><ServerTime>2020-01-01T00:00:00Z</ServerTime></Error>");
    checks("of a clock that is fast", TD_E_DENIED, "seconds fast: here it is 2");
    like(t.err.text, "there it was 2020-01-01T00:00:00Z; set the clock", "  with both times");
    open_with("region: r-1");
    on("HEAD /b-1", "403 No\n\n");
    on("GET /b-1", "403 No\nDate: Fri, 01 Jan 2100 00:00:00 GMT\n\n" ERROR("RequestTimeTooSkewed"));
    checks("of a clock that is slow", TD_E_DENIED, "seconds slow: here it is 2");
    like(t.err.text, "there it was Fri, 01 Jan 2100 00:00:00 GMT", "  by the answer's date");
}

/* ---- Credentials ---- */

static void write_file(const char *name, const char *text)
{
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s is written", name);
    close(fd);
    close(dir);
}

static int head(const char *key)
{
    struct storage_object object;
    memset(&t.err, 0, sizeof(t.err));
    return storage_head(t.s, key, &object, &t.err);
}

/* HEAD has no body that could tell. */
static void test_heads(void)
{
    open_with("region: r-1, sessionToken: tok");
    on("HEAD /b-1/k", "400 No\n\n");
    on("GET /b-1/k", "400 No\n\n" ERROR("ExpiredToken"));
    is_int(head("k"), TD_E_DENIED, "a token that has expired");
    like(t.err.text, "the credentials have expired", "  is recognised");
    scripted_begin(&t.server);
    on("HEAD /b-1/k", "403 No\n\n");
    on("GET /b-1/k", "403 No\nDate: Fri, 01 Jan 2100 00:00:00 GMT\n\n" ERROR("RequestTimeTooSkewed"));
    is_int(head("k"), TD_E_DENIED, "a clock that is slow");
    like(t.err.text, "seconds slow: here it is 2", "  is recognised");
    scripted_begin(&t.server);
    on("HEAD /b-1/k", "403 No\n\n");
    on("GET /b-1/k", "200 OK\n\nhello");
    is_int(head("k"), TD_E_DENIED, "what cannot be explained");
    like(t.err.text, "not allowed (HTTP 403)", "  stays as it is");
    scripted_begin(&t.server);
    on("HEAD /b-1/k", "404 No\n\n");
    ok(head("k") == TD_E_NOT_FOUND && !asked("GET"), "what is not there is not asked for again");
    storage_close(t.s);
}

static void test_replaced_keys(void)
{
    char keys[256];
    snprintf(keys, sizeof(keys), "accessKeyFile: %s/access, secretKeyFile: %s/secret", t.dir, t.dir);
    write_file("access", "OLD");
    write_file("secret", SECRET);
    open_by(keys, "region: r-1");
    on("HEAD /b-1/k", "200 OK\n\n");
    is_int(head("k"), TD_OK, "keys of files %s", t.err.text);
    static const char *const codes[] = {"403 No\n\n" ERROR("InvalidAccessKeyId"), "403 No\n\n" ERROR("SignatureDoesNotMatch"),
                                        "400 No\n\n" ERROR("InvalidToken")};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        scripted_begin(&t.server);
        on("DELETE /b-1/k", codes[i]);
        is_int(storage_remove(t.s, "k", &t.err), TD_E_DENIED, "that are refused");
        write_file("access", (const char[]){'N', (char)('0' + i), 0});
        is_int(storage_remove(t.s, "k", &t.err), TD_E_RETRY, "those that were replaced meanwhile may do");
        is_int(storage_remove(t.s, "k", &t.err), TD_E_DENIED, "if they do not, it is told");
        ok(asked((const char[]){'=', 'N', (char)('0' + i), '/', 0}) == 1, "they were tried");
    }
    storage_close(t.s);
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(unlinkat(dir, "access", 0) == 0 && unlinkat(dir, "secret", 0) == 0, "files of keys are removed");
    close(dir);
}

/* ---- Errors ---- */

static void test_errors(void)
{
    static const struct {
        const char *answer;
        int status;
        const char *text;
    } cases[] = {
        {"404 No\n\n" ERROR("NoSuchKey"), TD_E_NOT_FOUND, "b-1/k at 127.0.0.1:"},
        {"404 No\n\n" ERROR("NoSuchBucket"), TD_E_NOT_FOUND, "no such bucket"},
        {"404 No\n\n", TD_E_NOT_FOUND, "no such object (HTTP 404)"},
        {"403 No\n\n" ERROR("AccessDenied"), TD_E_DENIED, "not allowed; give these credentials"},
        {"403 No\n\n" ERROR("InvalidAccessKeyId"), TD_E_DENIED, "correct accessKey"},
        {"400 No\n\n" ERROR("ExpiredToken"), TD_E_DENIED, "have expired"},
        {"503 No\n\n" ERROR("SlowDown"), TD_E_RETRY, "slow down (HTTP 503 SlowDown: It says so.)"},
        {"503 No\n\n", TD_E_RETRY, "HTTP 503"},
        {"500 No\n\n" ERROR("InternalError"), TD_E_RETRY, "internal error there"},
        {"500 No\n\n<html><br></html>", TD_E_RETRY, "HTTP 500"},
        {"400 No\n\n" ERROR("RequestTimeout"), TD_E_RETRY, "waited too long"},
        {"429 No\n\n", TD_E_RETRY, "HTTP 429"},
        {"403 No\n\n" ERROR("QuotaExceeded"), TD_E_LIMIT, "quota"},
        {"400 No\n\n<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object "
         "requests with Object Lock parameters</Message></Error>",
         TD_E_UNSUPPORTED, "Object Lock"},
        {"403 No\n\n" ERROR("InvalidObjectState"), TD_E_DENIED, "archived"},
        {"418 Teapot\n\n" ERROR("Tea"), TD_E_INTERNAL, "It says so. (HTTP 418 Tea)"},
        {CUT, TD_E_RETRY, "closed without an answer"},
        {"200 OK\nContent-Length: 1000\n\nbegin", TD_E_RETRY, "closed before the answer's end"},
    };
    struct buf b;
    open_with("region: r-1");
    buf_init(&b, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scripted_begin(&t.server);
        on("GET /b-1/k", cases[i].answer);
        is_int(storage_get_bytes(t.s, "k", 1000, &b, &t.err), cases[i].status, "%.30s", cases[i].answer);
        like(t.err.text, cases[i].text, "  says what it is");
    }
    buf_clear(&b);
    storage_close(t.s);
}

/* ---- Reading ---- */

static int count_bytes(void *ctx, struct td_slice bytes)
{
    *(uint64_t *)ctx += bytes.n;
    return TD_OK;
}

static void reads(const char *answer, uint64_t offset, uint64_t n, int status, uint64_t bytes, const char *what)
{
    uint64_t got = 0;
    scripted_begin(&t.server);
    on("HEAD /b-1/k", "200 OK\nContent-Length: 10\n\n");
    on("GET /b-1/k", answer);
    memset(&t.err, 0, sizeof(t.err));
    is_int(storage_get(t.s, "k", offset, n, count_bytes, &got, &t.err), status, "%s %s", what, t.err.text);
    is_int((int64_t)got, (int64_t)bytes, "  so many bytes are given on");
}

static void test_ranges(void)
{
    open_with("region: r-1");
    reads("206 OK\nContent-Range: bytes 2-4/10\n\nabc", 2, 3, TD_OK, 3, "a range");
    ok(asked("\r\nRange: bytes=2-4\r\n"), "  was asked for");
    reads("206 OK\nContent-Range: bytes 1-3/10\n\nabc", 2, 3, TD_E_CORRUPT, 0, "another one");
    reads("206 OK\nContent-Range: bytes 2-9/10\n\nabcdefgh", 2, 9, TD_E_LIMIT, 0, "one that is cut at the end");
    reads("206 OK\nContent-Range: bytes 2-4/10\n\nabcd", 2, 3, TD_E_CORRUPT, 0, "more than was asked for");
    reads("206 OK\n\nabc", 2, 3, TD_E_CORRUPT, 0, "one that does not tell");
    reads("200 OK\n\nabcdefghij", 2, 3, TD_E_UNSUPPORTED, 0, "a server without ranges");
    reads("200 OK\n\nabcdefghij", 0, UINT64_MAX, TD_OK, 10, "all of it");
    reads("200 OK\n\nabcdefghij", 0, 10, TD_OK, 10, "all of it, as a range");
    reads("200 OK\n\nabcdefghij", 0, 11, TD_E_LIMIT, 0, "more than all");
    reads("416 No\n\n" ERROR("InvalidRange"), 10, UINT64_MAX, TD_OK, 0, "from the end to the end");
    reads("416 No\n\n" ERROR("InvalidRange"), 11, UINT64_MAX, TD_E_LIMIT, 0, "from behind it");
    reads("416 No\n\n" ERROR("InvalidRange"), 5, 2, TD_E_RETRY, 0, "what should be there");
    reads(CUT, 5, 0, TD_OK, 0, "nothing");
    storage_close(t.s);
}

/* ---- Lists ---- */

struct names {
    char text[512];
};

static int note_name(void *ctx, const char *key, const struct storage_object *object)
{
    struct names *n = ctx;
    snprintf(n->text + strlen(n->text), sizeof(n->text) - strlen(n->text), "%s=%llu ", key, (unsigned long long)object->bytes);
    return 0;
}

static int note_folder(void *ctx, const char *name)
{
    struct names *n = ctx;
    snprintf(n->text + strlen(n->text), sizeof(n->text) - strlen(n->text), "%s ", name);
    return 0;
}

#define LISTED(name, size) "<Contents><Key>" name "</Key><Size>" size "</Size><ETag>&quot;e&quot;</ETag></Contents>"

static void test_lists(void)
{
    struct names n = {0};
    open_with("region: r-1");
    on("start-after=c", "200 OK\n\n<ListBucketResult>" LISTED("d", "4") "</ListBucketResult>");
    on("start-after=a%2Bb", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>" LISTED(
                                "c", "3") "</ListBucketResult>");
    on("list-type=2", "200 OK\n\n<ListBucketResult>" LISTED("a+%25", "1")
                          LISTED("a%2Bb", "2") "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated></ListBucketResult>");
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_OK, "three pages");
    is_str(n.text, "a %=1 a+b=2 c=3 d=4 ", "with names that were encoded");
    scripted_begin(&t.server);
    n.text[0] = 0;
    on("list-type=2", "200 OK\n\n<ListBucketResult>" LISTED("p/a+%25", "1") "</ListBucketResult>");
    ok(storage_list(t.s, "p/", NULL, note_name, &n, &t.err) == TD_OK && strcmp(n.text, "p/a+%25=1 ") == 0, "or were not: %s", n.text);
    ok(asked("prefix=p%2F") == 1, "a prefix");
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated>" LISTED("a", "1") "</ListBucketResult>");
    ok(storage_list(t.s, "", NULL, note_name, &n, &t.err) < 0 && asked("GET") == 2, "the same page for ever is noticed: %s", t.err.text);
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\nwelcome");
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_E_CORRUPT, "no list");
    like(t.err.text, "is it an S3 service?", "  is told");
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\n<ListBucketResult>" LISTED("a", "12x") "</ListBucketResult>");
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_E_CORRUPT, "no size");
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\n<html><body/></html>");
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_E_CORRUPT, "another document is no empty list");
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\n" ERROR("InternalError"));
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_E_RETRY, "nor is an error, though it came with 200");
    like(t.err.text, "an internal error there", "  which is told");

    scripted_begin(&t.server);
    n.text[0] = 0;
    on("continuation-token=t%2F2", "200 OK\n\n<ListBucketResult>" LISTED("b", "2") "</ListBucketResult>");
    on("start-after=a", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t/2</NextContinuationToken>"
                        "</ListBucketResult>");
    on("list-type=2", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated>" LISTED("a", "1") "</ListBucketResult>");
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_OK, "a page without names is not the end %s", t.err.text);
    is_str(n.text, "a=1 b=2 ", "  if more follows it");
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>");
    is_int(storage_list(t.s, "", NULL, note_name, &n, &t.err), TD_E_RETRY, "nor if it does not say where: %s", t.err.text);
    scripted_begin(&t.server);
    on("list-type=2", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
                      "</ListBucketResult>");
    ok(storage_list(t.s, "", NULL, note_name, &n, &t.err) == TD_E_CORRUPT && asked("GET") == 2, "the same one for ever is noticed, too");

    scripted_begin(&t.server);
    n.text[0] = 0;
    on("start-after=p%2Fb0", "200 OK\n\n<ListBucketResult><CommonPrefixes><Prefix>p/c/</Prefix></CommonPrefixes></ListBucketResult>");
    on("list-type=2", "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated>" LISTED(
                          "p/a", "1") "<CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>p/b/</Prefix></"
                                      "CommonPrefixes></ListBucketResult>");
    is_int(storage_folders(t.s, "p/", NULL, note_folder, &n, &t.err), TD_OK, "folders, page by page");
    is_str(n.text, "a b c ", "each once");
    ok(asked("delimiter=%2F") == 2, "by the slash");
    storage_close(t.s);
}

/* ---- Removing ---- */

static void test_removing(void)
{
    const char *const keys[] = {"a&b", "c", "d"};
    open_with("region: r-1");
    on("POST /b-1?delete=", "200 OK\n\n<DeleteResult/>");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_OK, "three at once %s", t.err.text);
    ok(asked("Content-MD5: ") == 1 && asked(" HTTP/1.1") == 1, "in one request, with a sum");
    scripted_begin(&t.server);
    on("POST /b-1?delete=", "200 OK\n\n<DeleteResult><Error><Key>a</Key><Code>NoSuchKey</Code></Error><Error><Key>c</Key><Code>AccessDenied"
                            "</Code><Message>locked</Message></Error></DeleteResult>");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_E_DENIED, "one of them cannot be removed");
    like(t.err.text, "b-1/c at", "  it is named");
    scripted_begin(&t.server);
    on("POST /b-1?delete=", "200 OK\n\n<DeleteResult><Error><Key>c</Key><Code>InternalError</Code></Error></DeleteResult>");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_E_RETRY, "one of them cannot be removed now");
    scripted_begin(&t.server);
    on("POST /b-1?delete=", "200 OK\n\n" ERROR("InternalError"));
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_E_RETRY, "none was removed, though it came with 200");
    scripted_begin(&t.server);
    on("POST /b-1?delete=", "200 OK\n\n<html/>");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_E_CORRUPT, "nobody knows what was removed");
    scripted_begin(&t.server);
    on("POST /b-1?delete=", "503 No\n\n" ERROR("SlowDown"));
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_E_RETRY, "nor can any");
    ok(asked(" HTTP/1.1") == 1, "which is no reason to ask for each of them");
    scripted_begin(&t.server);
    on("POST /b-1?delete=", "501 No\n\n" ERROR("NotImplemented"));
    on("DELETE /b-1/d", "404 No\n\n" ERROR("NoSuchKey"));
    on("DELETE", "204 OK\n\n");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_OK, "a service that cannot remove many %s", t.err.text);
    ok(asked("DELETE /b-1/a%26b ") == 1 && asked("DELETE /b-1/") == 3, "is asked for each");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_OK, "and again");
    ok(asked("POST") == 1 && asked("DELETE /b-1/") == 6, "at once");
    scripted_begin(&t.server);
    on("DELETE /b-1/c", "403 No\n\n" ERROR("AccessDenied"));
    on("DELETE", "204 OK\n\n");
    is_int(storage_remove_many(t.s, keys, 3, &t.err), TD_E_DENIED, "one of them is refused");
    scripted_begin(&t.server);
    on("DELETE", "404 No\n\n" ERROR("NoSuchBucket"));
    is_int(storage_remove(t.s, "a", &t.err), TD_E_NOT_FOUND, "without a bucket nothing was removed");
    storage_close(t.s);
}

/* ---- Putting ---- */

static int make_file(size_t n)
{
    int dir = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(dir, "file", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok(fd >= 0 && write(fd, t.bytes, n) == (ssize_t)n, "a file of %zu bytes", n);
    close(fd);
    return dir;
}

static void sum_of(struct td_slice bytes, uint8_t ret[SHA256_BYTES])
{
    struct sha256 *sum = sha256_new();
    sha256_begin(sum);
    sha256_add(sum, bytes);
    ok(sha256_end(sum, ret), "its sum");
    sha256_free(sum);
}

static void test_headers(void)
{
    open_with("region: r-1, sse: 'aws:kms', kmsKeyId: key-1, storageClass: COLD, sessionToken: tok");
    on("PUT /b-1/k", "200 OK\nETag: \"e\"\n\n");
    is_int(storage_put_bytes(t.s, "k", TD_LIT("abc"), &t.err), TD_OK, "an object %s", t.err.text);
    ok(asked("x-amz-server-side-encryption: aws:kms\r\n") == 1 && asked("x-amz-server-side-encryption-aws-kms-key-id: key-1\r\n") == 1 &&
           asked("x-amz-storage-class: COLD\r\n") == 1 && asked("X-Amz-Security-Token: tok\r\n") == 1,
       "with what the options say");
    ok(asked("x-amz-meta-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n") == 1 &&
           asked("X-Amz-Content-Sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\r\n") == 1,
       "with its sum, twice");
    ok(asked("SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-sha256;x-amz-security-token;"
             "x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id;x-amz-storage-class,") == 1,
       "all of it signed");
    ok(!asked("Accept-Encoding") && !asked("aws-chunked") && !asked(SECRET), "and nothing that some services do not take");
    scripted_begin(&t.server);
    on("HEAD /b-1/k", "200 OK\nContent-Length: 7\nETag: W/\"e-2\"\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nx-amz-meta-sha256: "
                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n\n");
    struct storage_object object;
    ok(storage_head(t.s, "k", &object, &t.err) == TD_OK && object.bytes == 7 && strcmp(object.etag, "e-2") == 0 &&
           object.mtime_ns == 784111777000000000 && object.has_sha256 && object.sha256[0] == 0xba,
       "an object tells what it is");
    storage_close(t.s);
    open_with("region: r-1, sse: AES256");
    on("PUT /b-1/k", "200 OK\nETag: \"e\"\n\n");
    ok(storage_put_bytes(t.s, "k", TD_LIT("abc"), &t.err) == TD_OK && asked("x-amz-server-side-encryption: AES256\r\n") == 1, "or AES256");
    storage_close(t.s);
}

static int put_file(int dir, const uint8_t *sum)
{
    struct storage_put put = {.sha256 = sum};
    memset(&t.err, 0, sizeof(t.err));
    return storage_put_file_as(t.s, "k", dir, "file", &put, NULL, &t.err);
}

static void test_damage(void)
{
    uint8_t sum[SHA256_BYTES];
    int dir = make_file(1000);
    sum_of(td_bytes(t.bytes, 1000), sum);
    open_with("region: r-1");
    on("PUT /b-1/k", "400 No\n\n" ERROR("XAmzContentSHA256Mismatch"));
    is_int(put_file(dir, sum), TD_E_RETRY, "what was damaged on the way is sent again: %s", t.err.text);
    sum[5] ^= 1;
    is_int(put_file(dir, sum), TD_E_CORRUPT, "what was damaged here is not: %s", t.err.text);
    storage_close(t.s);
    close(dir);
}

/* Each upload has an id of its own: what one that was ended had on the way may come late. */
#define INITIATED(id) \
    "200 OK\n\n<InitiateMultipartUploadResult><Bucket>b-1</Bucket><Key>k</Key><UploadId>" id "</UploadId></InitiateMultipartUploadResult>"

static void test_parts(void)
{
    uint8_t sum[SHA256_BYTES];
    int dir = make_file(2 * PART + 5);
    sum_of(td_bytes(t.bytes, 2 * PART + 5), sum);
    open_with("region: r-1, parallelParts: 3");
    on("POST /b-1/k?uploads=", INITIATED("u1"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("POST /b-1/k?uploadId=u1",
       "200 OK\n\n  <?xml "
       "version=\"1.0\"?>\n\n<CompleteMultipartUploadResult><ETag>&quot;e-3&quot;</ETag></CompleteMultipartUploadResult>");
    is_int(put_file(dir, sum), TD_OK, "a file in parts %s", t.err.text);
    ok(asked("partNumber=1&uploadId=u1 ") == 1 && asked("partNumber=2&") == 1 && asked("partNumber=3&") == 1 && asked("uploadId=u1 ") == 4,
       "each once");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u2"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("POST /b-1/k?uploadId=u2", "200 OK\n\n" ERROR("InternalError"));
    on("DELETE /b-1/k?uploadId=u2", "204 OK\n\n");
    is_int(put_file(dir, sum), TD_E_RETRY, "the completion fails after it seemed well: %s", t.err.text);
    is_int(asked("DELETE /b-1/k?uploadId=u2"), 1, "nothing is left");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u2b"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("POST /b-1/k?uploadId=u2b", "200 OK\n\n<html/>");
    on("DELETE /b-1/k?uploadId=u2b", "204 OK\n\n");
    is_int(put_file(dir, sum), TD_E_RETRY, "or is none: %s", t.err.text);

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u2c"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("DELETE /b-1/k?uploadId=u2c", "204 OK\n\n");
    sum[5] ^= 1;
    is_int(put_file(dir, sum), TD_E_CORRUPT, "a file that is not what its sum says: %s", t.err.text);
    ok(asked("DELETE /b-1/k?uploadId=u2c") == 1 && !asked("POST /b-1/k?uploadId="), "becomes no object");
    sum[5] ^= 1;

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u3"));
    on("PUT /b-1/k?partNumber=2", "400 No\n\n" ERROR("BadDigest"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("DELETE /b-1/k?uploadId=u3", "204 OK\n\n");
    is_int(put_file(dir, sum), TD_E_RETRY, "a part is damaged on the way: %s", t.err.text);
    is_int(asked("DELETE /b-1/k?uploadId=u3"), 1, "nothing is left");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u4"));
    on("PUT /b-1/k?partNumber=3", "200 OK\n\n");
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("DELETE /b-1/k?uploadId=u4", "503 No\n\n");
    is_int(put_file(dir, sum), TD_E_CORRUPT, "a part without an ETag");
    like(t.err.text, "no ETag of part 3", "  is told, though cleaning up failed as well");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", "200 OK\n\n<InitiateMultipartUploadResult/>");
    is_int(put_file(dir, sum), TD_E_CORRUPT, "no id: %s", t.err.text);
    ok(asked("DELETE") == 0, "nothing to remove");
    storage_close(t.s);
    close(dir);
}

/* ---- Going on ---- */

struct saved {
    char state[TD_PUT_STATE_MAX + 1];
    unsigned times;
};

static int save(void *ctx, const char *state)
{
    struct saved *s = ctx;
    snprintf(s->state, sizeof(s->state), "%s", state);
    s->times++;
    return 0;
}

static int put_saved(int dir, const uint8_t *sum, struct saved *saved)
{
    char state[sizeof(saved->state)];
    memcpy(state, saved->state, sizeof(state));
    struct storage_put put = {.sha256 = sum, .state = state, .save = save, .ctx = saved};
    memset(&t.err, 0, sizeof(t.err));
    return storage_put_file_as(t.s, "k", dir, "file", &put, NULL, &t.err);
}

/* The MD5 of 5 MiB of zeros, and of 5 of them. */
#define MD5_PART "5f363e0e58a95f06cbe9bbc662c5dfb6"
#define MD5_END "ca9c491ac66b2c62500882e93f3719a8"
/* What put_file() keeps of an upload. */
static const char *state_of(unsigned bytes, const uint8_t *sum, const char *id)
{
    static char text[128];
    int n = snprintf(text, sizeof(text), "2 5242880 %u ", bytes);
    for (int i = 0; i < 8; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", sum[i]);
    snprintf(text + n, sizeof(text) - (size_t)n, " %s", id);
    return text;
}

#define LISTED_PART(number, size, etag) \
    "<Part><PartNumber>" number "</PartNumber><Size>" size "</Size><ETag>&quot;" etag "&quot;</ETag></Part>"

static void test_resuming(void)
{
    uint8_t sum[SHA256_BYTES];
    struct saved saved = {0};
    int dir = make_file(3 * PART + 5);
    sum_of(td_bytes(t.bytes, 3 * PART + 5), sum);
    open_with("region: r-1");
    on("POST /b-1/k?uploads=", INITIATED("u5"));
    on("PUT /b-1/k?partNumber=", "503 No\n\n" ERROR("SlowDown"));
    is_int(put_saved(dir, sum, &saved), TD_E_RETRY, "a put that fails in passing");
    ok(saved.times == 1 && strcmp(saved.state, state_of(15728645, sum, "u5")) == 0 && !asked("DELETE"), "leaves what is there: %s",
       saved.state);

    scripted_begin(&t.server);
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(15728645, sum, "u5b"));
    on("GET /b-1/k?uploadId=u5b&max-parts=1000&part-number-marker=2",
       "200 OK\n\n<ListPartsResult>" LISTED_PART("3", "5242880", "00000000000000000000000000000000")
           LISTED_PART("4", "5", MD5_END) "</ListPartsResult>");
    on("GET /b-1/k?uploadId=u5b", "200 OK\n\n<ListPartsResult><IsTruncated>true</IsTruncated>" LISTED_PART("1", "5242880", MD5_PART)
                                      LISTED_PART("2", "5242879", MD5_PART) "</ListPartsResult>");
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("POST /b-1/k?uploadId=u5b", "200 OK\n\n<CompleteMultipartUploadResult><ETag>&quot;e-3&quot;</ETag></CompleteMultipartUploadResult>");
    is_int(put_saved(dir, sum, &saved), TD_OK, "it goes on %s", t.err.text);
    ok(asked("GET ") == 2 && asked("&uploadId=u5b ") == 2 && asked("partNumber=2&uploadId=u5b ") == 1 &&
           asked("partNumber=3&uploadId=u5b ") == 1 && saved.times == 1,
       "with the parts that are missing, or others");

    scripted_begin(&t.server);
    on("GET /b-1/k?uploadId=u5b", "404 No\n\n" ERROR("NoSuchUpload"));
    on("HEAD /b-1/k", "404 No\n\n");
    on("POST /b-1/k?uploads=", "200 OK\n\n<InitiateMultipartUploadResult><UploadId>id-2</UploadId></InitiateMultipartUploadResult>");
    on("PUT /b-1/k?partNumber=", "403 No\n\n" ERROR("AccessDenied"));
    on("DELETE /b-1/k?uploadId=id-2", "204 OK\n\n");
    is_int(put_saved(dir, sum, &saved), TD_E_DENIED, "what is gone begins anew, and fails for good");
    ok(strstr(saved.state, "id-2") && asked("DELETE /b-1/k?uploadId=id-2") == 1, "then nothing is left");

    char head[256], hex[2 * SHA256_BYTES + 1];
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    snprintf(head, sizeof(head), "200 OK\nContent-Length: 15728645\nx-amz-meta-sha256: %s\n\n", hex);
    scripted_begin(&t.server);
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(15728645, sum, "u5c"));
    on("GET /b-1/k?uploadId=u5c", "404 No\n\n" ERROR("NoSuchUpload"));
    on("HEAD /b-1/k", head);
    is_int(put_saved(dir, sum, &saved), TD_OK, "one that was completed, without that anybody heard of it %s", t.err.text);
    ok(asked("uploadId=u5c") == 1 && !asked("POST"), "is not sent again");

    scripted_begin(&t.server);
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(99, sum, "id-9"));
    on("DELETE /b-1/k?uploadId=id-9", "204 OK\n\n");
    on("POST /b-1/k?uploads=", "403 No\n\n");
    is_int(put_saved(dir, sum, &saved), TD_E_DENIED, "one of another file");
    is_int(asked("DELETE /b-1/k?uploadId=id-9"), 1, "is removed");
    scripted_begin(&t.server);
    on("GET /b-1/k?uploadId=id-9", "503 No\n\n");
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(15728645, sum, "id-9"));
    is_int(put_saved(dir, sum, &saved), TD_E_RETRY, "what cannot be looked at now");
    ok(!asked("DELETE"), "is not removed");
    is_int(storage_forget(t.s, "k", state_of(15728645, sum, "id-9 x"), &t.err), TD_E_RETRY, "forgetting something");

    scripted_begin(&t.server);
    sum[0] ^= 1;
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(15728645, sum, "id-8"));
    sum[0] ^= 1;
    on("DELETE /b-1/k?uploadId=id-8", "204 OK\n\n");
    on("POST /b-1/k?uploads=", "403 No\n\n");
    is_int(put_saved(dir, sum, &saved), TD_E_DENIED, "one of other bytes");
    is_int(asked("DELETE /b-1/k?uploadId=id-8"), 1, "is removed, since it would keep their sum");
    storage_close(t.s);

    open_with("region: r-1, partSize: 64Mi");
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(15728645, sum, "u5d"));
    on("GET /b-1/k?uploadId=u5d", "200 OK\n\n<ListPartsResult>" LISTED_PART("1", "5242880", MD5_PART) LISTED_PART("2", "5242880", MD5_PART)
                                      LISTED_PART("3", "5242880", MD5_PART) "</ListPartsResult>");
    on("PUT /b-1/k?partNumber=4", "200 OK\nETag: \"e\"\n\n");
    on("POST /b-1/k?uploadId=u5d", "200 OK\n\n<CompleteMultipartUploadResult><ETag>&quot;e-4&quot;</ETag></CompleteMultipartUploadResult>");
    is_int(put_saved(dir, sum, &saved), TD_OK, "what was begun in parts goes on, though it would go in one by now %s", t.err.text);
    ok(asked("&uploadId=u5d ") == 1 && asked("partNumber=4&uploadId=u5d ") == 1, "with the part that is missing");
    sum[0] ^= 1;
    snprintf(saved.state, sizeof(saved.state), "%s", state_of(15728645, sum, "u5d"));
    on("DELETE /b-1/k?uploadId=u5d", "204 OK\n\n");
    is_int(put_saved(dir, sum, &saved), TD_E_CORRUPT, "parts that are there count in the sum as well: %s", t.err.text);
    storage_close(t.s);
    close(dir);
}

/* ---- Streams, and the end of an upload when all is to end ---- */

static void *cancel_soon(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 500 && !asked("partNumber=1&uploadId=u8 "); i++)
        usleep(10000);
    storage_cancel(t.s);
    return NULL;
}

static void test_streams(void)
{
    struct storage_upload *u;
    struct storage_object object;
    pthread_t thread;
    open_with("region: r-1");
    on("POST /b-1/k?uploads=", INITIATED("u6"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("POST /b-1/k?uploadId=u6", "200 OK\n\n<CompleteMultipartUploadResult><ETag>&quot;e-3&quot;</ETag></CompleteMultipartUploadResult>");
    on("HEAD /b-1/k", "503 No\n\n");
    ok(storage_put_open(t.s, "k", UINT64_MAX, &u, &t.err) == TD_OK && storage_put_write(u, td_bytes(t.bytes, 2 * PART), &t.err) == TD_OK &&
           storage_put_commit(u, NULL, &object, &t.err) == TD_OK,
       "a stream %s", t.err.text);
    ok(asked("&uploadId=u6 ") == 2 && object.bytes == 2 * PART && strcmp(object.etag, "e-3") == 0, "of as many parts as it needs");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u6b"));
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("DELETE /b-1/k?uploadId=u6b", "204 OK\n\n");
    ok(storage_put_open(t.s, "k", UINT64_MAX, &u, &t.err) == TD_OK && storage_put_write(u, td_bytes(t.bytes, 2 * PART), &t.err) == TD_OK &&
           storage_put_commit(u, t.bytes, &object, &t.err) == TD_E_CORRUPT,
       "one that is not what its sum says: %s", t.err.text);
    ok(asked("DELETE /b-1/k?uploadId=u6b") == 1 && !asked("POST /b-1/k?uploadId="), "becomes no object");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u7"));
    on("PUT /b-1/k?partNumber=2", "503 No\n\n");
    on("PUT /b-1/k?partNumber=", "200 OK\nETag: \"e\"\n\n");
    on("DELETE /b-1/k?uploadId=u7", "204 OK\n\n");
    int status = storage_put_open(t.s, "k", UINT64_MAX, &u, &t.err);
    if (status == TD_OK)
        status = storage_put_write(u, td_bytes(t.bytes, 4 * PART), &t.err);
    if (status == TD_OK)
        status = storage_put_commit(u, NULL, &object, &t.err);
    else
        storage_put_abort(u);
    is_int(status, TD_E_RETRY, "one that fails: %s", t.err.text);
    is_int(asked("DELETE /b-1/k?uploadId=u7"), 1, "leaves nothing");

    scripted_begin(&t.server);
    on("POST /b-1/k?uploads=", INITIATED("u8"));
    on("PUT /b-1/k?partNumber=", STALL);
    on("DELETE /b-1/k?uploadId=u8", "204 OK\n\n");
    ok(storage_put_open(t.s, "k", UINT64_MAX, &u, &t.err) == TD_OK, "one that stalls");
    pthread_create(&thread, NULL, cancel_soon, NULL);
    is_int(storage_put_write(u, td_bytes(t.bytes, 4 * PART), &t.err), TD_E_CANCELLED, "is told to stop");
    pthread_join(thread, NULL);
    storage_put_abort(u);
    is_int(asked("DELETE /b-1/k?uploadId=u8"), 1, "and leaves nothing all the same");
    storage_close(t.s);
}

/* ---- What nobody finished ---- */

#define UNFINISHED(key, id, when) "<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiated>" when "</Initiated></Upload>"

static void script_unfinished(void)
{
    scripted_begin(&t.server);
    on("HEAD /b-1", "200 OK\n\n");
    on("key-marker=b%2Fk&upload-id-marker=2",
       "200 OK\n\n<ListMultipartUploadsResult>" UNFINISHED("c", "3", "2020-01-01T00:00:00.000Z")
           UNFINISHED("c", "4", "2100-01-01T00:00:00.000Z")
               UNFINISHED("c", "5", "never") "<Upload><Key>c</Key><UploadId>6</UploadId></Upload></ListMultipartUploadsResult>");
    on("GET /b-1?uploads=",
       "200 OK\n\n<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b/k</NextKeyMarker><NextUploadIdMarker>2"
       "</NextUploadIdMarker>" UNFINISHED("a", "1", "2020-01-01T00:00:00.000Z")
           UNFINISHED("b/k", "2", "2020-01-01T00:00:00.000Z") "</ListMultipartUploadsResult>");
    on("DELETE /b-1/a?uploadId=1", "404 No\n\n" ERROR("NoSuchUpload"));
    on("DELETE /b-1/", "204 OK\n\n");
}

static void test_unfinished(void)
{
    open_with("region: r-1, abortUnfinishedAfter: 168h");
    script_unfinished();
    is_int(storage_check(t.s, &t.err), TD_E_RETRY, "a check that comes as far as the trial object");
    ok(asked("uploadId=") == 3 && asked("uploadId=1 ") == 1 && asked("uploadId=2 ") == 1 && asked("uploadId=3 ") == 1,
       "the check ends uploads that are old");
    script_unfinished();
    is_int(storage_sweep(t.s, "", &t.err), TD_OK, "sweeping %s", t.err.text);
    is_int(asked("DELETE "), 6, "ends all of them");
    script_unfinished();
    is_int(storage_sweep(t.s, "c", &t.err), TD_OK, "sweeping a prefix");
    ok(asked("DELETE ") == 4 && asked("prefix=c") == 2, "ends those below it, also if the server gives others");
    storage_close(t.s);
    open_with("region: r-1");
    script_unfinished();
    is_int(storage_check(t.s, &t.err), TD_E_RETRY, "a check that comes as far as the trial object");
    is_int(asked("DELETE /b-1/a"), 0, "or nothing at all");
    storage_close(t.s);
}

int main(void)
{
    log_set_level(TD_LOG_ERROR);
    snprintf(t.dir, sizeof(t.dir), "/tmp/tapedeck-s3-XXXXXX");
    host_init_control(&t.host);
    t.bytes = calloc(4, PART);
    if (!ok(t.bytes && mkdtemp(t.dir) && scripted_start(&t.server) && registry_new(&t.registry, &t.err) == TD_OK &&
                registry_add_static(t.registry, &td_plugin_v1_s3, &t.err) == TD_OK,
            "made ready %s", t.err.text))
        return tap_done();
    test_regions();
    test_clock();
    test_heads();
    test_replaced_keys();
    test_errors();
    test_ranges();
    test_lists();
    test_removing();
    test_headers();
    test_damage();
    test_parts();
    test_resuming();
    test_streams();
    test_unfinished();
    registry_free(t.registry);
    scripted_stop(&t.server);
    free(t.bytes);
    char path[128];
    snprintf(path, sizeof(path), "%s/file", t.dir);
    unlink(path);
    ok(rmdir(t.dir) == 0, "nothing is left behind");
    return tap_done();
}
