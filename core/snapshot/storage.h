/* A storage backend, as the core uses it: an instance of a storage plugin (sdk/include/tapedeck/plugin.h, struct td_storage).
 *
 * An object store seen through few verbs. Keys are UTF-8 without control characters, at most STORAGE_MAX_KEY bytes: parts of at most
 * STORAGE_MAX_PART bytes between slashes, none empty or beginning with a dot; other keys are TD_E_UNSUPPORTED. An object becomes visible
 * whole or not at all, and durable with that. Any thread.
 *
 * Errors are of the classes that plugin.h lists for storage: TD_E_RETRY is worth another try later, the rest is not. */
#ifndef SNAPSHOT_STORAGE_H
#define SNAPSHOT_STORAGE_H

#include "config/config.h"
#include "plugin/instance.h"
#include "plugin/registry.h"

enum { STORAGE_MAX_KEY = TD_KEY_MAX, STORAGE_MAX_PART = TD_KEY_PART_MAX, STORAGE_ETAG = 128, STORAGE_MAX_PATH = 4096 };

struct storage;

struct storage_object {
    uint64_t bytes;
    int64_t mtime_ns;        /* since 1970 UTC */
    char etag[STORAGE_ETAG]; /* changes whenever a byte does; "": the backend has none */
    bool has_sha256;         /* of whoever put it, if the backend keeps it; not in lists */
    uint8_t sha256[32];
};

/* `name`: of the plugin; `options`: its node in the configuration, or NULL. `host` must outlive it. */
int storage_open(const struct registry *registry, const struct td_host *host, const char *name, const struct yaml_node *options,
                 struct storage **ret, struct error *err) MUST_CHECK;
/* The plugin "local" on a directory, which need not be in the configuration; relative paths start from the current directory. */
int storage_open_local(const struct registry *registry, const struct td_host *host, const char *dir, struct storage **ret,
                       struct error *err) MUST_CHECK;
/* No upload may be open. NULL is allowed. */
void storage_close(struct storage *);
const char *storage_name(const struct storage *); /* of the plugin: "local", "s3" */
/* Calls that run end with TD_E_CANCELLED soon, as do later ones. */
void storage_cancel(struct storage *);

bool storage_is_key(const char *key);

/* What the keys of trial objects begin with. */
#define STORAGE_TRIAL "tapedeck-check-"

/* Once, before all others. Proves that it can put, head, get, list and remove, with an object of its own; says what is wrong and what to
 * do. The plugin cleans up what a process that was killed has left of uploads; that object stays then, under STORAGE_TRIAL, until one of
 * these calls finds it there an hour later. */
int storage_check(struct storage *, struct error *err) MUST_CHECK;
/* The same with an object below `prefix` ("" or ending with a slash), for credentials that are good for nothing else. */
int storage_check_below(struct storage *, const char *prefix, struct error *err) MUST_CHECK;
/* TD_E_NOT_FOUND: there is none. */
int storage_head(struct storage *, const char *key, struct storage_object *ret, struct error *err) MUST_CHECK;
/* Bytes [offset, offset + n) go to `sink` in order; n UINT64_MAX: to the end. What `sink` returns, if it is not 0, ends it and is
 * returned, with *err as it was. TD_E_NOT_FOUND; TD_E_LIMIT: the range does not lie within the object. */
int storage_get(struct storage *, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx, struct error *err) MUST_CHECK;
/* Whole objects that are small; more than `max` bytes are TD_E_LIMIT. Appended to `ret`. */
int storage_get_bytes(struct storage *, const char *key, size_t max, struct buf *ret, struct error *err) MUST_CHECK;

struct storage_upload;
/* `expected`: bytes, for choosing how to send; UINT64_MAX: unknown. An object of this key is replaced at the commit. */
int storage_put_open(struct storage *, const char *key, uint64_t expected, struct storage_upload **ret, struct error *err) MUST_CHECK;
/* After a failure the upload can only be aborted, or committed, which fails likewise. */
int storage_put_write(struct storage_upload *, struct td_slice, struct error *err) MUST_CHECK;
/* Durable and visible from here; frees the upload, also when it fails (then nothing is left of it). `sha256` of all bytes if it is known,
 * for backends that check, else NULL. `ret` may be NULL. */
