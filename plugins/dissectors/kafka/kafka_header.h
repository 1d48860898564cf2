/* Frames and their headers (https://kafka.apache.org/protocol): a length in four bytes, then a request or response header.
 *
 * A request says which API it calls, in which version, under which correlation id, and who asks. A response has only the correlation id.
 * From an API's first flexible version on, tagged fields follow; kafka_walk.h reads them. Pure. */
#ifndef KAFKA_HEADER_H
#define KAFKA_HEADER_H

#include "kafka_schema.h"

#include <tapedeck/cursor.h>

enum {
    KAFKA_LENGTH = 4,
    KAFKA_FRAME_MAX = 512 << 20,   /* bytes; answers may be as large as what was asked for */
    KAFKA_REQUEST_MAX = 100 << 20, /* what brokers take (socket.request.max.bytes) */
    KAFKA_CLIENT_ID_MAX = 1024,    /* bytes */
    KAFKA_KEY_MAX = 1023           /* of an API that was not known when this was written */
};

struct kafka_header {
    uint32_t length; /* of the frame, without itself */
    int32_t correlation_id;
    int16_t api_key, api_version;
    bool has_client_id;
    struct td_slice client_id;
    size_t size; /* bytes of the header, with the length, without tagged fields */
    const struct kafka_api *api;
    bool known;    /* the API and the version are published */
    bool flexible; /* tagged fields follow */
};

enum kafka_parsed { KAFKA_OK, KAFKA_MORE, KAFKA_NONE };

/* A request's header at the beginning of `bytes`. KAFKA_NONE: it cannot be one. `strict`: of a published API and version. KAFKA_MORE:
 * at least *ret_need bytes tell. */
enum kafka_parsed kafka_request_header(struct td_slice bytes, bool strict, struct kafka_header *h, size_t *ret_need);

/* Does a response to this version of an API begin with tagged fields? ApiVersions never does, so that everybody can read it (KIP-511). */
bool kafka_response_is_tagged(int16_t api_key, bool flexible);

/* How likely a request begins here: 0 to 100 as probe() has it, or -n: show me n bytes. Also decodes what there is of it, up to
 * `max_probe` bytes: requests are looked for at every byte. */
int kafka_request_score(struct td_slice bytes, size_t max_probe);

/* Does what there is of the body that begins at `bytes` fit the table? `left`: bytes of the whole body. *ret_whole: all of it was there. */
bool kafka_body_fits(struct td_slice bytes, uint64_t left, const struct kafka_rows *rows, unsigned version, bool flexible, bool header_tags,
                     bool *ret_whole);

#endif
