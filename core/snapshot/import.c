#include "snapshot/import.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "snapshot/import_files.h"

static int check_request(const struct import_request *r, struct error *err)
{
    int status = r->name ? manifest_check_name(r->name, err) : TD_OK;
    if (status == TD_OK && r->node)
        status = manifest_check_node(r->node, err);
    if (status == TD_OK && !r->path_count)
        return error_set(err, TD_E_CONFIG, "nothing to import");
    return status;
}

/* What every import changes, wherever it came from. */
static int finish(const struct import_request *r, struct manifest *m, struct error *err)
{
    char id[MANIFEST_ID];
    manifest_new_id(r->now_ns, id);
    memcpy(m->id, id, sizeof(id));
    if (r->name)
        snprintf(m->name, sizeof(m->name), "%s", r->name);
    m->imported = true;
    m->created_ns = m->completed_ns = r->now_ns;
    m->version = arena_strndup(&m->arena, r->version ? r->version : "", strlen(r->version ? r->version : ""));
    manifest_sum(m);
    return m->version ? TD_OK : error_nomem(err);
}

int import_run(const struct import_request *request, struct import_result *ret, struct error *err)
{
    struct import_files files;
    struct import_result result = {0};
    bool archive = false;
    int status = check_request(request, err);
    if (status == TD_OK)
        status = import_is_archive(request->paths[0], &archive, err);
    if (status == TD_OK && archive && request->path_count > 1)
        status = error_set(err, TD_E_CONFIG, "%s is an archive: import it by itself", request->paths[0]);
    if (status == TD_OK && !archive && !request->name)
        status = error_set(err, TD_E_CONFIG, "%s is no archive of a snapshot: say what the snapshot shall be called", request->paths[0]);
    if (status != TD_OK)
        return status;
    status = import_files_init(&files, request, err);
    if (status == TD_OK)
        status = archive ? import_archive(&files, &result, err) : import_captures(&files, &result, err);
    if (status == TD_OK)
        status = finish(request, result.manifest, err);
    import_files_clear(&files);
    if (status == TD_OK)
        *ret = result;
    else
        import_result_clear(&result);
    return status;
}

void import_result_clear(struct import_result *r)
{
    manifest_free(r->manifest);
    mem_free(r->dissections);
    *r = (struct import_result){0};
}
