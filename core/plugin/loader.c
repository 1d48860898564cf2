#include "loader.h"

#include <dlfcn.h>
#include <time.h>

#include "base/units.h"
#include "plugin/trust.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define SYMBOL "td_plugin_v" STRING(TD_ABI_MAJOR)

/* Which majors has a file that does not have ours? */
static int fail_symbol(void *handle, struct error *err)
{
    char found[64] = "";
    size_t n = 0;
    for (int major = 0; major <= 9; major++) {
        char symbol[16];
        snprintf(symbol, sizeof(symbol), "td_plugin_v%d", major);
        if (major != TD_ABI_MAJOR && dlsym(handle, symbol) && n < sizeof(found))
            n += (size_t)snprintf(found + n, sizeof(found) - n, "%s%d", n ? ", " : "", major);
    }
    if (n)
        return error_set(err, TD_E_UNSUPPORTED, "built for plugin ABI major %s; rebuild it with this core's headers", found);
    return error_set(err, TD_E_UNSUPPORTED, "not a plugin of Tapedeck: it has no symbol " SYMBOL);
}

static int open_object(const char *path, struct arena *arena, struct plugin_file *file, struct error *err)
{
    file->step = PLUGIN_OPEN;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        const char *why = dlerror();
        size_t n = strlen(path);
        if (why && strncmp(why, path, n) == 0 && strncmp(why + n, ": ", 2) == 0) /* the path is told anyway */
            why += n + 2;
        return error_set(err, TD_E_UNSUPPORTED, "cannot be linked: %s", why ? why : "for an unknown reason");
    }
    file->step = PLUGIN_SYMBOL;
    const struct td_plugin *plugin = dlsym(handle, SYMBOL);
    int status = plugin ? descriptor_read(plugin, arena, file, err) : fail_symbol(handle, err);
    dlclose(handle); /* gives back the count; RTLD_NODELETE keeps the object */
    return status;
}

void loader_complete_refusal(const struct plugin_file *file, struct error *err)
{
    char built[48] = "";
    struct tm tm;
    time_t seconds = (time_t)(file->built_ns / NS_PER_S);
    if (file->built_ns && gmtime_r(&seconds, &tm))
        strftime(built, sizeof(built), "built %Y-%m-%d %H:%M:%S UTC; ", &tm);
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof(err->text) - n, " (%sthis core offers plugin ABI %d.%d)", built, TD_ABI_MAJOR, TD_ABI_MINOR);
    error_prefix(err, "%s: ", file->path);
}

int loader_load(const char *path, struct arena *arena, struct plugin_file *file, struct error *err)
{
    char real[PATH_MAX];
    struct stat st;
    struct error why = {TD_OK, ""};
    *file = (struct plugin_file){.step = PLUGIN_TRUST};
    int status = trust_check(path, real, &st, &why);
    if (status == TD_OK) {
        file->built_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
        path = real;
    }
    file->path = arena_strndup(arena, path, strlen(path));
    if (!file->path) {
        file->path = "";
        return error_nomem(err);
    }
    if (status == TD_OK)
        status = open_object(file->path, arena, file, &why);
    if (status == TD_OK)
        return TD_OK;
    loader_complete_refusal(file, &why);
    return error_set(err, status, "%s", why.text);
}
