/* The inside of the cloud: shared by the files of this folder, and by nobody else. */
#ifndef CLOUD_CLOUD_INTERNAL_H
#define CLOUD_CLOUD_INTERNAL_H

#include <pthread.h>

#include "cloud/cloud.h"
#include "cloud/transfer.h"

enum {
    CLOUD_KEY = STORAGE_MAX_KEY + 1,
    CLOUD_PATH = 4096,
    CLOUD_PARALLEL = 64,         /* most threads of a transfer */
    CLOUD_TRIES = 3,             /* of what arrives damaged: it may have been the network */
    CLOUD_MAX_SNAPSHOTS = 65536, /* in the catalog: the newest */
    CLOUD_MAX_BRIEF = 4 << 20,   /* bytes of a manifest in the catalog */
    CLOUD_MAX_BRIEFS = 512 << 20 /* of all */
};

struct cloud_snapshot {
    struct cloud *cloud;
    struct manifest *manifest; /* without segments */
    unsigned pins;             /* [lock] the catalog's own among them */
    uint64_t born;             /* [lock] number of the change that brought it */
    bool dissected;            /* [lock] */
};

/* An id whose manifest cannot be read. It is told once. One that is none is read again when the object has changed, any other each time. */
struct cloud_bad {
    char id[MANIFEST_ID];
    int status;
    struct storage_object object; /* all 0: to be read again each time */
};

struct cloud {
    struct storage *storage;
    char prefix[CLOUD_PREFIX], work_dir[CLOUD_PATH];
    unsigned parallel;
    int64_t refresh_ns;
    struct retry_policy retry;
    struct retry_budget budget;
    atomic_bool cancelled;
    _Atomic uint64_t version;

    pthread_mutex_t asking;  /* one question for all at a time; whoever waits for it can be cancelled */
    atomic_bool proved;      /* storage_check() went well; set under [asking] */
    size_t turn;             /* [asking] how many of those that are known were looked at again */
    bool leaves_out;         /* [asking] not all are listed, as was told */
    size_t most, most_bytes; /* CLOUD_MAX_SNAPSHOTS, CLOUD_MAX_BRIEFS; in tests less */

    pthread_t asker;
    bool has_asker;
    bool starting; /* a failure is told by whoever starts it */
    pthread_mutex_t lock;
    pthread_cond_t wake, asked; /* the thread; those who wait for it */
    bool closing;               /* [lock] */
    bool hurry, busy;           /* [lock] somebody waits; it asks at this moment */
    uint64_t rounds;            /* [lock] that the thread has asked */
    struct cloud_snapshot **v;  /* [lock] */
    size_t n, cap;              /* [lock] */
    size_t bytes;               /* [lock] of memory of their manifests */
    char left_out[MANIFEST_ID]; /* [lock] there is no room for this one and those that are older; "": for all */
    uint64_t changes;           /* [lock] made by this hub: added, removed */
    struct cloud_bad *bad;      /* [lock] */
    size_t bad_n;               /* [lock] */
    bool connected;             /* [lock] */
    int64_t asked_ns;           /* [lock] */
    char error[CLOUD_TEXT];     /* [lock] */
};

/* "<prefix><id>/<rest>" */
const char *cloud_key(const struct cloud *, const char *id, const char *rest, char out[CLOUD_KEY]);

/* ---- run.c: threads that work on one thing, and end together ---- */

/* One thread watches the caller's cancel and the cloud's; failing, too, sets `stop`. */
struct run {
    struct cloud *cloud;
    const struct transfer *transfer; /* may be NULL */
    struct retry_policy policy;
    atomic_bool stop;
    atomic_uint retries;
    pthread_t watcher;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool over;            /* [lock] */
    struct error failure; /* [lock] the first; status TD_OK: none */
    uint64_t done, all;   /* [lock] bytes */
    int64_t told_ns;      /* [lock] */
    void (*work)(struct run *, void *ctx);
    void *ctx;
};

