#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *err, int status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->status = status;
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
    }
    return status;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    if (!err)
        return TD_E_INTERNAL;
    char tail[sizeof(err->text)];
    memcpy(tail, err->text, sizeof(tail));
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, "%s", tail);
    return err->status;
}

int error_nomem(struct error *err)
{
    return error_set(err, TD_E_NOMEM, "out of memory");
}

const char *error_name(int status)
{
    switch (status) {
    case TD_OK: return "ok";
    case TD_E_CONFIG: return "configuration error";
    case TD_E_NOMEM: return "out of memory";
    case TD_E_LIMIT: return "limit reached";
    case TD_E_NOT_FOUND: return "not found";
    case TD_E_EXISTS: return "exists already";
    case TD_E_DENIED: return "not allowed";
    case TD_E_RETRY: return "temporary failure";
    case TD_E_CORRUPT: return "corrupt data";
    case TD_E_CANCELLED: return "cancelled";
    case TD_E_UNSUPPORTED: return "not supported";
    case TD_E_INTERNAL: return "internal error";
    default: return "unknown status";
    }
}
