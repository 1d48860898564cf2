/* The core's fields of a whole chunk, out of the store's own columns. What each means is said by registry_value.c, call by call;
 * that both agree is tested. */
#include "base/ip.h"
#include "base/units.h"
#include "call/chunk_builder.h"
#include "call/registry_table.h"

static const int64_t *own(const struct chunk_builder *b, uint32_t column)
{
    return b->columns[column]->numbers;
}

static const int64_t *half(const struct chunk_builder *b, int dir, enum own_half_column column)
{
    return own(b, own_half(dir, column));
}

static int64_t to_int(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

/* As call_duration(), of all rows. */
void builder_find_durations(struct chunk_builder *b)
{
    const int64_t *request = half(b, TD_CLIENT, HALF_STATE), *response = half(b, TD_SERVER, HALF_STATE), *times = own(b, OWN_TIME);
    const int64_t *begins = half(b, TD_CLIENT, HALF_FIRST), *firsts = half(b, TD_SERVER, HALF_FIRST);
    const int64_t *lasts = half(b, TD_SERVER, HALF_LAST);
    for (uint32_t i = 0; i < b->rows; i++) {
        int64_t begin = (int64_t)((uint64_t)times[i] + (uint64_t)begins[i]), ns;
        int64_t end = (int64_t)((uint64_t)times[i] + (uint64_t)firsts[i] + (uint64_t)lasts[i]);
        if (!(request[i] & response[i] & HALF_SEEN) || end < begin)
            ns = 0;
        else if (__builtin_sub_overflow(end, begin, &ns))
            ns = INT64_MAX;
        b->durations[i] = ns;
    }
}

/* ---- Presence ---- */

static void have_all(struct chunk_builder *b)
{
    memset(b->core->bits, 0xff, sizeof(b->core->bits));
    b->core->present = b->rows;
}

/* The rows of which both halves that are asked for were seen. */
static void have_halves(struct chunk_builder *b, bool request, bool response)
{
    const int64_t *client = half(b, TD_CLIENT, HALF_STATE), *server = half(b, TD_SERVER, HALF_STATE);
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        uint64_t seen = (!request || client[i] & HALF_SEEN) && (!response || server[i] & HALF_SEEN);
        b->core->bits[i / 64] |= seen << (i % 64);
        n += (uint32_t)seen;
    }
    b->core->present = n;
}

/* ---- Texts ---- */

static void make_ips(struct chunk_builder *b, int dir)
{
    const struct build_column *ips = b->columns[own_half(dir, HALF_IP)];
    char text[IP_TEXT];
    uint32_t id;
    bool lost;
    have_all(b);
    memcpy(b->core->ids, ips->ids, b->rows * sizeof(*ips->ids));
    for (uint32_t i = 0; i < ips->texts.n; i++) {
        struct td_slice ip = text_set_at(&ips->texts, i);
        size_t n = ip_format(ip.p, ip.n == 4 ? 4 : 6, text);
        column_add_text(b, &b->core->texts, td_bytes(text, n), &id, &lost);
    }
}

/* Texts by a small number: protocols by component, transports. */
static void make_names(struct chunk_builder *b, const int64_t *numbers, bool protocols)
{
    struct build_column *col = b->core;
    bool lost;
    have_all(b);
    for (uint32_t i = 0; i < b->rows && !b->failed; i++) {
        if (i > 0 && numbers[i] == numbers[i - 1]) {
            col->ids[i] = col->ids[i - 1];
            continue;
        }
        const char *name = protocols ? b->plan->components[numbers[i]].protocol : numbers[i] == 6 ? "TCP" : "UDP";
        column_add_text(b, &col->texts, td_str(name), &col->ids[i], &lost);
    }
}

/* ---- Numbers ---- */

/* Numbers that an own column has as they are, unless some are above INT64_MAX. */
static uint32_t make_same(struct chunk_builder *b, uint32_t column)
{
    const int64_t *from = own(b, column);
    int64_t *to = b->core->numbers, least = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        least = from[i] < least ? from[i] : least;
        to[i] = from[i];
    }
    for (uint32_t i = 0; least < 0 && i < b->rows; i++)
        to[i] = to_int((uint64_t)from[i]);
    return least < 0 ? OWN_DIRECTORY : column;
}

