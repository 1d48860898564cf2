#include "http2_list.h"

#include "../content/content_text.h"

void http2_list_reset(struct http2_list *list)
{
    memset((uint8_t *)list + offsetof(struct http2_list, n), 0, sizeof(*list) - offsetof(struct http2_list, n));
}

bool http2_list_add(void *ctx, struct td_slice name, struct td_slice value, unsigned flags)
{
    struct http2_list *list = (struct http2_list *)ctx;
    struct http2_item *item;
    if (flags & (HTTP2_NAME_UNKNOWN | HTTP2_VALUE_UNKNOWN))
        list->unknown = true;
    if (list->n == list->items_cap || name.n > list->text_cap - list->text_n || value.n > list->text_cap - list->text_n - name.n) {
        list->dropped = true;
        return true; /* the table must be kept up to date */
    }
    item = &list->items[list->n++];
    *item = (struct http2_item){(uint32_t)list->text_n, (uint32_t)name.n, (uint32_t)value.n, flags};
    if (name.n)
        memcpy(list->text + list->text_n, name.p, name.n);
    if (value.n)
        memcpy(list->text + list->text_n + name.n, value.p, value.n);
    list->text_n += name.n + value.n;
    return true;
}

static void keep_first(struct td_slice *to, struct td_slice name, struct td_slice wanted, struct td_slice value)
{
    if (!to->n && td_eq(name, wanted))
        *to = value;
}

static void note_pseudo(struct http2_list *list, struct td_slice name, struct td_slice value)
{
    keep_first(&list->method, name, TD_LIT(":method"), value);
    keep_first(&list->scheme, name, TD_LIT(":scheme"), value);
    keep_first(&list->authority, name, TD_LIT(":authority"), value);
    keep_first(&list->path, name, TD_LIT(":path"), value);
    keep_first(&list->status, name, TD_LIT(":status"), value);
    keep_first(&list->protocol, name, TD_LIT(":protocol"), value);
}

static void note_codings(struct http2_list *list, struct td_slice value)
{
    struct td_slice coding;
    while (content_next_element(&value, ',', &coding)) {
        if (content_is_identity(coding))
            continue;
        if (list->n_codings == CONTENT_MAX_CODINGS)
            list->codings[CONTENT_MAX_CODINGS - 1] = CONTENT_CODING_UNKNOWN;
        else
            list->codings[list->n_codings++] = (uint8_t)content_coding_by_name(coding);
    }
}

void http2_list_finish(struct http2_list *list)
{
    uint32_t i;
    for (i = 0; i < list->n; i++) {
        const struct http2_item *item = &list->items[i];
        struct td_slice name = http2_item_name(list, item), value = http2_item_value(list, item);
        if (!name.n || item->flags & (HTTP2_NAME_UNKNOWN | HTTP2_VALUE_UNKNOWN))
            continue;
        switch (name.p[0]) {
        case ':': note_pseudo(list, name, value); break;
        case 'c':
            keep_first(&list->content_type, name, TD_LIT("content-type"), value);
            if (td_eq(name, TD_LIT("content-encoding")))
                note_codings(list, value);
            break;
        case 'h': keep_first(&list->host, name, TD_LIT("host"), value); break;
        case 'p': keep_first(&list->priority, name, TD_LIT("priority"), value); break;
        case 'u': keep_first(&list->user_agent, name, TD_LIT("user-agent"), value); break;
        default: break;
        }
    }
}

unsigned http2_list_status(const struct http2_list *list)
{
    unsigned status = 0;
    size_t i;
    if (list->status.n != 3)
        return 0;
    for (i = 0; i < 3; i++) {
        if ((uint8_t)(list->status.p[i] - '0') >= 10u)
            return 0;
        status = status * 10 + (unsigned)(list->status.p[i] - '0');
    }
    return status;
}
