/* What a client sends in a query string or as a form, decoded (see form/form.h): pairs as they come, the parts of a multipart form with
 * their sizes. */
#ifndef CONTENT_FORM_H
#define CONTENT_FORM_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include "../form/form.h"
#include "tapedeck/plugin.h"

enum { CONTENT_MAX_PAIR = 4096 /* bytes of a pair, of a part's text, that are told; the rest is cut off */ };

/* A form while it passes. */
struct content_form {
    struct content_form *next; /* in the list of free ones */
    struct form_parts parts;
    bool multipart, is_file;
    size_t name_n, n; /* multipart: bytes of the part's name; bytes in `text`, of the name and what follows it */
    uint8_t text[CONTENT_MAX_PAIR];
};

/* Of a connection: forms, and the fields that they go to. */
struct content_forms {
    const struct td_host *host;
    struct td_conn *conn;
    struct td_arena *arena;
    struct content_form *free;
    uint32_t pairs, names, file_names, sizes; /* fields */
    bool wanted;                              /* is any of them? */
};

void content_forms_init(struct content_forms *all, const struct td_host *host, struct td_conn *conn, struct td_arena *arena);
/* Sets the pairs of a query string. */
void content_set_query(const struct td_host *host, struct td_conn *conn, struct td_call *call, uint32_t field, struct td_slice query);

/* The form that content of this type is; NULL: it is none, or nobody wants it, or memory is short. */
struct content_form *content_form_begin(struct content_forms *all, struct td_slice content_type);
void content_form_add(struct content_forms *all, struct content_form *form, struct td_call *call, struct td_slice content);
/* Frees it. `whole`: its content came to its end. */
void content_form_end(struct content_forms *all, struct content_form *form, struct td_call *call, bool whole);

#endif
