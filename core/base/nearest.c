#include "nearest.h"

#include <stdint.h>
#include <string.h>

#include "tapedeck/slice.h"

enum { LONGEST = 64 };

static uint8_t lower(char c)
{
    return td_ascii_lower((uint8_t)c);
}

/* Optimal string alignment distance; SIZE_MAX for names that are too long to be typing errors. */
static size_t distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST || nb > LONGEST)
        return SIZE_MAX;
    size_t row[3][LONGEST + 1]; /* the row before the previous one, the previous one, this one */
    for (size_t j = 0; j <= nb; j++)
        row[1][j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[2][0] = i;
        for (size_t j = 1; j <= nb; j++) {
            uint8_t ca = lower(a[i - 1]), cb = lower(b[j - 1]);
            size_t d = row[1][j - 1] + (ca != cb);
            if (row[1][j] + 1 < d)
                d = row[1][j] + 1;
            if (row[2][j - 1] + 1 < d)
                d = row[2][j - 1] + 1;
            if (i > 1 && j > 1 && ca == lower(b[j - 2]) && lower(a[i - 2]) == cb && row[0][j - 2] + 1 < d)
                d = row[0][j - 2] + 1;
            row[2][j] = d;
        }
        memcpy(row[0], row[1], sizeof(row[0]));
        memcpy(row[1], row[2], sizeof(row[1]));
    }
    return row[1][nb];
}

void nearest_init(struct nearest *n, const char *wanted)
{
    *n = (struct nearest){.wanted = wanted, .distance = SIZE_MAX};
}

void nearest_try(struct nearest *n, const char *name)
{
    size_t d = distance(n->wanted, name);
    size_t allowed = 1 + strlen(n->wanted) / 4; /* one slip in a short name, more in a long one */
    if (d <= allowed && d < n->distance) {
        n->best = name;
        n->distance = d;
    }
}
