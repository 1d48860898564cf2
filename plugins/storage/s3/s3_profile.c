/* Reading the shared files. */
#include "s3_profile.h"

#include <stdio.h>
#include <strings.h>

struct property {
    const char *name;
    size_t offset, room;
    bool is_cut; /* only whether it is there */
};

#define PROPERTY(name, member)                                                                     \
    {                                                                                              \
        name, offsetof(struct s3_profile, member), sizeof(((struct s3_profile *)0)->member), false \
    }
#define NOTED(name, member)                                                                       \
    {                                                                                             \
        name, offsetof(struct s3_profile, member), sizeof(((struct s3_profile *)0)->member), true \
    }
static const struct property properties[] = {
    PROPERTY("aws_access_key_id", access_key),
    PROPERTY("aws_secret_access_key", secret_key),
    PROPERTY("aws_session_token", token),
    PROPERTY("role_arn", role_arn),
    PROPERTY("external_id", external_id),
    PROPERTY("role_session_name", session_name),
    PROPERTY("duration_seconds", duration),
    PROPERTY("source_profile", source_profile),
    PROPERTY("credential_source", credential_source),
    PROPERTY("web_identity_token_file", token_file),
    NOTED("mfa_serial", mfa_serial),
    NOTED("credential_process", process),
    NOTED("sso_start_url", sso),
    NOTED("sso_session", sso_session),
};

void s3_profile_clear(struct s3_profile *p)
{
    explicit_bzero(p, sizeof(*p));
}

/* ---- Lines ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct td_slice trim(struct td_slice s)
{
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_space(s.p[0]))
        s = td_sub(s, 1, s.n);
    return s;
}

/* The next line, without its end; advances. */
static struct td_slice take_line(struct td_slice *text)
{
    const uint8_t *end = memchr(text->p, '\n', text->n);
    size_t n = end ? (size_t)(end - text->p) : text->n;
    struct td_slice line = td_sub(*text, 0, n);
    *text = td_sub(*text, end ? n + 1 : n, text->n);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool equals(struct td_slice s, const char *text)
{
    return td_eq(s, td_str(text));
}

/* A comment goes from a sign after a space to the end. */
static struct td_slice without_comment(struct td_slice s)
{
    for (size_t i = 1; i < s.n; i++)
        if ((s.p[i] == '#' || s.p[i] == ';') && is_space(s.p[i - 1]))
            return td_sub(s, 0, i);
    return s;
}

static struct td_slice unquote(struct td_slice s)
{
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        return td_sub(s, 1, s.n - 1);
    return s;
}

/* ---- Sections ---- */

enum section { OTHER_SECTION, PLAIN_SECTION, PROFILE_SECTION };

/* "[name]" or "[profile name]": in config all but `default` must be the latter. */
static enum section section_of(struct td_slice line, enum s3_profile_file file, const char *name)
{
    static const char word[] = "profile";
    const uint8_t *end = memchr(line.p, ']', line.n);
    if (!end)
        return OTHER_SECTION;
    struct td_slice inside = trim(td_sub(line, 1, (size_t)(end - line.p)));
    if (file == S3_PROFILE_CREDENTIALS)
        return equals(inside, name) ? PLAIN_SECTION : OTHER_SECTION;
    if (strcmp(name, "default") == 0 && equals(inside, name))
        return PLAIN_SECTION;
    size_t n = sizeof(word) - 1;
    if (inside.n > n && memcmp(inside.p, word, n) == 0 && is_space(inside.p[n]) && equals(unquote(trim(td_sub(inside, n, inside.n))), name))
        return PROFILE_SECTION;
    return OTHER_SECTION;
}

/* ---- Properties ---- */

static const struct property *find_property(struct td_slice name)
{
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        if (name.n == strlen(properties[i].name) && strncasecmp((const char *)name.p, properties[i].name, name.n) == 0)
            return &properties[i];
    return NULL;
}

static bool set_property(struct s3_profile *p, const struct property *to, struct td_slice value)
{
    char *into = (char *)p + to->offset;
    if (value.n >= to->room && !to->is_cut)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < ' ' || value.p[i] == 0x7f)
            return false;
    size_t n = value.n < to->room ? value.n : to->room - 1;
    if (n)
        memcpy(into, value.p, n);
    into[n] = 0;
    return true;
}

/* Of the profile that is looked for. */
static bool read_property(struct s3_profile *p, struct td_slice line)
{
    const uint8_t *sign = memchr(line.p, '=', line.n);
    if (!sign)
        return false;
    size_t at = (size_t)(sign - line.p);
    const struct property *to = find_property(trim(td_sub(line, 0, at)));
    return !to || set_property(p, to, trim(without_comment(td_sub(line, at + 1, line.n))));
}

