/* Azure Blob Storage without a server: signatures, accounts, errors, blocks, tokens' answers. */
#include "../../../plugins/storage/azblob/azblob.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "tap.h"

extern const struct td_plugin td_plugin_v1_azblob;

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

/* ---- Signing ---- */

static void signs(const struct azblob_message *m, const char *expected, const char *what)
{
    struct cloud_text text = {0};
    azblob_string_to_sign(&text, "myaccount", m);
    is_str(cloud_cstr(&text), expected, "%s", what);
    cloud_text_clear(&text);
}

/* The examples of "Authorize with Shared Key"; their headers and parameters in another order than they are signed in. */
static void test_signing(void)
{
    struct azblob_message m = {.method = "GET",
                               .path = "/mycontainer",
                               .query = {{"timeout", "20"}, {"restype", "container"}, {"comp", "metadata"}},
                               .query_n = 3,
                               .headers = {{"x-ms-version", "2015-02-21"}, {"x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"}},
                               .header_n = 2};
    struct cloud_text text = {0};
    signs(&m,
          "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
          "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20",
          "Get Container Metadata");
    ok(azblob_shared_key(&text, "myaccount", KEY, &m), "is signed");
    is_str(cloud_cstr(&text), "SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=", "as by another implementation");
    text.n = 0;
    ok(!azblob_shared_key(&text, "myaccount", "no base64!", &m) && !text.n, "but not with a key that is none");
    cloud_text_clear(&text);
    m.method = "PUT";
    m.query_n = 2;
    m.query[0].value = "30";
    signs(&m,
          "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
          "/myaccount/mycontainer\nrestype:container\ntimeout:30",
          "a length of 0 is an empty line");
    struct azblob_message put = {.method = "PUT",
                                 .path = "/myaccount/box/a%20b",
                                 .headers = {{"x-ms-meta-sha256", "ab"},
                                             {"Content-MD5", "bWQ1"},
                                             {"x-ms-blob-type", "BlockBlob"},
                                             {"If-None-Match", "*"},
                                             {"Content-Type", "text/plain; charset=UTF-8"},
                                             {"If-Match", "\"0x1\""},
                                             {"Range", "bytes=0-5"}},
                                 .header_n = 7,
                                 .query = {{"blockid", "a+/="}},
                                 .query_n = 1,
                                 .content_length = 11};
    signs(&put,
          "PUT\n\n\n11\nbWQ1\ntext/plain; charset=UTF-8\n\n\n\"0x1\"\n*\n\nbytes=0-5\nx-ms-blob-type:BlockBlob\nx-ms-meta-sha256:ab\n"
          "/myaccount/myaccount/box/a%20b\nblockid:a+/=",
          "each header has its line, the path is as in the URL, parameters are not encoded");
    char date[32];
    azblob_http_date(INT64_C(1435361952) * AZBLOB_NS + 999999999, date);
    is_str(date, "Fri, 26 Jun 2015 23:39:12 GMT", "a date");
}

/* ---- Accounts ---- */

static const struct azblob_config plain = {.account = "account1", .container = "box", .key = "a2V5", .endpoint_suffix = "core.windows.net"};

static void gives(struct azblob_config c, const char *endpoint, const char *path, const char *what)
{
    struct azblob_account a;
    char why[300] = "";
    if (!ok(azblob_account(&c, &a, why, sizeof(why)) == TD_OK, "%s", what))
        tap_diag("%s", why);
    is_str(a.endpoint, endpoint, "  its endpoint");
    is_str(a.endpoint + a.path_at, path, "  its path");
    ok(a.https == (strncasecmp(endpoint, "https:", 6) == 0), "  and scheme");
}

static void fails(struct azblob_config c, const char *part, const char *what)
{
    struct azblob_account a;
    char why[300] = "";
    is_int(azblob_account(&c, &a, why, sizeof(why)), TD_E_CONFIG, "%s", what);
    like(why, part, "  says what is wrong");
    ok(!strstr(why, "secret"), "  but no secret");
}

