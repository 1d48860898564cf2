#!/usr/bin/env bash
# Each plugin's recorded captures give the calls that stand beside them. With BLESS=1 the calls are written instead: look at the
# difference that version control shows before keeping them.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build} n=0 failed=0
got=$(mktemp) && trap 'rm -f "$got"' EXIT
for capture in plugins/dissectors/*/captures/*.pcap*; do
    [[ -e $capture ]] || continue
    expected=${capture%.pcap*}.calls.jsonl
    "$BUILD/tapedeck" dissect -j 2 -o json --payload "$capture" >"$got" 2>/dev/null
    if [[ -n ${BLESS:-} ]]; then
        cp "$got" "$expected"
    fi
    n=$((n + 1))
    if cmp -s "$got" "$expected" && [[ -s $got ]]; then
        echo "ok $n - the calls of $capture"
    else
        echo "not ok $n - the calls of $capture"
        diff "$expected" "$got" | head -n 6 | cut -c 1-300 | sed 's/^/# /'
        failed=1
    fi
done
echo "1..$n"
exit $failed
