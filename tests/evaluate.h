/* Evaluates expressions for tests, and shows what they come to as CEL would write it. */
#ifndef TESTS_EVALUATE_H
#define TESTS_EVALUATE_H

#include "filter/check.h"
#include "filter/eval.h"
#include "tap.h"

struct expectation {
    const char *expr, *want;
};

/* "5", "5u", "5.0", "\"text\"", "b\"\\x00\"", "[1, 2]", "{\"k\": 1}", "timestamp(\"..\")", "int" (a type), or "error: ..", with the
 * text of filter_error_text(). The text lives until the next call. No fields are declared; `checked`: with types. */
const char *evaluate(const char *expr, bool checked);
/* For expressions that need a limit: the kind of the error, or 0. */
enum filter_error evaluate_error(const char *expr);
/* One check for each, with and without types. */
void evaluate_all(const struct expectation *expectations, size_t n);
/* The same for expressions that the checker must refuse: they run without types only. */
void evaluate_untyped(const struct expectation *expectations, size_t n);
/* Frees what evaluate() keeps. */
void evaluate_end(void);

#endif
