/* A component with a field of every type, and a call of it between two ends. */
#ifndef TESTS_CALL_SAMPLE_H
#define TESTS_CALL_SAMPLE_H

#include "call/call.h"

enum sample_field {
    F_METHOD,
    F_PATH,
    F_STATUS,
    F_SECURE,
    F_OFFSET,
    F_ADDRESS,
    F_BEGUN,
    F_TOOK,
    F_KIND,
    F_DIGEST,
    F_TAGS,
    F_CODES,
    F_UNUSED,
    F_REQUEST_HEADERS,
    F_REQUEST_BODY,
    F_RESPONSE_HEADERS,
    F_RESPONSE_BODY,
    F_RESPONSE_FLAGS,
    F_BODY_3,
    F_BODY_4,
    F_BODY_5,
    F_COUNT
};

static const struct td_name sample_kinds[] = {{1, "one"}, {2, "two"}, {1000, "many"}};

static const struct td_field sample_rows[] = {
    [F_METHOD] = {"method", TD_STRING, TD_F_REQUEST | TD_F_METHOD, "", {0}},
    [F_PATH] = {"path", TD_STRING, TD_F_REQUEST | TD_F_TARGET, "", {0}},
    [F_STATUS] = {"status_code", TD_U64, TD_F_RESPONSE | TD_F_STATUS, "", {0}},
    [F_SECURE] = {"x_secure", TD_BOOL, 0, "", {0}},
    [F_OFFSET] = {"x_offset", TD_I64, 0, "", {0}},
    [F_ADDRESS] = {"x_address", TD_IP, 0, "", {0}},
    [F_BEGUN] = {"x_begun", TD_TIME_NS, 0, "", {0}},
    [F_TOOK] = {"x_took", TD_DUR_NS, 0, "", {0}},
    [F_KIND] = {"x_kind", TD_ENUM, 0, "", TD_TABLE(sample_kinds)},
    [F_DIGEST] = {"x_digest", TD_BYTES, 0, "", {0}},
    [F_TAGS] = {"x_tags", TD_STRING, TD_F_LIST, "", {0}},
    [F_CODES] = {"x_codes", TD_U64, TD_F_LIST, "", {0}},
    [F_UNUSED] = {"x_unused", TD_STRING, 0, "", {0}},
    [F_REQUEST_HEADERS] = {"request.headers", TD_MAP, TD_F_REQUEST, "", {0}},
    [F_REQUEST_BODY] = {"request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY, "", {0}},
    [F_RESPONSE_HEADERS] = {"response.headers", TD_MAP, TD_F_RESPONSE, "", {0}},
    [F_RESPONSE_BODY] = {"response.body", TD_BYTES, TD_F_RESPONSE | TD_F_BODY, "", {0}},
    [F_RESPONSE_FLAGS] = {"response.flags", TD_STRING, TD_F_RESPONSE | TD_F_LIST, "", {0}},
    [F_BODY_3] = {"x_body_3", TD_BYTES, TD_F_BODY, "", {0}},
    [F_BODY_4] = {"x_body_4", TD_BYTES, TD_F_BODY, "", {0}},
    [F_BODY_5] = {"x_body_5", TD_BYTES, TD_F_BODY, "", {0}},
};

static const struct td_table sample_table = TD_TABLE(sample_rows);

static const struct td_flow sample_flow = {
    .ip = {{192, 0, 2, 1}, {192, 0, 2, 80}},
    .port = {40001, 8080},
    .ip_version = 4,
    .transport = 6,
};

/* Both to be cleared at the end. The status of field_set_init(). */
static inline int sample_call(struct field_set *fields, struct td_call *c)
{
    int status = field_set_init(fields, &sample_table, NULL);
    *c = (struct td_call){.fields = fields, .protocol = "SAMPLE", .flow = &sample_flow, .conn_id = 3};
    call_reset(c, 0);
    return status;
}

#endif
