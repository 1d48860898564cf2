/* The audit log: who created, exported, deleted or stopped what, and who was refused. A line of logfmt for each request. Any thread. */
#ifndef HUB_AUDIT_H
#define HUB_AUDIT_H

#include "base/error.h"
#include "net/http_server.h"

struct audit;

/* `path`: a file that is appended to, made for its owner and group; "": the log of the process. */
int audit_open(const char *path, struct audit **ret, struct error *err) MUST_CHECK;
void audit_close(struct audit *);
/* From now on to this file, which is opened anew even if it is the same: somebody may have moved it. In two steps, of which only the first
 * can fail; what it gives is taken or forgotten. */
struct audit_file;
int audit_prepare(const char *path, struct audit_file **ret, struct error *err) MUST_CHECK;
void audit_take(struct audit *, struct audit_file *);
void audit_forget(struct audit_file *); /* NULL is fine */
/* As http_server_options.answered; `audit` is the audit. Leaves out what only reads. */
void audit_request(void *audit, const struct http_answered *);

#endif
