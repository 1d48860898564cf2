/* Lists of objects and folders: ListObjectsV2, page by page.
 *
 * Each page begins behind the last name of the one before, not by a token: so names that an answer cannot hold do no harm, and objects may
 * be removed meanwhile. Only behind a page without names, of which some services say that more follows, the token is all there is. */
#include "s3.h"

#include <stdlib.h>

enum { MAX_PAGE = 1000 };

struct entry {
    char *name; /* of an object or, with a slash at its end, a folder; not decoded */
    bool is_folder;
    struct td_object object;
};

struct page {
    struct entry *entries;
    size_t n;
    struct entry at_hand;
    bool truncated, encoded;
    char *token; /* of the next one; NULL: none was told */
};

static void page_clear(struct page *p)
{
    for (size_t i = 0; p->entries && i < p->n; i++)
        free(p->entries[i].name);
    free(p->entries);
    free(p->at_hand.name);
    free(p->token);
    *p = (struct page){0};
}

void s3_decode_name(char *text)
{
    char *to = text;
    for (; *text; text++) {
        uint8_t byte;
        char digits[3] = {text[0] == '%' ? text[1] : 0, text[0] == '%' && text[1] ? text[2] : 0, 0};
        if (*text == '%' && digits[1] && cloud_read_hex(digits, &byte, 1) && byte) {
            *to++ = (char)byte;
            text += 2;
        } else {
            *to++ = *text == '+' ? ' ' : *text;
        }
    }
    *to = 0;
}

/* ---- Reading a page ---- */

static int copy(char **into, const char *text)
{
    free(*into);
    *into = strdup(text);
    return *into ? 0 : TD_E_NOMEM;
}

static int take_entry(struct page *p, bool is_folder)
{
    struct entry *e = &p->at_hand;
    if (!e->name || !*e->name || p->n == MAX_PAGE)
        return TD_E_CORRUPT;
    e->is_folder = is_folder;
    e->object.size = sizeof(e->object);
    p->entries[p->n++] = *e;
    *e = (struct entry){0};
    return 0;
}

static int read_object_element(struct entry *e, const char *name, const char *text)
{
    if (strcmp(name, "Key") == 0)
        return copy(&e->name, text);
    if (strcmp(name, "Size") == 0) {
        char *end;
        e->object.bytes = strtoull(text, &end, 10);
        return *end || !*text ? TD_E_CORRUPT : 0;
    }
    if (strcmp(name, "LastModified") == 0 && !cloud_read_iso8601(text, &e->object.mtime_ns))
        e->object.mtime_ns = 0;
    if (strcmp(name, "ETag") == 0)
        s3_copy_etag(e->object.etag, text);
    return 0;
}

