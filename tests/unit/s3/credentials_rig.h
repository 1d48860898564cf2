/* Credentials of the backend s3 in an environment of the test's, with one scripted server for all services. */
#ifndef TESTS_S3_CREDENTIALS_RIG_H
#define TESTS_S3_CREDENTIALS_RIG_H

#include "../../../plugins/storage/s3/s3_credentials.h"

#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

#include "scripted_server.h"
#include "tap.h"

#define SECRET "secret0that0must0not0be0seen"

struct rig {
    struct td_host host;
    struct scripted_server server;
    char dir[64], url[64], role[128], token_file[128];
    atomic_bool cancelled;
    atomic_uint logged, told; /* lines; failures */
    pthread_mutex_t lock;
    char log[1024];  /* the last line */
    bool leaked;     /* a text had a secret */
    char *made[256]; /* answers, freed at the end */
    size_t made_n;
};
static struct rig rig = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local char why[1100];

static inline int rig_fail(struct td_inst *inst, int status, const char *fmt, ...) TD_PRINTF(3, 4);
static inline int rig_fail(struct td_inst *inst, int status, const char *fmt, ...)
{
    va_list args;
    (void)inst;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    atomic_fetch_add(&rig.told, 1);
    if (strstr(why, SECRET))
        rig.leaked = true;
    return status;
}

static inline void rig_log(struct td_inst *inst, int level, const char *fmt, ...) TD_PRINTF(3, 4);
static inline void rig_log(struct td_inst *inst, int level, const char *fmt, ...)
{
    va_list args;
    (void)inst, (void)level;
    pthread_mutex_lock(&rig.lock);
    va_start(args, fmt);
    vsnprintf(rig.log, sizeof(rig.log), fmt, args);
    va_end(args);
    if (strstr(rig.log, SECRET))
        rig.leaked = true;
    pthread_mutex_unlock(&rig.lock);
    atomic_fetch_add(&rig.logged, 1);
}

static inline bool rig_cancelled(struct td_inst *inst)
{
    (void)inst;
    return atomic_load(&rig.cancelled);
}

/* "below/DIR/name", made with these contents. */
static inline const char *rig_file(const char *name, const char *text)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    return path;
}

/* An empty environment but for an instance metadata service, which is the server; no rules. */
static inline void rig_begin(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_ROLE_ARN",
                                        "AWS_ROLE_SESSION_NAME",
                                        "AWS_PROFILE",
                                        "AWS_SHARED_CREDENTIALS_FILE",
                                        "AWS_CONFIG_FILE",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                        "AWS_EC2_METADATA_DISABLED",
                                        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                        "AWS_REGION",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_ENDPOINT_URL_STS"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("HOME", rig.dir, 1);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", rig.url, 1);
    remove(rig_file(".aws/credentials", ""));
    remove(rig_file(".aws/config", ""));
    scripted_begin(&rig.server);
    atomic_store(&rig.logged, 0);
    atomic_store(&rig.told, 0);
}

static inline bool rig_start(void)
{
    rig.host = (struct td_host){.size = sizeof(rig.host), .fail = rig_fail, .log = rig_log, .cancelled = rig_cancelled};
    snprintf(rig.dir, sizeof(rig.dir), "/tmp/tapedeck-credentials-XXXXXX");
    if (!mkdtemp(rig.dir) || !scripted_start(&rig.server))
        return false;
    char path[128];
    snprintf(path, sizeof(path), "%s/.aws", rig.dir);
    snprintf(rig.url, sizeof(rig.url), "http://127.0.0.1:%u", rig.server.port);
    rig_begin();
    return mkdir(path, 0700) == 0;
}

/* `more`: other files below the directory, NULL at the end. */
static inline void rig_stop(const char *const *more)
{
    char path[192];
    scripted_stop(&rig.server);
    while (rig.made_n)
        free(rig.made[--rig.made_n]);
    for (; *more; more++) {
        snprintf(path, sizeof(path), "%s/%s", rig.dir, *more);
        remove(path);
    }
    snprintf(path, sizeof(path), "%s/.aws", rig.dir);
    rmdir(path);
    rmdir(rig.dir);
}

/* A time in so many milliseconds, as services write it. */
static inline const char *rig_time(int64_t in_ms)
{
    static char text[64];
    int64_t at_ms = cloud_now_ns() / 1000000 + in_ms;
    time_t s = (time_t)(at_ms / 1000);
    struct tm tm;
    char date[32];
    gmtime_r(&s, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(at_ms % 1000));
    return text;
}

static inline const char *rig_keep(char *text)
{
    if (!text || rig.made_n == sizeof(rig.made) / sizeof(rig.made[0]))
        abort();
    return rig.made[rig.made_n++] = text;
}

/* Answers with keys; they live until the end. */
static inline const char *rig_sts(const char *name, int64_t in_ms, const char *headers)
{
    char *text = NULL;
    if (asprintf(&text,
                 "200 OK\n%s\n<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"
                 "<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>" SECRET
                 "</SecretAccessKey><SessionToken>T-%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult>"
                 "</AssumeRoleResponse>",
                 headers, name, name, rig_time(in_ms)) < 0)
        abort();
    return rig_keep(text);
}

static inline const char *rig_json(const char *name, int64_t in_ms)
{
    char *text = NULL;
    if (asprintf(&text,
                 "200 OK\n\n{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"" SECRET
                 "\", \"Token\": \"T-%s\", \"Expiration\": \"%s\"}",
                 name, name, rig_time(in_ms)) < 0)
        abort();
    return rig_keep(text);
}

#endif
