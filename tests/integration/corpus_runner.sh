# The conformance runner agrees with true facts and sees each false one: a runner that cannot fail would prove nothing.
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
number=0

check() { # check NAME STATUS
    number=$((number + 1))
    if [[ $2 -eq 0 ]]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        tail -n 30 "$dir/out" | sed 's/^/# /'
        sed 's/^/# /' "$dir/differences"
    fi
}

compare() { # compare OPTIONS...: its status; prints into out and differences
    : >"$dir/differences"
    "$root/tests/conformance/run_corpus" -j1 --tapedeck "$program" --corpus "$dir/corpus" --list-differences "$dir/differences" "$@" \
        >"$dir/out" 2>&1
}

# false_fact FIELD PATH VALUE...: with these facts changed exactly this field differs, and its bar does not hold. FIELD may
# be several, as a regular expression.
false_fact() {
    local fields=$1
    shift
    python3 "$here/tiny_corpus.py" "$dir/corpus" "$@"
    compare --expectations "$dir/none.json" --kind "${1%%.*}"
    [[ $? -eq 1 && -s $dir/differences && $(grep -vcE "\"field\": \"($fields)\"" "$dir/differences") -eq 0 ]] &&
        grep -qE "^ +($fields) .*FAIL$" "$dir/out"
    check "sees a false $fields ($1)" $?
}

# false_program KIND NAME FIELD SCRIPT: a program that does this instead of the true one is found out.
false_program() {
    local kind=$1
    shift
    python3 "$here/tiny_corpus.py" "$dir/corpus"
    printf '#!/bin/bash\n%s\n' "${3//PROGRAM/\"$true_program\"}" >"$dir/tapedeck"
    chmod +x "$dir/tapedeck"
    program=$dir/tapedeck
    compare --timeout 1 --kind "$kind"
    [[ $? -eq 1 ]] && grep -qE "^ +$2 .*FAIL$" "$dir/out"
    check "$1" $?
    program=$true_program
}

true_program=$program
echo '[]' >"$dir/none.json"
python3 "$here/tiny_corpus.py" "$dir/corpus"
compare --expectations "$dir/none.json"
check "true facts agree" $?
[[ ! -s $dir/differences ]] && grep -q ' 0 do not$' "$dir/out"
check "and there are no differences" $?

false_fact method http1.messages.0.method '"PUT"'
false_fact uri http1.messages.0.uri '"/tape"'
false_fact version http1.messages.0.version '"HTTP/1.0"'
false_fact host http1.messages.0.host '"deck.example"'
false_fact headers http1.messages.1.headers.1 '["x-deck", "a"]'
false_fact status http1.messages.1.status 204
false_fact phrase http1.messages.1.phrase '"Fine"'
false_fact body_sha256 http1.messages.1.body_sha256 '"00"'
false_fact pairs http1.pairs '[[0, null], [null, 1]]'
false_fact id dns.messages.0.id 78
false_fact name dns.messages.1.questions '[{"name": "tape.example", "type": 1, "cls": 1}]'
false_fact type dns.messages.1.questions '[{"name": "deck.example", "type": 28, "cls": 1}]'
false_fact class dns.messages.1.questions '[{"name": "deck.example", "type": 1, "cls": 3}]'
false_fact rcode dns.messages.1.rcode 3
false_fact records dns.messages.1.records.0.ttl 60
false_fact records dns.messages.1.records.0.data '"192.0.2.8"'
false_fact pairs dns.pairs '[[0, null], [null, 1]]'
false_fact correlation_id kafka.messages.0.correlation_id 8
false_fact length kafka.messages.1.length 11
false_fact api_key kafka.messages.0.api_key 8
false_fact api_name kafka.messages.0.api_name '"OffsetCommit"'
false_fact api_version kafka.messages.1.api_version 2
false_fact client_id kafka.messages.0.client_id '"tape"'
false_fact group_id kafka.messages.0.group_id '"h"'
false_fact topics kafka.messages.0.topics '["tape"]'
false_fact partitions kafka.messages.1.partitions '[0]'
false_fact errors kafka.messages.1.errors '[0]'
false_fact pairs kafka.pairs '[[0, null], [null, 1]]'
false_fact precision kafka.messages '[]' kafka.pairs '[]'
false_fact endpoints http1.messages.0.src '"192.0.2.1:40001"'
false_fact precision http1.messages '[]' http1.pairs '[]'
false_fact precision dns.messages '[]' dns.pairs '[]'
false_fact packets container.packets 10
false_fact 'data_sha256|own reader' container.data_sha256 '"00"'
false_fact 'ts_sha256|own reader' container.ts_sha256 '"00"'
false_fact first_ts_ns container.first_ts_ns 1

false_program http1 "sees missing messages" recall '[[ $1 == dissect ]] || PROGRAM "$@"'
false_program http1 "sees missing messages in each field" headers '[[ $1 == dissect ]] || PROGRAM "$@"'
false_program survive "sees a crash" -j1 'kill -SEGV $$'
false_program survive "sees a hang" -j1 'exec sleep 30'
false_program survive "sees a failure" -j1 'echo "tapedeck: no" >&2; exit 1'
false_program survive "sees a sanitizer's report" -j1 'echo "ERROR: AddressSanitizer: leak" >&2; PROGRAM "$@"'
false_program survive "sees output that depends on the threads" "same output" '[[ "$*" == *"-j 2"* ]] && echo "{}"; PROGRAM "$@"'
false_program survive "sees what is not JSON" "valid JSON" 'PROGRAM "$@"; echo no'
false_program container "sees an export that loses a packet" "export packets" \
    'PROGRAM "$@" || exit; [[ $1 == export ]] && truncate -s -$((16 + 92)) "${!#}"; exit 0'

# An excuse holds for exactly one difference, is counted, and is told when it no longer applies.
python3 "$here/tiny_corpus.py" "$dir/corpus" dns.messages.1.rcode 3
cat >"$dir/excuses.json" <<'EXCUSES'
[{"capture": "own/tiny", "kind": "dns", "frame": 9, "field": "rcode", "got": "0", "why": "made wrong here", "proof": "packet 9 says 0"}]
EXCUSES
compare --expectations "$dir/excuses.json" --kind dns
check "an excused difference does not count" $?
grep -q '; 1 excused as wrong expectations; 0 stale' "$dir/out"
check "but is told" $?
python3 "$here/tiny_corpus.py" "$dir/corpus"
compare --expectations "$dir/excuses.json" --kind dns
[[ $? -eq 1 ]] && grep -q '^stale: own/tiny dns rcode' "$dir/out"
check "an excuse for nothing is told" $?
echo "1..$number"