static void make_times(struct chunk_builder *b)
{
    have_all(b);
    memcpy(b->core->numbers, own(b, OWN_TIME), b->rows * sizeof(int64_t));
}

static void make_latency(struct chunk_builder *b)
{
    have_halves(b, true, true);
    memcpy(b->core->numbers, b->durations, b->rows * sizeof(int64_t));
}

static void make_elapsed(struct chunk_builder *b)
{
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = (int64_t)((uint64_t)b->durations[i] / NS_PER_US);
}

static void make_equal(struct chunk_builder *b, uint32_t column, int64_t wanted, bool negated)
{
    const int64_t *from = own(b, column);
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = (from[i] == wanted) != negated;
}

static void make_flag(struct chunk_builder *b, uint64_t components)
{
    const int64_t *from = own(b, OWN_COMPONENT);
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = (int64_t)(components >> from[i] & 1);
}

static void make_call_flag(struct chunk_builder *b, int64_t flag)
{
    const int64_t *flags = own(b, OWN_CALL_FLAGS);
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = (flags[i] & flag) != 0;
}

static bool is_complete(int64_t state, int64_t missing)
{
    return (state & (HALF_SEEN | HALF_CUT)) == HALF_SEEN && missing == 0;
}

static void make_half_complete(struct chunk_builder *b, int dir)
{
    const int64_t *state = half(b, dir, HALF_STATE), *missing = half(b, dir, HALF_MISSING);
    int64_t *to = b->core->numbers;
    have_halves(b, dir == TD_CLIENT, dir == TD_SERVER);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = is_complete(state[i], missing[i]);
}

static void make_complete(struct chunk_builder *b)
{
    const int64_t *flags = own(b, OWN_CALL_FLAGS);
    const int64_t *client = half(b, TD_CLIENT, HALF_STATE), *client_missing = half(b, TD_CLIENT, HALF_MISSING);
    const int64_t *server = half(b, TD_SERVER, HALF_STATE), *server_missing = half(b, TD_SERVER, HALF_MISSING);
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++) {
        bool request = is_complete(client[i], client_missing[i]), response = is_complete(server[i], server_missing[i]);
        bool one = flags[i] & TD_ONE_WAY && (client[i] & HALF_SEEN) != (server[i] & HALF_SEEN);
        to[i] = one ? request || response : request && response;
    }
}

static void make_missing(struct chunk_builder *b)
{
    const int64_t *client = half(b, TD_CLIENT, HALF_MISSING), *server = half(b, TD_SERVER, HALF_MISSING);
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = to_int((uint64_t)client[i] + (uint64_t)server[i]);
}

static void make_packets(struct chunk_builder *b)
{
    const int64_t *client = half(b, TD_CLIENT, HALF_STATE), *server = half(b, TD_SERVER, HALF_STATE);
    int64_t *to = b->core->numbers;
    have_all(b);
    for (uint32_t i = 0; i < b->rows; i++)
        to[i] = ((client[i] | server[i]) & HALF_HAS_FRAMES) != 0;
}

/* ---- Nodes ---- */

/* The rows that know their node, and with which text; false: none does. */
static const struct build_column *have_nodes(struct chunk_builder *b)
{
    const struct build_column *nodes = b->columns[OWN_NODE];
    if (!nodes || !nodes->present)
        return NULL;
    memcpy(b->core->bits, nodes->bits, sizeof(b->core->bits));
    b->core->present = nodes->present;
    return nodes;
}

static uint32_t make_node_names(struct chunk_builder *b)
{
    const struct build_column *nodes = have_nodes(b);
    uint32_t id;
    bool lost;
    if (!nodes)
        return OWN_DIRECTORY;
    memcpy(b->core->ids, nodes->ids, b->rows * sizeof(*nodes->ids));
    for (uint32_t i = 0; i < nodes->texts.n; i++)
        column_add_text(b, &b->core->texts, text_set_at(&nodes->texts, i), &id, &lost);
    return OWN_NODE;
}

