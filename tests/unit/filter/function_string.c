/* Functions over text and bytes, and format(). */
#include "evaluate.h"

#include <string.h>

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))
#define INDEX "error: no such position in the list or text"
#define OVERLOAD "error: the operation does not exist for values of these types"
#define ARGUMENT "error: an argument is out of its range"

static const struct expectation searching[] = {
    {"'haystack'.contains('sta')", "true"},
    {"'haystack'.contains('')", "true"},
    {"''.contains('x')", "false"},
    {"b'\\x00\\xff\\x01'.contains(b'\\xff')", "true"},
    {"b'GET /'.contains('T /')", "true"},
    {"'path/to'.startsWith('path/')", "true"},
    {"'path'.startsWith('path/')", "false"},
    {"'path/to'.endsWith('to')", "true"},
    {"'to'.endsWith('path/to')", "false"},
    {"b'ab'.startsWith(b'a') && b'ab'.endsWith('b')", "true"},
    {"'/users/17'.matches(r'^/users/\\d+$')", "true"},
    {"matches('/users/x', '^/users/[0-9]+$')", "false"},
    {"b'xAy'.matches('A')", "true"},
    {"'a'.matches('(')", "error: not a valid regular expression"},
    {"'a'.matches('b' + '(')", "error: not a valid regular expression"},
    {"'\xc3\xa9t\xc3\xa9'.indexOf('t')", "1"},
    {"'banana'.indexOf('an', 2)", "3"},
    {"'banana'.indexOf('an', 6)", "-1"},
    {"'banana'.indexOf('', 6)", "6"},
    {"'banana'.indexOf('a', 7)", INDEX},
    {"'banana'.indexOf('a', -1)", INDEX},
    {"'banana'.lastIndexOf('an')", "3"},
    {"'banana'.lastIndexOf('an', 2)", "1"},
    {"'banana'.lastIndexOf('banana!')", "-1"},
    {"'banana'.lastIndexOf('')", "6"},
    {"'banana'.lastIndexOf('', 2)", "2"},
    {"'banana'.lastIndexOf('b', -1)", INDEX},
    {"'\xce\xb1\xce\xb2\xce\xb1'.lastIndexOf('\xce\xb1', 1)", "0"},
};

static const struct expectation taking_apart[] = {
    {"size('\xce\xb1\xe2\x82\xac\xf0\x9f\x98\x80')", "3"},
    {"b'\xce\xb1'.size()", "2"},
    {"'\xce\xb1\xe2\x82\xac'.charAt(1)", "\"\xe2\x82\xac\""},
    {"'ab'.charAt(2)", "\"\""},
    {"'ab'.charAt(3)", INDEX},
    {"'ab'.charAt(-1)", INDEX},
    {"'\xce\xb1\xce\xb2\xce\xb3'.substring(1)", "\"\xce\xb2\xce\xb3\""},
    {"'\xce\xb1\xce\xb2\xce\xb3'.substring(1, 2)", "\"\xce\xb2\""},
    {"'abc'.substring(3)", "\"\""},
    {"'abc'.substring(4)", INDEX},
    {"'abc'.substring(2, 1)", INDEX},
    {"'abc'.substring(0, 9)", INDEX},
    {"b'\\x01\\x02\\x03'.substring(1)", "b\"\\x02\\x03\""},
    {"b'\\x01\\x02\\x03'.substring(0, 2) == b'\\x01\\x02'", "true"},
    {"b'ab'.substring(1, 3)", INDEX},
    {"b'ab'.substring(-1)", INDEX},
    {"'a,b,,c'.split(',')", "[\"a\", \"b\", \"\", \"c\"]"},
    {"'a,b,,c'.split(',', 2)", "[\"a\", \"b,,c\"]"},
    {"'a,b'.split(',', 0)", "[]"},
    {"'a,b'.split(',', -1)", "[\"a\", \"b\"]"},
    {"'a\xce\xb1z'.split('')", "[\"a\", \"\xce\xb1\", \"z\"]"},
    {"'xyz'.split('', 2)", "[\"x\", \"yz\"]"},
    {"''.split('')", "[]"},
    {"''.split(',')", "[\"\"]"},
    {"',a'.split(',')", "[\"\", \"a\"]"},
    {"' \\t\\u00a0\\u3000x y\\r\\n'.trim()", "\"x y\""},
    {"' \\u2003 '.trim()", "\"\""},
    {"'\\u200bx'.trim() == '\\u200bx'", "true"},
};

