/* A small TAP (Test Anything Protocol 13) harness. A test program calls checks and returns tap_done().
 *
 * The first argument of each check is what must hold; the rest is a printf format that names it. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ok(cond, ...) tap_ok((cond), __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, ...) tap_is_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...) tap_is_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define is_mem(got, ngot, want, nwant, ...) tap_is_mem((got), (ngot), (want), (nwant), __FILE__, __LINE__, __VA_ARGS__)
/* `part` must stand somewhere in `got`. */
#define like(got, part, ...) tap_like((got), (part), __FILE__, __LINE__, __VA_ARGS__)

bool tap_ok(bool cond, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool tap_is_int(int64_t got, int64_t want, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
bool tap_is_str(const char *got, const char *want, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
bool tap_is_mem(const void *got, size_t ngot, const void *want, size_t nwant, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
bool tap_like(const char *got, const char *part, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void tap_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tap_skip(const char *why);

/* Prints the plan; the program's exit status. */
int tap_done(void);

#endif
