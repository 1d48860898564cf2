#!/usr/bin/env bash
# Captures beside the dissectors give the calls that are written down beside them, plugins/*/*/captures/NAME.calls.jsonl.
# `golden.sh bless` writes down what they give now, after showing the difference (T: only paths with this word).
set -u
cd "$(dirname "$0")/../.." || exit 1
unset TAPEDECK_PLUGIN_PATH
tapedeck=${BUILD:-build}/tapedeck
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
shopt -s nullglob
captures=(plugins/*/*/captures/*.pcap plugins/*/*/captures/*.pcapng)

readable() { python3 -m json.tool --json-lines --no-ensure-ascii "$1" 2>&1; }

# dissect CAPTURE EXPECTED: into out; then what differs from EXPECTED, on standard output.
dissect() {
    "$tapedeck" dissect --quiet --output json --payload "$1" >"$dir/out" || return 1
    [[ -e $2 ]] || { echo "$2 is not there" && return 1; }
    cmp -s "$2" "$dir/out" || { diff -U2 --label expected --label now <(readable "$2") <(readable "$dir/out"); return 1; }
}

bless() {
    local capture expected
    for capture in "${captures[@]}"; do
        [[ $capture == *"${T:-}"* ]] || continue
        expected=${capture%.*}.calls.jsonl
        if dissect "$capture" "$expected"; then
            echo "$expected: as it was"
        elif [[ -s $dir/out ]]; then
            cp "$dir/out" "$expected"
            echo "$expected: written"
        fi
    done
}

check() {
    local number=0 capture
    for capture in "${captures[@]}"; do
        number=$((number + 1))
        if dissect "$capture" "${capture%.*}.calls.jsonl" >"$dir/difference" 2>&1; then
            echo "ok $number - $capture"
        else
            echo "not ok $number - $capture"
            head -n 40 "$dir/difference" | sed 's/^/# /'
            echo "# if this is right: make bless T=$capture"
        fi
    done
    echo "1..$number"
}

if [[ ${1:-} == bless ]]; then bless; else check; fi
