#include "cli/cli.h"
#include "cli/options_help.h"
#include "cli/table.h"
#include "tap.h"

static void test_wrap(void)
{
    struct buf out;
    buf_init(&out, 0);
    cli_wrap(&out, "one two  three\nfour fivesixseveneightnine ten", 2, 12);
    is_str(buf_cstr(&out), "  one two\n  three four\n  fivesixseveneightnine\n  ten\n", "words are wrapped and never cut");
    buf_reset(&out);
    cli_wrap(&out, "", 2, 12);
    is_str(buf_cstr(&out), "\n", "nothing is an empty line");
    buf_clear(&out);
}

static void test_table(void)
{
    struct table table;
    struct buf out;
    buf_init(&out, 0);
    table_init(&table, 3);
    static const char *const cells[] = {"A", "LONG", "X", "äöü", NULL, "", "b", "c", "long text"};
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        table_cell(&table, cells[i]);
    table_put(&table, 1, &out);
    is_str(buf_cstr(&out), " A    LONG  X\n äöü  -     -\n b    c     long text\n", "columns are as wide as their widest cell");
    table_clear(&table);
    buf_clear(&out);
}

static void test_options_help(void)
{
    struct config {
        int64_t n;
        const char *s, *t;
        uint32_t e;
    };
    static const char *const choices[] = {"a", "b", NULL};
    static const struct td_option options[] = {
        TD_INT_OPT(struct config, n, "count", "3", 1, 9, "How many."),
        TD_SECRET_OPT(struct config, s, "key", "Not told."),
        TD_REQUIRED_STR_OPT(struct config, t, "bucket", "Where."),
        TD_ENUM_OPT(struct config, e, "mode", "b", choices, "How."),
    };
    struct buf out;
    buf_init(&out, 0);
    options_help_put(&out, options, 4, 80);
    is_str(buf_cstr(&out),
           "  count: integer, 1 to 9; default 3\n      How many.\n"
           "  key: text; secret\n      Not told.\n"
           "  bucket: text; required\n      Where.\n"
           "  mode: one of a, b; default b\n      How.\n",
           "options are explained");
    buf_clear(&out);
}

int main(void)
{
    test_wrap();
    test_table();
    test_options_help();
    return tap_done();
}
