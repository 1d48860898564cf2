#include "registry.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/loader.h"

struct scanned_dir {
    dev_t dev;
    ino_t ino;
};

struct registry {
    struct arena arena;
    const struct plugin_file **files;
    size_t file_count;
    const struct plugin_component **components; /* by kind, then name */
    size_t component_count;
    struct scanned_dir *dirs; /* so that a directory named twice is searched once */
    size_t dir_count;
};

static int by_kind_and_name(const void *a, const void *b)
{
    const struct plugin_component *x = *(const struct plugin_component *const *)a, *y = *(const struct plugin_component *const *)b;
    return x->c.kind != y->c.kind ? (x->c.kind < y->c.kind ? -1 : 1) : strcmp(x->c.name, y->c.name);
}

/* Room for `more` elements behind `n`; the array, perhaps moved, or NULL. */
static void *grow(void *array, size_t n, size_t more, size_t size)
{
    return mem_realloc(array, (n + more) * size);
}

/* ---- Adding a plugin ----------------------------------------------------------------------------------------- */

/* A field's name is global: whoever declares it must give it the same type. */
static int check_field_types(const struct registry *registry, const struct plugin_component *added, struct error *err)
{
    size_t n, others;
    const struct td_field *fields = plugin_fields(added, &n);
    for (size_t c = 0; c < registry->component_count; c++) {
        const struct plugin_component *other = registry->components[c];
        const struct td_field *theirs = plugin_fields(other, &others);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < others; j++)
                if (fields[i].type != theirs[j].type && strcmp(fields[i].name, theirs[j].name) == 0)
                    return error_set(err, TD_E_UNSUPPORTED, "field \"%s\" of %s \"%s\" has another type in %s \"%s\" of %s", fields[i].name,
                                     plugin_kind_name(added->c.kind), added->c.name, plugin_kind_name(other->c.kind), other->c.name,
                                     other->file->path);
    }
    return TD_OK;
}

/* Does the file fit to those that are there already? */
static int check_against_others(const struct registry *registry, const struct plugin_file *file, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0; i < file->component_count && status == TD_OK; i++) {
        const struct plugin_component *added = &file->components[i];
        const struct plugin_component *other = registry_find(registry, added->c.kind, added->c.name);
        if (other)
            status = error_set(err, TD_E_EXISTS, "%s \"%s\" is in %s already", plugin_kind_name(added->c.kind), added->c.name,
                               other->file->path);
        else
            status = check_field_types(registry, added, err);
    }
    if (status != TD_OK)
        loader_complete_refusal(file, err);
    return status;
}

static int add_components(struct registry *registry, const struct plugin_file *file, struct error *err)
{
    int status = check_against_others(registry, file, err);
    if (status != TD_OK)
        return status;
    void *grown = grow(registry->components, registry->component_count, file->component_count, sizeof(registry->components[0]));
    if (!grown)
        return error_nomem(err);
    registry->components = grown;
    for (size_t i = 0; i < file->component_count; i++)
        registry->components[registry->component_count++] = &file->components[i];
    qsort(registry->components, registry->component_count, sizeof(registry->components[0]), by_kind_and_name);
    return TD_OK;
}

/* A new entry in the list of files; NULL when memory is short. */
static struct plugin_file *add_file(struct registry *registry)
{
    void *grown = grow(registry->files, registry->file_count, 1, sizeof(registry->files[0]));
    if (!grown)
        return NULL;
    registry->files = grown;
    struct plugin_file *file = arena_alloc(&registry->arena, sizeof(*file), alignof(struct plugin_file));
    if (file)
        registry->files[registry->file_count++] = file;
    return file;
}

int registry_add_static(struct registry *registry, const struct td_plugin *plugin, struct error *err)
{
    struct plugin_file *file = add_file(registry);
    if (!file)
        return error_nomem(err);
    file->path = "(built in)";
    int status = descriptor_read(plugin, &registry->arena, file, err);
    if (status == TD_OK)
        status = add_components(registry, file, err);
    if (status != TD_OK)
        registry->file_count--;
    return status;
}

/* ---- Searching ----------------------------------------------------------------------------------------------- */

