/* Credentials of the backend s3: where they are looked for, what is made of what stands there, and their renewal. */
#include "credentials_rig.h"

#define ROLE "arn:aws:iam::123456789012:role/hub"
#define TOKEN_PATH "/latest/api/token"
#define ROLES_PATH "/latest/meta-data/iam/security-credentials/"
#define DENIED(code) \
    "403 No\n\n<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code><Message>It says so.</Message></Error></ErrorResponse>"

static struct s3_credentials *c;
static struct s3_keys keys;

static void on(const char *asked, const char *answer)
{
    scripted_on(&rig.server, asked, answer, 0);
}

static void once(const char *asked, const char *answer)
{
    scripted_on(&rig.server, asked, answer, 1);
}

static unsigned asked(const char *text)
{
    return scripted_count(&rig.server, text);
}

static int open_with(struct s3_credentials_options o)
{
    o.host = &rig.host;
    c = NULL;
    why[0] = 0;
    return s3_credentials_new(&o, &c);
}

static void open_default(void)
{
    is_int(open_with((struct s3_credentials_options){.sts_endpoint = rig.url, .region = "eu-west-1"}), TD_OK, "credentials %s", why);
}

static int get(void)
{
    why[0] = 0;
    return s3_credentials_get(c, &keys);
}

static void end(void)
{
    s3_credentials_free(c);
    c = NULL;
}

/* A new chain finds these keys there. */
static void finds(const char *access_key, const char *source)
{
    open_default();
    is_int(get(), TD_OK, "keys are found %s", why);
    is_str(keys.access_key, access_key, "  those of %s", source);
    like(s3_credentials_source(c), source, "  and it is told where");
    end();
}

static void fails(int status, const char *text)
{
    open_default();
    is_int(get(), status, "no keys: %s", text);
    like(why, text, "  and why");
    end();
}

static void serve_instance(const char *answer)
{
    on("PUT " TOKEN_PATH, "200 OK\n\nsession0token");
    on("GET " ROLES_PATH "a-role", answer);
    on("GET " ROLES_PATH, "200 OK\n\na-role\n");
}

/* ---- Options ---- */

static void test_options(void)
{
    static const struct {
        struct s3_credentials_options o;
        const char *text;
    } cases[] = {
        {{.access_key = "A"}, "secretKey is missing"},
        {{.secret_key = SECRET}, "accessKey is missing"},
        {{.access_key = "A B", .secret_key = SECRET}, "the access key cannot be one"},
        {{.access_key = "A", .secret_key = SECRET "\r\nX: y"}, "the secret key cannot be one"},
        {{.session_token = SECRET}, "sessionToken belongs to accessKey"},
        {{.access_key = "A", .access_key_file = "/a", .secret_key = SECRET}, "accessKey and accessKeyFile are both set"},
        {{.access_key = "A", .secret_key = SECRET, .secret_key_file = "/a"}, "secretKey and secretKeyFile are both set"},
        {{.external_id = "e"}, "set roleArn as well"},
        {{.role_arn = "hub"}, "\"hub\" is no role"},
        {{.role_arn = ROLE "&Action=x"}, "is no role"},
        {{.role_arn = ROLE, .external_id = "a b"}, "an external id has"},
        {{.role_arn = ROLE, .role_session_name = "a b"}, "is no name of a session"},
        {{.sts_endpoint = "ftp://x"}, "stsEndpoint must be a URL"},
        {{.sts_endpoint = "https://u:" SECRET "@x"}, "stsEndpoint must be a URL"},
        {{.region = "eu west"}, "is no region"},
        {{.ca_file = "/nonexistent"}, "caFile"},
    };
    rig_begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(open_with(cases[i].o), TD_E_CONFIG, "options that cannot work");
        like(why, cases[i].text, "  and why");
    }
    ok(open_with((struct s3_credentials_options){.access_key = "A", .secret_key = SECRET, .session_token = "T"}) == TD_OK && get() == TD_OK,
       "keys of the options");
    ok(strcmp(keys.access_key, "A") == 0 && strcmp(keys.secret_key, SECRET) == 0 && strcmp(keys.token, "T") == 0, "  all three");
    is_str(s3_credentials_source(c), "the option accessKey", "  and it is told");
    ok(!s3_credentials_expired(c, &keys) && get() == TD_OK, "there are no others when they have expired");
    end();
}

