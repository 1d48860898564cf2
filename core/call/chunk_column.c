/* Columns while a chunk is filled. */
#include "base/mem.h"
#include "call/chunk_builder.h"

/* Arrays whose sizes are powers of two would all begin at the same place of the processor's caches, and drive each other out
 * when a row is added to all of them. */
enum { STAGGER = 208 };

static void *array(size_t size)
{
    return mem_alloc(CHUNK_MAX_ROWS * size + STAGGER);
}

bool column_set_type(struct build_column *col, uint8_t type)
{
    col->type = type;
    if (column_is_many(col)) {
        if (!col->begins)
            col->begins = array(sizeof(*col->begins));
        if (!col->counts)
            col->counts = array(sizeof(*col->counts));
        return col->begins && col->counts;
    }
    if (column_is_text(col)) {
        if (!col->ids)
            col->ids = array(sizeof(*col->ids));
        return col->ids;
    }
    if (!col->numbers)
        col->numbers = array(sizeof(*col->numbers));
    return col->numbers;
}

struct build_column *column_new(uint32_t number, uint8_t type)
{
    struct build_column *col = mem_calloc(1, sizeof(*col));
    if (!col)
        return NULL;
    col->number = number;
    if (!column_set_type(col, type)) {
        column_free(col);
        return NULL;
    }
    return col;
}

void column_free(struct build_column *col)
{
    if (!col)
        return;
    mem_free(col->numbers);
    mem_free(col->ids);
    mem_free(col->begins);
    mem_free(col->counts);
    buf_clear(&col->element_ids);
    buf_clear(&col->name_ids);
    text_set_clear(&col->texts);
    text_set_clear(&col->names);
    mem_free(col);
}

void column_reset(struct build_column *col)
{
    if (col->present == 0)
        return;
    col->present = col->rows = 0;
    memset(col->bits, 0, sizeof(col->bits));
    buf_reset(&col->element_ids);
    buf_reset(&col->name_ids);
    text_set_reset(&col->texts);
    text_set_reset(&col->names);
}

struct build_column *builder_column(struct chunk_builder *b, uint32_t number)
{
    struct build_column *col = b->columns[number];
    if (col)
        return col;
    const struct registry_field *f = number >= OWN_COLUMNS ? field_registry_at(b->plan->registry, number - OWN_COLUMNS) : NULL;
    col = column_new(number, f && f->payload ? (uint8_t)REGISTRY_INT : f ? f->type : own_column_type(number));
    if (!col) {
        b->failed = true;
        return NULL;
    }
    col->payload = f && f->payload;
    col->absent = f && !f->payload ? f->absent : 0;
    return b->columns[number] = col;
}

/* After a text was looked for: counts it if it was new. */
static bool count_text(struct chunk_builder *b, const struct text_set *set, uint32_t before, size_t n, bool found)
{
    b->failed |= !found;
    if (set->n != before)
        b->text_bytes += n;
    return found;
}

static void fit(const struct text_set *set, struct td_slice *text, bool *ret_lost)
{
    if (text->n <= PACK_MAX_TEXT - set->bytes.n)
        return;
    *ret_lost = true;
    text->n = 0;
}

bool column_add_text(struct chunk_builder *b, struct text_set *set, struct td_slice text, uint32_t *ret, bool *ret_lost)
{
    uint32_t before = set->n;
    fit(set, &text, ret_lost);
    return count_text(b, set, before, text.n, text_set_add(set, text, b->seed, ret));
}

bool column_add_hashed(struct chunk_builder *b, struct text_set *set, struct td_slice text, uint64_t hash, uint32_t *ret, bool *ret_lost)
{
    uint32_t before = set->n;
    fit(set, &text, ret_lost);
    return count_text(b, set, before, text.n, text_set_find(set, text, hash, ret));
}

bool column_fill(struct chunk_builder *b, struct build_column *col, uint32_t rows)
{
    uint32_t id = 0;
    bool lost;
    if (col->rows >= rows)
        return true;
    if (column_is_many(col)) {
        memset(col->begins + col->rows, 0, (rows - col->rows) * sizeof(*col->begins));
        memset(col->counts + col->rows, 0, (rows - col->rows) * sizeof(*col->counts));
    } else if (column_is_text(col)) {
        if (!column_add_text(b, &col->texts, td_bytes("", 0), &id, &lost))
            return false;
        for (uint32_t i = col->rows; i < rows; i++)
            col->ids[i] = id;
    } else {
        for (uint32_t i = col->rows; i < rows; i++)
            col->numbers[i] = col->absent;
    }
    col->rows = rows;
    return true;
}
