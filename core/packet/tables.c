#include "tables.h"

#include "base/log.h"
#include "base/mem.h"

void tables_init(struct tables *t)
{
    *t = (struct tables){0};
    arena_init(&t->arena, TABLES_MAX_BYTES);
}

void tables_clear(struct tables *t)
{
    arena_clear(&t->arena);
    mem_free(t->interfaces);
    mem_free(t->names);
    mem_free(t->secrets);
}

/* Room for one more element; the array's new place, or NULL. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    size_t more = *cap ? *cap * 2 : 8;
    void *grown = mem_realloc(array, more * size);
    if (grown)
        *cap = more;
    return grown;
}

int tables_add_interface(struct tables *t, struct capture_interface **ret, struct error *err)
{
    struct capture_interface **array = grow(t->interfaces, t->interface_count, &t->interface_cap, sizeof(struct capture_interface *));
    if (!array)
        return error_nomem(err);
    t->interfaces = array;
    struct capture_interface *iface = arena_alloc(&t->arena, sizeof(*iface), _Alignof(struct capture_interface));
    if (!iface)
        return error_set(err, TD_E_LIMIT, "no memory for interface %zu: their descriptions may take %d MiB in all", t->interface_count,
                         TABLES_MAX_BYTES >> 20);
    t->interfaces[t->interface_count++] = iface;
    *ret = iface;
    return TD_OK;
}

const char *tables_copy_text(struct tables *t, struct td_slice text)
{
    const uint8_t *zero = text.n ? memchr(text.p, 0, text.n) : NULL;
    return arena_strndup(&t->arena, (const char *)text.p, zero ? (size_t)(zero - text.p) : text.n);
}

static int left_out(struct tables *t, const char *what)
{
    if (!t->full)
        log_event(TD_LOG_WARN, "capture", "no room for more %s: they may take %d MiB in all; the rest is left out", what,
                  TABLES_MAX_BYTES >> 20);
    t->full = true;
    return TD_OK;
}

int tables_add_name(struct tables *t, uint8_t ip_version, const uint8_t *ip, struct td_slice name, struct error *err)
{
    struct capture_name *array = grow(t->names, t->name_count, &t->name_cap, sizeof(*array));
    if (!array)
        return error_nomem(err);
    t->names = array;
    const char *text = t->full ? NULL : tables_copy_text(t, name);
    if (!text)
        return left_out(t, "names");
    struct capture_name *n = &t->names[t->name_count++];
    *n = (struct capture_name){.ip_version = ip_version, .name = text};
    memcpy(n->ip, ip, ip_version == 4 ? 4 : 16);
    return TD_OK;
}

int tables_add_secrets(struct tables *t, uint32_t type, struct td_slice data, struct error *err)
{
    struct capture_secrets *array = grow(t->secrets, t->secrets_count, &t->secrets_cap, sizeof(*array));
    if (!array)
        return error_nomem(err);
    t->secrets = array;
    uint8_t *copy = t->full ? NULL : arena_alloc(&t->arena, data.n ? data.n : 1, 1);
    if (!copy)
        return left_out(t, "secrets");
    if (data.n)
        memcpy(copy, data.p, data.n);
    t->secrets[t->secrets_count++] = (struct capture_secrets){type, td_bytes(copy, data.n)};
    return TD_OK;
}
