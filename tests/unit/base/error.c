#include "base/error.h"

#include <string.h>

#include "tap.h"

static char letters[2 * sizeof(((struct error *)0)->text)];

int main(void)
{
    struct error err;
    is_int(error_set(&err, TD_E_CORRUPT, "byte %d", 7), TD_E_CORRUPT, "set returns the status");
    is_str(err.text, "byte 7", "the text");
    is_int(error_prefix(&err, "%s:%d: ", "a.pcap", 3), TD_E_CORRUPT, "so does prefix");
    is_str(err.text, "a.pcap:3: byte 7", "the place stands first");
    is_int(error_nomem(&err), TD_E_NOMEM, "no memory");
    is_str(err.text, "out of memory", "and its text");

    is_int(error_set(NULL, TD_E_LIMIT, "x"), TD_E_LIMIT, "nobody reads it");
    ok(error_prefix(NULL, "x") < 0, "a prefix to nothing is a failure all the same");
    is_int(error_nomem(NULL), TD_E_NOMEM, "no memory, and nobody reads it");

    memset(letters, 'x', sizeof(letters) - 1);
    error_set(&err, TD_E_LIMIT, "%s", letters);
    is_int(strlen(err.text), sizeof(err.text) - 1, "a long text is cut");
    error_prefix(&err, "%s", "place: ");
    is_int(strlen(err.text), sizeof(err.text) - 1, "also behind a prefix");
    like(err.text, "place: xxx", "whose text stands");
    error_prefix(&err, "%s", letters);
    is_int(strlen(err.text), sizeof(err.text) - 1, "a prefix that takes all the room");

    for (int status = TD_OK; status >= TD_E_INTERNAL; status--)
        ok(strcmp(error_name(status), "unknown status") != 0, "status %d is called %s", status, error_name(status));
    is_str(error_name(-1000), "unknown status", "a status from the future");
    return tap_done();
}
