#include "base/nearest.h"

#include <string.h>

#include "tap.h"

static const char *nearest_of(const char *wanted, const char *const *names)
{
    struct nearest n;
    nearest_init(&n, wanted);
    for (; *names; names++)
        nearest_try(&n, *names);
    return n.best;
}

int main(void)
{
    static const char *const names[] = {"dissect", "capture",     "plugin",          "config", "http",
                                        "dns",     "status_code", "request.headers", "url",    NULL};
    static const struct {
        const char *wanted, *best;
    } cases[] = {
        {"dissect", "dissect"},
        {"disect", "dissect"},
        {"dissectt", "dissect"},
        {"dissekt", "dissect"},
        {"idssect", "dissect"},
        {"DISSECT", "dissect"},
        {"IDSSECT", "dissect"},
        {"Cofnig", "config"},
        {"htpt", "http"},
        {"HTPT", "http"},
        {"DSN", "dns"},
        {"dn", "dns"},
        {"status-code", "status_code"},
        {"statuscode", "status_code"},
        {"statscod", "status_code"},
        {"request.header", "request.headers"},
        {"requestheaders", "request.headers"},
        {"uri", "url"},
        {"xyz", NULL},
        {"d", NULL},
        {"banana", NULL},
        {"ssh", NULL},
        {"", NULL},
        {"configuration", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_str(nearest_of(cases[i].wanted, names), cases[i].best, "\"%s\"", cases[i].wanted);

    static const char *const ties[] = {"cat", "bat", "hat", NULL};
    is_str(nearest_of("xat", ties), "cat", "of equals the first");
    is_str(nearest_of("hatt", ties), "hat", "a nearer one that comes later");

    char longest[80];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    const char *const many[] = {longest, NULL};
    is_str(nearest_of(longest, many), NULL, "names too long to be meant are left alone");
    longest[64] = 0;
    is_str(nearest_of(longest, many), longest, "64 characters are not");
    return tap_done();
}
