#!/usr/bin/env bash
# A dissector written elsewhere, built with what `make install` gives, is found and works in the installed program.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS TAPEDECK_PLUGIN_PATH
umask 022
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
number=0 log=$dir/log last=$dir/last # what the last command printed, and the one before

ok() { # ok NAME COMMAND...: the command must succeed
    local name=$1
    shift
    number=$((number + 1))
    [[ ! -e $log ]] || cp "$log" "$last"
    if "$@" >"$log" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$log"
    fi
}

ok "make install" make install BUILD="${BUILD:-build}" CC="${CC:-cc}" PREFIX=/usr DESTDIR="$dir/root"
usr=$dir/root/usr
mkdir -p "$dir/echo" "$dir/plugins/dissectors"

cat >"$dir/echo/Makefile" <<MAKEFILE
NAME := echo
include $usr/lib/tapedeck/plugin.mk
MAKEFILE
cat >"$dir/echo/echo.c" <<'SOURCE'
/* The echo protocol (RFC 862): whatever the client sends is one request. */
#include "tapedeck/plugin.h"

static const struct td_field fields[] = {{"echo_size", TD_U64, TD_F_REQUEST, "Bytes sent.", {NULL, 0, 0}}};
static const struct td_claim claims[] = {{TD_ON_TCP, 7, 7, NULL, NULL}};

struct self {
    const struct td_host *host;
};

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    static const char no_options[] = "no options were expected";
    if (config)
        return host->fail(inst, TD_E_INTERNAL, "%s", no_options);
    *ret_self = (void *)(uintptr_t)host; /* all that an instance needs */
    return TD_OK;
}

static int probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    (void)self, (void)dir;
    return bytes.n && flow->flags & TD_FLOW_PORT_HINT ? 25 : 0;
}

static int open_connection(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **state)
{
    (void)conn, (void)flow;
    const struct td_host *host = self;
    struct self *s = host->alloc(arena, sizeof(*s), sizeof(void *));
    if (!s)
        return TD_E_NOMEM;
    s->host = host;
    *state = s;
    return TD_OK;
}

static struct td_step data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    const struct td_host *host = ((struct self *)state)->host;
    if (dir == TD_CLIENT) {
        struct td_call *call = host->call(conn);
        host->set_u64(call, 0, chunk->bytes.n);
        host->mark(call, dir, chunk->offset, chunk->offset + chunk->bytes.n);
        host->commit(call, 0);
    }
    return td_used(chunk->bytes.n);
}

static void close_connection(void *state, struct td_conn *conn, int why)
{
    (void)state, (void)conn, (void)why;
}

static const struct td_dissector dissector = {
    .size = sizeof(dissector), .max_probe = 1, .fields = TD_TABLE(fields), .claims = TD_TABLE(claims),
    .probe = probe, .open = open_connection, .data = data, .close = close_connection,
};
static const struct td_component component = {
    .size = sizeof(component), .kind = TD_KIND_DISSECTOR, .name = "echo",
    .summary = "The echo protocol", .create = create, .ops = &dissector,
};
static const struct td_component *const components[] = {&component, NULL};
TD_PLUGIN(echo) = {
    .size = sizeof(struct td_plugin), .target_minor = TD_TARGET_MINOR, .header_minor = TD_ABI_MINOR,
    .name = "echo", .version = "0.1", .license = "Apache-2.0", .components = components,
};
SOURCE

ok "it is built with the installed plugin.mk" make -C "$dir/echo" OUT="$dir/plugins/dissectors" CC="${CC:-cc}" WERROR=-Werror
ok "as a shared object" test -f "$dir/plugins/dissectors/echo.so"
ok "with one visible symbol" test "$(nm -D --defined-only "$dir/plugins/dissectors/echo.so" | awk '{print $3}')" = td_plugin_v1
ok "the header is clean C11" "${CC:-cc}" -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c -I"$usr/include" - \
    <<<'#include "tapedeck/plugin.h"
#include "tapedeck/cursor.h"
int x;'
if command -v c++ >/dev/null; then
    ok "the header is clean C++" c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -x c++ -I"$usr/include" - \
        <<<'#include "tapedeck/plugin.h"
#include "tapedeck/cursor.h"'
fi
tapedeck=$usr/bin/tapedeck
ok "the installed program checks it" "$tapedeck" plugin check "$dir/plugins/dissectors/echo.so"
ok "and says that all is well" test "$(grep -c '^ok' "$log")" -eq 6
ok "the installed program finds its own plugins" "$tapedeck" plugin list -o json
ok "where they were installed" grep -q "\"state\":\"loaded\",\"file\":\"$usr/lib/tapedeck/plugins/dissectors/http.so\"" "$last"
export TAPEDECK_PLUGIN_PATH=$dir/plugins
ok "and those that the environment names" "$tapedeck" plugin list -o json
ok "ours among them" grep -q "\"name\":\"echo\",\"kind\":\"dissector\",\"version\":\"0.1\",\"abi\":\"1.0\",\"state\":\"loaded\"" "$last"
ok "it is enabled without a word" "$tapedeck" config show
ok "beside the others" grep -q "enabledDissectors: \[dns, echo, .*http" "$last"
chmod go+w "$dir/plugins/dissectors/echo.so"
ok "a file that others can write is refused" sh -c "! '$tapedeck' plugin check '$dir/plugins/dissectors/echo.so'"
ok "and one is told what to do" grep -q "mend it with: chmod go-w $dir/plugins/dissectors/echo.so" "$last"
echo "1..$number"