static void test_accounts(void)
{
    struct azblob_config c = plain;
    struct azblob_account a;
    char why[300];
    gives(c, "https://account1.blob.core.windows.net", "", "an account");
    c.endpoint_suffix = "core.chinacloudapi.cn";
    gives(c, "https://account1.blob.core.chinacloudapi.cn", "", "of another cloud");
    c.endpoint = "http://127.0.0.1:10000";
    gives(c, "http://127.0.0.1:10000/account1", "/account1", "an emulator, whose path has the account");
    c.endpoint = "http://127.0.0.1:10000/account1/";
    gives(c, "http://127.0.0.1:10000/account1", "/account1", "said or not");
    c.endpoint = "HTTPS://[::1]";
    gives(c, "HTTPS://[::1]/account1", "/account1", "IPv6");
    c.endpoint = "https://blobs.example.com/";
    gives(c, "https://blobs.example.com", "", "a domain of one's own");
    c.endpoint = "account1.blob.core.windows.net/?sv=1&sig=secret";
    fails(c, "must be a URL", "no scheme, but a token");
    c.endpoint = "ftp://x";
    fails(c, "must be a URL", "another scheme");
    c.endpoint = "https://x/?sig=secret";
    fails(c, "sasToken", "a URL with a token");
    c = plain;
    c.account = "Account";
    fails(c, "3 to 24 letters", "an account's name with upper case");
    c.account = "";
    fails(c, "storageAccount is missing", "no account");
    c = plain;
    c.container = "Box";
    fails(c, "container \"Box\"", "a container's name");
    ok(azblob_is_container("$root") && azblob_is_container("a-b-3") && !azblob_is_container("a--b") && !azblob_is_container("-ab") &&
           !azblob_is_container("ab") && !azblob_is_container("a/b"),
       "names of containers");
    c = plain;
    c.key = "secret!";
    fails(c, "storageKey is no base64", "a key that is none");
    c = plain;
    c.sas = "secret";
    fails(c, "no parameter \"sig\"", "a token that is none");

    c = (struct azblob_config){.container = "box", .endpoint_suffix = "core.windows.net"};
    c.connection = "DefaultEndpointsProtocol=https;AccountName=fromtext;AccountKey=" KEY ";EndpointSuffix=core.usgovcloudapi.net";
    gives(c, "https://fromtext.blob.core.usgovcloudapi.net", "", "a connection string");
    ok(azblob_account(&c, &a, why, sizeof(why)) == TD_OK && strcmp(a.key, KEY) == 0 && strcmp(a.name, "fromtext") == 0, "with its key");
    c.connection = "BlobEndpoint=https://other.blob.core.windows.net/;QueueEndpoint=https://q/;SharedAccessSignature=?sv=1&sig=x%3D;";
    gives(c, "https://other.blob.core.windows.net", "", "or endpoint and token");
    ok(azblob_account(&c, &a, why, sizeof(why)) == TD_OK && strcmp(a.sas, "sv=1&sig=x%3D") == 0 && strcmp(a.name, "other") == 0 && !*a.key,
       "whose account is the host's first part");
    c.connection = "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1";
    ok(azblob_account(&c, &a, why, sizeof(why)) == TD_OK && strcmp(a.name, "devstoreaccount1") == 0, "or of the path");
    c.connection = "AccountName=a1b;Password=secret";
    fails(c, "connectionString", "a part that is not known");
    c.connection = "AccountName";
    fails(c, "connectionString", "a part without a value");
    c.connection = "AccountName=fromtext;AccountKey=" KEY;
    c.account = "explicit";
    gives(c, "https://explicit.blob.core.windows.net", "", "options come first");
    c.sas_file = "/sas";
    ok(azblob_account(&c, &a, why, sizeof(why)) == TD_OK && !*a.key && !*a.sas, "also if they are of another kind");
    c.sas_file = NULL;
    c.sas = "sv=1&sig=x";
    ok(azblob_account(&c, &a, why, sizeof(why)) == TD_OK && !*a.key && strcmp(a.sas, c.sas) == 0, "as a token before a key");
}

