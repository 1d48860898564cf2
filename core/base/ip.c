#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

size_t ip_format(const uint8_t *ip, uint8_t version, char out[IP_TEXT])
{
    if (version == 6) {
        if (!inet_ntop(AF_INET6, ip, out, IP_TEXT))
            out[0] = 0;
        return strlen(out);
    }
    char *p = out;
    for (int i = 0; i < 4; i++) {
        unsigned v = ip[i];
        if (i)
            *p++ = '.';
        if (v >= 100)
            *p++ = (char)('0' + v / 100);
        if (v >= 10)
            *p++ = (char)('0' + v / 10 % 10);
        *p++ = (char)('0' + v % 10);
    }
    *p = 0;
    return (size_t)(p - out);
}