static const struct plugin_file *find_slot(const struct registry *registry, const char *slot)
{
    for (size_t i = 0; i < registry->file_count; i++)
        if (registry->files[i]->slot && strcmp(registry->files[i]->slot, slot) == 0)
            return registry->files[i];
    return NULL;
}

/* Keeps the reason for which a file is not used; only a lack of memory is a failure. */
static int refuse(struct registry *registry, struct plugin_file *file, int status, const char *reason, struct error *err)
{
    file->reason = arena_strndup(&registry->arena, reason, strlen(reason));
    return file->reason && status != TD_E_NOMEM ? TD_OK : error_nomem(err);
}

static int load_file(struct registry *registry, const char *path, const char *slot, struct error *err)
{
    struct error why;
    if (registry->file_count == REGISTRY_MAX_FILES)
        return error_set(err, TD_E_LIMIT, "%s: more than %d plugins", path, REGISTRY_MAX_FILES);
    const struct plugin_file *first = find_slot(registry, slot);
    const char *slot_copy = arena_strndup(&registry->arena, slot, strlen(slot));
    struct plugin_file *file = slot_copy ? add_file(registry) : NULL;
    if (!file)
        return error_nomem(err);
    if (first) {
        file->shadowed = true;
        file->slot = slot_copy;
        file->path = arena_strndup(&registry->arena, path, strlen(path));
        error_set(&why, TD_E_EXISTS, "%s: hidden by %s, which is found first", path, first->path);
        return file->path ? refuse(registry, file, TD_E_EXISTS, why.text, err) : error_nomem(err);
    }
    int status = loader_load(path, &registry->arena, file, &why);
    file->slot = slot_copy;
    if (status == TD_OK)
        status = add_components(registry, file, &why);
    return status == TD_OK ? TD_OK : refuse(registry, file, status, why.text, err);
}

static int is_plugin_name(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".so") == 0;
}

/* Joins two parts with a slash; false if that is too long for a path. */
static bool join(char out[PATH_MAX], const char *a, const char *b)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", a, b);
    return n >= 0 && n < PATH_MAX;
}

/* Loads <dir>/<kind>/<name>.so, by name. `origin` as for scan_dir(). */
static int scan_kind(struct registry *registry, const char *dir, uint32_t kind, const char *origin, struct error *err)
{
    char folder[PATH_MAX], path[PATH_MAX], slot[PATH_MAX];
    struct dirent **entries;
    if (!join(folder, dir, plugin_kind_folder(kind)))
        return TD_OK;
    int n = scandir(folder, &entries, is_plugin_name, alphasort);
    if (n < 0)
        return errno == ENOENT || !origin ? TD_OK : error_set(err, TD_E_CONFIG, "%s: %s: %s", origin, folder, strerror(errno));
    int status = TD_OK;
    for (int i = 0; i < n; i++) {
        if (status == TD_OK && join(path, folder, entries[i]->d_name) && join(slot, plugin_kind_folder(kind), entries[i]->d_name))
            status = load_file(registry, path, slot, err);
        free(entries[i]); /* scandir's own, not from mem.h */
    }
    free(entries);
    return status;
}

/* `origin` is who named the directory, for the error if it cannot be read; NULL: it need not be there. */
static int scan_dir(struct registry *registry, const char *dir, const char *origin, struct error *err)
{
    struct stat st;
    const char *why = stat(dir, &st) != 0 ? strerror(errno) : S_ISDIR(st.st_mode) ? NULL : strerror(ENOTDIR);
    if (why)
        return origin ? error_set(err, TD_E_CONFIG, "%s: plugin directory %s: %s", origin, dir, why) : TD_OK;
    for (size_t i = 0; i < registry->dir_count; i++)
        if (registry->dirs[i].dev == st.st_dev && registry->dirs[i].ino == st.st_ino)
            return TD_OK;
    void *grown = grow(registry->dirs, registry->dir_count, 1, sizeof(registry->dirs[0]));
    if (!grown)
        return error_nomem(err);
    registry->dirs = grown;
    registry->dirs[registry->dir_count++] = (struct scanned_dir){st.st_dev, st.st_ino};
    int status = TD_OK;
    for (uint32_t kind = TD_KIND_STORAGE; kind <= TD_KIND_EXPORTER && status == TD_OK; kind++)
        status = scan_kind(registry, dir, kind, origin, err);
    return status;
}