int storage_put_commit(struct storage_upload *, const uint8_t *sha256, struct storage_object *ret, struct error *err) MUST_CHECK;
void storage_put_abort(struct storage_upload *);
int storage_put_bytes(struct storage *, const char *key, struct td_slice, struct error *err) MUST_CHECK;
/* A file becomes an object: by a hard link where the backend keeps files on the same file system, else by a copy. The file must not change
 * any more. *ret_linked may be NULL. */
int storage_put_file(struct storage *, const char *key, int dir_fd, const char *name, bool *ret_linked, struct error *err) MUST_CHECK;
/* How a file is put; all of it may be 0. */
struct storage_put {
    bool later;            /* see storage_put_file_later() */
    const uint8_t *sha256; /* of the file, if it is known: is checked and kept by the backend where it can */
    /* A put that fails with TD_E_RETRY or TD_E_CANCELLED may be resumed, also by another process, with the text that save() was told, at
     * most TD_PUT_STATE_MAX bytes, which must be durable when it returns 0; else storage_forget() it. NULL: nothing is left of it. */
    const char *state; /* "" or NULL: none */
    int (*save)(void *ctx, const char *state);
    /* Bytes of it that need not be sent again; about once a second, or more often. Not 0: ends it with TD_E_CANCELLED. */
    int (*progress)(void *ctx, uint64_t bytes);
    void *ctx;
};
int storage_put_file_as(struct storage *, const char *key, int dir_fd, const char *name, const struct storage_put *, bool *ret_linked,
                        struct error *err) MUST_CHECK;
/* What an unfinished put left under this state; TD_OK if that is nothing. */
int storage_forget(struct storage *, const char *key, const char *state, struct error *err) MUST_CHECK;
/* The same below a prefix, whosever it is: for a snapshot that is whole, or gone. */
int storage_sweep(struct storage *, const char *prefix, struct error *err) MUST_CHECK;
/* The same for many files, faster by far: until storage_flush() they may be lost or torn if the machine loses power (not if this process
 * dies). So what says that they are there must be put behind that. */
int storage_put_file_later(struct storage *, const char *key, int dir_fd, const char *name, bool *ret_linked, struct error *err) MUST_CHECK;
/* Everything below a prefix is durable now. */
int storage_flush(struct storage *, const char *prefix, struct error *err) MUST_CHECK;

/* Objects whose keys begin with `prefix`, ascending by the bytes of their keys, behind `after` (NULL: from the first). What `each`
 * returns, if it is not 0, ends it and is returned, with *err as it was. It may call the storage, also to remove that object. */
typedef int storage_list_fn(void *ctx, const char *key, const struct storage_object *);
int storage_list(struct storage *, const char *prefix, const char *after, storage_list_fn *each, void *ctx, struct error *err) MUST_CHECK;
/* Each folder directly below `prefix` ("" or ending with a slash) once, by its name, ascending by name and slash, behind `after`.
 * As above. */
typedef int storage_folder_fn(void *ctx, const char *name);
int storage_folders(struct storage *, const char *prefix, const char *after, storage_folder_fn *each, void *ctx,
                    struct error *err) MUST_CHECK;
/* TD_OK if there is none. Durable; within storage_list() when that returns, which is how many are removed fast. */
int storage_remove(struct storage *, const char *key, struct error *err) MUST_CHECK;
/* In as few requests as the backend can; after a failure some are gone. */
int storage_remove_many(struct storage *, const char *const *keys, size_t n, struct error *err) MUST_CHECK;

/* The object's file, for backends that keep files and only for reading. False: this one does not, or the object is not there. */
bool storage_path(struct storage *, const char *key, char out[STORAGE_MAX_PATH]);

#endif
