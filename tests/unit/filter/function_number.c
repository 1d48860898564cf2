/* Conversions, math and base64: numbers as text and back, and their ranges. */
#include "evaluate.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))
#define OVERFLOWS "error: the result is out of its type's range"
#define CONVERSION "error: the value cannot be converted to this type"
#define OVERLOAD "error: the operation does not exist for values of these types"

static const struct expectation conversions[] = {
    {"bool('t') && bool('True') && bool('1') && !bool('f') && !bool('FALSE')", "true"},
    {"bool('yes')", CONVERSION},
    {"int('-9223372036854775808')", "-9223372036854775808"},
    {"int('+7')", "7"},
    {"int('9223372036854775808')", CONVERSION},
    {"int('')", CONVERSION},
    {"int('-')", CONVERSION},
    {"int(' 1')", CONVERSION},
    {"int('0x10')", CONVERSION},
    {"int(-2.999)", "-2"},
    {"int(9223372036854774784.0)", "9223372036854774784"},
    {"int(9223372036854775808.0)", OVERFLOWS},
    {"int(double('nan'))", OVERFLOWS},
    {"int(9223372036854775808u)", OVERFLOWS},
    {"int(timestamp('1969-12-31T23:59:59.9Z'))", "-1"},
    {"uint('18446744073709551615')", "18446744073709551615u"},
    {"uint('18446744073709551616')", CONVERSION},
    {"uint('-1')", CONVERSION},
    {"uint('+1')", CONVERSION},
    {"uint(3.99)", "3u"},
    {"uint(-0.5)", OVERFLOWS},
    {"uint(-1.0)", OVERFLOWS},
    {"uint(18446744073709551616.0)", OVERFLOWS},
    {"double('1e3')", "1000.0"},
    {"double('.5') + double('5.')", "5.5"},
    {"double('-Infinity')", "-Infinity"},
    {"double('NaN') == double('NaN')", "false"},
    {"double('1e309')", CONVERSION},
    {"double('1e-400')", "0.0"},
    {"double('1e')", CONVERSION},
    {"double('0x1p3')", CONVERSION},
    {"double('1 ')", CONVERSION},
    {"double('--1')", CONVERSION},
    {"double('')", CONVERSION},
    {"double(18446744073709551615u)", "1.8446744073709552e+19"},
    {"string(0.1 + 0.2)", "\"0.30000000000000004\""},
    {"string(100000.0)", "\"100000\""},
    {"string(1234567.0)", "\"1.234567e+06\""},
    {"string(0.0001) + string(0.00001)", "\"0.00011e-05\""},
    {"string(-0.0)", "\"-0\""},
    {"string(5e-324)", "\"5e-324\""},
    {"string(1.7976931348623157e308)", "\"1.7976931348623157e+308\""},
    {"string(-17) + string(17u) + string(true)", "\"-1717true\""},
    {"string(b'gr\\xc3\\xbc\\xc3\\x9f')", "\"gr\xc3\xbc\xc3\x9f\""},
    {"string(b'\\xc3')", "error: the bytes are not valid UTF-8"},
    {"bytes('\xc3\xbc')", "b\"\\xc3\\xbc\""},
    {"type(dyn(1.0)) == double && type(null) == null_type && type(int) == type", "true"},
    {"type(ip('::1')) == net.IP", "true"},
    {"bool(dyn(1))", OVERLOAD},
    {"int(dyn(true))", OVERLOAD},
    {"string(dyn([1]))", OVERLOAD},
};

static const struct expectation math[] = {
    {"math.greatest(3, 1, 2)", "3"},
    {"math.greatest([3u, 9u])", "9u"},
    {"math.greatest(1, 1.5, 1u)", "1.5"},
    {"math.greatest(1, 1.0)", "1"},
    {"math.least(-1.5, -1, 2u)", "-1.5"},
    {"math.least([dyn(4), dyn(3.5)])", "3.5"},
    {"math.least([])", "error: an argument is out of its range"},
    {"math.greatest(dyn('a'), dyn('b'))", OVERLOAD},
    {"math.ceil(1.01) + math.floor(-1.01) + math.trunc(-1.99)", "-1.0"},
    {"math.round(0.5) + math.round(-2.5)", "-2.0"},
    {"math.abs(-3) + math.abs(3)", "6"},
    {"math.abs(-9223372036854775808)", OVERFLOWS},
    {"math.abs(-1.5) + math.sign(-0.5)", "0.5"},
    {"math.sign(-7) + math.sign(0) + math.sign(9)", "0"},
    {"math.sign(8u)", "1u"},
    {"math.isNaN(0.0 / 0.0) && math.isInf(1.0 / 0.0) && math.isFinite(1.0)", "true"},
    {"math.isFinite(-1.0 / 0.0) || math.isNaN(1.0)", "false"},
    {"math.sqrt(81) + math.sqrt(2.25) + math.sqrt(4u)", "12.5"},
    {"math.bitAnd(12, 10) + math.bitOr(12, 10) + math.bitXor(12, 10)", "28"},
    {"math.bitNot(0)", "-1"},
    {"math.bitNot(0u)", "18446744073709551615u"},
    {"math.bitShiftLeft(1, 63)", "-9223372036854775808"},
    {"math.bitShiftLeft(1u, 64)", "0u"},
    {"math.bitShiftRight(-1, 63)", "1"},
    {"math.bitShiftRight(1, -1)", "error: an argument is out of its range"},
    {"math.ceil(dyn(1))", OVERLOAD},
};

static const struct expectation encoders[] = {
    {"base64.encode(b'')", "\"\""},
    {"base64.encode(b'\\xfb\\xff') + base64.encode(b'a') + base64.encode(b'abc')", "\"+/8=YQ==YWJj\""},
    {"base64.decode('YQ==') + base64.decode('YQ') + base64.decode('+/8')", "b\"aa\\xfb\\xff\""},
    {"base64.decode('YQ=')", CONVERSION},
    {"base64.decode('Y')", CONVERSION},
    {"base64.decode('Y===')", CONVERSION},
    {"base64.decode('Y Q=')", CONVERSION},
    {"base64.decode('_-8=')", CONVERSION},
};

int main(void)
{
    evaluate_all(conversions, COUNT(conversions));
    evaluate_all(math, COUNT(math));
    evaluate_all(encoders, COUNT(encoders));
    evaluate_end();
    return tap_done();
}
