#include "filter/cache.h"

#include "base/mem.h"

enum { ENTRIES = 16, REGEXES = 0, ZONES = 1 };

struct entry {
    char *text; /* NULL: free */
    size_t n;
    void *made; /* NULL: the text is wrong, which is worth to know as well */
    uint64_t used;
};

struct filter_cache {
    uint64_t clock;
    struct entry entries[2][ENTRIES];
};

static void drop(int what, struct entry *e)
{
    if (what == REGEXES)
        filter_regex_free(e->made);
    else
        filter_zone_free(e->made);
    mem_free(e->text);
    *e = (struct entry){0};
}

struct filter_cache *filter_cache_new(void)
{
    return mem_calloc(1, sizeof(struct filter_cache));
}

void filter_cache_free(struct filter_cache *cache)
{
    for (int what = 0; cache && what < 2; what++)
        for (int i = 0; i < ENTRIES; i++)
            drop(what, &cache->entries[what][i]);
    mem_free(cache);
}

static void make(int what, struct td_slice text, struct entry *e)
{
    struct filter_regex *regex = NULL;
    struct filter_zone *zone = NULL;
    e->text = mem_alloc(text.n + 1);
    if (!e->text)
        return;
    if (text.n)
        memcpy(e->text, text.p, text.n);
    e->n = text.n;
    if (what == REGEXES && filter_regex_new(text, &regex, NULL, NULL) == TD_OK)
        e->made = regex;
    else if (what == ZONES && filter_zone_new(text, &zone, NULL) == TD_OK)
        e->made = zone;
}

static void *get(struct filter_cache *cache, int what, struct td_slice text, bool *ret_made)
{
    struct entry *oldest = &cache->entries[what][0];
    *ret_made = false;
    cache->clock++;
    for (int i = 0; i < ENTRIES; i++) {
        struct entry *e = &cache->entries[what][i];
        if (e->text && td_eq(td_bytes(e->text, e->n), text)) {
            e->used = cache->clock;
            return e->made;
        }
        if (e->used < oldest->used)
            oldest = e;
    }
    drop(what, oldest);
    make(what, text, oldest);
    oldest->used = cache->clock;
    *ret_made = true;
    return oldest->made;
}

const struct filter_regex *filter_cache_regex(struct filter_cache *cache, struct td_slice pattern, bool *ret_made)
{
    return get(cache, REGEXES, pattern, ret_made);
}

const struct filter_zone *filter_cache_zone(struct filter_cache *cache, struct td_slice name, bool *ret_made)
{
    return get(cache, ZONES, name, ret_made);
}
