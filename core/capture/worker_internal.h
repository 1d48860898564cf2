/* The inside of the worker: shared by worker.c, which runs it, and worker_api*.c, which serve it. */
#ifndef CAPTURE_WORKER_INTERNAL_H
#define CAPTURE_WORKER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "capture/hold.h"
#include "capture/worker.h"
#include "net/http_server.h"

enum { WORKER_NAME = 256, WORKER_PATH = 4096, WORKER_MAX_INTERFACES = 1024 };

/* An interface as clients see it; what is gone stays until its number is used again. */
struct interface_status {
    bool used, up;
    char name[128];
    uint32_t linktype;
    uint64_t received, by_kernel, by_interface;
};

struct worker {
    struct config *config;
    const char *version;
    char node[WORKER_NAME], dir[WORKER_PATH], source_file[WORKER_PATH];
    int64_t started_ns;
    uint16_t own_port;
    struct ring *ring;
    struct holds *holds;
    bool replays; /* a file, with its original times */
    struct packet_source *source;
    struct http_server *server;
    pthread_t recorder;
    bool recording;
    atomic_bool stop;
    atomic_bool source_ended; /* a file is replayed to its end, or the source has failed */

    pthread_mutex_t lock;
    struct config *pending; /* reloaded; the recorder takes it over */
    struct interface_status interfaces[WORKER_MAX_INTERFACES];
    uint64_t received, by_kernel, by_interface; /* since the start, all interfaces */
    char failure[512];                          /* of the source; "": none */
};

/* From the configuration; worker_check() asks as well. */
int worker_node_name(const struct config *, char out[WORKER_NAME], struct error *err) MUST_CHECK;
int worker_raw_path(const struct config *, char out[WORKER_PATH], struct error *err) MUST_CHECK;
bool worker_replays(const struct config *);
/* Ports on this machine whose traffic is the program's own: the worker's (0: not known yet), and the hub's, should it run here. Returns how
 * many. */
enum { WORKER_OWN_PORTS = 2 };
size_t worker_own_ports(const struct config *, uint16_t own_port, uint16_t out[WORKER_OWN_PORTS]);
struct live_options worker_live_options(const struct config *, const uint16_t *own_ports, size_t own_port_count);
/* Opens the API, or gives one that runs (`w->recording`) its new token and certificate. */
int worker_open_server(struct worker *, const struct config *, struct error *err) MUST_CHECK;

int64_t worker_now(void); /* since 1970 */

/* The routes of the worker's API; `ctx` is the worker. */
const struct http_route *worker_api_routes(size_t *ret_n);
const struct http_route *worker_api_holds_routes(size_t *ret_n);
/* The parameters start, end, last: what is not said is open. */
int worker_take_window(const struct http_request *, int64_t *ret_start_ns, int64_t *ret_end_ns, struct error *err) MUST_CHECK;
/* For coverage_each_gap(); ctx: struct buf. */
void worker_put_gap(void *ctx, int64_t from_ns, int64_t to_ns, uint32_t gap);

#endif