static void test_sas(void)
{
    char value[64];
    int64_t ends = 0;
    const char *sas = "sv=2021-12-02&rse=x&se=2026-03-04T05%3A06%3A07Z&sp=rwdl&sig=a%2Bb%3D&x=%zz";
    ok(azblob_sas_value(sas, "sig", value, sizeof(value)) && strcmp(value, "a+b=") == 0, "a parameter of a token");
    ok(azblob_sas_value(sas, "sv", value, sizeof(value)) && strcmp(value, "2021-12-02") == 0, "the first");
    ok(azblob_sas_value(sas, "x", value, sizeof(value)) && strcmp(value, "%zz") == 0, "a broken one");
    ok(!azblob_sas_value(sas, "s", value, sizeof(value)) && !azblob_sas_value(sas, "sig", value, 4), "one that is not there, or too long");
    ok(azblob_sas_expiry(sas, &ends) && ends == INT64_C(1772600767) * AZBLOB_NS, "its end");
    ok(azblob_sas_expiry("se=2026-03-04T05:06Z&sig=1", &ends) && ends == INT64_C(1772600760) * AZBLOB_NS, "without seconds");
    ok(azblob_sas_expiry("se=2026-03-04", &ends) && ends == INT64_C(1772582400) * AZBLOB_NS, "as a date");
    ok(!azblob_sas_expiry("sig=1&si=policy", &ends) && !azblob_sas_expiry("se=soon", &ends), "or none");
}

/* ---- Errors ---- */

static struct azblob_error explained(unsigned status, const char *head, const char *body, const char *sas)
{
    struct azblob_error error;
    struct azblob_account account = {.name = "account1"};
    struct cloud_exchange x = {.status = status};
    cloud_puts(&x.head, head);
    cloud_puts(&x.answer, body);
    azblob_explain(&x, &account, "key (storageKey)", sas, INT64_C(1772600767) * AZBLOB_NS, &error);
    cloud_exchange_clear(&x);
    return error;
}

#define NOW "Date: Wed, 04 Mar 2026 05:06:00 GMT\r\n"
#define REFUSED "<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed\nRequestId:1</Message></Error>"

static void test_errors(void)
{
    static const struct {
        const char *code;
        unsigned http;
        int status;
    } rows[] = {
        {"ServerBusy", 503, TD_E_RETRY},
        {"OperationTimedOut", 500, TD_E_RETRY},
        {"InternalError", 500, TD_E_RETRY},
        {"AuthenticationFailed", 403, TD_E_DENIED},
        {"AuthorizationFailure", 403, TD_E_DENIED},
        {"AuthorizationPermissionMismatch", 403, TD_E_DENIED},
        {"ContainerNotFound", 404, TD_E_NOT_FOUND},
        {"BlobNotFound", 404, TD_E_NOT_FOUND},
        {"InvalidBlockList", 400, TD_E_RETRY},
        {"Md5Mismatch", 400, TD_E_RETRY},
        {"InvalidXmlDocument", 400, TD_E_RETRY},
        {"InvalidRange", 416, TD_E_LIMIT},
        {"RequestBodyTooLarge", 413, TD_E_LIMIT},
        {"ConditionNotMet", 412, TD_E_RETRY},
        {"LeaseIdMissing", 412, TD_E_DENIED},
        {"BlobImmutableDueToPolicy", 409, TD_E_DENIED},
        {"InvalidBlobType", 409, TD_E_EXISTS},
        {"NewInTheYear2100", 503, TD_E_RETRY},
        {"NewInTheYear2100", 403, TD_E_DENIED},
        {"NewInTheYear2100", 400, TD_E_INTERNAL},
    };
    char text[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "HTTP/1.1 %u X\r\n" NOW "x-ms-error-code: %s\r\n\r\n", rows[i].http, rows[i].code);
        struct azblob_error by_head = explained(rows[i].http, text, "", NULL);
        snprintf(text, sizeof(text),
                 "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code><Message>M</Message></Error>", rows[i].code);
        struct azblob_error by_body = explained(rows[i].http, NOW, text, NULL);
        ok(by_head.status == rows[i].status && by_body.status == rows[i].status && strcmp(by_body.code, rows[i].code) == 0,
           "HTTP %u %s: %s", rows[i].http, rows[i].code, by_head.text);
    }
    like(explained(503, "", "", NULL).text, "(HTTP 503)", "an answer without a word");
    is_int(explained(400, "", "", NULL).status, TD_E_RETRY, "Azurite's word for a document that cannot be read, damaged on its way");
    is_int(explained(307, "", "", NULL).status, TD_E_INTERNAL, "a redirect is no success");
    is_int(explained(200, "", "", NULL).status, TD_E_CORRUPT, "nor is what is not understood");
    is_int(explained(400, "", "<Error><Code>InvalidOperation</Code><Message>Provided contentMD5 doesn't match.</Message></Error>", NULL)
               .status,
           TD_E_RETRY, "Azurite's word for damage on the way");
    is_int(explained(502, "", "<html><body>Bad gateway<br></html>", NULL).status, TD_E_RETRY, "a proxy's page");
    like(explained(403, NOW, REFUSED, NULL).text, "does not accept the key (storageKey); is it of the account \"account1\"", "a wrong key");
    like(explained(403, "Date: Wed, 04 Mar 2026 04:46:00 GMT\r\n", REFUSED, NULL).text, "clock is 20 minutes ahead of",
         "a clock that is ahead");
    like(explained(403, "Date: Wed, 04 Mar 2026 06:06:08 GMT\r\n", REFUSED, NULL).text, "clock is 60 minutes behind", "or behind");
    like(explained(403, NOW, REFUSED, "se=2026-03-04T05%3A06%3A00Z&sig=secret").text, "has expired, on Wed, 04 Mar 2026 05:06:00 GMT",
         "an expired token");
    struct azblob_error e = explained(403, NOW,
                                      "<Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>Signature did not match."
                                      "</AuthenticationErrorDetail></Error>",
                                      "se=2027-01-01&sig=secret");
    like(e.text, "It says: Signature did not match.", "a wrong token, with the service's words");
    ok(!strstr(e.text, "secret"), "but not with the token's");
    like(explained(404, "x-ms-error-code: ContainerNotFound\r\n", "", NULL).text, "option \"container\"", "what to do");
}