int64_t run_now(void); /* monotonic */
int run_begin(struct run *, struct cloud *, const struct transfer *, struct error *err) MUST_CHECK;
void run_end(struct run *);
/* Ends the run with this failure, unless it has one. Returns the status. */
int run_fail(struct run *, const struct error *);
/* What the run ends with: its failure, or TD_E_CANCELLED if it was cancelled, or TD_OK. */
int run_status(struct run *, struct error *err);
bool run_goes_on(struct run *);
/* `work` in so many threads; returns when all have ended, with run_status(). */
int run_work(struct run *, size_t threads, void (*work)(struct run *, void *ctx), void *ctx, struct error *err) MUST_CHECK;
/* Progress: sets what there is to do; adds to what is done (may be negative). */
void run_expect(struct run *, uint64_t all);
void run_count(struct run *, int64_t bytes);
/* Each with its count of failures. */
void run_retry_begin(struct run *, struct retry *);
bool run_again(struct run *, struct retry *, int *status, struct error *err);
/* A call that may be tried again from its beginning. */
int run_call(struct run *, int (*call)(void *ctx, struct error *err), void *ctx, struct error *err) MUST_CHECK;

/* ---- plan.c: the objects of a snapshot, and which of them are there ---- */

struct object {
    const char *key; /* below the id */
    uint64_t bytes;
    bool has_sha256, dissection, there;
    uint8_t sha256[MANIFEST_SHA256];
    uint64_t there_bytes; /* if it is there */
};

struct cloud_plan {
    const char *id;
    struct object *v; /* by key */
    size_t n, cap;
    uint64_t bytes;
    struct arena keys; /* of dissections */
    bool has_manifest; /* there, at the last look */
};

/* The manifest must outlive the plan. */
int cloud_plan_make(struct cloud_plan *, const struct manifest *, struct error *err) MUST_CHECK;
void cloud_plan_clear(struct cloud_plan *);
/* Its key is "dissections/<name>.calls". */
int cloud_plan_add_dissection(struct cloud_plan *, const char *name, uint64_t bytes, struct error *err) MUST_CHECK;
/* After the last one was added. */
void cloud_plan_sort(struct cloud_plan *);
/* Is this key, below the id, one of a dissection? Its name. */
bool cloud_plan_is_dissection(const char *key, char name[MANIFEST_NAME]);
/* Lists what is there, and fills has_manifest, `there` and there_bytes. `other` is told all that is not in the plan, and may be NULL;
 * it may add dissections to the plan, which must be sorted then. */
typedef int cloud_plan_other_fn(void *ctx, const char *key, uint64_t bytes, struct error *err);
int cloud_plan_look(struct cloud_plan *, struct run *, cloud_plan_other_fn *other, void *ctx, struct error *err) MUST_CHECK;
/* The manifest there. `json` may be NULL; manifest_free(*ret). TD_E_CORRUPT: it is none, or that of another id. */
int cloud_get_manifest(struct run *, const char *id, struct buf *json, struct manifest **ret, struct error *err) MUST_CHECK;
/* One of at most so many bytes, else TD_E_LIMIT. */
int cloud_get_manifest_within(struct run *, const char *id, size_t most, struct manifest **ret, struct error *err) MUST_CHECK;
/* An object by its key below the id: lists of some clouds lag behind. TD_E_NOT_FOUND: it is not there. */
int cloud_head(struct run *, const char *id, const char *rest, struct storage_object *ret, struct error *err) MUST_CHECK;
/* TD_E_NOT_FOUND: it is not there. */
int cloud_head_manifest(struct run *, const char *id, struct error *err) MUST_CHECK;

/* ---- catalog.c ---- */

