/* Text written into a buffer of the caller's, with its end as the ceiling.
 *
 * What does not fit sets `full` and is left out, so that a writer checks once at its end. Nothing allocates.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_TEXT_H
#define DNS_TEXT_H

#include <tapedeck/slice.h>

struct dns_text {
    char *p;
    size_t n, cap;
    bool full;
};

static inline struct dns_text dns_text(char *p, size_t cap)
{
    return (struct dns_text){p, 0, cap, false};
}

static inline struct td_slice dns_text_slice(const struct dns_text *t)
{
    return td_bytes(t->p, t->n);
}

/* Room for `n` more bytes, which the caller then fills; NULL when there is none. */
static inline char *dns_text_room(struct dns_text *t, size_t n)
{
    char *p = t->p + t->n;
    if (t->full || t->cap - t->n < n) {
        t->full = true;
        return NULL;
    }
    t->n += n;
    return p;
}

static inline void dns_put(struct dns_text *t, const void *p, size_t n)
{
    char *to = n ? dns_text_room(t, n) : NULL;
    if (to)
        memcpy(to, p, n);
}

static inline void dns_putc(struct dns_text *t, char c)
{
    char *to = dns_text_room(t, 1);
    if (to)
        *to = c;
}

static inline void dns_puts(struct dns_text *t, const char *s)
{
    dns_put(t, s, strlen(s));
}

#define dns_lit(t, literal) dns_put((t), "" literal, sizeof(literal) - 1)

/* A number in decimal, at least `width` digits (up to 20). */
void dns_put_padded(struct dns_text *t, uint64_t v, unsigned width);

static inline void dns_put_u64(struct dns_text *t, uint64_t v)
{
    dns_put_padded(t, v, 1);
}

/* Bytes as two digits each, or in base64 (RFC 4648 section 4). After every 56 characters stands a space if `split`,
 * as dig breaks long fields. */
void dns_put_hex(struct dns_text *t, struct td_slice s, bool upper, bool split);
void dns_put_base64(struct dns_text *t, struct td_slice s, bool split);
/* In base32 with the extended hex alphabet, without padding (RFC 4648 section 7, RFC 5155 section 3.3). */
void dns_put_base32hex(struct dns_text *t, struct td_slice s);
/* The byte as \DDD (RFC 1035 section 5.1). */
void dns_put_escaped(struct dns_text *t, uint8_t byte);

/* Addresses in network order: 4 bytes; 16 bytes as RFC 5952 says. */
void dns_put_ipv4(struct dns_text *t, const uint8_t *a);
void dns_put_ipv6(struct dns_text *t, const uint8_t *a);

#endif
