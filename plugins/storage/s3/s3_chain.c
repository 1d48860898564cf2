/* Where keys are looked for. */
#include "s3_chain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "s3_metadata.h"

static const int64_t ns_per_s = 1000000000;
enum { METADATA_IDLE_S = 10 };

/* ---- Life ---- */

static bool is_given(const char *text)
{
    return text && *text;
}

static bool copy(char **into, const char *text)
{
    *into = is_given(text) ? strdup(text) : NULL;
    return *into || !is_given(text);
}

static bool copy_options(struct s3_chain *c, const struct s3_credentials_options *o)
{
    c->role_duration_s = o->role_duration_ns / ns_per_s;
    return copy(&c->access_key, o->access_key) && copy(&c->secret_key, o->secret_key) && copy(&c->session_token, o->session_token) &&
           copy(&c->access_key_file, o->access_key_file) && copy(&c->secret_key_file, o->secret_key_file) &&
           copy(&c->session_token_file, o->session_token_file) && copy(&c->role_arn, o->role_arn) &&
           copy(&c->external_id, o->external_id) && copy(&c->role_session_name, o->role_session_name);
}

static int check_options(const struct s3_chain *c, struct s3_trouble *t)
{
    struct s3_role role = {c->role_arn, c->external_id, c->role_session_name, c->role_duration_s};
    struct s3_found found;
    const char *wrong, *twice = NULL;
    bool has_access = c->access_key || c->access_key_file, has_secret = c->secret_key || c->secret_key_file;
    if (c->access_key && c->access_key_file)
        twice = "accessKey";
    else if (c->secret_key && c->secret_key_file)
        twice = "secretKey";
    else if (c->session_token && c->session_token_file)
        twice = "sessionToken";
    if (twice)
        return s3_trouble(t, TD_E_CONFIG, "%s and %sFile are both set; remove one of them", twice, twice);
    if (has_access != has_secret)
        return s3_trouble(t, TD_E_CONFIG, "%s is missing: requests are signed with accessKey and secretKey",
                          has_access ? "secretKey" : "accessKey");
    if ((c->session_token || c->session_token_file) && !has_access)
        return s3_trouble(t, TD_E_CONFIG, "sessionToken belongs to accessKey and secretKey, which are missing");
    int status = s3_found_set(&found, c->access_key, c->secret_key, c->session_token, &wrong);
    s3_found_clear(&found);
    if (status != TD_OK)
        return s3_trouble(t, TD_E_CONFIG, "the %s cannot be one: it is too long, or holds spaces or other signs", wrong);
    if (!c->role_arn && c->external_id)
        return s3_trouble(t, TD_E_CONFIG, "externalId is for assuming a role; set roleArn as well");
    return c->role_arn ? s3_role_check(&role, t) : TD_OK;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

/* One of Amazon's own services behind another name (a VPC's, or of another region) knows buckets only. */
static bool is_amazons(const char *endpoint)
{
    struct s3_url url;
    return s3_url_read(endpoint, &url) && (ends_in(url.host, ".amazonaws.com") || ends_in(url.host, ".amazonaws.com.cn"));
}

/* Without one of its own, a service other than Amazon's has its token service at the same address. */
static const char *sts_endpoint(const struct s3_chain *c, const struct s3_credentials_options *o)
{
    if (is_given(o->sts_endpoint))
        return o->sts_endpoint;
    if (c->environment.v[S3_ENV_ENDPOINT_STS])
        return c->environment.v[S3_ENV_ENDPOINT_STS];
    return is_given(o->endpoint) && !is_amazons(o->endpoint) ? o->endpoint : NULL;
}

static const char *sts_region(const struct s3_chain *c, const struct s3_credentials_options *o)
{
    const struct s3_environment *e = &c->environment;
    if (is_given(o->region))
        return o->region;
    return e->v[S3_ENV_REGION] ? e->v[S3_ENV_REGION] : e->v[S3_ENV_DEFAULT_REGION] ? e->v[S3_ENV_DEFAULT_REGION] : "us-east-1";
}

int s3_chain_init(struct s3_chain *c, const struct s3_credentials_options *o, struct s3_trouble *t)
{
    struct cloud_http_options http = {.inst = o->inst, .host = o->host, .ca_file = o->ca_file, .proxy = o->proxy, .agent = "tapedeck"};
    *c = (struct s3_chain){0};
    if (s3_environment_read(&c->environment) != TD_OK || !copy_options(c, o))
        return s3_trouble(t, TD_E_NOMEM, "out of memory");
    int status = check_options(c, t);
    if (status != TD_OK)
        return status;
    /* It has told by host->fail(): the options were read before by whoever talks to the bucket, so that only memory can be missing. */
    status = cloud_http_new(&http, &c->http);
    http.proxy = NULL;
    http.connect_ns = ns_per_s;
    http.idle_ns = METADATA_IDLE_S * ns_per_s;
    if (status == TD_OK)
        status = cloud_http_new(&http, &c->metadata_http);
    if (status != TD_OK)
        return s3_trouble(t, status, "the services that give keys cannot be asked: out of memory, or caFile or proxy cannot be used");
    return s3_sts_init(&c->sts, c->http, sts_endpoint(c, o), sts_region(c, o), t);
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void s3_chain_clear(struct s3_chain *c)
{
    s3_environment_clear(&c->environment);
    wipe(c->access_key);
    wipe(c->secret_key);
    wipe(c->session_token);
    free(c->access_key_file);
    free(c->secret_key_file);
    free(c->session_token_file);
    free(c->role_arn);
    free(c->external_id);
    free(c->role_session_name);
    cloud_http_free(c->http);
    cloud_http_free(c->metadata_http);
    *c = (struct s3_chain){0};
}

static void set_source(struct s3_found *f, const char *fmt, ...) TD_PRINTF(2, 3);
static void set_source(struct s3_found *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->source, sizeof(f->source), fmt, args);
    va_end(args);
}

/* ---- Options ---- */

/* The option itself, or what its file holds now. */
static int read_option(const char *value, const char *file, size_t max, const char **ret, struct cloud_text *room, struct s3_trouble *t)
{
    int status = file ? s3_read_word(file, max, room, t) : TD_OK;
    if (status == TD_E_NOT_FOUND || status == TD_E_LIMIT)
        status = t->status = TD_E_CONFIG;
    *ret = file ? cloud_cstr(room) : value;
    return status;
}

static int find_in_options(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    const char *access, *secret, *token, *wrong;
    struct cloud_text room[3] = {0};
    bool from_file = c->access_key_file || c->secret_key_file || c->session_token_file;
    if (!c->access_key && !c->access_key_file)
        return s3_trouble(t, TD_E_NOT_FOUND, "accessKey is not set");
    int status = read_option(c->access_key, c->access_key_file, S3_MAX_KEY_ID - 1, &access, &room[0], t);
    if (status == TD_OK)
        status = read_option(c->secret_key, c->secret_key_file, S3_MAX_SECRET - 1, &secret, &room[1], t);
    if (status == TD_OK)
        status = read_option(c->session_token, c->session_token_file, S3_MAX_TOKEN - 1, &token, &room[2], t);
    if (status == TD_OK && s3_found_set(f, access, secret, token, &wrong) != TD_OK)
        status = s3_trouble(t, TD_E_CONFIG, "the %s cannot be one", wrong);
    f->origin = from_file ? S3_FROM_FILE : S3_FROM_MEMORY;
    set_source(f, "%s", c->access_key_file ? "the option accessKeyFile" : "the option accessKey");
    for (int i = 0; i < 3; i++)
        cloud_text_clear(&room[i]);
    return status;
}

/* ---- The environment ---- */

static int find_in_environment(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    char *const *v = c->environment.v;
    const char *wrong;
    if (!v[S3_ENV_ACCESS_KEY_ID])
        return s3_trouble(t, TD_E_NOT_FOUND, "AWS_ACCESS_KEY_ID is not set");
    if (!v[S3_ENV_SECRET_ACCESS_KEY])
        return s3_trouble(t, TD_E_CONFIG, "AWS_SECRET_ACCESS_KEY is missing beside AWS_ACCESS_KEY_ID");
    if (s3_found_set(f, v[S3_ENV_ACCESS_KEY_ID], v[S3_ENV_SECRET_ACCESS_KEY], v[S3_ENV_SESSION_TOKEN], &wrong) != TD_OK)
        return s3_trouble(t, TD_E_CONFIG, "the environment's %s cannot be one: it is too long, or holds spaces or other signs", wrong);
    f->origin = S3_FROM_MEMORY;
    set_source(f, "AWS_ACCESS_KEY_ID of the environment");
    return TD_OK;
}

static int find_by_identity(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    char *const *v = c->environment.v;
    struct s3_role role = {.arn = v[S3_ENV_ROLE_ARN], .session_name = v[S3_ENV_ROLE_SESSION_NAME]};
    const char *file = v[S3_ENV_WEB_IDENTITY_TOKEN_FILE];
    if (!file)
        return s3_trouble(t, TD_E_NOT_FOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (!role.arn)
        return s3_trouble(t, TD_E_CONFIG, "AWS_ROLE_ARN is missing beside AWS_WEB_IDENTITY_TOKEN_FILE");
    /* Nothing is assumed on top of the very same role. */
    if (c->role_arn && strcmp(c->role_arn, role.arn) == 0)
        role.duration_s = c->role_duration_s;
    int status = s3_assume_role_with_identity(&c->sts, &role, file, f, t);
    set_source(f, "role %.150s by the token in %.150s", role.arn, file);
    return status;
}

/* ---- Profiles ---- */

/* Roles that are assumed one after the other, the last one first. */
struct steps {
    struct s3_profile_files files;
    struct s3_profile profile;
    char visited[S3_MAX_SOURCE_PROFILES][S3_MAX_PROFILE_NAME];
    struct step {
        char arn[S3_MAX_ROLE_ARN + 1], external_id[S3_MAX_EXTERNAL_ID + 1], session_name[S3_MAX_SESSION_NAME + 1];
        int64_t duration_s;
    } v[S3_MAX_SOURCE_PROFILES];
    size_t n;
};

static int64_t read_seconds(const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno || *end || n < 0 || n > 12 * 3600 ? -1 : n;
}

static int add_step(struct steps *s, const char *name, struct s3_trouble *t)
{
    const struct s3_profile *p = &s->profile;
    struct step *to = &s->v[s->n];
    if (p->mfa_serial[0])
        return s3_trouble(t, TD_E_CONFIG, "profile %s asks for a second factor (mfa_serial), which nobody is here to give", name);
    to->duration_s = *p->duration ? read_seconds(p->duration) : 0;
    if (to->duration_s < 0)
        return s3_trouble(t, TD_E_CONFIG, "duration_seconds of profile %s is no number of seconds", name);
    memcpy(to->arn, p->role_arn, sizeof(to->arn));
    memcpy(to->external_id, p->external_id, sizeof(to->external_id));
    memcpy(to->session_name, p->session_name, sizeof(to->session_name));
    s->n++;
    return TD_OK;
}

static struct s3_role role_of(const struct step *s)
{
    return (struct s3_role){s->arn, *s->external_id ? s->external_id : NULL, *s->session_name ? s->session_name : NULL, s->duration_s};
}

static int take_profile_keys(const struct s3_profile *p, const char *name, struct s3_found *f, struct s3_trouble *t)
{
    const char *wrong;
    if (!*p->access_key || !*p->secret_key)
        return s3_trouble(t, TD_E_CONFIG, "profile %s lacks %s", name, *p->access_key ? "aws_secret_access_key" : "aws_access_key_id");
    if (s3_found_set(f, p->access_key, p->secret_key, p->token, &wrong) != TD_OK)
        return s3_trouble(t, TD_E_CONFIG, "the %s of profile %s cannot be one: it holds spaces or other signs", wrong, name);
    f->origin = S3_FROM_FILE;
    return TD_OK;
}

static int find_by_source(const struct s3_chain *c, const char *source, const char *name, struct s3_found *f, struct s3_trouble *t)
{
    int status;
    if (strcmp(source, "Environment") == 0)
        status = find_in_environment(c, f, t);
    else if (strcmp(source, "EcsContainer") == 0)
        status = s3_container_keys(c->metadata_http, &c->environment, f, t);
    else if (strcmp(source, "Ec2InstanceMetadata") == 0)
        status = s3_instance_keys(c->metadata_http, &c->environment, f, t);
    else
        return s3_trouble(t, TD_E_CONFIG, "credential_source of profile %s must be Environment, EcsContainer or Ec2InstanceMetadata", name);
    if (status == TD_E_NOT_FOUND)
        status = t->status = TD_E_DENIED;
    return status;
}

/* A profile that says nothing of what is done here. */
static int tell_useless(const struct steps *s, const char *name, struct s3_trouble *t)
{
    const struct s3_profile *p = &s->profile;
    if (*p->process)
        return s3_trouble(t, TD_E_CONFIG, "profile %s has credential_process, which is not done here: have keys or a role instead", name);
    if (*p->sso || *p->sso_session)
        return s3_trouble(t, TD_E_CONFIG, "profile %s has single sign-on, which is not done here: have keys or a role instead", name);
    if (*p->role_arn)
        return s3_trouble(t, TD_E_CONFIG, "profile %s has role_arn, but neither source_profile nor credential_source", name);
    return s3_trouble(t, s->n ? TD_E_CONFIG : TD_E_NOT_FOUND, "profile %s has neither keys nor a role", name);
}

/* What the profile `name` says. *ret_next: the profile that it takes its keys from, "": all is found. */
static int read_step(const struct s3_chain *c, struct steps *s, const char *name, struct s3_found *f, char ret_next[S3_MAX_PROFILE_NAME],
                     struct s3_trouble *t)
{
    const struct s3_profile *p = &s->profile;
    *ret_next = 0;
    bool has_source = *p->source_profile || *p->credential_source || *p->token_file;
    if (!*p->role_arn || !has_source)
        return *p->access_key || *p->secret_key ? take_profile_keys(p, name, f, t) : tell_useless(s, name, t);
    int status = add_step(s, name, t);
    if (status != TD_OK)
        return status;
    if (*p->source_profile && strcmp(p->source_profile, name) == 0)
        return take_profile_keys(p, name, f, t);
    if (*p->source_profile) {
        memcpy(ret_next, p->source_profile, S3_MAX_PROFILE_NAME);
        return TD_OK;
    }
    if (*p->credential_source)
        return find_by_source(c, p->credential_source, name, f, t);
    struct s3_role role = role_of(&s->v[--s->n]);
    return s3_assume_role_with_identity(&c->sts, &role, p->token_file, f, t);
}

static bool was_visited(const struct steps *s, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s->visited[i], name) == 0)
            return true;
    return false;
}

