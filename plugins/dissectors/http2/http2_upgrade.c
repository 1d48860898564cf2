#include "http2_upgrade.h"

#include "../content/content_text.h"

/* The next line, without its end; false: it is not whole. */
static bool next_line(struct td_slice *rest, struct td_slice *ret)
{
    const uint8_t *end = rest->n ? (const uint8_t *)memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = end ? (size_t)(end - rest->p) : 0;
    if (!end)
        return false;
    *ret = td_sub(*rest, 0, n && rest->p[n - 1] == '\r' ? n - 1 : n);
    *rest = td_sub(*rest, n + 1, rest->n);
    return true;
}

/* What stands before the next `sign`, which is passed over; false: there is none. */
static bool cut_at(struct td_slice *rest, char sign, struct td_slice *ret)
{
    const uint8_t *at = rest->n ? (const uint8_t *)memchr(rest->p, sign, rest->n) : NULL;
    if (!at)
        return false;
    *ret = td_sub(*rest, 0, (size_t)(at - rest->p));
    *rest = td_sub(*rest, ret->n + 1, rest->n);
    return true;
}

static void note(struct http2_list *list, struct td_slice name, struct td_slice value)
{
    if (td_eq_nocase(name, TD_LIT("host")))
        list->host = value;
    else if (td_eq_nocase(name, TD_LIT("user-agent")))
        list->user_agent = value;
    else if (td_eq_nocase(name, TD_LIT("content-type")))
        list->content_type = value;
}

static bool names_h2c(struct td_slice name, struct td_slice value)
{
    struct td_slice protocol;
    if (!td_eq_nocase(name, TD_LIT("upgrade")))
        return false;
    while (content_next_element(&value, ',', &protocol))
        if (td_eq_nocase(protocol, TD_LIT("h2c")))
            return true;
    return false;
}

size_t http2_read_upgrade(struct td_slice in, struct http2_list *list)
{
    struct td_slice rest = in, line, name;
    bool asks = false;
    uint32_t i;
    if (!next_line(&rest, &line) || !cut_at(&line, ' ', &list->method) || !cut_at(&line, ' ', &list->path) ||
        !td_eq(line, TD_LIT("HTTP/1.1")))
        return 0;
    for (;;) {
        if (!next_line(&rest, &line))
            return 0;
        if (!line.n)
            break;
        if (cut_at(&line, ':', &name)) {
            asks = asks || names_h2c(name, line);
            (void)http2_list_add(list, name, content_trim(line), 0);
        }
    }
    for (i = 0; i < list->n; i++)
        note(list, http2_item_name(list, &list->items[i]), http2_item_value(list, &list->items[i]));
    list->http1 = true;
    list->block_size = in.n - rest.n;
    return asks ? list->block_size : 0;
}
