#!/usr/bin/env bash
# Call stores as people use them: dissected into, searched, shown, exported, damaged; beside `dissect -o json` of the same capture.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset TAPEDECK_PLUGIN_PATH NO_COLOR
tapedeck=${BUILD:-build}/tapedeck
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
http=plugins/dissectors/http/captures/nginx_curl.pcap dns=plugins/dissectors/dns/captures/dnsmasq_dig.pcap
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
        head -n 5 "$dir/out" 2>/dev/null | cut -c1-300 | sed 's/^/# out: /'
        head -n 10 "$dir/err" 2>/dev/null | sed 's/^/# err: /'
    fi
}

run() { # run WORD...: the program; its output is in $dir/out and $dir/err, its exit code in $code
    "$tapedeck" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
}

# exits CODE WORD...: the program ends so
exits() {
    local want=$1
    shift
    run "$@"
    [[ $code -eq $want ]]
}

count() { # count FILTER: calls of the store that match
    "$tapedeck" calls "$store" --filter "$1" -o count 2>/dev/null
}

store=$dir/both.calls
check "dissects into a store" exits 0 dissect "$http" "$dns" -w "$store" -j 2
check "and says nothing on standard output" test ! -s "$dir/out"
check "one file" test "$(find "$dir" -name 'both*' | wc -l)" -eq 1

"$tapedeck" dissect "$http" "$dns" -o json --payload -q | sort >"$dir/want"
"$tapedeck" calls "$store" -o json --payload | sed 's/^{"id":[0-9]*,/{/' | sort >"$dir/got"
check "the same calls, byte for byte, with payload" cmp "$dir/want" "$dir/got"
total=$(wc -l <"$dir/want")
check "counted" test "$(count '')" -eq "$total"

"$tapedeck" calls "$store" --fields timestamp >"$dir/times"
check "the newest first" sh -c "sort -rc '$dir/times'"
"$tapedeck" calls "$store" --order oldest --fields timestamp >"$dir/times"
check "or the oldest" sh -c "sort -c '$dir/times'"
check "the newest three" test "$("$tapedeck" calls "$store" --limit 3 -o json | wc -l)" -eq 3

# Filters, beside what the JSON lines say.
jq_count() { # jq_count PYTHON: how many lines the expression over the call c holds for
    python3 -c '
import json, sys
print(sum(bool(eval(sys.argv[1], {"c": json.loads(line)})) for line in open(sys.argv[2])))' "$1" "$dir/want"
}
same() { # same KFL PYTHON: matches as many calls, and some; while dissecting as well
    local stored dissected wanted
    stored=$(count "$1")
    dissected=$("$tapedeck" dissect "$http" "$dns" -o json -q --filter "$1" 2>/dev/null | wc -l)
    wanted=$(jq_count "$2")
    echo "stored $stored, dissected $dissected, wanted $wanted"
    [[ $wanted -gt 0 && $stored -eq $wanted && $dissected -eq $wanted ]]
}
check "a protocol" same 'http' 'c["protocol"] == "HTTP"'
check "numbers" same 'http && status_code >= 400' 'c["protocol"] == "HTTP" and c.get("status_code", 0) >= 400'
check "texts" same 'method == "GET" && path.startsWith("/api")' 'c.get("method") == "GET" and c.get("path", "").startswith("/api")'
check "regular expressions" same 'path.matches("^/(old|page)")' 'c.get("path", "").startswith(("/old", "/page"))'
check "lists" same '"www.example.test" in dns_questions' '"www.example.test" in c.get("dns_questions", [])'
check "elements" same 'dns_question_types.exists(t, t in ["AAAA", "MX"])' 'set(c.get("dns_question_types", [])) & {"AAAA", "MX"}'
check "header fields" same 'map_get(request.headers, "user-agent", "").contains("curl")' \
    'any(h["name"].lower() == "user-agent" and "curl" in h["value"] for h in c.get("request", {}).get("headers", []))'
check "presence" same '!has(status_code) || dns' '"status_code" not in c or c["protocol"] == "DNS"'
check "in Wireshark's words" same 'http.response.code == 404 or dns.qry.name contains "example.org"' \
    'c["protocol"] == "HTTP" and c.get("status_code") == 404 or any("example.org" in q for q in c.get("dns_questions", []))'

check "a misspelt field is a usage error" exits 2 calls "$store" --filter 'stauts_code == 200'
check "with the place" grep -q '^ *^~' "$dir/err"
check "and the right name" grep -q 'status_code' "$dir/err"
check "while dissecting as well" exits 2 dissect "$http" --filter 'method == 200'