static void test_option_files(void)
{
    char access[160], secret[160];
    struct s3_credentials_options o = {.access_key_file = access, .secret_key_file = secret};
    rig_begin();
    snprintf(access, sizeof(access), "%s", rig_file("access", "A1\n"));
    snprintf(secret, sizeof(secret), "%s", rig_file("secret", "  " SECRET "\r\n"));
    ok(open_with(o) == TD_OK && get() == TD_OK, "keys of files %s", why);
    ok(strcmp(keys.access_key, "A1") == 0 && strcmp(keys.secret_key, SECRET) == 0, "  without the space around them");
    rig_file("access", "A2");
    ok(get() == TD_OK && strcmp(keys.access_key, "A1") == 0, "are not read each time");
    ok(s3_credentials_expired(c, &keys) && get() == TD_OK && strcmp(keys.access_key, "A2") == 0, "but when they have expired");
    ok(s3_credentials_expired(c, &keys), "when these have as well,");
    is_int(get(), TD_E_DENIED, "and nobody has replaced them, it is told");
    like(why, "there are no others yet", "  how");
    is_int(get(), TD_E_DENIED, "  each time");
    rig_file("access", "A3");
    ok(get() == TD_OK && strcmp(keys.access_key, "A3") == 0, "until they are replaced");
    end();

    static const struct {
        const char *text, *why;
    } cases[] = {{"", "/access is empty"}, {"A B", "/access must hold one word"}, {"A\nB\n", "/access must hold one word"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_file("access", cases[i].text);
        ok(open_with(o) == TD_OK && get() == TD_E_CONFIG, "a file that holds no key");
        like(why, cases[i].why, "  is told");
        end();
    }
    remove(access);
    ok(open_with(o) == TD_OK && get() == TD_E_CONFIG && strstr(why, "is not there"), "one that is not there");
    end();
    snprintf(access, sizeof(access), "%s", rig.dir);
    ok(open_with(o) == TD_OK && get() == TD_E_DENIED && strstr(why, "is no regular file"), "one that is a folder");
    end();
}

/* ---- The order ---- */

static void test_order(void)
{
    char url[128];
    rig_begin();
    rig_file(".aws/credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=" SECRET);
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", rig_file("token", "jwt"), 1);
    setenv("AWS_ROLE_ARN", ROLE, 1);
    snprintf(url, sizeof(url), "%s/container", rig.url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    on("POST / ", rig_sts("IDENTITY", 3600000, ""));
    on("POST /", rig_sts("IDENTITY", 3600000, ""));
    on("GET /container", rig_json("CONTAINER", 3600000));
    serve_instance(rig_json("INSTANCE", 3600000));

    ok(open_with((struct s3_credentials_options){.access_key = "OPTION", .secret_key = SECRET}) == TD_OK && get() == TD_OK &&
           strcmp(keys.access_key, "OPTION") == 0,
       "the options come first");
    end();
    setenv("AWS_SESSION_TOKEN", "ET", 1);
    finds("ENV", "AWS_ACCESS_KEY_ID of the environment");
    is_str(keys.token, "ET", "  with its token");
    unsetenv("AWS_ACCESS_KEY_ID");
    finds("IDENTITY", "role " ROLE " by the token in ");
    unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
    finds("FILE", "profile default of ");
    rig_file(".aws/credentials", "[default]\nregion=x");
    finds("CONTAINER", "the container's service");
    unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    finds("INSTANCE", "the instance metadata service, role a-role");
    setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    fails(TD_E_DENIED,
          "no credentials: accessKey is not set; AWS_ACCESS_KEY_ID is not set; AWS_WEB_IDENTITY_TOKEN_FILE is not set; profile "
          "default has neither keys nor a role; AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set; the instance "
          "metadata service is switched off by AWS_EC2_METADATA_DISABLED. Set accessKey");
    remove(rig_file(".aws/credentials", ""));
    fails(TD_E_DENIED, "/.aws/credentials is not there, ");

    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    fails(TD_E_CONFIG, "AWS_SECRET_ACCESS_KEY is missing beside");
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_ROLE_ARN");
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent", 1);
    fails(TD_E_CONFIG, "AWS_ROLE_ARN is missing beside");
    setenv("AWS_ROLE_ARN", ROLE, 1);
    fails(TD_E_CONFIG, "/nonexistent is not there");
}

/* ---- Roles ---- */

static struct s3_credentials_options role_options(void)
{
    return (struct s3_credentials_options){.access_key = "BASE",
                                           .secret_key = SECRET,
                                           .session_token = "BT",
                                           .role_arn = ROLE,
                                           .external_id = "ex:1/2",
                                           .role_session_name = "night@hub",
                                           .role_duration_ns = INT64_C(1800000000000),
                                           .region = "eu-west-1",
                                           .endpoint = rig.url};
}

static void test_role(void)
{
    rig_begin();
    on("POST / ", "500 Never");
    on("POST /", rig_sts("ROLE", 3600000, ""));
    ok(open_with(role_options()) == TD_OK && get() == TD_OK, "a role %s", why);
    ok(strcmp(keys.access_key, "ROLE") == 0 && strcmp(keys.secret_key, SECRET) == 0 && strcmp(keys.token, "T-ROLE") == 0, "  has its keys");
    ok(llabs(keys.expires_ns - cloud_now_ns() - INT64_C(3600000000000)) < INT64_C(5000000000), "  and their end");
    is_str(s3_credentials_source(c), "role " ROLE ", assumed with the option accessKey", "  which is told");
    is_int(asked("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fhub&RoleSessionName=night%40hub&"
                 "ExternalId=ex%3A1%2F2&DurationSeconds=1800"),
           1, "the request");
    ok(asked("Content-Type: application/x-www-form-urlencoded") && asked("Credential=BASE/") && asked("/eu-west-1/sts/aws4_request") &&
           asked("X-Amz-Security-Token: BT\r\n") && asked("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"),
       "  is signed with the keys below");
    ok(get() == TD_OK && asked("POST") == 1, "it is asked once");
    end();

    /* A role on top of others: the environment's web identity, in one place and two. */
    rig_begin();
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", rig_file("token", " jwt1\n"), 1);
    setenv("AWS_ROLE_ARN", ROLE "-first", 1);
    setenv("AWS_ENDPOINT_URL_STS", rig.url, 1);
    once("POST /", rig_sts("FIRST", 3600000, ""));
    once("POST /", rig_sts("SECOND", 3600000, ""));
    ok(open_with((struct s3_credentials_options){.role_arn = ROLE}) == TD_OK && get() == TD_OK, "a role on top of a web identity's %s",
       why);
    is_str(keys.access_key, "SECOND", "  has its keys");
    ok(asked("WebIdentityToken=jwt1") == 1 && asked("Authorization:") == 1 && asked("Credential=FIRST/") == 1 &&
           asked("X-Amz-Security-Token: T-FIRST") == 1 && asked("/us-east-1/sts/") == 1,
       "  only the second request is signed");
    end();
    scripted_begin(&rig.server);
    setenv("AWS_ROLE_ARN", ROLE, 1);
    setenv("AWS_ROLE_SESSION_NAME", "pod-1", 1);
    once("POST /", rig_sts("IDENTITY", 3600000, ""));
    ok(open_with((struct s3_credentials_options){.role_arn = ROLE}) == TD_OK && get() == TD_OK, "not on top of itself %s", why);
    ok(asked("POST /") == 1 && asked("RoleSessionName=pod-1"), "  is it assumed");
    end();
}

static void test_role_errors(void)
{
    static const struct {
        const char *answer;
        int status;
        const char *text;
    } cases[] = {
        {DENIED("AccessDenied"), TD_E_DENIED, "may not be assumed with these credentials: look at its trust policy"},
        {DENIED("ExpiredToken"), TD_E_DENIED, "the token or the keys have expired"},
        {DENIED("ExpiredTokenException"), TD_E_DENIED, "the token or the keys have expired"},
        {DENIED("InvalidIdentityToken"), TD_E_DENIED, "look at its audience"},
        {DENIED("InvalidClientTokenId"), TD_E_DENIED, "is not known there"},
        {DENIED("SignatureDoesNotMatch"), TD_E_DENIED, "does not belong to the access key (HTTP 403 SignatureDoesNotMatch: It says so.)"},
        {DENIED("RegionDisabledException"), TD_E_CONFIG, "not enabled in this region"},
        {DENIED("ValidationError"), TD_E_CONFIG, "It says so."},
        {DENIED("IDPCommunicationError"), TD_E_RETRY, "identity provider could not be reached"},
        {DENIED("Throttling"), TD_E_RETRY, "slow down"},
        {DENIED("SomethingNew"), TD_E_DENIED, "It says so. (HTTP 403 SomethingNew)"},
        {"503 No\n\n", TD_E_RETRY, "HTTP 503"},
        {"500 No\n\n<html>", TD_E_RETRY, "HTTP 500"},
        {"302 Elsewhere\nLocation: http://elsewhere/\n\n", TD_E_INTERNAL, "HTTP 302"},
        {"204 Nothing\n\n", TD_E_CORRUPT, "HTTP 204"},
        {CUT, TD_E_RETRY, "where roles are assumed"},
        {"200 OK\n\n", TD_E_CORRUPT, "none of a token service; look at stsEndpoint"},
        {"200 OK\n\n<html></html>", TD_E_CORRUPT, "none of a token service"},
        {"200 OK\n\n<R><Q><Credentials><AccessKeyId>A</AccessKeyId></Credentials></Q></R>", TD_E_CORRUPT, "none of a token service"},
        {"200 OK\n\n<R><Q><Credentials><AccessKeyId>A</AccessKeyId><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z"
         "</Expiration></Credentials></Q></R>",
         TD_E_CORRUPT, "the answer has no keys"},
        {"200 OK\n\n<R><Q><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>" SECRET
         "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>soon</Expiration></Credentials></Q></R>",
         TD_E_CORRUPT, "does not tell when its keys expire: \"soon\""},
        {"200 OK\n\n<R><Q><Credentials><AccessKeyId>A&#10;B</AccessKeyId><SecretAccessKey>" SECRET
         "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></Q></R>",
         TD_E_CORRUPT, "can be no access key"},
        {"403 No\nDate: Fri, 01 Jan 2100 00:00:00 GMT\n\n<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>",
         TD_E_DENIED, "seconds slow; set it"},
    };
    rig_begin();
    ok(open_with(role_options()) == TD_OK, "a role that is refused");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scripted_begin(&rig.server);
        on("POST /", cases[i].answer);
        is_int(get(), cases[i].status, "%.60s", cases[i].answer);
        like(why, cases[i].text, "  is told");
        like(why, strstr(cases[i].answer, "200 OK") || strcmp(cases[i].answer, CUT) == 0 ? "127.0.0.1:" : ROLE " at 127.0.0.1:", "  where");
    }
    end();
}

static void test_endpoints(void)
{
    /* Where nobody answers the text tells who was asked. */
    static const struct {
        struct s3_credentials_options o;
        const char *env, *text;
    } cases[] = {
        {{.region = "xx-none-1"}, NULL, "sts.xx-none-1.amazonaws.com, where"},
        {{.region = "cn-none-1"}, NULL, "sts.cn-none-1.amazonaws.com.cn, where"},
        {{.region = "xx-none-1", .endpoint = "https://bucket.vpce-1.s3.xx-none-1.vpce.amazonaws.com"},
         NULL,
         "sts.xx-none-1.amazonaws.com, where"},
        {{.region = "xx-none-1", .endpoint = "https://amazonaws.com.invalid:7/x"}, NULL, "amazonaws.com.invalid:7, where"},
        {{.region = "xx-none-1", .endpoint = "none.invalid"}, NULL, "none.invalid, where"},
        {{.region = "xx-none-1", .endpoint = "http://none.invalid"}, "http://env.invalid", "env.invalid, where"},
        {{.region = "xx-none-1", .endpoint = "http://none.invalid", .sts_endpoint = "http://sts.invalid:80/"},
         "http://e.invalid",
         "sts.invalid, where"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct s3_credentials_options o = cases[i].o;
        rig_begin();
        if (cases[i].env)
            setenv("AWS_ENDPOINT_URL_STS", cases[i].env, 1);
        o.access_key = "A";
        o.secret_key = SECRET;
        o.role_arn = ROLE;
        o.proxy = "http://127.0.0.1:1"; /* nothing leaves this machine */
        ok(open_with(o) == TD_OK && get() != TD_OK, "a token service that is not there");
        like(why, cases[i].text, "  is the right one");
        end();
    }
}

/* ---- Profiles ---- */

static void test_profiles(void)
{
    char path[160];
    rig_begin();
    rig_file(".aws/config",
             "[profile top]\nrole_arn=" ROLE "-2\nsource_profile=middle\nexternal_id=ex\nduration_seconds=900\n"
             "[profile middle]\nrole_arn=" ROLE "-1\nsource_profile=base\nrole_session_name=mid\n"
             "[profile self]\nrole_arn=" ROLE "\nsource_profile=self\naws_access_key_id=SELF\naws_secret_access_key=" SECRET "\n"
             "[profile a]\nrole_arn=" ROLE "\nsource_profile=b\n[profile b]\nrole_arn=" ROLE "\nsource_profile=a\n"
             "[profile env]\nrole_arn=" ROLE "\ncredential_source=Environment\n"
             "[profile odd]\nrole_arn=" ROLE "\ncredential_source=Odd\n"
             "[profile ec2]\nrole_arn=" ROLE "\ncredential_source=Ec2InstanceMetadata\n"
             "[profile token]\nrole_arn=" ROLE "\nweb_identity_token_file=/nonexistent/token\n"
             "[profile mfa]\nrole_arn=" ROLE "\nsource_profile=base\nmfa_serial=x\n"
             "[profile process]\ncredential_process=echo\n[profile sso]\nsso_session=x\n"
             "[profile lonely]\nrole_arn=" ROLE "\n[profile half]\naws_access_key_id=H\n"
             "[profile orphan]\nrole_arn=" ROLE "\nsource_profile=nobody\n"
             "[profile long]\nrole_arn=" ROLE "\nsource_profile=base\nduration_seconds=9h\n"
             "[profile bad]\nwhat is this\n");
    rig_file(".aws/credentials", "[base]\naws_access_key_id=BASE\naws_secret_access_key=" SECRET "\n");
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("AWS_PROFILE", "base", 1);
    finds("BASE", "profile base of ");
    setenv("AWS_PROFILE", "top", 1);
    once("POST /", rig_sts("ONE", 3600000, ""));
    once("POST /", rig_sts("TWO", 3600000, ""));
    finds("TWO", "profile top of ");
    ok(asked("Credential=BASE/") == 1 && asked("hub-1&RoleSessionName=mid\r") + asked("hub-1&RoleSessionName=mid") == 1 &&
           asked("Credential=ONE/") == 1 && asked("hub-2&RoleSessionName=tapedeck&ExternalId=ex&DurationSeconds=900") == 1,
       "roles are assumed one after the other");
    setenv("AWS_PROFILE", "self", 1);
    once("POST /", rig_sts("OWN", 3600000, ""));
    finds("OWN", "profile self of ");
    ok(asked("Credential=SELF/") == 1, "  with the profile's own keys");

    static const struct {
        const char *profile;
        int status;
        const char *text;
    } cases[] = {
        {"a", TD_E_CONFIG, "lead back to one another"},
        {"env", TD_E_DENIED, "AWS_ACCESS_KEY_ID is not set"},
        {"odd", TD_E_CONFIG, "credential_source of profile odd must be"},
        {"ec2", TD_E_DENIED, "switched off by AWS_EC2_METADATA_DISABLED"},
        {"token", TD_E_CONFIG, "/nonexistent/token is not there"},
        {"mfa", TD_E_CONFIG, "second factor"},
        {"process", TD_E_CONFIG, "credential_process, which is not done here"},
        {"sso", TD_E_CONFIG, "single sign-on, which is not done here"},
        {"lonely", TD_E_CONFIG, "neither source_profile nor credential_source"},
        {"half", TD_E_CONFIG, "profile half lacks aws_secret_access_key"},
        {"orphan", TD_E_CONFIG, "profile nobody, which orphan names by source_profile, is nowhere"},
        {"long", TD_E_CONFIG, "duration_seconds of profile long"},
        {"bad", TD_E_CONFIG, "cannot be understood"},
        {"nobody", TD_E_CONFIG, "there is no profile nobody in "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("AWS_PROFILE", cases[i].profile, 1);
        fails(cases[i].status, cases[i].text);
    }
    setenv("AWS_PROFILE", "other", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "~/elsewhere", 1);
    snprintf(path, sizeof(path), "%s", rig_file("elsewhere", "[other]\naws_access_key_id=OTHER\naws_secret_access_key=" SECRET));
    finds("OTHER", path);
    setenv("AWS_SHARED_CREDENTIALS_FILE", rig.dir, 1);
    fails(TD_E_DENIED, "is no regular file");
    unsetenv("AWS_PROFILE");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    unsetenv("HOME");
    fails(TD_E_DENIED, "/nonexistent is not there, HOME is not set");
}

/* ---- Metadata ---- */

static void test_instance(void)
{
    static const struct {
        const char *token, *roles, *keys;
        int status;
        const char *text;
    } cases[] = {
        {CUT, NULL, NULL, TD_E_DENIED, "nothing answers at http://127.0.0.1:"},
        {"404 No\n\n", NULL, NULL, TD_E_DENIED, "gives no token (HTTP 404)"},
        {"403 No\n\n", NULL, NULL, TD_E_DENIED, "gives no token (HTTP 403)"},
        {"503 No\n\n", NULL, NULL, TD_E_RETRY, "HTTP 503"},
        {"200 OK\n\n", NULL, NULL, TD_E_CORRUPT, "no token"},
        {"200 OK\n\na b", NULL, NULL, TD_E_CORRUPT, "no token"},
        {"200 OK\n\nt", "404 No\n\n", NULL, TD_E_DENIED, "the instance has no role"},
        {"200 OK\n\nt", "401 No\n\n", NULL, TD_E_RETRY, "HTTP 401"},
        {"200 OK\n\nt", "500 No\n\n", NULL, TD_E_RETRY, "HTTP 500"},
        {"200 OK\n\nt", "200 OK\n\n<html>", NULL, TD_E_CORRUPT, "no role's name"},
        {"200 OK\n\nt", "200 OK\n\n../../x", NULL, TD_E_CORRUPT, "no role's name"},
        {"200 OK\n\nt", "200 OK\n\na-role", "404 No\n\n", TD_E_RETRY, "HTTP 404"},
        {"200 OK\n\nt", "200 OK\n\na-role", "200 OK\n\n[1]", TD_E_CORRUPT, "no JSON object"},
        {"200 OK\n\nt", "200 OK\n\na-role", "200 OK\n\n{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"x\\ny\"}", TD_E_DENIED,
         "has no keys: AssumeRoleUnauthorizedAccess: x y"},
        {"200 OK\n\nt", "200 OK\n\na-role", "200 OK\n\n{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"" SECRET "\"}", TD_E_CORRUPT,
         "keys without their token"},
        {"200 OK\n\nt", "200 OK\n\na-role", "200 OK\n\n{\"AccessKeyId\": 7, \"SecretAccessKey\": \"" SECRET "\"}", TD_E_CORRUPT, "no keys"},
        {"200 OK\n\nt", "200 OK\n\na-role",
         "200 OK\n\n{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"" SECRET "\", \"Expiration\": \"?\"}", TD_E_CORRUPT,
         "when its keys expire"},
    };
    rig_begin();
    serve_instance(rig_json("INSTANCE", 3600000));
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4", 1);
    finds("INSTANCE", "the instance metadata service, role a-role");
    ok(asked("PUT " TOKEN_PATH " HTTP/1.1\r\n") == 1 && asked("X-aws-ec2-metadata-token-ttl-seconds: 300\r\n") == 1 &&
           asked("X-aws-ec2-metadata-token: session0token\r\n") == 2,
       "  by version 2, with a session's token");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scripted_begin(&rig.server);
        on(TOKEN_PATH, cases[i].token);
        on(ROLES_PATH "a-role", cases[i].keys ? cases[i].keys : "500 Never\n\n");
        on(ROLES_PATH, cases[i].roles ? cases[i].roles : "500 Never\n\n");
        fails(cases[i].status, cases[i].text);
        ok(cases[i].roles || !asked("GET"), "  and nothing is asked without a token");
    }
    scripted_begin(&rig.server);
    once("PUT", CUT);
    serve_instance(rig_json("AGAIN", 3600000));
    finds("AGAIN", "the instance metadata service");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
    int64_t before = cloud_now_ns();
    fails(TD_E_DENIED, "nothing answers at http://127.0.0.1:1 (in a container");
    ok(cloud_now_ns() - before < INT64_C(3000000000), "  soon");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "no url:", 1);
    fails(TD_E_CONFIG, "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL");
    unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5", 1);
    fails(TD_E_CONFIG, "must be IPv4 or IPv6");
}

static void test_container(void)
{
    static const struct {
        const char *url;
        int status; /* TD_E_CONFIG: refused before anything is sent */
    } hosts[] = {
        {"http://10.0.0.1/x", TD_E_CONFIG},
        {"http://169.254.169.254/x", TD_E_CONFIG},
        {"http://169.254.170.20/x", TD_E_CONFIG},
        {"http://example.invalid/x", TD_E_CONFIG},
        {"http://127.0.0.1@10.0.0.1/x", TD_E_CONFIG},
        {"http://127.0.0.1.invalid/", TD_E_CONFIG},
        {"http://[fe80::1]/x", TD_E_CONFIG},
        {"http://[::2]/x", TD_E_CONFIG},
        {"ftp://127.0.0.1/x", TD_E_CONFIG},
        {"file:///etc/passwd", TD_E_CONFIG},
        {"http://", TD_E_CONFIG},
        {"http://127.0.0.1:1/x", TD_E_RETRY},
        {"http://127.9.9.9:1/x", TD_E_RETRY},
        {"http://[::1]:1/x", TD_E_RETRY},
        {"http://LocalHost:1/x", TD_E_RETRY},
        {"https://127.0.0.1:1/x", TD_E_RETRY},
    };
    char url[128], token[128];
    rig_begin();
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", hosts[i].url, 1);
        open_default();
        is_int(get(), hosts[i].status, "%s: %s", hosts[i].url, why);
        end();
    }
    snprintf(url, sizeof(url), "%s/v1/credentials?a=b", rig.url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
    on("GET /v1/credentials?a=b", rig_json("POD", 3600000));
    finds("POD", "the container's service");
    is_int(asked("Authorization: Basic abc\r\n"), 1, "  with the variable's token");
    snprintf(token, sizeof(token), "%s", rig_file("pod-token", "jwt-1\n"));
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token, 1);
    open_default();
    ok(get() == TD_OK && asked("Authorization: jwt-1\r\n") == 1, "a token's file counts more");
    rig_file("pod-token", "jwt-2\n");
    ok(s3_credentials_expired(c, &keys) && get() == TD_E_RETRY && asked("Authorization: jwt-2\r\n") == 1, "and is read each time");
    end();
    rig_file("pod-token", "a\nb");
    fails(TD_E_CONFIG, "pod-token must hold one word");
    remove(token);
    fails(TD_E_CONFIG, "pod-token is not there");
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nX: b", 1);
    fails(TD_E_CONFIG, "has several lines");
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    scripted_begin(&rig.server);
    on("GET /v1", "400 No\n\n{\"code\": \"InvalidParameterException\", \"message\": \"no such id\"}");
    fails(TD_E_INTERNAL, "refused (HTTP 400 InvalidParameterException: no such id)");
    scripted_begin(&rig.server);
    on("GET /v1", "404 No\n\n");
    on("PUT", "200 OK\n\nt");
    fails(TD_E_DENIED, "refused (HTTP 404)");
    is_int(asked("PUT"), 0, "  and nobody else is asked");
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil/x", 1);
    fails(TD_E_CONFIG, "must begin with a slash");
}

