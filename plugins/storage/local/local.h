/* A directory as an object store: a key is the path of a file below it.
 *
 * What is being written lies in the hidden folder `.tmp`, under a lock, and is renamed to its place when it is whole. Nothing below
 * the directory is reached through a symbolic link or out of it: paths are opened part by part, each from the folder before. */
#ifndef LOCAL_H
#define LOCAL_H

#include <pthread.h>
#include <sys/stat.h>

#define TD_TARGET_MINOR 1
#include "tapedeck/plugin.h"

#define LOCAL_TEMPORARY ".tmp"
enum { LOCAL_FOLDER_MODE = 0750, LOCAL_FILE_MODE = 0640, LOCAL_MAX_PATH = 4096 };

/* A list() that runs. What its thread removes meanwhile becomes durable folder by folder, not object by object. */
struct local_listing {
    pthread_t thread;
    struct local_listing *next; /* of other threads, or around this one */
    size_t n;                   /* path of the folder in which something was removed */
    bool pending;               /* that is not durable yet */
    char folder[TD_KEY_MAX + 1];
};

struct local {
    struct td_inst *inst;
    const struct td_host *host;
    const char *path; /* absolute, without a slash at its end */
    bool sync;
    pthread_mutex_t lock;      /* of what follows; and held while folders are made, so that a folder that is found is durable */
    int root_fd, temporary_fd; /* -1: not opened yet */
    struct local_listing *listings;
};

/* ---- Below the directory (local_dir.c) ---- */

/* The directory itself; with `create` it is made if it is missing. Stays open. -1 with errno. */
int local_root(struct local *, bool create);
/* The folder for what is being written, made if it is missing. Stays open. -1 with errno. */
int local_temporary(struct local *);
/* Opens the folder whose path is the first `n` bytes of `path` (0: the directory itself); the caller closes it. With `create` it is
 * made if it is missing, and durable. -1 with errno: ENOENT also for parts that no key has. */
int local_open_folder(struct local *, const char *path, size_t n, bool create);
/* The same for the folder that `key` lies in; *ret_base is the name there. */
int local_open_parent(struct local *, const char *key, bool create, const char **ret_base);
/* No part is empty, too long or begins with a dot. */
bool local_is_key(const char *key);
/* Removes the folders above `key` that are empty, and, if objects are to be durable, makes that and what happened in the last of them
 * durable; within a list() of this thread, later. 0, or -1 with errno. */
int local_prune(struct local *, const char *key);
/* From here on this thread lists. */
void local_listing_begin(struct local *, struct local_listing *);
/* What was removed meanwhile is durable. 0, or -1 with errno. */
int local_listing_end(struct local *, struct local_listing *);
/* Flushes a file or a folder if objects are to be durable. 0, or -1 with errno. */
int local_sync(const struct local *, int fd);
/* Closes a descriptor, if it is one, and leaves errno alone. */
void local_close(int fd);

void local_object(const struct stat *, struct td_object *ret);

/* Tells why `what` ("cannot be written") failed, by errno; returns the status. `key` NULL: the directory itself. */
int local_fail(struct local *, const char *key, const char *what);

/* ---- Writing (local_put.c) ---- */

int local_put_open(void *self, const char *key, const struct td_put *, void **ret_upload);
int local_put_write(void *upload, struct td_slice);
int local_put_commit(void *upload, const uint8_t *sha256, struct td_object *ret);
void local_put_abort(void *upload);
int local_put_file(void *self, const char *key, int dir_fd, const char *name, const struct td_put *, bool *ret_linked);
int local_flush(void *self, const char *prefix);
/* Removes what processes have left that are gone. */
int local_clean(struct local *);

/* ---- Listing (local_list.c) ---- */

int local_list(void *self, const char *prefix, const char *after, td_list_fn *, void *ctx);
/* Removes all folders that are empty. */
int local_remove_empty(struct local *);

#endif
