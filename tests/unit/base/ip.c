#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#include "tap.h"

static void test_v6(const char *text)
{
    uint8_t ip[16];
    char out[IP_TEXT];
    ok(inet_pton(AF_INET6, text, ip) == 1 && ip_format(ip, 6, out) == strlen(text), "the length of %s", text);
    is_str(out, text, "%s", text);
}

int main(void)
{
    /* All forms of one number, at each of the four places. */
    int wrong = 0;
    for (int i = 0; i < 4 * 256; i++) {
        uint8_t ip[16] = {192, 0, 2, 77};
        char got[IP_TEXT], want[IP_TEXT];
        ip[i / 256] = (uint8_t)i;
        size_t n = ip_format(ip, 4, got);
        wrong += !inet_ntop(AF_INET, ip, want, sizeof(want)) || strcmp(got, want) != 0 || n != strlen(want);
    }
    is_int(wrong, 0, "IPv4 as the C library writes it");

    /* RFC 5952 section 4: lower case, no leading zeros, the longest run of zeros is cut, the first of equals, never one alone. */
    static const char *const v6[] = {"::",
                                     "::1",
                                     "2001:db8::1",
                                     "2001:db8:0:1:1:1:1:1",
                                     "2001:0:0:1::1",
                                     "2001:db8::1:0:0:1",
                                     "fe80::a00:27ff:fe4e:66a1",
                                     "1:2:3:4:5:6:7:8",
                                     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                     "::ffff:192.0.2.255",
                                     "64:ff9b::c000:201"};
    for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++)
        test_v6(v6[i]);
    return tap_done();
}