/* Follows profiles that name one another to the first keys. */
static int find_first_keys(const struct s3_chain *c, struct steps *s, const char *name, struct s3_found *f, struct s3_trouble *t)
{
    char next[S3_MAX_PROFILE_NAME];
    snprintf(next, sizeof(next), "%s", name);
    for (size_t i = 0; *next; i++) {
        if (i == S3_MAX_SOURCE_PROFILES || was_visited(s, i, next))
            return s3_trouble(t, TD_E_CONFIG, "the profiles that %s names by source_profile %s", name,
                              i == S3_MAX_SOURCE_PROFILES ? "are too many" : "lead back to one another");
        memcpy(s->visited[i], next, sizeof(next));
        int status = s3_profile_find(&s->files, s->visited[i], &s->profile, t);
        if (status != TD_OK)
            return status;
        if (!s->profile.found && i)
            return s3_trouble(t, TD_E_CONFIG, "profile %s, which %s names by source_profile, is nowhere", next, s->visited[i - 1]);
        if (!s->profile.found)
            return s3_trouble(t, TD_E_NOT_FOUND, "there is no profile %s in %.300s or %.300s", next, s->files.path[S3_PROFILE_CREDENTIALS],
                              s->files.path[S3_PROFILE_CONFIG]);
        status = read_step(c, s, s->visited[i], f, next, t);
        if (status != TD_OK)
            return status;
    }
    return TD_OK;
}

