/* A search that pauses finds what one that does not finds: the same calls, in the same order, each once. */
#include "filter/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "call_maker.h"
#include "tap.h"

enum { CALLS = 3000, CHUNK = 40, MOST = CALLS + 1 };

static char path[] = "/tmp/search_test_XXXXXX";
static struct error err;

static void must(int status)
{
    if (status == TD_OK)
        return;
    printf("Bail out! %s\n", err.text);
    exit(1);
}

/* Of many small chunks. */
static void write_store(void)
{
    struct call_maker m;
    struct store_writer *w;
    call_maker_init(&m, 7);
    const struct store_create_options o = {
        .registry = m.registry, .components = m.components, .component_n = 2, .appenders = 1, .about = TD_LIT("{}"), .replace = true};
    must(store_create(path, &o, &w, &err));
    for (int i = 0; i < CALLS; i++) {
        must(store_append(w, 0, call_maker_next(&m), &err));
        if (i % CHUNK == CHUNK - 1)
            must(store_flush(w, 0, &err));
    }
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
    call_maker_clear(&m);
}

struct found {
    struct store_position v[MOST];
    size_t n, pauses;
};

/* Every other time it is asked. */
static bool pause_often(void *ctx)
{
    unsigned *asked = ctx;
    return ++*asked % 2 == 0;
}

static void look(struct store *s, struct search_options o, bool pauses, struct found *ret)
{
    struct search *search;
    struct filter_diagnostics diagnostics;
    const struct td_call *call = NULL;
    unsigned asked = 0;
    int status = TD_OK;
    *ret = (struct found){.n = 0};
    o.pause = pauses ? pause_often : NULL;
    o.ctx = &asked;
    filter_diagnostics_init(&diagnostics);
    must(search_open(s, &o, &search, &diagnostics, &err));
    do {
        status = search_next(search, &call, &err);
        if (status == TD_E_RETRY && search_paused(search))
            ret->pauses++;
        else if (status == TD_OK && call)
            ret->v[ret->n++] = search_position(search);
    } while (ret->n < MOST && (status == TD_E_RETRY || (status == TD_OK && call)));
    is_int(status, TD_OK, "it comes to its end");
    ok(search_errors(search) == 0, "every call is judged");
    search_close(search);
    filter_diagnostics_clear(&diagnostics);
}

int main(void)
{
    static struct found without, with;
    static const char *const filters[] = {NULL, "http", "dns && elapsed_time > 1000", "status_code == 999"};
    static const struct search_options orders[] = {{.oldest_first = true}, {.oldest_first = false}, {.as_found = true}};
    struct store *s;
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    write_store();
    must(store_open(path, &s, &err));
    ok(store_chunk_count(s) >= CALLS / CHUNK, "a store of %u chunks", (unsigned)store_chunk_count(s));
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        for (size_t k = 0; k < sizeof(orders) / sizeof(orders[0]); k++) {
            struct search_options o = orders[k];
            o.filter = filters[i];
            look(s, o, false, &without);
            look(s, o, true, &with);
            tap_diag("%s: %zu calls, %zu pauses", filters[i] ? filters[i] : "", with.n, with.pauses);
            ok(with.pauses >= CALLS / CHUNK - 1, "it pauses");
            ok(i == 3 ? without.n == 0 : without.n > 100, "calls are found");
            ok(with.n == without.n && memcmp(with.v, without.v, with.n * sizeof(with.v[0])) == 0, "the same");
        }
    store_free(s);
    unlink(path);
    return tap_done();
}
