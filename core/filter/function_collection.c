/* Functions over lists and maps. */
#include "filter/function_table.h"

struct filter_value call_size_list(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].list->n);
}

struct filter_value call_size_map(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    return filter_int(args[0].map->n);
}

struct filter_value call_map_get(struct filter_context *ctx, const struct filter_value *args)
{
    (void)ctx;
    struct filter_value found;
    return filter_map_find(args[0].map, &args[1], &found) ? found : args[2];
}