/* ---- Renewal ---- */

static void sleep_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

/* Gets keys until so many requests have been made, or it fails. */
static int get_until(unsigned requests)
{
    int status = get();
    for (int i = 0; i < 1000 && status == TD_OK && asked("POST") < requests; i++) {
        sleep_ms(10);
        status = get();
    }
    return status;
}

static void test_renewal(void)
{
    rig_begin();
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", rig_file("token", "jwt1"), 1);
    setenv("AWS_ROLE_ARN", ROLE, 1);
    once("POST /", rig_sts("K1", 2000, ""));
    once("POST /", rig_sts("K2", 4500, ""));
    on("POST /", DENIED("AccessDenied"));
    open_default();
    ok(get() == TD_OK && get() == TD_OK && strcmp(keys.access_key, "K1") == 0 && asked("POST") == 1, "keys for a short time");
    rig_file("token", "jwt2");
    ok(get_until(2) == TD_OK && strcmp(keys.access_key, "K2") == 0, "are renewed before they expire");
    ok(asked("WebIdentityToken=jwt1") == 1 && asked("WebIdentityToken=jwt2") == 1, "  with the token that is in the file then");
    ok(get_until(3) == TD_OK && strcmp(keys.access_key, "K2") == 0, "if that fails, the old ones are used");
    ok(get() == TD_OK && asked("POST") == 3, "  for a while without asking again");
    ok(atomic_load(&rig.logged) == 1 && strstr(rig.log, "credentials cannot be renewed, the old ones hold for 0 s: " ROLE),
       "  it is logged: %s", rig.log);
    ok(get_until(4) == TD_OK && atomic_load(&rig.logged) == 1, "  once, though it is tried again");
    is_int(get_until(1000), TD_E_DENIED, "until they have expired");
    like(why, "may not be assumed", "  then it is told");
    scripted_begin(&rig.server);
    once("POST /", rig_sts("K3", 3600000, ""));
    ok(get() == TD_OK && strcmp(keys.access_key, "K3") == 0, "and when it can be, they are renewed");
    end();
}

