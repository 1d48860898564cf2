/* The interfaces of an export: those of all its sources, each once, with what was counted on them. */
#ifndef EXPORT_INTERFACES_H
#define EXPORT_INTERFACES_H

#include "base/arena.h"
#include "base/error.h"

enum { INTERFACES_MAX = 1 << 20, INTERFACES_MAX_BYTES = 64 << 20 };

struct interfaces {
    struct td_interface *rows;
    uint32_t n, cap;
    struct td_interface_statistics *statistics; /* of some rows; each has one at most */
    uint32_t statistics_n, statistics_cap;
    size_t *sources; /* of each row, whose it is */
    struct arena arena;
};

void interfaces_init(struct interfaces *);
void interfaces_clear(struct interfaces *);
/* A row behind those there are; `node` and name make NODE/NAME. */
int interfaces_add(struct interfaces *, size_t source, const char *node, const struct td_interface *, struct error *err) MUST_CHECK;
/* The row of this name and link type among those of a source; false: there is none. */
bool interfaces_find(const struct interfaces *, size_t source, const char *node, const char *name, uint32_t linktype, uint32_t *ret_row);
/* Adds to what was counted on its row. */
int interfaces_count(struct interfaces *, const struct td_interface_statistics *, struct error *err) MUST_CHECK;

#endif