# One call.
id=$("$tapedeck" calls "$store" --filter 'status_code == 503' --fields id)
check "an id" test -n "$id"
run call show "$store" "$id"
check "shows a call" test "$code" -eq 0
check "with its status" grep -q '^status_code  *503' "$dir/out"
check "and header fields" grep -q '< Content-Type' "$dir/out"
run call show "$store" "$id" -o json
check "as JSON" grep -q '"status_code":503' "$dir/out"
check "an id that there is not" exits 3 call show "$store" 999999999
run call packets "$store" "$id" -w "$dir/one.pcap"
check "its packets" test "$code" -eq 0
check "dissect to the same call" test "$("$tapedeck" dissect "$dir/one.pcap" -q --fields status_code)" = 503
id=$("$tapedeck" calls "$store" --filter 'dns_rcode_name == "NXDOMAIN"' --limit 1 --fields id)
run call packets "$store" "$id" -w "$dir/one.pcap"
check "from the second capture as well" test "$("$tapedeck" dissect "$dir/one.pcap" -q --fields dns_rcode_name)" = NXDOMAIN
cp "$http" "$dir/moved.pcap"
"$tapedeck" dissect "$dir/moved.pcap" -q -w "$dir/moved.calls"
mv "$dir/moved.pcap" "$dir/here.pcap"
id=$("$tapedeck" calls "$dir/moved.calls" --limit 1 --fields id)
check "a capture that was moved is missed" exits 3 call packets "$dir/moved.calls" "$id" -w "$dir/one.pcap"
check "by its name" grep -q "$dir/moved.pcap" "$dir/err"
check "and found where it is now" exits 0 call packets "$dir/moved.calls" "$id" -w "$dir/one.pcap" --capture "$dir/here.pcap"

# Other forms.
run calls "$store" -o csv --fields id,path,status_code --filter 'http'
rows=$(python3 -c 'import csv, sys; print(len(list(csv.DictReader(open(sys.argv[1], newline="")))))' "$dir/out")
check "CSV" test "$rows" -eq "$(count http)"
run calls "$store" -o har
entries=$(python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["log"]["entries"]))' "$dir/out")
check "an HTTP Archive" test "$entries" -eq "$(count http)"
check "tells what is not in it" grep -q 'are not HTTP' "$dir/err"
check "into a file" exits 0 calls "$store" -o har -w "$dir/out.har"
check "that is whole" cmp "$dir/out.har" <("$tapedeck" calls "$store" -o har 2>/dev/null)
check "SQL" test "$("$tapedeck" sql "$store" "select count(*) from calls where protocol = 'HTTP'" 2>"$dir/err")" = "$(count http)"
check "SQL that would write is refused" exits 2 sql "$store" "delete from calls"

check "the page of fields is what the tables say (make docs)" cmp sdk/fields.md <("$tapedeck" fields -o markdown)

# What is no store, and what is not whole.
check "a capture is no call store" exits 1 calls "$http"
check "and told so" grep -qi 'call store' "$dir/err"
check "a store that is not there" exits 3 calls "$dir/nothing.calls"
head -c 20000 "$store" >"$dir/cut.calls"
check "a store that was cut" exits 1 calls "$dir/cut.calls"
check "a store into a folder that is not there" exits 3 dissect "$http" -w "$dir/no/where.calls"

# A store that grows: a reader follows it to its end.
mkfifo "$dir/pipe"
(cat "$http"; sleep 2) >"$dir/pipe" &
"$tapedeck" dissect "$dir/pipe" -q -w "$dir/growing.calls" &
writer=$!
for _ in $(seq 50); do [[ -s $dir/growing.calls ]] && break; sleep 0.1; done
timeout 30 "$tapedeck" calls "$dir/growing.calls" --follow -o json >"$dir/followed" 2>"$dir/err"
code=$?
wait "$writer"
check "a reader follows a store to its end" test "$code" -eq 0
check "and has seen every call" test "$(wc -l <"$dir/followed")" -eq "$("$tapedeck" dissect "$http" -q -o json | wc -l)"

# Killed while it writes: what was committed is there, and is told to be incomplete.
(for _ in $(seq 3); do cat "$http"; sleep 1.2; break; done; sleep 20) >"$dir/pipe" &
feeder=$!
"$tapedeck" dissect "$dir/pipe" -q -w "$dir/killed.calls" &
writer=$!
sleep 2.5
kill -9 "$writer"
wait "$writer" 2>/dev/null
kill "$feeder" 2>/dev/null
check "after kill -9 a store opens" exits 0 calls "$dir/killed.calls" -o count
check "and says that it is incomplete" grep -q 'incomplete' "$dir/err"

echo "1..$number"
