#include "json.h"

#include "base/utf8.h"

static void put_escaped(struct buf *b, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    switch (c) {
    case '"': buf_lit(b, "\\\""); break;
    case '\\': buf_lit(b, "\\\\"); break;
    case '\n': buf_lit(b, "\\n"); break;
    case '\r': buf_lit(b, "\\r"); break;
    case '\t': buf_lit(b, "\\t"); break;
    default: buf_put(b, text, sizeof(text)); break;
    }
}

void json_put_string(struct buf *b, struct td_slice text)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < text.n;) {
        i += utf8_put_slashed(b, td_sub(text, i, text.n));
        size_t run = utf8_plain_run(text.p + i, text.n - i);
        buf_put(b, text.p + i, run);
        i += run;
        if (i == text.n)
            break;
        uint8_t c = text.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
            put_escaped(b, c);
            i++;
        } else {
            size_t length = utf8_length(text.p + i, text.n - i);
            if (length)
                buf_put(b, text.p + i, length);
            else
                buf_lit(b, "\xef\xbf\xbd");
            i += length ? length : 1;
        }
    }
    buf_putc(b, '"');
}

bool json_is_utf8(struct td_slice text)
{
    for (size_t i = 0; i < text.n;) {
        for (uint64_t v; i + 8 <= text.n && (memcpy(&v, text.p + i, 8), !(v & 0x8080808080808080u));)
            i += 8;
        if (i == text.n)
            break;
        size_t length = utf8_length(text.p + i, text.n - i);
        if (!length)
            return false;
        i += length;
    }
    return true;
}

size_t json_tree_bytes(struct td_slice text)
{
    enum { CONTAINER = 256, VALUE = 64 }; /* bytes, rather too many */
    size_t bytes = text.n;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '[' || c == '{')
            bytes += CONTAINER;
        else if (c == ',' || c == ':')
            bytes += VALUE;
    }
    return bytes;
}

void json_put_base64(struct buf *b, struct td_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_putc(b, '"');
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t v = (uint32_t)bytes.p[i] << 16;
        if (n > 1)
            v |= (uint32_t)bytes.p[i + 1] << 8;
        if (n > 2)
            v |= bytes.p[i + 2];
        char out[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '='};
        buf_put(b, out, 4);
    }
    buf_putc(b, '"');
}