static int scan_configured(struct registry *registry, const struct config *config, struct error *err)
{
    const struct td_strlist *path = &config->plugins.path;
    const struct yaml_node *node = yaml_get(config_node(config, "tap.plugins"), "path");
    int status = TD_OK;
    for (size_t i = 0; i < path->n && status == TD_OK; i++) {
        char dir[PATH_MAX], origin[PATH_MAX];
        snprintf(origin, sizeof(origin), "%s:%u:%u", node->file, node->line, node->column);
        if (!config_path(config, path->v[i], dir, sizeof(dir)))
            return error_set(err, TD_E_CONFIG, "%s: the name of a plugin directory is too long", origin);
        status = scan_dir(registry, dir, origin, err);
    }
    return status;
}

static int scan_environment(struct registry *registry, struct error *err)
{
    const char *list = getenv(REGISTRY_PATH_ENV);
    int status = TD_OK;
    while (list && *list && status == TD_OK) {
        size_t n = strcspn(list, ":");
        char dir[PATH_MAX];
        if (n >= sizeof(dir))
            return error_set(err, TD_E_CONFIG, REGISTRY_PATH_ENV ": the name of a plugin directory is too long");
        memcpy(dir, list, n);
        dir[n] = 0;
        if (n)
            status = scan_dir(registry, dir, REGISTRY_PATH_ENV, err);
        list += n + (list[n] == ':');
    }
    return status;
}

/* The directories that belong to this executable. */
static int scan_own(struct registry *registry, struct error *err)
{
    char exe[PATH_MAX], dir[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0)
        return TD_OK;
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    if (!slash)
        return TD_OK;
    *slash = 0;
    int status = join(dir, exe, "plugins") ? scan_dir(registry, dir, NULL, err) : TD_OK;
    if (status == TD_OK && join(dir, exe, "../lib/tapedeck/plugins"))
        status = scan_dir(registry, dir, NULL, err);
    return status;
}

int registry_scan(struct registry *registry, const struct config *config, struct error *err)
{
    int status = scan_configured(registry, config, err);
    if (status == TD_OK)
        status = scan_environment(registry, err);
    return status == TD_OK ? scan_own(registry, err) : status;
}

int registry_new(struct registry **ret, struct error *err)
{
    struct registry *registry = mem_calloc(1, sizeof(*registry));
    if (!registry)
        return error_nomem(err);
    arena_init(&registry->arena, REGISTRY_MAX_BYTES);
    *ret = registry;
    return TD_OK;
}

int registry_open(const struct config *config, struct registry **ret, struct error *err)
{
    struct registry *registry = NULL;
    int status = registry_new(&registry, err);
    if (status != TD_OK)
        return status;
    status = registry_scan(registry, config, err);
    if (status == TD_OK)
        *ret = registry;
    else
        registry_free(registry);
    return status;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    mem_free(registry->files);
    mem_free(registry->components);
    mem_free(registry->dirs);
    arena_clear(&registry->arena);
    mem_free(registry);
}

/* ---- Looking up ---------------------------------------------------------------------------------------------- */

const struct plugin_component *const *registry_components(const struct registry *registry, uint32_t kind, size_t *ret_n)
{
    size_t first = 0, end = registry->component_count;
    while (kind && first < end && registry->components[first]->c.kind != kind)
        first++;
    while (kind && end > first && registry->components[end - 1]->c.kind != kind)
        end--;
    *ret_n = end - first;
    return end > first ? registry->components + first : NULL;
}

const struct plugin_component *registry_find(const struct registry *registry, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < registry->component_count; i++)
        if (registry->components[i]->c.kind == kind && strcmp(registry->components[i]->c.name, name) == 0)
            return registry->components[i];
    return NULL;
}

const struct plugin_file *const *registry_files(const struct registry *registry, size_t *ret_n)
{
    *ret_n = registry->file_count;
    return registry->files;
}
