/* Doubles as text and back: exact, and the same in every locale. A shim with C linkage over C++'s <charconv>. */
#ifndef FILTER_DECIMAL_H
#define FILTER_DECIMAL_H

#include "tapedeck/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room for DECIMAL_SHORTEST or any form with DECIMAL_MAX_PRECISION digits: 309 before the point. */
enum { DECIMAL_MAX_PRECISION = 1000, DECIMAL_TEXT = 309 + DECIMAL_MAX_PRECISION + 24 };

enum decimal_form {
    DECIMAL_GENERAL,   /* as short as it gets: "0.0045", "1e+06"; an exponent below -4 and from 6 digits on */
    DECIMAL_PLAIN,     /* the shortest that is exact, without an exponent */
    DECIMAL_FIXED,     /* so many digits behind the point */
    DECIMAL_SCIENTIFIC /* "1.50e+00": so many digits behind the point */
};

/* Writes a number that is neither infinite nor NaN; `precision` is up to DECIMAL_MAX_PRECISION, and used by the last two
 * forms. Returns the length; no zero at the end. */
size_t decimal_format(double d, enum decimal_form form, int precision, char out[DECIMAL_TEXT]);
/* Digits with a point or an exponent or both or neither, and a sign or none; all of the text. False for anything else, and if
 * it is too large; too small is 0. */
bool decimal_parse(struct td_slice text, double *ret);

#ifdef __cplusplus
}
#endif
#endif
