/* An error: a code for the program and one line for people: what, why, what to do.
 *
 * Functions that can fail return TD_OK or a negative td_status and fill the caller's `struct error`, which may be
 * NULL when nobody reads it. The text has no final newline and names the place (file:line, offset) first. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "tapedeck/plugin.h"

#define MUST_CHECK __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

struct error {
    int status;
    char text[1024];
};

/* Sets the error and returns `status`. A longer text is cut. */
int error_set(struct error *err, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts text in front of what is there: error_prefix(err, "%s: ", path). Returns the error's status. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "out of memory", with TD_E_NOMEM. */
int error_nomem(struct error *err);

/* The status's name for people: "not found". */
const char *error_name(int status);

#ifdef __cplusplus
}
#endif
#endif
