/* Lists, in pages. The service lists by name; the pinned version cannot begin behind a name (startFrom is younger), so what lies before
 * `after` is passed over, page by page. Accounts with a hierarchical namespace list folder by folder instead, which the core refuses. */
#include "azblob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_MARKER = 4096 };

/* What is being listed, and the entry at hand. */
struct listing {
    struct azblob *a;
    const char *prefix, *after, *delimiter, *include; /* NULL: not */
    td_list_fn *each;
    td_folder_fn *folder;
    void *ctx;
    bool all; /* what discarding has left as well */
    char marker[MAX_MARKER];
    struct td_object object;
    char name[TD_KEY_MAX + 2], type[64];
    bool unusual; /* a name that no key has, or a folder */
    int stopped;
};

static void forget_entry(struct listing *l)
{
    memset(&l->object, 0, sizeof(l->object));
    l->object.size = sizeof(l->object);
    l->name[0] = l->type[0] = 0;
    l->unusual = false;
}

static void take_name(struct listing *l, const char *text)
{
    size_t n = strlen(text);
    l->unusual |= n > TD_KEY_MAX + 1;
    if (!l->unusual)
        memcpy(l->name, text, n + 1);
}

static int end_blob(struct listing *l)
{
    bool discarded = !l->object.bytes && strcmp(l->type, AZBLOB_DISCARDED) == 0;
    if (l->unusual || !l->each || (discarded && !l->all) || (l->after && strcmp(l->name, l->after) <= 0))
        return 0;
    return l->each(l->ctx, l->name, &l->object);
}

static int end_folder(struct listing *l)
{
    size_t prefix = strlen(l->prefix), n = strlen(l->name);
    if (l->unusual || !l->folder || n <= prefix + 1 || l->name[n - 1] != '/' || strncmp(l->name, l->prefix, prefix) != 0)
        return 0;
    /* Both with their slash, by which folders are in order. */
    const char *name = l->name + prefix;
    size_t length = n - prefix - 1, after = l->after ? strlen(l->after) : 0;
    if (l->after) {
        int order = strncmp(name, l->after, length < after ? length : after);
        if (!order && length != after)
            order = length < after ? '/' - (unsigned char)l->after[length] : (unsigned char)name[after] - '/';
        if (order <= 0)
            return 0;
    }
    l->name[n - 1] = 0;
    return l->folder(l->ctx, name);
}

static int read_entry(void *ctx, const char *path, const char *text)
{
    static const char blob[] = "Blobs/Blob/";
    struct listing *l = ctx;
    int status = 0;
    if (!text) {
        if (strcmp(path, "Blobs/Blob") == 0)
            status = end_blob(l);
        else if (strcmp(path, "Blobs/BlobPrefix") == 0)
            status = end_folder(l);
        else
            return 0;
        forget_entry(l);
        return l->stopped = status;
    }
    if (strcmp(path, "NextMarker") == 0) {
        if (strlen(text) >= sizeof(l->marker))
            return TD_E_CORRUPT;
        memcpy(l->marker, text, strlen(text) + 1);
    } else if (strcmp(path, "Blobs/BlobPrefix/Name") == 0 || strcmp(path, "Blobs/Blob/Name") == 0) {
        take_name(l, text);
    } else if (strncmp(path, blob, sizeof(blob) - 1) == 0) {
        const char *name = path + sizeof(blob) - 1;
        if (strcmp(name, "Properties/Content-Length") == 0)
            l->object.bytes = strtoull(text, NULL, 10);
        else if (strcmp(name, "Properties/Last-Modified") == 0)
            (void)cloud_read_http_date(text, &l->object.mtime_ns);
        else if (strcmp(name, "Properties/Etag") == 0)
            azblob_etag(text, l->object.etag);
        else if (strcmp(name, "Properties/Content-Type") == 0)
            snprintf(l->type, sizeof(l->type), "%.60s", text);
        else if (strcmp(name, "Properties/ResourceType") == 0)
            l->unusual |= strcmp(text, "directory") == 0;
    }
    return 0;
}

/* Asks for the page at l->marker. The document is the caller's to clear. */
static int ask_page(struct listing *l, const char *most, struct azblob_request *r)
{
    azblob_request_begin(r, l->a, "GET", NULL);
    azblob_query(r, "comp", "list");
    azblob_query(r, "maxresults", most);
    if (*l->prefix)
        azblob_query(r, "prefix", l->prefix);
    if (l->delimiter)
        azblob_query(r, "delimiter", l->delimiter);
    if (l->include)
        azblob_query(r, "include", l->include);
    if (*l->marker)
        azblob_query(r, "marker", l->marker);
    return azblob_request_alone(r, "cannot be listed", NULL);
}

/* Its own page is in memory, and no connection is held, while the caller is told of entries: it may use the backend as well. */
static int list_page(struct listing *l, bool *ret_more)
{
    struct azblob_request r;
    char marker[MAX_MARKER], most[24];
    snprintf(most, sizeof(most), "%" PRId64, l->a->config->page);
    int status = ask_page(l, most, &r);
    memcpy(marker, l->marker, sizeof(marker));
    l->marker[0] = 0;
    forget_entry(l);
    if (status == TD_OK) {
        status = cloud_xml(td_bytes(r.x.answer.p, r.x.answer.n), "EnumerationResults", read_entry, l);
        if (l->stopped)
            status = l->stopped;
        else if (status != TD_OK)
            status = azblob_fail(l->a, NULL, TD_E_CORRUPT, "cannot be listed: the service's answer is no list");
    }
    *ret_more = *l->marker;
    if (status == TD_OK && *ret_more && strcmp(marker, l->marker) == 0)
        status = azblob_fail(l->a, NULL, TD_E_CORRUPT, "cannot be listed: the service gives the same page again");
    azblob_request_clear(&r);
    return status;
}

static int list_all(struct listing *l)
{
    bool more = true;
    int status = TD_OK;
    while (status == TD_OK && more)
        status = l->a->host->cancelled(l->a->inst) ? TD_E_CANCELLED : list_page(l, &more);
    return status;
}

/* ---- What the core asks for ---- */

int azblob_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    if (after && strncmp(after, prefix, strlen(prefix)) > 0)
        return TD_OK; /* all of them lie before it */
    struct listing l = {.a = self, .prefix = prefix, .after = after, .each = each, .ctx = ctx};
    return list_all(&l);
}

int azblob_folders(void *self, const char *prefix, const char *after, td_folder_fn *each, void *ctx)
{
    struct listing l = {.a = self, .prefix = prefix, .after = after, .delimiter = "/", .folder = each, .ctx = ctx};
    return list_all(&l);
}

/* Of blobs that have never been committed, the list tells no more than that they are empty. */
static int sweep_one(void *ctx, const char *key, const struct td_object *object)
{
    return object->bytes ? TD_OK : azblob_discard(ctx, key, false);
}

int azblob_sweep(void *self, const char *prefix)
{
    struct listing l = {.a = self, .prefix = prefix, .include = "uncommittedblobs", .each = sweep_one, .ctx = self, .all = true};
    return list_all(&l);
}

int azblob_try_list(struct azblob *a)
{
    struct listing l = {.a = a, .prefix = ""};
    struct azblob_request r;
    int status = ask_page(&l, "1", &r);
    azblob_request_clear(&r);
    return status;
}
