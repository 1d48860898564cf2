/* What a capture says besides its packets: interfaces, names, secrets. Copies, which live as long as the capture. */
#ifndef PACKET_TABLES_H
#define PACKET_TABLES_H

#include "base/arena.h"
#include "base/error.h"
#include "packet/capture.h"

/* Interfaces past this are an error; names and secrets past it are left out, with a warning. */
enum { TABLES_MAX_BYTES = 64 << 20 };

struct tables {
    struct arena arena;
    struct capture_interface **interfaces; /* each stays where it is */
    size_t interface_count, interface_cap;
    struct capture_name *names;
    size_t name_count, name_cap;
    struct capture_secrets *secrets;
    size_t secrets_count, secrets_cap;
    bool full; /* the warning was given */
};

void tables_init(struct tables *t);
void tables_clear(struct tables *t);
/* A zeroed interface behind those there are. */
int tables_add_interface(struct tables *t, struct capture_interface **ret, struct error *err) MUST_CHECK;
/* A zero-terminated copy without the zeros that end `text` on the wire; NULL when there is no room. */
const char *tables_copy_text(struct tables *t, struct td_slice text);
int tables_add_name(struct tables *t, uint8_t ip_version, const uint8_t *ip, struct td_slice name, struct error *err) MUST_CHECK;
int tables_add_secrets(struct tables *t, uint32_t type, struct td_slice data, struct error *err) MUST_CHECK;

#endif
