/* IP addresses as text. */
#ifndef BASE_IP_H
#define BASE_IP_H

#include <stddef.h>
#include <stdint.h>

enum { IP_TEXT = 46 };

/* `version` 4 (four bytes) or 6 (sixteen; RFC 5952 form). Returns the length. */
size_t ip_format(const uint8_t *ip, uint8_t version, char out[IP_TEXT]);

#endif