/* Can the backend be used? Once it could, nothing is asked. Before there are other threads. */
int catalog_prove(struct cloud *, struct error *err) MUST_CHECK;
/* The same before a transfer of a cloud that was away when it was opened. */
int catalog_prove_for(struct run *, struct error *err) MUST_CHECK;
/* Asks once, that first; the status is told, too. `cancel` may be NULL. */
int catalog_ask(struct cloud *, const atomic_bool *cancel, struct error *err) MUST_CHECK;
/* This hub has done it: one more is there, perhaps with dissections; one is not there any more, or was found not to be. */
int catalog_add(struct cloud *, const struct manifest *, bool dissected, struct error *err) MUST_CHECK;
void catalog_drop(struct cloud *, const char *id);
void catalog_clear(struct cloud *);
/* A copy without segments, for the catalog. NULL: out of memory, or it takes more than CLOUD_MAX_BRIEF. */
struct manifest *catalog_brief(const struct manifest *);

/* ---- work.c: folders of transfers on disk ---- */

/* Makes <work_dir>/<id>.<what> if it is missing, and locks it: *ret_fd stays open as long as it is worked on. TD_E_RETRY: another transfer
 * works on it. With `create` false TD_E_NOT_FOUND: it is not there. */
int work_open(const struct cloud *, const char *id, const char *what, bool create, int *ret_fd, struct error *err) MUST_CHECK;
/* Removes it with all that is in it; TD_OK if it is not there. */
int work_remove(const struct cloud *, const char *id, const char *what, struct error *err) MUST_CHECK;
/* A failure of the local disk as a status, by errno: TD_E_LIMIT if it is full. */
int work_fail(struct error *err, const char *what, const char *name);
int work_check_id(const char *id, struct error *err) MUST_CHECK;

/* ---- put_state.c: unfinished puts, durable ---- */

struct put_state {
    char key[CLOUD_KEY]; /* whole */
    uint64_t bytes;      /* of the file, by whose sum it is known */
    uint8_t sha256[MANIFEST_SHA256];
    char text[TD_PUT_STATE_MAX + 1];
};
int put_state_save(int dir_fd, const struct put_state *, struct error *err) MUST_CHECK;
/* False: there is none. */
bool put_state_load(int dir_fd, const char *key, struct put_state *ret);
void put_state_remove(int dir_fd, const char *key);
/* All that are there; it may remove the one that it is told. Not TD_OK ends it. */
int put_state_each(int dir_fd, int (*each)(void *ctx, const struct put_state *, struct error *err), void *ctx,
                   struct error *err) MUST_CHECK;

/* ---- remove.c ---- */

/* All that is below the id. With `unless_whole` it ends with TD_E_EXISTS once the manifest is there. */
int remove_objects(struct run *, const char *id, bool unless_whole, struct error *err) MUST_CHECK;
/* What puts left there that came to no end, also those whose beginning was never answered: no state tells of them. If that is refused it
 * stays there, which is logged. */
int remove_unfinished(struct run *, const char *id, struct error *err) MUST_CHECK;
/* The credentials are not good for it, or the backend cannot: another try, of whomever, would end alike. */
bool cloud_is_refused(int status);

/* ---- journal.c: which ranges of a download are on disk ---- */

struct journal;
/* Tells what earlier runs have noted, of this boot or an earlier one: a range, or (range UINT64_MAX) that an object is whole and its sum
 * right; the latter only if the machine was not restarted since, as nothing was flushed. `note` says whether it still holds. */
typedef bool journal_note_fn(void *ctx, const char *key, uint64_t range);
int journal_open(int dir_fd, uint64_t range_bytes, journal_note_fn *note, void *ctx, struct journal **ret, struct error *err) MUST_CHECK;
void journal_close(struct journal *);
/* Any thread. Cheap: a line, not flushed. */
int journal_note(struct journal *, const char *key, uint64_t range, struct error *err) MUST_CHECK;
/* All that was noted of it does not hold any more. */
int journal_forget(struct journal *, const char *key, struct error *err) MUST_CHECK;

#endif
