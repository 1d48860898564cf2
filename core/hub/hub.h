/* The hub: owns snapshots, runs jobs, serves the API.
 *
 * Threads: the jobs' (hub/jobs.h), those that ask the workers (hub/nodes.h), and one for each connection of the API. Opened, reloaded and
 * closed by one thread. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "config/config.h"

struct hub;

/* A worker in this process is one of the hub's workers, whatever tap.hub.workers says. */
struct hub_own_worker {
    const char *url; /* copied */
};

/* Opens everything below tap.dataDir, cleans up what an earlier run left, and serves. `own` may be NULL; `version` is told to clients. The
 * process must ignore SIGPIPE and have blocked the signals that it waits for. Takes the configuration over, also when it fails.
 * TD_E_EXISTS: another hub is running there. */
int hub_open(struct config *config, const char *version, const struct hub_own_worker *own, struct hub **ret, struct error *err) MUST_CHECK;
/* What runs and can be resumed goes on at the next start. NULL is fine. */
void hub_close(struct hub *);
/* What a changed configuration can change while it runs: workers, tokens, certificate, the room for snapshots, the audit log (which is
 * opened again in any case). What cannot is logged; TLS that is turned on or off is an error (TD_E_UNSUPPORTED). Takes the configuration
 * over if it returns TD_OK; on errors nothing has changed. */
int hub_reload(struct hub *, struct config *config, struct error *err) MUST_CHECK;
/* Where its API listens: "http://127.0.0.1:8898". */
const char *hub_url(const struct hub *);

/* Tells line by line what `tapedeck hub --check` finds: directories, room, plugins, workers, port, tokens, certificate. Returns whether it
 * would start. */
bool hub_check(const struct config *config, const char *version, void (*tell)(void *ctx, bool good, const char *what), void *ctx);

#endif