/* Maps of one entry: the name. */
static void make_nodes(struct chunk_builder *b)
{
    const struct build_column *nodes = have_nodes(b);
    struct build_column *col = b->core;
    uint32_t at = 0, id, name;
    bool lost;
    if (!nodes || !column_add_text(b, &col->names, TD_LIT("name"), &name, &lost))
        return;
    for (uint32_t i = 0; i < b->rows; i++) {
        bool has = nodes->bits[i / 64] >> (i % 64) & 1;
        col->begins[i] = has ? at : 0;
        col->counts[i] = has;
        if (!has)
            continue;
        column_add_text(b, &col->texts, text_set_at(&nodes->texts, nodes->ids[i]), &id, &lost);
        buf_put(&col->element_ids, &id, sizeof(id));
        buf_put(&col->name_ids, &name, sizeof(name));
        at++;
    }
    b->failed |= col->element_ids.failed || col->name_ids.failed;
}

/* ---- A field ---- */

static uint32_t make_size(struct chunk_builder *b, int dir)
{
    have_halves(b, dir == TD_CLIENT, dir == TD_SERVER);
    return make_same(b, own_half(dir, HALF_BYTES));
}

static uint32_t make_all_same(struct chunk_builder *b, uint32_t column)
{
    have_all(b);
    return make_same(b, column);
}

bool builder_make_core(struct chunk_builder *b, uint32_t field, uint32_t *ret_same)
{
    const struct registry_source *source = &b->plan->registry->sources[field];
    uint32_t same = OWN_DIRECTORY;
    column_reset(b->core);
    b->core->number = OWN_COLUMNS + field;
    b->core->absent = field_registry_at(b->plan->registry, field)->absent;
    b->core->rows = b->rows;
    if (!column_set_type(b->core, field_registry_at(b->plan->registry, field)->type)) {
        b->failed = true;
        return false;
    }
    switch (source->core) {
    case CORE_TIMESTAMP:
        make_times(b);
        same = OWN_TIME;
        break;
    case CORE_PROTOCOL: make_names(b, own(b, OWN_COMPONENT), true); break;
    case CORE_PROTOCOL_IS: make_flag(b, source->components); break;
    case CORE_TRANSPORT: make_names(b, own(b, OWN_TRANSPORT), false); break;
    case CORE_TCP: make_equal(b, OWN_TRANSPORT, 6, false); break;
    case CORE_UDP: make_equal(b, OWN_TRANSPORT, 6, true); break;
    case CORE_CONN_ID: same = make_all_same(b, OWN_CONN_ID); break;
    case CORE_ELAPSED_TIME: make_elapsed(b); break;
    case CORE_LATENCY: make_latency(b); break;
    case CORE_SRC_IP:
        make_ips(b, TD_CLIENT);
        same = own_half(TD_CLIENT, HALF_IP);
        break;
    case CORE_DST_IP:
        make_ips(b, TD_SERVER);
        same = own_half(TD_SERVER, HALF_IP);
        break;
    case CORE_SRC_PORT: same = make_all_same(b, own_half(TD_CLIENT, HALF_PORT)); break;
    case CORE_DST_PORT: same = make_all_same(b, own_half(TD_SERVER, HALF_PORT)); break;
    case CORE_REQUEST_SIZE: same = make_size(b, TD_CLIENT); break;
    case CORE_RESPONSE_SIZE: same = make_size(b, TD_SERVER); break;
    case CORE_REQUEST_COMPLETE: make_half_complete(b, TD_CLIENT); break;
    case CORE_RESPONSE_COMPLETE: make_half_complete(b, TD_SERVER); break;
    case CORE_COMPLETE: make_complete(b); break;
    case CORE_PARTIAL: make_call_flag(b, TD_PARTIAL); break;
    case CORE_ONE_WAY: make_call_flag(b, TD_ONE_WAY); break;
    case CORE_MISSING_BYTES: make_missing(b); break;
    case CORE_HAS_PCAP: make_packets(b); break;
    case CORE_NODE: make_nodes(b); break;
    case CORE_NODE_NAME: same = make_node_names(b); break;
    default: break; /* of a source of calls that knows it */
    }
    *ret_same = same;
    return b->core->present > 0;
}
