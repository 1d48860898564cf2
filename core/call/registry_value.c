/* Reading a call's fields by their index in the registry. */
#include <assert.h>
#include <stdio.h>

#include "base/ip.h"
#include "base/units.h"
#include "call/registry_table.h"

static_assert((int)IP_TEXT >= (int)UNITS_TEXT, "registry_value.text holds times as well");

/* The field's number in the call's own component, or -1. */
static int16_t declared(const struct registry_source *source, const struct td_call *c)
{
    return source->fields ? source->fields[c->component] : -1;
}

static void set_text(struct registry_value *v, const char *text)
{
    v->bytes = td_str(text);
}

static void set_ip(struct registry_value *v, const uint8_t *ip, uint8_t version)
{
    v->bytes = td_bytes(v->text, ip_format(ip, version, v->text));
}

static void set_unsigned(struct registry_value *v, uint64_t number)
{
    v->bytes = td_bytes(v->text, (size_t)snprintf(v->text, sizeof(v->text), "%llu", (unsigned long long)number));
}

static void set_signed(struct registry_value *v, int64_t number)
{
    v->bytes = td_bytes(v->text, (size_t)snprintf(v->text, sizeof(v->text), "%lld", (long long)number));
}

/* An unsigned number where KFL has signed ones only. */
static int64_t to_int(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

void registry_set_from(struct registry_value *v, const struct field *f, const struct call_value *value)
{
    const char *name;
    switch (f->type) {
    case TD_BOOL:
        v->number = value->number != 0;
        set_text(v, value->number ? "true" : "false");
        break;
    case TD_U64:
        v->number = to_int(value->number);
        if (f->flags & TD_F_LIST)
            set_unsigned(v, value->number);
        break;
    case TD_I64:
    case TD_DUR_NS:
        v->number = (int64_t)value->number;
        if (f->flags & TD_F_LIST)
            set_signed(v, v->number);
        break;
    case TD_TIME_NS:
        v->number = (int64_t)value->number;
        if (f->flags & TD_F_LIST)
            v->bytes = td_bytes(v->text, units_format_time((int64_t)value->number, v->text));
        break;
    case TD_ENUM:
        name = field_value_name(f, value->number);
        if (name)
            set_text(v, name);
        else
            set_unsigned(v, value->number);
        break;
    case TD_IP: set_ip(v, value->bytes.p, value->bytes.n == 4 ? 4 : 6); break;
    default:
        v->bytes = value->bytes;
        v->name = value->name;
        break;
    }
}

static bool get_declared(const struct td_call *c, int16_t field, struct registry_value *v)
{
    if (field < 0 || !call_has(c, (uint32_t)field))
        return false;
    const struct field *f = &c->fields->fields[field];
    if (f->flags & TD_F_BODY) {
        const struct call_body *body = call_get_body(c, (uint32_t)field);
        if (body)
            v->bytes = buf_slice(&body->bytes);
        return body != NULL;
    }
    uint32_t at = 0;
    struct call_value value;
    if (!call_next_value(c, (uint32_t)field, &at, &value))
        return false;
    registry_set_from(v, f, &value);
    return true;
}

static bool get_half(const struct call_half *half, uint64_t number, struct registry_value *v)
{
    v->number = to_int(number);
    return half->seen;
}

bool registry_core_get(uint8_t core, const struct td_call *c, struct registry_value *v)
{
    const struct call_half *request = &c->half[TD_CLIENT], *response = &c->half[TD_SERVER];
    v->number = 0;
    v->bytes = v->name = (struct td_slice){0};
    bool has = true;
    switch (core) {
    case CORE_ID:
        v->number = to_int(c->id);
        has = c->id != 0;
        break;
    case CORE_TIMESTAMP: v->number = call_time(c); break;
    case CORE_PROTOCOL: set_text(v, c->protocol); break;
    case CORE_TRANSPORT: set_text(v, c->flow->transport == 6 ? "TCP" : "UDP"); break;
    case CORE_TCP: v->number = c->flow->transport == 6; break;
    case CORE_UDP: v->number = c->flow->transport != 6; break;
    case CORE_CONN_ID: v->number = to_int(c->conn_id); break;
    case CORE_ELAPSED_TIME: v->number = call_duration(c) / NS_PER_US; break;
    case CORE_LATENCY:
        v->number = call_duration(c);
        has = request->seen && response->seen;
        break;
    case CORE_SRC_IP: set_ip(v, c->flow->ip[TD_CLIENT], c->flow->ip_version); break;
    case CORE_DST_IP: set_ip(v, c->flow->ip[TD_SERVER], c->flow->ip_version); break;
    case CORE_SRC_PORT: v->number = c->flow->port[TD_CLIENT]; break;
    case CORE_DST_PORT: v->number = c->flow->port[TD_SERVER]; break;
    case CORE_REQUEST_SIZE: has = get_half(request, request->bytes, v); break;
    case CORE_RESPONSE_SIZE: has = get_half(response, response->bytes, v); break;
    case CORE_REQUEST_COMPLETE: has = get_half(request, call_half_complete(request), v); break;
    case CORE_RESPONSE_COMPLETE: has = get_half(response, call_half_complete(response), v); break;
    case CORE_COMPLETE: v->number = call_complete(c); break;
    case CORE_PARTIAL: v->number = (c->flags & TD_PARTIAL) != 0; break;
    case CORE_ONE_WAY: v->number = (c->flags & TD_ONE_WAY) != 0; break;
    case CORE_MISSING_BYTES: v->number = to_int(request->missing + response->missing); break;
    case CORE_HAS_PCAP: v->number = request->frames.count + response->frames.count > 0; break;
    case CORE_NODE: has = c->node != NULL; break;
    case CORE_NODE_NAME:
        has = c->node != NULL;
        if (has)
            set_text(v, c->node);
        break;
    default: has = false; break;
    }
    return has;
}

bool registry_core_next(uint8_t core, const struct td_call *c, uint32_t *at, struct registry_value *v)
{
    if (core != CORE_NODE || !c->node || *at)
        return false;
    *at = 1;
    v->number = 0;
    v->name = TD_LIT("name");
    set_text(v, c->node);
    return true;
}

bool field_registry_get(const struct field_registry *r, uint32_t index, const struct td_call *c, struct registry_value *v)
{
    const struct registry_source *source = &r->sources[index];
    bool has = true;
    v->number = 0;
    v->bytes = v->name = (struct td_slice){0};
    if (source->core == CORE_DECLARED)
        has = get_declared(c, declared(source, c), v);
    else if (source->core == CORE_PROTOCOL_IS)
        v->number = source->components >> c->component & 1;
    else
        has = registry_core_get(source->core, c, v);
    if (!has) {
        v->number = r->fields[index].absent;
        v->bytes = (struct td_slice){0};
    }
    return has;
}

bool field_registry_next(const struct field_registry *r, uint32_t index, const struct td_call *c, uint32_t *at, struct registry_value *v)
{
    int16_t field = declared(&r->sources[index], c);
    struct call_value value;
    if (r->sources[index].core != CORE_DECLARED)
        return registry_core_next(r->sources[index].core, c, at, v);
    if (field < 0 || !call_has(c, (uint32_t)field) || !call_next_value(c, (uint32_t)field, at, &value))
        return false;
    v->number = 0;
    v->bytes = v->name = (struct td_slice){0};
    registry_set_from(v, &c->fields->fields[field], &value);
    return true;
}

bool field_registry_has(const struct field_registry *r, uint32_t index, const struct td_call *c)
{
    struct registry_value v;
    const struct registry_source *source = &r->sources[index];
    if (source->core != CORE_DECLARED)
        return field_registry_get(r, index, c, &v);
    int16_t field = declared(source, c);
    return field >= 0 && call_has(c, (uint32_t)field);
}
