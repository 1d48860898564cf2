#include "http_chunked.h"

enum { SIZE, AFTER_SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF };

static int hex_value(uint8_t c)
{
    if ((uint8_t)(c - '0') < 10u)
        return c - '0';
    c = td_ascii_lower(c);
    return (uint8_t)(c - 'a') < 6u ? c - 'a' + 10 : -1;
}

/* One more byte of the line with a chunk's size; false when it cannot stand there. */
static bool size_byte(struct http_chunked *c, uint8_t byte)
{
    int hex = c->state == SIZE ? hex_value(byte) : -1;
    if (hex >= 0) {
        if (++c->count > HTTP_MAX_CHUNK_DIGITS || c->left >> 58)
            return false;
        c->left = c->left << 4 | (uint64_t)hex;
        return true;
    }
    if (c->count == 0)
        return c->state == SIZE && (byte == ' ' || byte == '\t'); /* whitespace before the size */
    switch (byte) {
    case ' ':
    case '\t': c->state = AFTER_SIZE; return true;
    case ';':
        c->state = EXTENSION;
        c->count = 0;
        return true;
    case '\r': c->state = SIZE_LF; return true;
    case '\n': c->state = DATA; return true;
    default: return false;
    }
}

/* Passes over extensions; returns how many bytes. A line end within quotes ends the line all the same. */
static size_t skip_extension(struct http_chunked *c, const uint8_t *p, size_t n)
{
    const uint8_t *lf = (const uint8_t *)memchr(p, '\n', n);
    size_t taken = lf ? (size_t)(lf - p) + 1 : n;
    if (lf)
        c->state = DATA;
    c->count = taken > HTTP_MAX_CHUNK_EXT - c->count ? HTTP_MAX_CHUNK_EXT : c->count + (uint32_t)taken;
    return taken;
}

/* The line end after a chunk's data. */
static bool data_end_byte(struct http_chunked *c, uint8_t byte)
{
    if (c->state == DATA_CR && byte == '\r') {
        c->state = DATA_LF;
        return true;
    }
    if (byte != '\n')
        return false;
    memset(c, 0, sizeof(*c));
    return true;
}

uint64_t http_chunked_skip(struct http_chunked *c, uint64_t most)
{
    uint64_t n = c->left < most ? c->left : most;
    if (c->state != DATA || n == 0)
        return 0;
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
    return n;
}

enum http_chunked_event http_chunked_next(struct http_chunked *c, struct td_slice in, size_t *ret_used, struct td_slice *ret_data)
{
    size_t at = 0, n;
    for (;;) {
        if (c->state == DATA && c->left == 0) {
            *ret_used = at;
            return HTTP_CHUNK_TRAILERS;
        }
        if (at == in.n) {
            *ret_used = at;
            return HTTP_CHUNK_MORE;
        }
        switch (c->state) {
        case DATA:
            n = c->left < in.n - at ? (size_t)c->left : in.n - at;
            *ret_data = td_sub(in, at, at + n);
            *ret_used = at + n;
            c->left -= n;
            if (c->left == 0)
                c->state = DATA_CR;
            return HTTP_CHUNK_DATA;
        case DATA_CR:
        case DATA_LF:
            if (!data_end_byte(c, in.p[at++])) {
                *ret_used = at - 1;
                return HTTP_CHUNK_BAD;
            }
            break;
        case EXTENSION:
            at += skip_extension(c, in.p + at, in.n - at);
            if (c->count == HTTP_MAX_CHUNK_EXT) {
                *ret_used = at;
                return HTTP_CHUNK_BAD;
            }
            break;
        case SIZE_LF:
            if (in.p[at] != '\n') {
                *ret_used = at;
                return HTTP_CHUNK_BAD;
            }
            c->state = DATA;
            at++;
            break;
        default:
            if (!size_byte(c, in.p[at++])) {
                *ret_used = at - 1;
                return HTTP_CHUNK_BAD;
            }
        }
    }
}
