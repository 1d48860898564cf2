/* The inside of the worker: shared by worker.c, which runs it, and worker_api.c, which serves it. */
#ifndef CAPTURE_WORKER_INTERNAL_H
#define CAPTURE_WORKER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

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

/* The routes of the worker's API; `ctx` is the worker. */
const struct http_route *worker_api_routes(size_t *ret_n);

#endif
