#!/usr/bin/env bash
# Each plugin's captures give the calls that stand beside them: plugins/*/*/captures/NAME.pcap and NAME.calls.jsonl.
# BLESS=1 writes the calls anew instead; read the difference before you keep it.
set -u
cd "$(dirname "$0")/../.."
tapedeck=${BUILD:-build}/tapedeck
count=0

for capture in plugins/*/*/captures/*.pcap plugins/*/*/captures/*.pcapng; do
    [[ -e $capture ]] || continue
    expected=${capture%.*}.calls.jsonl
    count=$((count + 1))
    if [[ -n ${BLESS:-} ]]; then
        "$tapedeck" dissect "$capture" -o json --payload >"$expected" 2>/dev/null
    fi
    if difference=$("$tapedeck" dissect "$capture" -o json --payload 2>/dev/null | diff "$expected" - 2>&1); then
        echo "ok $count - $capture"
    else
        echo "not ok $count - $capture"
        head -n 6 <<<"$difference" | cut -c1-400 | sed 's/^/# /'
    fi
done
echo "1..$count"
