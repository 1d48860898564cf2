#include "content_form.h"

void content_forms_init(struct content_forms *all, const struct td_host *host, struct td_conn *conn, struct td_arena *arena)
{
    all->host = host;
    all->conn = conn;
    all->arena = arena;
    all->wanted = host->wants(conn, all->pairs) || host->wants(conn, all->names) || host->wants(conn, all->file_names) ||
                  host->wants(conn, all->sizes);
}

static void set_pair(const struct td_host *host, struct td_conn *conn, struct td_call *call, uint32_t field, struct td_slice name,
                     struct td_slice value)
{
    uint8_t *room = (uint8_t *)host->scratch(conn, name.n + value.n);
    if (room)
        host->set_pair(call, field, form_decode(name, room), form_decode(value, room + name.n));
}

void content_set_query(const struct td_host *host, struct td_conn *conn, struct td_call *call, uint32_t field, struct td_slice query)
{
    struct td_slice name, value;
    while (form_next_pair(&query, &name, &value))
        set_pair(host, conn, call, field, name, value);
}

static bool is_type(struct td_slice content_type, struct td_slice type)
{
    return td_eq_nocase(td_sub(content_type, 0, type.n), type) &&
           (content_type.n == type.n || content_type.p[type.n] == ';' || content_type.p[type.n] == ' ');
}

struct content_form *content_form_begin(struct content_forms *all, struct td_slice content_type)
{
    bool multipart = all->wanted && is_type(content_type, TD_LIT("multipart/form-data"));
    struct content_form *form = all->free;
    if (!all->wanted || (!multipart && !is_type(content_type, TD_LIT("application/x-www-form-urlencoded"))))
        return NULL;
    if (form)
        all->free = form->next;
    else
        form = (struct content_form *)all->host->alloc(all->arena, sizeof(*form), sizeof(void *));
    if (!form)
        return NULL;
    form->multipart = multipart;
    form->is_file = false;
    form->name_n = form->n = 0;
    if (!multipart || form_parts_begin(&form->parts, form_boundary(content_type)))
        return form;
    content_form_end(all, form, NULL, false);
    return NULL;
}

static void append(struct content_form *form, struct td_slice more)
{
    if (more.n > sizeof(form->text) - form->n)
        more.n = sizeof(form->text) - form->n;
    if (more.n)
        memcpy(form->text + form->n, more.p, more.n);
    form->n += more.n;
}

/* ---- Pairs -------------------------------------------------------------------------------------------------------------- */

static void end_pair(struct content_forms *all, struct content_form *form, struct td_call *call)
{
    struct td_slice text = td_bytes(form->text, form->n), name, value;
    while (form_next_pair(&text, &name, &value))
        set_pair(all->host, all->conn, call, all->pairs, name, value);
    form->n = 0;
}

static void add_pairs(struct content_forms *all, struct content_form *form, struct td_call *call, struct td_slice content)
{
    while (content.n) {
        const uint8_t *end = (const uint8_t *)memchr(content.p, '&', content.n);
        size_t n = end ? (size_t)(end - content.p) : content.n;
        append(form, td_sub(content, 0, n));
        if (end)
            end_pair(all, form, call);
        content = td_sub(content, end ? n + 1 : n, content.n);
    }
}

/* ---- Parts (RFC 7578) ---------------------------------------------------------------------------------------------------- */

static void begin_part(struct content_forms *all, struct content_form *form, struct td_call *call, struct td_slice head)
{
    struct td_slice disposition = form_part_field(head, "content-disposition");
    struct td_slice name = form_parameter(disposition, "name"), file = form_parameter(disposition, "filename");
    form->n = 0;
    append(form, name);
    form->name_n = form->n;
    form->is_file = file.n > 0;
    append(form, file);
    all->host->set_bytes(call, all->names, name);
    all->host->set_bytes(call, all->file_names, file);
}

static void end_part(struct content_forms *all, struct content_form *form, struct td_call *call)
{
    struct td_slice name = td_bytes(form->text, form->name_n), value = td_bytes(form->text + form->name_n, form->n - form->name_n);
    all->host->set_u64(call, all->sizes, form->parts.size);
    all->host->set_pair(call, all->pairs, name, value);
    form->n = form->name_n = 0;
}

static void add_parts(struct content_forms *all, struct content_form *form, struct td_call *call, struct td_slice content)
{
    struct td_slice piece;
    enum form_event event;
    while ((event = form_parts_next(&form->parts, &content, &piece)) != FORM_MORE) {
        switch (event) {
        case FORM_HEAD: begin_part(all, form, call, piece); break;
        case FORM_PART_END: end_part(all, form, call); break;
        default:
            if (!form->is_file)
                append(form, piece);
            break;
        }
    }
}

void content_form_add(struct content_forms *all, struct content_form *form, struct td_call *call, struct td_slice content)
{
    if (form->multipart)
        add_parts(all, form, call, content);
    else
        add_pairs(all, form, call, content);
}

void content_form_end(struct content_forms *all, struct content_form *form, struct td_call *call, bool whole)
{
    if (whole && !form->multipart)
        end_pair(all, form, call);
    form->next = all->free;
    all->free = form;
}