static void test_expired_on_use(void)
{
    struct s3_keys old;
    rig_begin();
    serve_instance(rig_json("K1", 3600000));
    open_default();
    ok(!s3_credentials_expired(c, &keys), "what was never given cannot be renewed");
    ok(get() == TD_OK, "keys of the instance");
    old = keys;
    ok(s3_credentials_expired(c, &old), "that have expired before their time");
    is_int(get(), TD_E_RETRY, "and are still the same");
    like(why, "the keys have expired, and there are no others yet", "  are not used");
    scripted_begin(&rig.server);
    serve_instance(rig_json("K2", 3600000));
    ok(get() == TD_OK && strcmp(keys.access_key, "K2") == 0, "others are");
    ok(s3_credentials_expired(c, &old) && get() == TD_OK && asked("a-role") == 1, "late news of the old ones changes nothing");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
    end();

    /* A service in trouble gives keys whose time is over. */
    rig_begin();
    serve_instance(rig_json("LATE", -5000));
    open_default();
    ok(get() == TD_OK && get() == TD_OK && asked("a-role") == 1, "keys that came too late are tried, and not asked for again and again");
    end();
    rig_begin();
    serve_instance(rig_json("K1", 400));
    open_default();
    ok(get() == TD_OK, "where keys came from");
    scripted_begin(&rig.server);
    on("PUT", "404 No\n\n");
    sleep_ms(450);
    is_int(get(), TD_E_RETRY, "there will be some again: %s", why);
    atomic_store(&rig.cancelled, true);
    is_int(get(), TD_E_CANCELLED, "unless it is told to stop");
    atomic_store(&rig.cancelled, false);
    end();
}

