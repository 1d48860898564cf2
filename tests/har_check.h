/* Is a file an HTTP Archive? After the tables of the HAR 1.2 specification, and stricter than most readers. */
#ifndef TESTS_HAR_CHECK_H
#define TESTS_HAR_CHECK_H

#include <stddef.h>

struct har_check {
    size_t entries;
    char fault[256]; /* "" : there is none */
};

/* `text`: the whole file. */
struct har_check har_check(const char *text, size_t n);

#endif
