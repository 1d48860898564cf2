#include "filter/type.h"

#define DYN (&filter_types[FILTER_DYN])

const struct filter_type filter_types[FILTER_ERROR + 1] = {
    [FILTER_NULL] = {.kind = FILTER_NULL},
    [FILTER_BOOL] = {.kind = FILTER_BOOL},
    [FILTER_INT] = {.kind = FILTER_INT},
    [FILTER_UINT] = {.kind = FILTER_UINT},
    [FILTER_DOUBLE] = {.kind = FILTER_DOUBLE},
    [FILTER_STRING] = {.kind = FILTER_STRING},
    [FILTER_BYTES] = {.kind = FILTER_BYTES},
    [FILTER_TIMESTAMP] = {.kind = FILTER_TIMESTAMP},
    [FILTER_DURATION] = {.kind = FILTER_DURATION},
    [FILTER_LIST] = {.kind = FILTER_LIST, .value = DYN},
    [FILTER_MAP] = {.kind = FILTER_MAP, .key = DYN, .value = DYN},
    [FILTER_TYPE] = {.kind = FILTER_TYPE, .value = DYN},
    [FILTER_IP] = {.kind = FILTER_IP},
    [FILTER_CIDR] = {.kind = FILTER_CIDR},
    [FILTER_OPTIONAL] = {.kind = FILTER_OPTIONAL, .value = DYN},
    [FILTER_DYN] = {.kind = FILTER_DYN},
    [FILTER_PARAM] = {.kind = FILTER_PARAM, .param = 0},
    [FILTER_ERROR] = {.kind = FILTER_ERROR},
};