static void test_clock(void)
{
    /* An hour, by a clock that is far ahead, and one that is far behind. */
    rig_begin();
    once("POST /", rig_sts("AHEAD", 3600000, "Date: Fri, 01 Jan 2100 00:00:00 GMT\n"));
    on("POST /", rig_sts("AGAIN", 3600000, "Date: Thu, 01 Jan 1970 00:00:00 GMT\n"));
    ok(open_with(role_options()) == TD_OK && get() == TD_OK && strcmp(keys.access_key, "AHEAD") == 0,
       "keys that expired long ago, by their server");
    ok(get() == TD_OK && asked("POST") == 1, "  are used");
    end();
    ok(open_with(role_options()) == TD_OK && get() == TD_OK && get() == TD_OK && strcmp(keys.access_key, "AGAIN") == 0 &&
           asked("POST") == 2,
       "or hold for a long time");
    end();
    /* The end is in the past here, and an hour ahead there. */
    rig_begin();
    on("POST /", "200 OK\nDate: Sat, 01 Jan 2000 00:00:00 GMT\n\n<R><Q><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>" SECRET
                 "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2000-01-01T00:00:02Z</Expiration></Credentials></Q></R>");
    ok(open_with(role_options()) == TD_OK && get() == TD_OK && get() == TD_OK && asked("POST") == 1, "the server's clock counts");
    sleep_ms(1600);
    ok(get() == TD_OK && asked("POST") == 2, "  for renewal too");
    end();
}

int main(void)
{
    static const char *const files[] = {".aws/credentials", ".aws/config", "access", "secret", "token", "pod-token", "elsewhere", NULL};
    ok(rig_start(), "a place of its own");
    test_options();
    test_option_files();
    test_order();
    test_role();
    test_role_errors();
    test_endpoints();
    test_profiles();
    test_instance();
    test_container();
    test_renewal();
    test_expired_on_use();
    test_clock();
    ok(!rig.leaked, "no text held a secret");
    rig_stop(files);
    return tap_done();
}
