/* GraphQL: documents, JSON and forms by themselves, and requests and answers through the engine with HTTP below.
 *
 *   byte 0      bits 0, 1: document, JSON, multipart form, call; bits 2 to 4: the call's content type
 *   byte 1      how it is cut
 *   the rest    the text; of a call the request, then the response */
#include <jansson.h>
#include <stdlib.h>

#include "../../plugins/dissectors/form/form.h"
#include "../../plugins/dissectors/graphql/graphql_document.h"
#include "../../plugins/dissectors/graphql/graphql_json.h"
#include "rig.h"
#include "traffic.h"

extern const struct td_plugin td_plugin_v1_http, td_plugin_v1_graphql;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_graphql, &td_plugin_v1_http, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static bool is_within(struct td_slice part, struct td_slice all)
{
    return part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static void check_document(struct td_slice text)
{
    struct gql_document d;
    if (!gql_read_document(text, td_sub(text, 0, 1), &d))
        return;
    check(d.operations > 0 && d.n_fields > 0 && d.n_fields <= GQL_MAX_FIELDS && is_within(d.name, text));
    for (uint32_t i = 0; i < d.n_fields; i++)
        check(d.fields[i].n && is_within(d.fields[i], text));
}

static void check_json(struct td_slice text)
{
    struct td_slice rest = text, key, value = gql_json_value(text);
    uint8_t *room = malloc(text.n + 1);
    json_t *root = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    bool cut;
    check(is_within(value, text));
    check(!root || value.n);
    if (json_is_string(root))
        check(td_eq(gql_json_string(value, room), td_bytes(json_string_value(root), json_string_length(root))));
    while (gql_json_member(&rest, &key, &value, &cut)) {
        check(is_within(key, text) && is_within(value, text));
        check(gql_json_string(value, room).n <= value.n);
    }
    json_decref(root);
    free(room);
}

static uint64_t size_of_parts(struct td_slice text, size_t step)
{
    struct form_parts parts;
    uint64_t sum = 0;
    check(form_parts_begin(&parts, TD_LIT("X")));
    for (size_t at = 0; at < text.n; at += step) {
        struct td_slice in = td_sub(text, at, at + step), piece;
        enum form_event event;
        while ((event = form_parts_next(&parts, &in, &piece)) != FORM_MORE)
            if (event != FORM_CONTENT) /* that comes in any pieces */
                sum = sum * 31 + (event == FORM_PART_END ? parts.size : piece.n);
    }
    return sum;
}

static void check_call(uint8_t how, uint8_t cuts, struct td_slice in)
{
    static const char *const types[] = {"application/json", "application/graphql", "application/x-www-form-urlencoded",
                                        "multipart/form-data; boundary=X"};
    static struct rig rig;
    struct buf side[2] = {{0}, {0}};
    struct traffic t;
    struct talk talk;
    if (!rig.config)
        rig_open(&rig, plugins);
    traffic_init(&t);
    talk_open(&talk, &t, (struct peer){{10, 0, 0, 1}, 40000}, (struct peer){{10, 0, 0, 2}, 80});
    for (int dir = 0; dir < 2; dir++) {
        const uint8_t *zero = in.n ? memchr(in.p, 0, in.n) : NULL;
        size_t n = zero ? (size_t)(zero - in.p) : in.n;
        struct td_slice body = dir ? td_sub(in, n + 1, in.n) : td_sub(in, 0, n);
        buf_printf(&side[dir], "%s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                   dir ? "HTTP/1.1 200 OK" : "POST /?query={a}&x=%7b HTTP/1.1\r\nHost: h", types[how >> 2 & 3], body.n);
        buf_put_slice(&side[dir], body);
        talk_send(&talk, dir, buf_slice(&side[dir]), cuts ? cuts : 1400);
        buf_clear(&side[dir]);
    }
    talk_close(&talk);
    rig.payload = true;
    struct td_slice out = td_str(rig_run(&rig, buf_slice(&t.pcap)));
    check(out.n > 0 && rig.status == TD_OK);
    json_t *root = json_loadb((const char *)out.p, out.n, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
    check(root != NULL);
    json_decref(root);
    traffic_clear(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct td_slice in = td_bytes(data + 2, size - 2);
    switch (data[0] & 3) {
    case 0: check_document(in); break;
    case 1: check_json(in); break;
    case 2: check(size_of_parts(in, in.n + 1) == size_of_parts(in, data[1] % 16 + 1u)); break;
    default: check_call(data[0], data[1], in); break;
    }
    return 0;
}
