#include "base/buf.h"

#include "base/mem.h"
#include "tap.h"

static void test_growth(void)
{
    struct buf b;
    char want[5000];
    buf_init(&b, 0);
    for (size_t i = 0; i < sizeof(want); i++) {
        want[i] = (char)('a' + i % 26);
        buf_putc(&b, want[i]);
    }
    is_mem(b.p, b.n, want, sizeof(want), "byte by byte");
    buf_reset(&b);
    is_int(b.n, 0, "reset");
    buf_put(&b, want, 7);
    buf_put_slice(&b, td_bytes(want, 3));
    buf_put_slice(&b, td_bytes(NULL, 0));
    buf_puts(&b, "12");
    buf_lit(&b, "34");
    buf_lit(&b, "");
    buf_printf(&b, "%s-%d", "x", 5);
    buf_printf(&b, "%s", "");
    is_mem(b.p, b.n, "abcdefgabc1234x-5", 17, "every way to put");
    is_str(buf_cstr(&b), "abcdefgabc1234x-5", "as a string");
    is_int(b.n, 17, "the zero behind it is not counted");
    ok(td_eq(buf_slice(&b), TD_LIT("abcdefgabc1234x-5")), "as a slice");
    buf_clear(&b);
    ok(!b.p && !b.cap, "cleared");
    is_str(buf_cstr(&b), "", "nothing, as a string");
    buf_clear(&b);
}

static void test_numbers(void)
{
    struct buf b = {0};
    const uint64_t numbers[] = {0, 9, 10, 99, 100, 12345678901234567890u, UINT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        buf_u64(&b, numbers[i]);
        buf_putc(&b, ' ');
    }
    is_str(buf_cstr(&b), "0 9 10 99 100 12345678901234567890 18446744073709551615 ", "unsigned numbers");
    buf_reset(&b);
    const int64_t signeds[] = {0, -1, 1, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(signeds) / sizeof(signeds[0]); i++) {
        buf_i64(&b, signeds[i]);
        buf_putc(&b, ' ');
    }
    is_str(buf_cstr(&b), "0 -1 1 -9223372036854775808 9223372036854775807 ", "signed numbers");
    buf_clear(&b);
}

static void test_ceiling(void)
{
    struct buf b;
    buf_init(&b, 100);
    for (int i = 0; i < 10; i++)
        buf_lit(&b, "0123456789");
    ok(b.n == 100 && !b.failed && b.cap == 100, "the ceiling itself can be reached");
    buf_putc(&b, 'x');
    ok(b.failed && b.n == 100, "one more cannot");
    b.n = 50;
    buf_putc(&b, 'x');
    ok(b.n == 50, "after a failure nothing is put, even where there is room");
    is_str(buf_cstr(&b), "", "nor is it a string");
    buf_reset(&b);
    buf_puts(&b, "good");
    is_str(buf_cstr(&b), "good", "after a reset it works again");
    buf_printf(&b, "%0120d", 1);
    ok(b.failed && b.n == 4, "printf keeps to the ceiling, whole or not at all");
    buf_clear(&b);
    is_int(b.max, 100, "cleared, it keeps its ceiling");
    ok(!buf_grow(&b, SIZE_MAX) && b.failed, "more than there is in the world");
    buf_clear(&b);
    b.max = 0;
    ok(!buf_grow(&b, SIZE_MAX - 5), "without a ceiling as well");
    buf_clear(&b);
}

static void test_short_memory(void)
{
    struct buf b = {0};
    mem_fail_at(1);
    buf_puts(&b, "x");
    ok(b.failed && !b.p && mem_failed(), "no memory for the first byte");
    buf_clear(&b);
    buf_puts(&b, "kept");
    mem_fail_at(1);
    buf_printf(&b, "%0100d", 1);
    ok(b.failed && b.n == 4 && memcmp(b.p, "kept", 4) == 0, "no memory to grow: what stands stays");
    mem_fail_at(0);
    buf_clear(&b);
}

int main(void)
{
    test_growth();
    test_numbers();
    test_ceiling();
    test_short_memory();
    return tap_done();
}
