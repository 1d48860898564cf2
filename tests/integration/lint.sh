# Every rule of tests/lint finds its offence, and nothing else is found.
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
number=0

# offence NAME FILE TEXT [FINDING]: TEXT in FILE must be found (once, with that text); without FINDING: must not be found.
offence() {
    local name=$1 file=$2 text=$3 finding=${4:-} out
    number=$((number + 1))
    rm -rf "${dir:?}"/*
    mkdir -p "$dir/tests" "$dir/sdk/include/tapedeck" "$dir/$(dirname "$file")"
    cp "$root/tests/lint" "$dir/tests/"
    printf '/* SPDX-License-Identifier: Apache-2.0 */\n' >"$dir/sdk/include/tapedeck/plugin.h"
    printf '%b' "$text" >"$dir/$file"
    # Outside any repository, so that it looks at this folder's files.
    out=$(cd "$dir" && GIT_DIR=/nonexistent tests/lint 2>&1)
    local status=$? found
    found=$(grep -vc '^lint:' <<<"$out")
    if [[ -n $finding && $status -eq 1 && $found -eq 1 && $out == *"${file%%/*}"*":"*"$finding"* ]] ||
        [[ -z $finding && $status -eq 0 ]]; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' <<<"$out"
    fi
}

offence "base includes nothing above it" core/base/a.c '#include "config/config.h"\n' "core/base must not include config/config.h"
offence "flow does not include dissect" core/flow/a.c '#include "dissect/run.h"\n' "core/flow must not include dissect/run.h"
offence "cli includes everything" core/cli/a.c '#include "dissect/run.h"\n#include "flow/flow.h"\n'
offence "an unknown folder" core/other/a.c '#include "base/mem.h"\n' "core/other is not in the table"
offence "a plugin includes no core header" plugins/dissectors/x/a.c '#include "base/mem.h"\n' "a plugin includes only"
offence "a plugin includes the SDK" plugins/dissectors/x/a.c '#include "tapedeck/plugin.h"\n#include <zlib.h>\n'
offence "a banned function" core/base/a.c 'void f(void)\n{\n    strcpy(a, b);\n}\n' "banned function"
offence "a banned name in a comment or a string" core/base/a.c '/* strcpy(a) */\nconst char *const s = "strcpy(a)"; // sprintf(x)\n'
offence "a member that is called system" core/base/a.c 'void f(void)\n{\n    host->system(1);\n}\n'
offence "system in the product" core/base/a.c 'void f(void)\n{\n    system(1);\n}\n' "banned function"
offence "system in a test" tests/unit/base/a.c 'void f(void)\n{\n    system(1);\n}\n'
offence "a struct typedef" core/base/a.h 'typedef struct foo foo;\n' "no typedef for a struct"
offence "a mutable static" core/base/a.c 'void f(void)\n{\n    static int calls;\n}\n' "mutable variable calls"
offence "a mutable global" core/base/a.c 'int calls = 1;\n' "mutable variable calls"
offence "a mutable pointer to constants" core/base/a.c 'static const char *name = "x";\n' "mutable variable name"
offence "a mutable table" plugins/dissectors/x/a.c 'static struct row rows[] = {\n    {1},\n};\n' "mutable variable rows"
offence "a mutable unnamed struct" core/base/a.c 'static struct {\n    int n;\n} counter = {0};\n' "mutable variable counter"
offence "a mutable function pointer" core/base/a.c 'static int (*hook)(int);\n' "mutable variable hook"
offence "constants and functions" core/base/a.c \
    'static const char *const n[] = {0};\nstatic int f(int (*g)(int), int x);\nint h(void);\nenum { A = 1 };\n'
offence "a long line" core/base/a.c "/* $(printf 'x%.0s' {1..140}) */\n" "longer than 140 columns"
offence "a tab" core/base/a.c 'int\tf(void);\n' "tab in a C file"
offence "a space at the end" core/base/a.c 'int f(void); \n' "space at the end"
offence "unfinished business" plugins/README 'TO''DO: more\n' "unfinished business"
offence "a path of one machine" plugins/README 'see /wo''rk/main\n' "path of one machine"
offence "a licence line missing" sdk/include/tapedeck/other.h 'int f(void);\n' "without SPDX"
offence "an unknown top-level entry" stray/a.txt 'x\n' "unknown top-level entry"
echo "1..$number"
