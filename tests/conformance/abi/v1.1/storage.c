/* A storage backend as plugins in the world are, built with the frozen header of v1.1. It holds one object, which never changes. */
#define TD_TARGET_MINOR 1
#include "../layout.h"

static const char only_key[] = "only/key";
static const char only_text[] = "the only object";

static int storage_check(void *self)
{
    (void)self;
    return TD_OK;
}

static int storage_head(void *self, const char *key, struct td_object *ret)
{
    (void)self;
    if (strcmp(key, only_key) != 0)
        return TD_E_NOT_FOUND;
    ret->bytes = sizeof(only_text) - 1;
    ret->mtime_ns = 5;
    memcpy(ret->etag, "one", 4);
    return TD_OK;
}

static int storage_get(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx)
{
    (void)self, (void)key, (void)offset, (void)n;
    return sink(ctx, td_str(only_text));
}

static int storage_put_open(void *self, const char *key, const struct td_put *put, void **ret_upload)
{
    (void)self, (void)key, (void)put, (void)ret_upload;
    return TD_E_DENIED;
}

static int storage_put_write(void *upload, struct td_slice bytes)
{
    (void)upload, (void)bytes;
    return TD_E_INTERNAL;
}

static int storage_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret)
{
    (void)upload, (void)sha256, (void)ret;
    return TD_E_INTERNAL;
}

static void storage_put_abort(void *upload)
{
    (void)upload;
}

static int storage_list(void *self, const char *prefix, const char *after, td_list_fn *each, void *ctx)
{
    struct td_object object = {.size = sizeof(object)};
    (void)prefix, (void)after;
    return storage_head(self, only_key, &object) == TD_OK ? each(ctx, only_key, &object) : TD_E_INTERNAL;
}

static int storage_remove(void *self, const char *key)
{
    (void)self, (void)key;
    return TD_E_DENIED;
}

static const struct td_storage storage = {
    .size = sizeof(struct td_storage),
    .check = storage_check,
    .head = storage_head,
    .get = storage_get,
    .put_open = storage_put_open,
    .put_write = storage_put_write,
    .put_commit = storage_put_commit,
    .put_abort = storage_put_abort,
    .list = storage_list,
    .remove = storage_remove,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_STORAGE,
    .name = "only",
    .summary = "Storage of one object",
    .ops = &storage,
};
static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(storage) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "only",
    .version = "1.0",
    .license = "Apache-2.0",
    .components = components,
};