static int read_profile(struct td_slice text, enum s3_profile_file file, const char *name, struct s3_profile *p, unsigned *ret_line)
{
    enum section section = OTHER_SECTION;
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = td_sub(text, 3, text.n);
    for (unsigned number = 1; text.n; number++) {
        struct td_slice line = take_line(&text);
        if (!line.n || line.p[0] == '#' || line.p[0] == ';' || !trim(line).n)
            continue;
        if (line.p[0] == '[') {
            section = section_of(line, file, name);
            if (section == PROFILE_SECTION && strcmp(name, "default") == 0 && !p->has_own_section)
                *p = (struct s3_profile){.has_own_section = true};
            p->found = p->found || section != OTHER_SECTION;
            continue;
        }
        /* Lines that begin with a space belong to the one before, and nothing that matters here has several. */
        bool is_ours = section == PROFILE_SECTION || (section == PLAIN_SECTION && !p->has_own_section);
        if (!is_ours || is_space(line.p[0]))
            continue;
        if (!read_property(p, line)) {
            *ret_line = number;
            return TD_E_CONFIG;
        }
    }
    return TD_OK;
}

static void replace(struct s3_profile *p, const struct s3_profile *by)
{
    if (by->access_key[0] || by->secret_key[0]) {
        memcpy(p->access_key, by->access_key, sizeof(p->access_key));
        memcpy(p->secret_key, by->secret_key, sizeof(p->secret_key));
        memcpy(p->token, by->token, sizeof(p->token));
    }
    for (size_t i = 3; i < sizeof(properties) / sizeof(properties[0]); i++) {
        const struct property *each = &properties[i];
        if (((const char *)by)[each->offset])
            memcpy((char *)p + each->offset, (const char *)by + each->offset, each->room);
    }
    p->found = p->found || by->found;
}

int s3_profile_read(struct td_slice text, enum s3_profile_file file, const char *name, struct s3_profile *p, unsigned *ret_line)
{
    struct s3_profile read = {0};
    int status = read_profile(text, file, name, &read, ret_line);
    if (status == TD_OK)
        replace(p, &read);
    s3_profile_clear(&read);
    return status;
}

/* ---- Files ---- */

static bool put_path(char into[S3_MAX_PROFILE_PATH], const char *named, const char *home, const char *below_home)
{
    int n = 0;
    if (named && strncmp(named, "~/", 2) == 0 && home)
        n = snprintf(into, S3_MAX_PROFILE_PATH, "%s%s", home, named + 1);
    else if (named)
        n = snprintf(into, S3_MAX_PROFILE_PATH, "%s", named);
    else if (home)
        n = snprintf(into, S3_MAX_PROFILE_PATH, "%s/.aws/%s", home, below_home);
    else
        into[0] = 0;
    return n < S3_MAX_PROFILE_PATH;
}

static void note_missing(struct s3_profile_files *f, const char *text)
{
    size_t n = strlen(f->missing);
    snprintf(f->missing + n, sizeof(f->missing) - n, "%s%s", n ? ", " : "", text);
}

int s3_profile_files_read(struct s3_profile_files *f, const struct s3_environment *e, struct s3_trouble *t)
{
    static const struct {
        enum s3_variable variable;
        const char *name;
    } files[2] = {
        [S3_PROFILE_CONFIG] = {S3_ENV_CONFIG_FILE, "config"}, [S3_PROFILE_CREDENTIALS] = {S3_ENV_CREDENTIALS_FILE, "credentials"}};
    *f = (struct s3_profile_files){0};
    for (int i = 1; i >= 0; i--) {
        const char *named = e->v[files[i].variable];
        if (!put_path(f->path[i], named, e->v[S3_ENV_HOME], files[i].name))
            return s3_trouble(t, TD_E_CONFIG, "the path of the shared file %s is too long", files[i].name);
        if (!f->path[i][0]) {
            note_missing(f, "HOME is not set");
            continue;
        }
        int status = s3_read_file(f->path[i], S3_MAX_KEYS_FILE, &f->text[i], t);
        /* A service may have a home that it must not look into. */
        if (status == TD_E_NOT_FOUND || (status == TD_E_DENIED && !named)) {
            note_missing(f, t->text);
            f->text[i].n = 0;
        } else if (status != TD_OK)
            return status;
    }
    return TD_OK;
}

void s3_profile_files_clear(struct s3_profile_files *f)
{
    cloud_text_clear(&f->text[0]);
    cloud_text_clear(&f->text[1]);
}

int s3_profile_find(const struct s3_profile_files *f, const char *name, struct s3_profile *ret, struct s3_trouble *t)
{
    *ret = (struct s3_profile){0};
    if (strlen(name) >= S3_MAX_PROFILE_NAME)
        return s3_trouble(t, TD_E_CONFIG, "the profile's name \"%.60s\" is too long", name);
    for (int i = 0; i < 2; i++) {
        unsigned line = 0;
        if (s3_profile_read(td_bytes(f->text[i].p, f->text[i].n), (enum s3_profile_file)i, name, ret, &line) != TD_OK)
            return s3_trouble(t, TD_E_CONFIG,
                              "line %u of %.300s cannot be understood: it is not a name, an equals sign and a value, or too "
                              "long",
                              line, f->path[i]);
    }
    return TD_OK;
}