static int read_element(void *ctx, const char *path, const char *text)
{
    struct page *p = ctx;
    if (!text)
        return strcmp(path, "Contents") == 0 ? take_entry(p, false) : strcmp(path, "CommonPrefixes") == 0 ? take_entry(p, true) : 0;
    if (strncmp(path, "Contents/", 9) == 0)
        return read_object_element(&p->at_hand, path + 9, text);
    if (strcmp(path, "CommonPrefixes/Prefix") == 0)
        return copy(&p->at_hand.name, text);
    if (strcmp(path, "NextContinuationToken") == 0)
        return copy(&p->token, text);
    if (strcmp(path, "IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    if (strcmp(path, "EncodingType") == 0)
        p->encoded = strcmp(text, "url") == 0;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Objects and folders come apart from each other. */
static int read_page(struct s3 *s, struct s3_request *r, struct page *p)
{
    p->entries = calloc(MAX_PAGE, sizeof(*p->entries));
    int status = p->entries ? cloud_xml(td_bytes(r->x.answer.p, r->x.answer.n), "ListBucketResult", read_element, p) : TD_E_NOMEM;
    if (status == TD_E_NOMEM)
        return s->host->fail(s->inst, status, "out of memory");
    if (status != TD_OK)
        return s->host->fail(s->inst, TD_E_CORRUPT, "%s at %s: what came is no list of objects; is it an S3 service?", s->config->bucket,
                             cloud_cstr(&r->host));
    for (size_t i = 0; i < p->n && p->encoded; i++)
        s3_decode_name(p->entries[i].name);
    qsort(p->entries, p->n, sizeof(p->entries[0]), by_name);
    return TD_OK;
}

struct listing {
    const char *prefix;
    size_t prefix_n;
    td_list_fn *object;
    td_folder_fn *folder;
    void *ctx;
    struct cloud_text after, token; /* where the next page begins; token "": behind `after` */
};

static int ask(struct s3 *s, struct listing *l, struct page *p)
{
    struct s3_request r = {.method = "GET"};
    s3_parameter(&r, "list-type", "2");
    s3_parameter(&r, "encoding-type", "url");
    s3_parameter(&r, "max-keys", "1000");
    s3_parameter(&r, "prefix", l->prefix);
    if (l->folder)
        s3_parameter(&r, "delimiter", "/");
    if (l->token.n)
        s3_parameter(&r, "continuation-token", cloud_cstr(&l->token));
    else if (l->after.n)
        s3_parameter(&r, "start-after", cloud_cstr(&l->after));
    int status = s3_run_alone(s, &r);
    if (status == TD_OK)
        status = read_page(s, &r, p);
    s3_request_clear(&r);
    return status;
}

/* ---- Page after page ---- */

static int give(const struct listing *l, struct entry *e)
{
    size_t n = strlen(e->name);
    if (l->object)
        return e->is_folder ? TD_OK : l->object(l->ctx, e->name, &e->object);
    if (!e->is_folder || n <= l->prefix_n + 1 || strncmp(e->name, l->prefix, l->prefix_n) != 0 || e->name[n - 1] != '/')
        return TD_OK;
    e->name[n - 1] = 0;
    int status = l->folder(l->ctx, e->name + l->prefix_n);
    e->name[n - 1] = '/';
    return status;
}

static int fail_again(struct s3 *s)
{
    return s->host->fail(s->inst, TD_E_CORRUPT, "%s: the server lists the same objects again", s->config->bucket);
}

/* What the next page begins behind. A folder's last byte is counted up, so that no key in it follows. */
static int go_behind(struct s3 *s, struct listing *l, const struct entry *e)
{
    if (l->after.n && strcmp(e->name, l->after.p) <= 0)
        return fail_again(s);
    l->after.n = l->token.n = 0;
    cloud_puts(&l->after, e->name);
    if (e->is_folder && l->after.n)
        l->after.p[l->after.n - 1] = '/' + 1;
    return TD_OK;
}

static int go_on_by_token(struct s3 *s, struct listing *l, const char *token)
{
    if (!token || !*token)
        return s->host->fail(s->inst, TD_E_RETRY, "%s: the server lists nothing, and says that more follows", s->config->bucket);
    if (strcmp(cloud_cstr(&l->token), token) == 0)
        return fail_again(s);
    l->token.n = 0;
    cloud_puts(&l->token, token);
    return TD_OK;
}

static int walk(struct s3 *s, struct listing *l)
{
    struct page p = {0};
    int status;
    bool more;
    do {
        if (s->host->cancelled(s->inst))
            return s->host->fail(s->inst, TD_E_CANCELLED, "%s: told to stop", s->config->bucket);
        status = ask(s, l, &p);
        more = status == TD_OK && p.truncated;
        for (size_t i = 0; i < p.n && status == TD_OK; i++)
            status = give(l, &p.entries[i]);
        if (more && status == TD_OK)
            status = p.n ? go_behind(s, l, &p.entries[p.n - 1]) : go_on_by_token(s, l, p.token);
        page_clear(&p);
        if (l->after.failed || l->token.failed)
            status = s->host->fail(s->inst, TD_E_NOMEM, "out of memory");
    } while (more && status == TD_OK);
    cloud_text_clear(&l->after);
    cloud_text_clear(&l->token);
    return status;
}

int s3_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    struct listing l = {.prefix = prefix, .prefix_n = strlen(prefix), .object = each, .ctx = ctx};
    cloud_puts(&l.after, after ? after : "");
    return walk(self, &l);
}

int s3_folders(void *self, const char *prefix, const char *after, td_folder_fn *each, void *ctx)
{
    struct listing l = {.prefix = prefix, .prefix_n = strlen(prefix), .folder = each, .ctx = ctx};
    if (after)
        cloud_printf(&l.after, "%s%s%c", prefix, after, '/' + 1);
    return walk(self, &l);
}