/* Assumes a role with the keys that were found, which it replaces. */
static int assume(const struct s3_chain *c, const struct s3_role *role, struct s3_found *f, struct s3_trouble *t)
{
    struct s3_keys base = f->keys;
    int status = s3_assume_role(&c->sts, role, &base, f, t);
    s3_keys_clear(&base);
    return status;
}

static int walk_profiles(const struct s3_chain *c, struct steps *s, const char *name, struct s3_found *f, struct s3_trouble *t)
{
    bool is_named = c->environment.v[S3_ENV_PROFILE] != NULL;
    int status = s3_profile_files_read(&s->files, &c->environment, t);
    if (status == TD_OK)
        status = find_first_keys(c, s, name, f, t);
    if (status == TD_E_NOT_FOUND && is_named && !s->profile.found)
        status = t->status = TD_E_CONFIG;
    if (status == TD_E_NOT_FOUND && !s->files.text[0].n && !s->files.text[1].n)
        s3_trouble(t, status, "%s", s->files.missing);
    while (status == TD_OK && s->n) {
        struct s3_role role = role_of(&s->v[--s->n]);
        status = assume(c, &role, f, t);
    }
    set_source(f, "profile %.100s of %.280s", name, s->files.path[S3_PROFILE_CREDENTIALS]);
    return status;
}

