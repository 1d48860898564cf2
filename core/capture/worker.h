/* The worker: captures on a node, keeps the raw capture, and serves windows of it.
 *
 * Threads: one records (source to ring), the ring has its own, and each connection of the API has one. */
#ifndef CAPTURE_WORKER_H
#define CAPTURE_WORKER_H

#include "capture/packet_source.h"
#include "capture/ring.h"
#include "config/config.h"

struct worker;

/* Opens everything, gives up all rights that capturing does not need, and starts. `version` is told to clients. The process must ignore
 * SIGPIPE and have blocked the signals that it waits for. Takes the configuration over, also when it fails. */
int worker_open(struct config *config, const char *version, struct worker **ret, struct error *err) MUST_CHECK;
/* Stops capturing; what was captured is written and sealed. */
void worker_close(struct worker *);
/* What a changed configuration can change while it runs: interfaces, filter, limits, compression, token and certificate. What cannot is
 * logged; TLS that is turned on or off is an error (TD_E_UNSUPPORTED). Takes the configuration over if it returns TD_OK; on errors nothing
 * has changed. */
int worker_reload(struct worker *, struct config *config, struct error *err) MUST_CHECK;
/* The same in two steps, of which only the first can fail, for those who have more to change: what it gives is for worker_take(), with the
 * same configuration, or for http_server_forget(). */
struct http_server_change;
int worker_prepare(struct worker *, const struct config *config, struct http_server_change **ret, struct error *err) MUST_CHECK;
void worker_take(struct worker *, struct config *config, struct http_server_change *);
/* Where its API listens: "http://127.0.0.1:48999". */
const char *worker_url(const struct worker *);

/* Tells line by line what `tapedeck worker --check` finds: rights, interfaces, directory, port, token, certificate. Returns whether it
 * would start. */
bool worker_check(const struct config *config, void (*tell)(void *ctx, bool good, const char *what), void *ctx);

#endif
