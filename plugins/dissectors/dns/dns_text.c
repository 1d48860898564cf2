/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_text.h"

enum { DIGITS = 20, WORD = 56 };

void dns_put_padded(struct dns_text *t, uint64_t v, unsigned width)
{
    char digits[DIGITS];
    size_t at = DIGITS;
    if (width > DIGITS)
        width = DIGITS;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v || DIGITS - at < width);
    dns_put(t, digits + at, DIGITS - at);
}

void dns_put_hex(struct dns_text *t, struct td_slice s, bool upper, bool split)
{
    const char *digit = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (size_t i = 0; i < s.n && !t->full; i++) {
        if (split && i && i % (WORD / 2) == 0)
            dns_putc(t, ' ');
        dns_putc(t, digit[s.p[i] >> 4]);
        dns_putc(t, digit[s.p[i] & 15]);
    }
}

void dns_put_base64(struct dns_text *t, struct td_slice s, bool split)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n && !t->full; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)s.p[i] << 16 | (left > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (left > 2 ? s.p[i + 2] : 0);
        char quad[4] = {digit[v >> 18], digit[v >> 12 & 63], digit[v >> 6 & 63], digit[v & 63]};
        if (left < 3)
            quad[3] = '=';
        if (left < 2)
            quad[2] = '=';
        if (split && i && i % (WORD / 4 * 3) == 0)
            dns_putc(t, ' ');
        dns_put(t, quad, sizeof(quad));
    }
}

void dns_put_base32hex(struct dns_text *t, struct td_slice s)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < s.n && !t->full; i++) {
        bits = bits << 8 | s.p[i];
        for (have += 8; have >= 5; have -= 5)
            dns_putc(t, "0123456789ABCDEFGHIJKLMNOPQRSTUV"[bits >> (have - 5) & 31]);
    }
    if (have)
        dns_putc(t, "0123456789ABCDEFGHIJKLMNOPQRSTUV"[bits << (5 - have) & 31]);
}

void dns_put_escaped(struct dns_text *t, uint8_t byte)
{
    char text[4] = {'\\', (char)('0' + byte / 100), (char)('0' + byte / 10 % 10), (char)('0' + byte % 10)};
    dns_put(t, text, sizeof(text));
}

void dns_put_ipv4(struct dns_text *t, const uint8_t *a)
{
    for (int i = 0; i < 4; i++) {
        if (i)
            dns_putc(t, '.');
        dns_put_u64(t, a[i]);
    }
}

static void put_group(struct dns_text *t, unsigned v)
{
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned nibble = v >> shift & 15;
        started = started || nibble || shift == 0;
        if (started)
            dns_putc(t, "0123456789abcdef"[nibble]);
    }
}

/* The longest run of two or more zero groups, the first of equals. */
static void longest_zeros(const unsigned group[8], int *ret_at, int *ret_n)
{
    int best = -1, best_n = 1;
    for (int i = 0, run = 0; i < 8; i++) {
        run = group[i] ? 0 : run + 1;
        if (run > best_n) {
            best = i - run + 1;
            best_n = run;
        }
    }
    *ret_at = best;
    *ret_n = best_n;
}

void dns_put_ipv6(struct dns_text *t, const uint8_t *a)
{
    unsigned group[8];
    int zeros, zeros_n;
    for (int i = 0; i < 8; i++)
        group[i] = (unsigned)a[2 * i] << 8 | a[2 * i + 1];
    longest_zeros(group, &zeros, &zeros_n);
    /* The IPv4 forms that inet_ntop writes: compatible (::192.0.2.1) and mapped (::ffff:192.0.2.1). */
    bool ipv4 = zeros == 0 && ((zeros_n == 6 && group[6]) || (zeros_n == 5 && group[5] == 0xffff));
    for (int i = 0; i < (ipv4 ? 6 : 8); i++) {
        if (i == zeros) {
            dns_lit(t, "::");
            i += zeros_n - 1;
            continue;
        }
        if (i && i != zeros + zeros_n)
            dns_putc(t, ':');
        else if (i && zeros < 0)
            dns_putc(t, ':');
        put_group(t, group[i]);
    }
    if (ipv4) {
        if (zeros_n == 5)
            dns_putc(t, ':');
        dns_put_ipv4(t, a + 12);
    }
}
