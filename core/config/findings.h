/* What is wrong with a configuration: a list, because people want to mend a file in one go.
 *
 * Holds the first FINDINGS_MAX errors and warnings, each one line that begins with its place (file:line:column), and
 * counts the rest. Needs no memory but its own, so that it can also tell that memory is short. One thread. */
#ifndef CONFIG_FINDINGS_H
#define CONFIG_FINDINGS_H

#include <stdio.h>

#include "base/error.h"
#include "config/yaml.h"

enum { FINDINGS_MAX = 20 };

struct finding {
    bool warning;
    char text[512]; /* cut if longer */
};

struct findings {
    struct finding v[FINDINGS_MAX];
    size_t n;      /* how many stand in v */
    size_t errors; /* all errors, also those beyond v */
    size_t more;   /* errors and warnings that did not fit */
    int status;    /* TD_OK, or of the first error */
};

void findings_init(struct findings *f);
/* `where` may be NULL: the text stands alone. */
void findings_error(struct findings *f, const struct yaml_node *where, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void findings_warn(struct findings *f, const struct yaml_node *where, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes over an error that another module has told: its status and its text. */
void findings_add(struct findings *f, const struct yaml_node *where, const struct error *err);

/* TD_OK if there is no error; else the first error's status, and its text with the number of the others in *err. */
int findings_status(const struct findings *f, struct error *err) MUST_CHECK;
/* One line each. */
void findings_print(const struct findings *f, FILE *out);

/* Text from a file as a message shows it: in quotes, shortened, control characters and broken UTF-8 escaped. */
enum { FINDINGS_QUOTE = 64 };
const char *findings_quote(const char *text, char out[FINDINGS_QUOTE]);

#endif
