/* Numbers and addresses as text and back, as CEL's conversions have them. */
#ifndef FILTER_CONVERT_H
#define FILTER_CONVERT_H

#include "filter/decimal.h"
#include "filter/text.h"

/* All of the text, decimal, no spaces; a sign where the type has one. */
bool filter_parse_int(struct td_slice text, int64_t *ret);
bool filter_parse_uint(struct td_slice text, uint64_t *ret);
/* As decimal_parse(), and nan, inf, infinity with or without a sign, in capitals or not. */
bool filter_parse_double(struct td_slice text, double *ret);
/* NaN, Infinity and -Infinity by name; for others see decimal_format(). */
void filter_put_double(struct filter_text *, double d, enum decimal_form form, int precision);
/* An IP, or a CIDR with "/24" behind it. */
void filter_put_ip(struct filter_text *, const struct filter_value *);

#endif