static const struct expectation making[] = {
    {"'Gr\xc3\xbc\xc3\x9f'.upperAscii()", "\"GR\xc3\xbc\xc3\x9f\""},
    {"'@AZ[`az{'.lowerAscii()", "\"@az[`az{\""},
    {"'ab\xce\xb1'.reverse()", "\"\xce\xb1"
                               "ba\""},
    {"''.reverse()", "\"\""},
    {"['a', '', 'b'].join('--')", "\"a----b\""},
    {"['a', 'b'].join()", "\"ab\""},
    {"[].join('x')", "\"\""},
    {"[dyn('a'), dyn(1)].join()", OVERLOAD},
    {"'one one one'.replace('one', '1')", "\"1 1 1\""},
    {"'one one one'.replace('one', '1', 2)", "\"1 1 one\""},
    {"'one'.replace('one', '1', 0)", "\"one\""},
    {"'aaa'.replace('a', 'aa', -1)", "\"aaaaaa\""},
    {"'\xce\xb1z'.replace('', '-')", "\"-\xce\xb1-z-\""},
    {"'xyz'.replace('', '-', 2)", "\"-x-yz\""},
    {"strings.quote('a\\n\\\"\\\\\\u0007')", "\"\\x22a\\x5cn\\x5c\\x22\\x5c\\x5c\\x5ca\\x22\""},
    {"strings.quote('\xce\xb1') == '\"\xce\xb1\"'", "true"},
};

static const struct expectation formatting[] = {
    {"'%d%%'.format([7])", "\"7%\""},
    {"'%s|%s|%s'.format([1.5, 2u, true])", "\"1.5|2|true\""},
    {"'%s'.format([[1, ['a', null]]])", "\"[1, [a, null]]\""},
    {"'%s'.format([{'z': 1, 'a': {2: b'x'}, 'm': type(1)}])", "\"{a: {2: x}, m: int, z: 1}\""},
    {"'%s'.format([duration('-1500ms')])", "\"-1.5s\""},
    {"'%s'.format([timestamp('2020-02-29T23:59:59.120+01:00')])", "\"2020-02-29T22:59:59.12Z\""},
    {"'%s %s'.format([ip('2001:DB8::'), cidr('10.1.2.3/8')])", "\"2001:db8:: 10.1.2.3/8\""},
    {"'%s'.format([b'a\\xffb'])", "\"a\xef\xbf\xbd"
                                  "b\""},
    {"'%s'.format([1e21])", "\"1000000000000000000000\""},
    {"'%d'.format([-9223372036854775808])", "\"-9223372036854775808\""},
    {"'%d'.format([2.5])", "\"2.5\""},
    {"'%x %X'.format([-255, 255u])", "\"-ff FF\""},
    {"'%x'.format([b'\\x01\\xab'])", "\"01ab\""},
    {"'%X'.format(['\\u00fc'])", "\"C3BC\""},
    {"'%o %b %b'.format([-8, 5, false])", "\"-10 101 0\""},
    {"'%b'.format([-9223372036854775808]).size()", "65"},
    {"'%.2f'.format([2.675])", "\"2.67\""},
    {"'%.0f'.format([0.5])", "\"0\""},
    {"'%f'.format([-1])", "\"-1.000000\""},
    {"'%.3e'.format([-12345.678])", "\"-1.235e+04\""},
    {"'%e'.format([0.0])", "\"0.000000e+00\""},
    {"'%f %e'.format([double('inf'), double('nan')])", "\"Infinity NaN\""},
    {"'%.1000f'.format([1.0]).size()", "1002"},
    {"'%s'.format([])", ARGUMENT},
    {"'%'.format([1])", ARGUMENT},
    {"'%y'.format([1])", ARGUMENT},
    {"'%.f'.format([1.0])", ARGUMENT},
    {"'%.1001f'.format([1.0])", ARGUMENT},
    {"'%d'.format(['1'])", ARGUMENT},
    {"'%f'.format([true])", ARGUMENT},
    {"'%b'.format([1.0])", ARGUMENT},
    {"'%o'.format([true])", ARGUMENT},
    {"'%x'.format([null])", ARGUMENT},
};

/* More patterns than are kept, and each of them again. */
#define LETTERS "['a','b','c','d','e','f','g','h','i','j','k','l','m','n','o','p','q','r','s','t']"
static const struct expectation patterns[] = {
    {"[0, 1].all(i, " LETTERS ".all(c, ('<' + c + '>').matches('^<' + c + '>$') && !'<!>'.matches('<' + c)))", "true"},
    {LETTERS ".exists(c, 'x'.matches(c + '('))", "error: not a valid regular expression"},
    {"[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14].all(i, " LETTERS ".all(c, c.matches(c)))",
     "error: evaluation takes too long or too much memory"},
};

/* Memory and time have limits, and reaching one is an error, not a crash. */
static void test_limits(void)
{
    static const char *const greedy[] = {
        "cel.bind(a, 'xxxxxxxxxxxxxxxx'.replace('x', 'xxxxxxxxxxxxxxxx'), cel.bind(b, a.replace('x', a), cel.bind(c, b.replace('x', b), "
        "c.replace('x', c)))) == ''",
        "cel.bind(a, [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0], a.map(x, a.map(y, a.map(z, a.map(w, a.map(v, v)))))) == []",
    };
    for (size_t i = 0; i < COUNT(greedy); i++)
        is_int(evaluate_error(greedy[i]), FILTER_E_LIMIT, "%.40s... takes too much", greedy[i]);
}

int main(void)
{
    evaluate_all(searching, COUNT(searching));
    evaluate_all(taking_apart, COUNT(taking_apart));
    evaluate_all(making, COUNT(making));
    evaluate_all(formatting, COUNT(formatting));
    evaluate_all(patterns, COUNT(patterns));
    test_limits();
    evaluate_end();
    return tap_done();
}
