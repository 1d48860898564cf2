/* Snapshots as the API tells them: objects, each put behind a comma if one is needed. */
#ifndef HUB_SNAPSHOT_JSON_H
#define HUB_SNAPSHOT_JSON_H

#include "base/buf.h"
#include "hub/hub_internal.h"

/* Unfinished jobs between here and the cloud; of more than so many, which is more than run at once by far, the rest is not told. */
enum { HUB_MOVES = 64 };
struct hub_moves {
    struct hub *hub;
    struct hub_move {
        char id[MANIFEST_ID]; /* of the snapshot */
        struct job_status job;
    } v[HUB_MOVES];
    size_t n;
};
int hub_find_moves(struct hub *, struct hub_moves *ret, struct error *err) MUST_CHECK;

/* One that is here, and in the cloud as well (`there`) or not. */
int hub_put_here(struct buf *, struct snapshot *, bool there, const struct hub_moves *, struct error *err) MUST_CHECK;
/* One that is in the cloud only: whether there are dissections of it is known, which ones when it is downloaded. */
void hub_put_there(struct buf *, struct cloud_snapshot *, const struct hub_moves *);

#endif
