/* Records: calls as filters see them. */
#ifndef FILTER_RECORD_H
#define FILTER_RECORD_H

#include "filter/filter.h"

/* A text of a call as a STRING: bytes that are no UTF-8 become U+FFFD each, as they do in JSON. */
struct filter_value filter_record_text(struct arena *, struct td_slice text);

/* Pairs as a MAP. Names that come more than once are one key with their values joined: by ", " (RFC 9110 section 5.3), those of
 * Set-Cookie by a newline. With `fold`, keys are in lower case. The arrays are changed. */
struct filter_value filter_record_map(struct arena *, struct td_slice *names, struct td_slice *values, uint32_t n, bool fold);
/* Are the names of this MAP told apart without case? So it is with header fields. */
bool filter_folds_case(const struct registry_field *);

/* What a record shows of a field that it lacks. */
struct filter_value filter_record_absent(const struct registry_field *);

/* A call, while it is dissected. */
struct filter_call {
    const struct field_registry *registry;
    const struct td_call *call;
};
/* `call` must outlive it. */
struct filter_record filter_call_record(const struct filter_call *call);

#endif