static int find_in_profiles(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    const char *name = c->environment.v[S3_ENV_PROFILE] ? c->environment.v[S3_ENV_PROFILE] : "default";
    struct steps *s = calloc(1, sizeof(*s));
    if (!s)
        return s3_trouble(t, TD_E_NOMEM, "out of memory");
    int status = walk_profiles(c, s, name, f, t);
    s3_profile_files_clear(&s->files);
    explicit_bzero(s, sizeof(*s));
    free(s);
    return status;
}

/* ---- All of them ---- */

static int find_in_container(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    return s3_container_keys(c->metadata_http, &c->environment, f, t);
}

static int find_in_instance(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    return s3_instance_keys(c->metadata_http, &c->environment, f, t);
}

typedef int place_fn(const struct s3_chain *, struct s3_found *, struct s3_trouble *);
static place_fn *const places[] = {find_in_options,  find_in_environment, find_by_identity,
                                   find_in_profiles, find_in_container,   find_in_instance};

/* Where there are some, without the role. */
static int find_base(const struct s3_chain *c, struct s3_found *f, struct s3_trouble *t)
{
    char looked[S3_MAX_TROUBLE] = "";
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        s3_found_clear(f);
        int status = places[i](c, f, t);
        if (status != TD_E_NOT_FOUND)
            return status;
        size_t n = strlen(looked);
        snprintf(looked + n, sizeof(looked) - n, "%s%.400s", n ? "; " : "", t->text);
    }
    return s3_trouble(t, TD_E_NOT_FOUND, "no credentials: %.700s. Set accessKey and secretKey, or provide one of the others", looked);
}

int s3_chain_find(const struct s3_chain *c, struct s3_found *ret, struct s3_trouble *t)
{
    const char *own = c->environment.v[S3_ENV_ROLE_ARN];
    struct s3_role role = {c->role_arn, c->external_id, c->role_session_name, c->role_duration_s};
    char base[S3_MAX_SOURCE];
    int status = find_base(c, ret, t);
    if (status != TD_OK || !c->role_arn)
        return status;
    bool is_it_already = !c->access_key && !c->access_key_file && !c->environment.v[S3_ENV_ACCESS_KEY_ID] &&
                         c->environment.v[S3_ENV_WEB_IDENTITY_TOKEN_FILE] && own && strcmp(own, c->role_arn) == 0;
    if (is_it_already)
        return TD_OK;
    memcpy(base, ret->source, sizeof(base));
    status = assume(c, &role, ret, t);
    set_source(ret, "role %.150s, assumed with %.200s", c->role_arn, base);
    return status;
}
