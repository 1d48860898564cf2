/* A header list: what one header block says, copied out of the inflater, whose own memory of it is gone with the next field. */
#ifndef HTTP2_LIST_H
#define HTTP2_LIST_H

#include "http2_hpack.h"

#include "../content/content_decode.h"

enum { HTTP2_MAX_FIELDS = 512 /* header fields that are kept of one list */ };

struct http2_item {
    uint32_t at, name_n, value_n; /* in the list's text: the name, and the value behind it */
    uint32_t flags;               /* http2_field_flag */
};

struct http2_list {
    struct http2_item *items;
    uint8_t *text;
    size_t text_cap;
    uint32_t items_cap;
    uint32_t n; /* from here on, all is zero for a new block */
    size_t text_n;
    size_t block_size; /* bytes of the block, as sent */
    bool dropped;      /* some did not fit */
    bool unknown;      /* some have a name or a value that is not known */
    bool damaged;      /* the block could not be read to its end */
    bool http1;        /* it is the head of an HTTP/1.1 request (http2_upgrade.h) */

    /* Fields that matter here, the first of each name; empty if not there. They point into `text`. */
    struct td_slice method, scheme, authority, path, status, protocol;
    struct td_slice host, user_agent, content_type, priority;
    uint8_t n_codings;
    uint8_t codings[CONTENT_MAX_CODINGS]; /* of Content-Encoding, in the order in which they were applied */
};

/* Empties the list for a new block. */
void http2_list_reset(struct http2_list *list);
/* For http2_hpack_read(): adds a field to the list `ctx`, whose room must have been made before: what does not fit is dropped. */
bool http2_list_add(void *ctx, struct td_slice name, struct td_slice value, unsigned flags);
/* Once all are there: finds those that matter. */
void http2_list_finish(struct http2_list *list);

static inline struct td_slice http2_item_name(const struct http2_list *list, const struct http2_item *item)
{
    return td_bytes(list->text + item->at, item->name_n);
}

static inline struct td_slice http2_item_value(const struct http2_list *list, const struct http2_item *item)
{
    return td_bytes(list->text + item->at + item->name_n, item->value_n);
}

/* The three digits of :status; 0: there is none, or something else. */
unsigned http2_list_status(const struct http2_list *list);

#endif