/* ---- Blocks ---- */

static void test_blocks(void)
{
    uint8_t md5[CLOUD_MD5] = {1, 2, 3, 0xff, 0xfe, 0xfd, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    char name[AZBLOB_BLOCK_NAME + 1], state[TD_PUT_STATE_MAX];
    uint64_t bytes = 0;
    struct azblob_block_id id = azblob_block_id(0x01020304, 0x01000000, md5);
    azblob_block_name(&id, name);
    is_str(name, "AQIDBAEAAAABAgP//v0HCAkKCwwNDg8Q", "a block's name");
    is_int(azblob_block_bytes(100, 16 << 20), 16 << 20, "a small object");
    is_int(azblob_block_bytes(UINT64_C(50000) << 24, 16 << 20), 16 << 20, "as many blocks as there may be");
    is_int(azblob_block_bytes((UINT64_C(50000) << 24) + 1, 16 << 20), 17 << 20, "one byte more takes larger ones");
    is_int(azblob_block_bytes(50001, 1), 1 << 20, "of whole mebibytes");
    ok(azblob_block_bytes(AZBLOB_MAX_BLOCK * 50000, 1 << 20) == AZBLOB_MAX_BLOCK &&
           !azblob_block_bytes(AZBLOB_MAX_BLOCK * 50000 + 1, 1 << 20),
       "up to the largest blob");
    azblob_state(16 << 20, state);
    ok(azblob_read_state(state, &bytes) && bytes == 16 << 20, "a state: %s", state);
    static const char *const bad[] = {
        "", "blocks-1 ", "blocks-1 x", "blocks-1 0", "blocks-1 5 ", "blocks-2 5", "upload-id 5", "blocks-1 99999999999999999999"};
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused += !azblob_read_state(bad[i], &bytes);
    is_int(refused, sizeof(bad) / sizeof(bad[0]), "states of others");
}

static void test_block_lists(void)
{
    uint8_t md5[CLOUD_MD5] = {0};
    char document[2048], names[3][AZBLOB_BLOCK_NAME + 1];
    struct azblob_block_id ids[3];
    struct azblob_blocks list = {0}, found = {0};
    struct cloud_text body = {0};
    size_t uncommitted = 9;
    for (uint32_t i = 0; i < 3; i++) {
        ids[i] = azblob_block_id(2 - i, 100 + i, md5);
        azblob_block_name(&ids[i], names[i]);
        ok(azblob_blocks_add(&list, &ids[i]), "a block");
    }
    azblob_put_block_list(&body, &list);
    snprintf(document, sizeof(document),
             "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList><Latest>%s</Latest><Latest>%s</Latest><Latest>%s</Latest></BlockList>",
             names[0], names[1], names[2]);
    is_str(cloud_cstr(&body), document, "a list to commit");
    snprintf(
        document, sizeof(document),
        "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><CommittedBlocks><Block><Name>%s</Name><Size>100</Size></Block>"
        "</CommittedBlocks><UncommittedBlocks><Block><Size>101</Size><Name>%s</Name></Block><Block><Name>%s</Name><Size>99</Size></Block>"
        "<Block><Name>Zm9yZWlnbg==</Name><Size>5</Size></Block></UncommittedBlocks></BlockList>",
        names[0], names[1], names[2]);
    is_int(azblob_read_block_list(td_str(document), &found, &uncommitted), TD_OK, "a list of what is there");
    ok(uncommitted == 3 && found.n == 2, "%zu of them not committed, %zu ours", uncommitted, found.n);
    ok(azblob_blocks_have(&found, &ids[0]) && azblob_blocks_have(&found, &ids[1]) && !azblob_blocks_have(&found, &ids[2]),
       "those of the right length");
    azblob_blocks_clear(&found);
    ok(azblob_read_block_list(TD_LIT("<BlockList><CommittedBlocks/><UncommittedBlocks /></BlockList>"), &found, &uncommitted) == TD_OK &&
           !found.n && !uncommitted,
       "an empty list");
    is_int(azblob_read_block_list(TD_LIT("<BlockList><Comm"), &found, &uncommitted), TD_E_CORRUPT, "half a list");
    is_int(azblob_read_block_list(TD_LIT("<Error><Code>InternalError</Code></Error>"), &found, &uncommitted), TD_E_CORRUPT,
           "another document");
    azblob_blocks_clear(&found);
    azblob_blocks_clear(&list);
    cloud_text_clear(&body);
}

/* ---- Tokens ---- */

static void reads_token(unsigned http, const char *json, int status, const char *token, int64_t lasts_s, const char *what)
{
    struct azblob_token_answer answer;
    is_int(azblob_read_token(http, td_str(json), INT64_C(1000) * AZBLOB_NS, &answer), status, "%s: %s", what, answer.why);
    is_str(answer.token ? answer.token : "", token, "  its token");
    is_int(answer.lasts_ns, lasts_s * AZBLOB_NS, "  lasts");
    free(answer.token);
}

static void test_tokens(void)
{
    struct azblob_token_answer answer;
    reads_token(200, "{\"access_token\":\"abc.d-_\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", TD_OK, "abc.d-_", 3599,
                "an authority's answer");
    reads_token(200, "{\"access_token\":\"abc\",\"expires_in\":\"86399\",\"expires_on\":\"1\"}", TD_OK, "abc", 86399,
                "an identity endpoint's");
    reads_token(200, "{\"access_token\":\"abc\",\"expires_on\":\"1060\"}", TD_OK, "abc", 60, "with a time");
    reads_token(200, "{\"access_token\":\"abc\",\"expires_in\":99999999999}", TD_OK, "abc", 48 * 3600, "for ever is two days");
    reads_token(200, "{\"access_token\":\"abc\",\"expires_in\":-5}", TD_OK, "abc", 0, "for less than nothing");
    reads_token(200, "{\"access_token\":\"a\\r\\nb: c\"}", TD_E_CORRUPT, "", 0, "a token that would be two headers");
    reads_token(200, "{\"token\":5}", TD_E_CORRUPT, "", 0, "none");
    reads_token(200, "<html>", TD_E_CORRUPT, "", 0, "no JSON");
    reads_token(200, "", TD_E_CORRUPT, "", 0, "nothing");
    reads_token(400, "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}", TD_E_DENIED, "", 0,
                "no such identity");
    reads_token(401, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS700016: no\\r\\nTrace ID: 1\"}", TD_E_DENIED, "", 0,
                "refused");
    reads_token(404, "", TD_E_RETRY, "", 0, "an identity that is being attached");
    reads_token(410, "", TD_E_RETRY, "", 0, "or updated");
    reads_token(429, "", TD_E_RETRY, "", 0, "too many questions");
    reads_token(500, "", TD_E_RETRY, "", 0, "a failure");
    reads_token(302, "", TD_E_INTERNAL, "", 0, "a redirect");
    (void)azblob_read_token(401, TD_LIT("{\"error\":\"invalid_client\",\"error_description\":\"AADSTS700016: no\\r\\nTrace ID: 1\"}"), 0,
                            &answer);
    is_str(answer.why, "HTTP 401, invalid_client: AADSTS700016: no", "in words");
}

/* ---- Secrets in files ---- */

static char told[512];

static int tell(struct td_inst *inst, int status, const char *fmt, ...)
{
    va_list args;
    (void)inst;
    va_start(args, fmt);
    vsnprintf(told, sizeof(told), fmt, args);
    va_end(args);
    return status;
}

static bool never(struct td_inst *inst)
{
    (void)inst;
    return false;
}

static void write_secret(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ok(f && fputs(text, f) >= 0 && fclose(f) == 0, "a file with \"%s\"", text);
}

/* What a request would be sent with, after the file was looked at again. *ret_replaced: if that was refused. */
static int authorise(struct azblob *a, char ret[64], bool *ret_replaced)
{
    struct azblob_request r;
    azblob_request_begin(&r, a, "GET", "k");
    int status = azblob_authorise(&r);
    snprintf(ret, 64, "%s", cloud_cstr(&r.sas));
    if (ret_replaced)
        *ret_replaced = azblob_replaced(&r);
    azblob_request_clear(&r);
    return status;
}

static void test_files(void)
{
    static const struct td_host host = {.size = sizeof(host), .fail = tell, .cancelled = never};
    const struct td_component *component = td_plugin_v1_azblob.components[0];
    char path[] = "/tmp/tapedeck-sas-XXXXXX", text[64];
    struct azblob_config c = {.account = "account1", .container = "box", .endpoint_suffix = "core.windows.net", .sas_file = path};
    void *self = NULL;
    struct azblob *a;
    bool replaced = true;
    close(mkstemp(path));
    if (!ok(component->create(NULL, &host, &c, &self) == TD_OK, "an instance with a token in a file"))
        return;
    a = self;
    is_int(authorise(a, text, NULL), TD_E_CONFIG, "an empty file");
    like(told, "holds no SAS token", "  is told");
    write_secret(path, "?sv=1&sig=one\n");
    ok(authorise(a, text, &replaced) == TD_OK && strcmp(text, "sv=1&sig=one") == 0 && !replaced, "a token: %s", text);
    write_secret(path, "sv=2&sig=two\n");
    ok(authorise(a, text, NULL) == TD_OK && strcmp(text, "sv=1&sig=one") == 0, "another one is not looked for all the time");
    ok(authorise(a, text, &replaced) == TD_OK && strcmp(text, "sv=1&sig=one") == 0 && replaced, "but when the old one is refused");
    ok(authorise(a, text, &replaced) == TD_OK && strcmp(text, "sv=2&sig=two") == 0 && !replaced, "then it is used");
    static const char *const halves[] = {"", "sv=3&si"};
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        write_secret(path, halves[i]);
        a->sas_file.looked_ns = a->sas_file.mtime_ns = 0;
        ok(authorise(a, text, &replaced) == TD_OK && strcmp(text, "sv=2&sig=two") == 0 && !replaced,
           "one that is just being written does not take its place");
    }
    write_secret(path, "sv=3&sig=three");
    a->sas_file.looked_ns = 0;
    ok(authorise(a, text, NULL) == TD_OK && strcmp(text, "sv=3&sig=three") == 0, "one that is whole does");
    component->destroy(a);
    unlink(path);
}

int main(void)
{
    test_signing();
    test_accounts();
    test_sas();
    test_errors();
    test_blocks();
    test_block_lists();
    test_tokens();
    test_files();
    return tap_done();
}
