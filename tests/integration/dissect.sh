#!/usr/bin/env bash
# `tapedeck dissect` as people call it: what is printed where, in which form, and the exit codes.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset TAPEDECK_PLUGIN_PATH NO_COLOR
tapedeck=${BUILD:-build}/tapedeck
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
http=plugins/dissectors/http/captures/nginx_curl.pcap dns=plugins/dissectors/dns/captures/dnsmasq_dig.pcap
http_calls=27 dns_calls=32 calls=59
number=0

check() { # check NAME COMMAND...: which must succeed
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$dir/said" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# said: /' "$dir/said" | head -n 20
        head -n 5 "$dir/out" | cut -c1-300 | sed 's/^/# out: /'
        head -n 20 "$dir/err" | sed 's/^/# err: /'
    fi
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

dissect() { # dissect ARGUMENT...: into out, err and $status
    "$tapedeck" dissect "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# gives STATUS LINES STDERR [STDOUT]: how the last one ended, how many lines it printed, and what stands in either output
# (stderr "": nothing at all).
gives() {
    local lines
    lines=$(wc -l <"$dir/out")
    [[ $status -eq $1 && $lines -eq $2 ]] || { echo "exit status $status, want $1; $lines lines, want $2" && return 1; }
    if [[ -z $3 ]]; then [[ ! -s $dir/err ]]; else grep -qF -- "$3" "$dir/err"; fi || { echo "stderr is not: $3" && return 1; }
    [[ -z ${4:-} ]] || grep -qF -- "$4" "$dir/out"
}

same() { cmp "$1" "$2"; }

# In Python: every line of out is a JSON object `c`, and the expression holds for the list `calls` of all.
json() {
    python3 - "$dir/out" "$1" <<'EOF'
import json, sys
calls = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
sys.exit(0 if eval(sys.argv[2]) else "does not hold: " + sys.argv[2])
EOF
}

# ---- Forms of output

dissect "$http" "$dns"
check "two captures, as a table" gives 0 $calls "HTTP: $http_calls calls (0 incomplete)" $'\tHTTP\tGET\t/api/items?page=2&size=10\t200\t'
check "both are in the summary" gives 0 $calls "DNS: $dns_calls calls (0 incomplete)" $'\tDNS\tMX\texample.test\tNOERROR\t'
check "eight columns, whose first is a time" test -z "$(awk -F'\t' 'NF != 8 || $1 !~ /^20[0-9-]+T[0-9:.]+Z$/' "$dir/out")"
check "no colours outside of a terminal" test "$(grep -c $'\033' "$dir/out")" -eq 0
dissect -q "$http"
check "quiet: no summary" gives 0 $http_calls ""

dissect -q -o json "$http" "$dns"
check "JSON" gives 0 $calls ""
check "one valid object a line" json "all('timestamp' in c and c['transport'] in ('TCP', 'UDP') for c in calls)"
check "with numbers, texts and halves" \
    json "(calls[0]['method'], calls[0]['status_code'], calls[0]['request']['frames']) == ('GET', 200, [4])"
check "without payload" json "not any('headers' in c['request'] or 'body' in c['response'] for c in calls)"
dissect -q -o json --payload "$http"
check "JSON with payload" json "calls[0]['request']['headers'][0] == {'name': 'Host', 'value': '127.0.0.1'}"
check "and bodies, decoded" json "all(len(c['response']['body']) == 10400 - 10400 % 52 for c in calls if c['url'].endswith('/page.html') and
    c['method'] == 'GET' and c['status_code'] == 200)"
dissect -q --payload "$http"
check "payload under the table" gives 0 "$(wc -l <"$dir/out")" "" "  > User-Agent: curl/"
check "answers point back" grep -q '^  < Server: nginx/' "$dir/out"
check "bodies are indented" grep -qF '    {"item":1,"count":3}' "$dir/out"
dissect -q --payload "$dns"
check "records of DNS" grep -qP '^  < www\.example\.test\.\t300\tIN\tA\t192\.0\.2\.10$' "$dir/out"

dissect -q --fields method,path,status_code,src.port "$http"
check "fields" gives 0 $http_calls "" $'GET\t/api/items\t200\t'
dissect -q --fields method,dns_questions,request.headers,protocol "$http" "$dns"
check "fields of several protocols" gives 0 $calls "" $'\twww.example.test\t\tDNS'
check "a map in one cell" grep -q $'^GET\t\tHost: 127.0.0.1; User-Agent: curl' "$dir/out"
dissect --fields metod "$http"
check "an unknown field" gives 2 0 'there is no field "metod"; did you mean "method"?'
dissect --fields method,, "$http"
check "no field between commas" gives 2 0 "lacks a name between the commas"
dissect --fields method -o json "$http"
check "fields and JSON" gives 2 0 "exclude each other"
dissect -o xml "$http"
check "an unknown form" gives 2 0 'table or json, not "xml"'

# ---- Terminals

# on_terminal COLUMNS VARIABLE=VALUE ARGUMENT...: stdout is a terminal of that width.
on_terminal() {
    local columns=$1 variable=$2
    shift 2
    script -qec "stty cols $columns; env $variable $tapedeck dissect $*" /dev/null </dev/null 2>&1 | tr -d '\r' >"$dir/out"
    status=${PIPESTATUS[0]}
    : >"$dir/err"
}
plain() { sed 's/\x1b\[[0-9;]*m//g' "$dir/out"; }
widest() { plain | awk '{n = length($0) > n ? length($0) : n} END {print n}'; }

if command -v script >/dev/null && on_terminal 100 A=b -q "$dns" && [[ $status -eq 0 ]]; then
    on_terminal 140 A=b -q "$http"
    check "on a terminal: a header and a line for each call" gives 0 $((http_calls + 1)) "" "TIME             PROTO"
    check "a bold header" grep -q $'^\033\\[1mTIME.*\033\\[0m$' "$dir/out"
    check "red errors" test "$(grep -c $'^\033\\[31m.* \\(404\\|503\\) .*\033\\[0m$' "$dir/out")" -eq 3
    check "columns stand in line" test "$(plain | awk '{print match($0, /FROM|127\.0\.0\.1:/)}' | sort -u | wc -l)" -eq 1
    check "and use the width" test "$(widest)" -gt 125 -a "$(widest)" -le 140
    on_terminal 115 A=b -q "$http"
    check "long targets are cut" test "$(grep -c '/api/items?page… ' "$dir/out")" -eq 1 -a "$(widest)" -le 115
    on_terminal 114 A=b -q "$http"
    check "on a narrower one who asked is left out" test "$(grep -c FROM "$dir/out")" -eq 0
    check "and who was asked stands" test "$(plain | grep -c 's  *127.0.0.1:80$')" -eq $http_calls
    on_terminal 80 A=b -q "$http"
    check "on 80 columns who was asked is left out, too" test "$(grep -c 'FROM\|127.0.0.1' "$dir/out")" -eq 0 -a "$(widest)" -le 80
    check "and the target has the room" grep -q '/api/items?page=2&size=10 ' "$dir/out"
    on_terminal 20 A=b -q "$http"
    check "on 20 columns lines are longer than the terminal, and whole" grep -q ' 200 .*us' "$dir/out"
    on_terminal 140 NO_COLOR=1 -q "$http"
    check "NO_COLOR" test "$(grep -c $'\033' "$dir/out")" -eq 0
    on_terminal 140 A=b -q --fields method "$http"
    check "fields look the same on a terminal" test "$(head -n 1 "$dir/out")" = GET
    on_terminal 140 A=b --nonsense "$http"
    check "an exit code reaches the terminal" test "$status" -eq 2
else
    skip "on a terminal" "script(1) does not work here"
fi

# ---- Choosing

dissect -q --bpf 'udp port 53 and host 127.0.0.1' --fields protocol,src.ip "$http" "$dns"
check "a filter" test "$status $(sort -u "$dir/out")" = $'0 DNS\t127.0.0.1'
dissect --bpf 'port 53 and' "$dns"
check "a filter that is none" gives 2 0 "syntax error"
dissect --bpf 'tcp port 80' -q "$dns"
check "a filter that nothing passes" gives 0 0 ""
dissect -d udp.port==53,http "$dns"
check "decode as: a false rule holds" gives 0 "$(wc -l <"$dir/out")" "HTTP"
check "nothing there is DNS over UDP then" test "$(grep -c $'\tDNS\t' "$dir/out")" -le 4
for rule in tcp.prt==80,http tcp.port==0,http tcp.port==70000,http tcp.port=80,http tcp.port==80 tcp.port==90-80,http; do
    dissect -d "$rule" "$http"
    check "decode as: $rule" gives 2 0 "$rule"
done
dissect -d tcp.port==80,htp "$http"
check "decode as: a dissector that there is not" gives 2 0 'did you mean "http"?'
printf 'tap:\n  enabledDissectors: [dns]\n' >"$dir/dns_only.yaml"
dissect -q -c "$dir/dns_only.yaml" "$http" "$dns"
check "a configuration with one dissector" gives 0 $dns_calls ""
printf 'tap:\n  enabledDissector: [dns]\n' >"$dir/bad.yaml"
dissect -c "$dir/bad.yaml" "$http"
check "a configuration with a fault" gives 2 0 "$dir/bad.yaml:2:3:"
dissect -c "$dir/nowhere.yaml" "$http"
check "a configuration that is not there" gives 2 0 "$dir/nowhere.yaml"

# ---- Inputs

dissect -q -o json --payload "$http"
cp "$dir/out" "$dir/whole"
"$tapedeck" dissect -q -o json --payload - <"$http" >"$dir/out"
check "standard input, a file" same "$dir/whole" "$dir/out"
cat "$http" | "$tapedeck" dissect -q -o json --payload - >"$dir/out"
check "standard input, a pipe" same "$dir/whole" "$dir/out"
gzip -c "$http" >"$dir/a.pcap.gz"
dissect -q -o json --payload "$dir/a.pcap.gz"
check "gzip" same "$dir/whole" "$dir/out"
zstd -q -c "$http" >"$dir/a.pcap.zst"
dissect -q -o json --payload "$dir/a.pcap.zst"
check "zstd" same "$dir/whole" "$dir/out"
zstd -q -c "$http" | "$tapedeck" dissect -q -o json --payload - >"$dir/out"
check "zstd through a pipe" same "$dir/whole" "$dir/out"
for jobs in 1 2 3 4 8; do
    dissect -q -o json --payload -j $jobs "$http"
    check "-j $jobs: the same bytes" same "$dir/whole" "$dir/out"
done
middle=2026-11-23T05:22:36.835140Z # between a request and its answer
"$tapedeck" export -q --end $middle -w "$dir/first.pcap" "$http"
"$tapedeck" export -q --start $middle -w "$dir/second.pcap" "$http"
dissect -q -o json --payload "$dir/first.pcap" "$dir/second.pcap"
check "captures one after the other, as if they were one" same "$dir/whole" "$dir/out"
dissect -q --fields method,path,status_code "$dir/second.pcap"
check "from the middle: an answer without its request" gives 0 15 "" $'\t\t404'

dissect -q "$dns" "$dir/nowhere.pcap" "$http"
check "a file that is not there; the others are read" gives 3 $calls "tapedeck: $dir/nowhere.pcap: cannot open: No such file"
dissect "$dir"
check "a directory" gives 1 0 "is a folder"
echo "not a capture at all" >"$dir/text.pcap"
dissect "$dir/text.pcap" "$dns"
check "text" gives 1 $dns_calls "$dir/text.pcap: is text"
head -c 5000 /dev/urandom | sed '1s/^/\x01\x02/' >"$dir/noise.pcap"
dissect "$dir/noise.pcap"
check "noise" gives 1 0 "$dir/noise.pcap: "
: >"$dir/empty.pcap"
dissect "$dir/empty.pcap"
check "an empty file" gives 1 0 "$dir/empty.pcap: is empty"

head -c 40000 "$http" >"$dir/cut.pcap"
dissect -q -o json "$dir/cut.pcap"
whole=$(wc -l <"$dir/out")
check "a capture that is cut: calls before the cut, one error with the offset" gives 1 "$whole" "$dir/cut.pcap: offset "
check "one line of it" test "$(wc -l <"$dir/err")" -eq 1
check "as many calls as there are" test "$whole" -gt 5 -a "$whole" -lt $http_calls
check "all but the last are as they were" json "all(c['request']['complete'] and c['response']['complete'] for c in calls[:-1])"
head -c -5000 "$dir/a.pcap.gz" >"$dir/cut.pcap.gz"
dissect -q "$dir/cut.pcap.gz"
check "gzip that is cut" gives 1 "$(wc -l <"$dir/out")" "$dir/cut.pcap.gz: "
check "what stands before is used" test -s "$dir/out"

# A file that may not be read. Root may read all, so another user tries.
cp "$dns" "$dir/secret.pcap"
chmod 755 "$dir" && chmod 000 "$dir/secret.pcap"
as_nobody=()
[[ $(id -u) -ne 0 ]] || as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if "${as_nobody[@]}" test -x "$(realpath "$tapedeck")" 2>/dev/null; then
    "${as_nobody[@]}" "$tapedeck" dissect -q "$dir/secret.pcap" >"$dir/out" 2>"$dir/err"
    status=$?
    check "a file that may not be read" gives 4 0 "$dir/secret.pcap: "
else
    skip "a file that may not be read" "no other user can reach the program"
fi

# ---- Outputs that fail

full() { # full ARGUMENT...: into a full disk
    "$tapedeck" "$@" >/dev/full 2>"$dir/err"
    status=$?
    : >"$dir/out"
}
full dissect -q "$http"
check "a full disk" gives 1 0 "No space left on device"
check "is told once" test "$(wc -l <"$dir/err")" -eq 1
full dissect -q -o json --payload -j 2 "$http" "$dns"
check "a full disk, JSON" gives 1 0 "No space left on device"
full dissect --help
check "a full disk, help" gives 1 0 "No space left on device"
full --version
check "a full disk, version" gives 1 0 "No space left on device"
"$tapedeck" dissect -q "$http" >&- 2>"$dir/err"
status=$?
check "standard output is closed" gives 1 0 "Bad file descriptor"
"$tapedeck" dissect -q -o json --payload "$http" "$http" "$http" | head -n 1 >"$dir/out"
status=${PIPESTATUS[0]}
check "a reader that leaves: the end comes quietly" test "$status" -eq 141 -o "$status" -eq 0
check "and what it read is whole" json "len(calls) == 1"

# ---- The program around it

for command in dissect export capture "capture info" plugin "plugin list" "plugin show" "plugin help" "plugin check" config "config check" \
    "config show" "config help"; do
    # shellcheck disable=SC2086 # two words
    "$tapedeck" $command --help >"$dir/out" 2>"$dir/err"
    status=$?
    check "$command --help" gives 0 "$(wc -l <"$dir/out")" "" "Usage: tapedeck $command"
done
run() {
    "$tapedeck" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
}
run --help
check "--help" gives 0 "$(wc -l <"$dir/out")" "" "  dissect "
check "each command stands there once" test -z "$(awk '/^  [a-z]/ {print $1}' "$dir/out" | sort | uniq -d)"
run --version
check "--version" gives 0 1 "" "plugin ABI 1."
run
check "no command" gives 2 0 "a command is missing"
run disect "$http"
check "a misspelt command" gives 2 0 'there is no command "disect"; did you mean "dissect"?'
run dissect
check "no capture" gives 2 0 "a capture is missing"
run dissect --nonsense "$http"
check "an option that there is not" gives 2 0 "--nonsense"
run dissect "$http" -o
check "an option without its value" gives 2 0 "-o"
for jobs in 0 -1 x 1x 1000 ""; do
    run dissect -j "$jobs" "$http"
    check "-j \"$jobs\"" gives 2 0 "-j takes a number"
done
echo "1..$number"
