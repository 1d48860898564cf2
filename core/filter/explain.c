#include "explain.h"

#include "base/json.h"
#include "base/utf8.h"
#include "filter/compiled.h"
#include "filter/fold.h"
#include "filter/macro.h"
#include "filter/print.h"
#include "filter/type_name.h"

/* A node without its operands: "==", "contains()", "status_code", "500". */
static void put_label(struct buf *out, const struct filter_node *node)
{
    switch (node->kind) {
    case FILTER_OPERATOR:
        buf_puts(out, filter_operator_name(node->op));
        if (node->op == FILTER_OPT_SELECT) {
            buf_putc(out, ' ');
            buf_put_slice(out, node->name);
        }
        break;
    case FILTER_CALL:
        buf_put_slice(out, node->name);
        buf_lit(out, "()");
        break;
    case FILTER_SELECT:
        buf_putc(out, '.');
        buf_put_slice(out, node->name);
        break;
    case FILTER_HAS:
        buf_lit(out, "has()");
        if (node->name.n) {
            buf_lit(out, " .");
            buf_put_slice(out, node->name);
        }
        break;
    case FILTER_NEW_LIST: buf_lit(out, "[]"); break;
    case FILTER_NEW_MAP: buf_lit(out, "{}"); break;
    case FILTER_BIND: buf_lit(out, "cel.bind()"); break;
    case FILTER_MACRO: buf_printf(out, "%s()", filter_macro_name(node->op, node->var[1].n > 0)); break;
    default: filter_print(out, node); break; /* it has no operands */
    }
    for (int i = 0; i < 2 && node->var[i].n; i++) {
        buf_putc(out, ' ');
        buf_put_slice(out, node->var[i]);
    }
}

/* As deep as the tree, which is limited. */
static void put_tree(struct buf *out, const struct filter_node *node, int indent)
{
    struct buf label;
    buf_init(&label, 0);
    put_label(&label, node);
    buf_printf(out, "%*s", indent, "");
    utf8_put_printable(out, buf_slice(&label), UTF8_PROSE);
    buf_clear(&label);
    buf_lit(out, " : ");
    filter_type_put(out, node->type ? node->type : &filter_types[FILTER_DYN]);
    if (node->arg_n)
        buf_printf(out, ", cost %u", filter_cost(node));
    buf_putc(out, '\n');
    for (uint32_t i = 0; i < node->arg_n; i++)
        put_tree(out, node->args[i], indent + 2);
}

/* Calls back once for each field that is read, in the order in which they are met. */
static void each_field(const struct filter_node *root, const struct filter_node *node, void (*put)(void *, const struct filter_node *),
                       void *ctx);

static const struct filter_node *find_field(const struct filter_node *node, uint32_t index)
{
    if (node->kind == FILTER_FIELD && node->index == index)
        return node;
    for (uint32_t i = 0; i < node->arg_n; i++) {
        const struct filter_node *found = find_field(node->args[i], index);
        if (found)
            return found;
    }
    return NULL;
}

static void each_field(const struct filter_node *root, const struct filter_node *node, void (*put)(void *, const struct filter_node *),
                       void *ctx)
{
    if (node->kind == FILTER_FIELD && find_field(root, node->index) == node)
        put(ctx, node);
    for (uint32_t i = 0; i < node->arg_n; i++)
        each_field(root, node->args[i], put, ctx);
}

static void put_field_text(void *ctx, const struct filter_node *field)
{
    struct buf *out = ctx;
    buf_lit(out, "  ");
    buf_put_slice(out, field->name);
    buf_lit(out, " : ");
    filter_type_put(out, field->type);
    buf_putc(out, '\n');
}

void filter_explain_put_text(struct buf *out, const struct filter *filter)
{
    buf_lit(out, "filter\n  ");
    struct buf text;
    buf_init(&text, 0);
    filter_put_text(&text, filter);
    utf8_put_printable(out, buf_slice(&text), UTF8_PROSE);
    buf_clear(&text);
    buf_lit(out, "\nreads\n");
    each_field(filter->root, filter->root, put_field_text, out);
    buf_lit(out, "runs\n");
    put_tree(out, filter->root, 2);
}

static void put_field_json(void *ctx, const struct filter_node *field)
{
    struct buf *out = ctx;
    if (out->n && out->p[out->n - 1] != '[')
        buf_putc(out, ',');
    json_put_string(out, field->name);
}

static void put_tree_json(struct buf *out, const struct filter_node *node)
{
    struct buf text;
    buf_init(&text, 0);
    put_label(&text, node);
    buf_lit(out, "{\"node\":");
    json_put_string(out, buf_slice(&text));
    buf_reset(&text);
    filter_type_put(&text, node->type ? node->type : &filter_types[FILTER_DYN]);
    buf_lit(out, ",\"type\":");
    json_put_string(out, buf_slice(&text));
    buf_clear(&text);
    buf_printf(out, ",\"cost\":%u,\"from\":%u,\"to\":%u,\"operands\":[", filter_cost(node), node->span.from, node->span.to);
    for (uint32_t i = 0; i < node->arg_n; i++) {
        if (i)
            buf_putc(out, ',');
        put_tree_json(out, node->args[i]);
    }
    buf_lit(out, "]}");
}

void filter_explain_put_json(struct buf *out, const struct filter *filter)
{
    struct buf text;
    buf_init(&text, 0);
    filter_put_text(&text, filter);
    buf_lit(out, "{\"filter\":");
    json_put_string(out, buf_slice(&text));
    buf_clear(&text);
    buf_lit(out, ",\"reads\":[");
    each_field(filter->root, filter->root, put_field_json, out);
    buf_lit(out, "],\"runs\":");
    put_tree_json(out, filter->root);
    buf_putc(out, '}');
}
