#!/usr/bin/env bash
# `tapedeck run` and `tapedeck hub` as people run them: a capture is replayed, cut into a snapshot, dissected and searched over
# the API, whose description is held against what it does; roles, the audit log, signals, restarts, and what it refuses.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
tapedeck=$PWD/${BUILD:-build}/tapedeck
replayed=$PWD/plugins/dissectors/http/captures/nginx_curl.pcap
port=8898 number=0 auth=()
url=http://127.0.0.1:$port api=http://127.0.0.1:$port/api/v1

config() { printf 'tap:\n  node: n1\n  dataDir: %s/data\n%s\n' "$work" "$2" >"$1"; }
get() { curl -sS --max-time 20 "${auth[@]}" "$api$1"; }
has() { get "$1" | tee "$work/last" | grep -q -- "$2" || { cat "$work/last" && false; }; }
# code STATUS PATTERN CURL...: the answer's status, and what stands in it.
code() {
    local got
    got=$(curl -sS --max-time 20 -o "$work/body" -w '%{http_code}' "${auth[@]}" "${@:3}")
    [[ $got == "$1" ]] && { [[ -z $2 ]] || grep -q -- "$2" "$work/body"; } || { echo "$got: $(<"$work/body")" && false; }
}
is_up() { curl -sf -o /dev/null "$url/healthz"; }
logged() { grep -q -- "$1" "$work/hub.log"; }
run_hub() { # COMMAND CONFIG
    start hub "$tapedeck" "$1" -c "$2"
    wait_for hub is_up
}

source="capture: {source: {file: $replayed, times: now}, raw: {storageSize: 16Mi, minFreeSpace: 0}}"
config "$work/run.yaml" "  $source
  worker: {listen: '127.0.0.1:0'}
  hub: {auditLog: $work/audit.log}"
check "run --check finds nothing amiss" "$tapedeck" run -c "$work/run.yaml" --check
begin=$(date -u +%Y-%m-%dT%H:%M:%SZ)
run_hub run "$work/run.yaml"
captured() { has /nodes '"state":"capturing".*"packets":[1-9]' >/dev/null; }
wait_for hub captured
check "the worker of the process is a node" has /nodes '"name":"n1"'
check "with a clock" has /nodes '"clock_offset_ns":-\{0,1\}[0-9]'
check "boundaries, overall and of the node" has /data-boundaries '"oldest":"20.*"nodes":\[{"name":"n1"'
check "/readyz" curl -sSf "$url/readyz"
check "/metrics" bash -c "curl -sS $url/metrics | grep -q '^tapedeck_capture_oldest_timestamp_seconds{node=\"n1\"}'"

# ---- The description ----
get /openapi.json >"$work/openapi.json"
check "the description is OpenAPI" "$here/openapi_check" "$work/openapi.json"
sed 's/"operationId":"listNodes"/"operationId":"listJobs"/' "$work/openapi.json" >"$work/wrong.json"
check "and would not pass with a fault" bash -c "! '$here/openapi_check' '$work/wrong.json'"
# METHOD PATH ROLE of every operation; names in braces become x.
python3 - "$work/openapi.json" >"$work/operations" <<'EOF'
import json, re, sys
for path, item in json.load(open(sys.argv[1]))["paths"].items():
    for method, operation in item.items():
        print(method.upper(), re.sub(r"\{[^}]*\}", "x", path), operation["x-role"])
EOF
routes_answer() {
    while read -r method path _; do
        curl -sS --max-time 0.4 -X "$method" -d '' "$url$path" -o "$work/body" 2>/dev/null
        if grep -qE '"code":"(unknown_path|unknown_method|method_not_allowed)"' "$work/body"; then
            echo "$method $path: $(<"$work/body")"
            return 1
        fi
    done <"$work/operations"
    [[ $(wc -l <"$work/operations") -ge 25 ]]
}
check "every operation that is described is there" routes_answer

# ---- A snapshot, its calls ----
check "what does not exist: 404" code 404 snapshot_not_found "$api/snapshots/first"
check "a bad name: 400" code 400 invalid_request "$api/snapshots" -d '{"name":"First","last":"1m"}'
check "an unknown member: 400, with the nearest" code 400 'did you mean .*last' "$api/snapshots" -d '{"name":"first","lasst":"1m"}'
check "no JSON: 400" code 400 'line 1' "$api/snapshots" -d '{name}'
check "an unknown node: 404" code 404 'no node n9' "$api/snapshots" -d '{"name":"first","last":"1m","nodes":["n9"]}'
check "a window that is not there: 422" code 422 window_not_available "$api/snapshots" \
    -d '{"name":"first","start":"2001-01-01T00:00:00Z","end":"2001-01-02T00:00:00Z"}'
(curl -sSN --max-time 8 "$api/jobs/events" >"$work/events" 2>/dev/null) &
events=$!
sleep 0.3
check "a snapshot is begun" code 202 '"job":"' "$api/snapshots" \
    -d "{\"name\":\"first\",\"start\":\"$begin\",\"end\":\"now\",\"allow_partial\":true}"
made() { has /snapshots/first '"packets":242' >/dev/null; }
wait_for hub made
check "and made" made
check "what is not covered is told apart from its status" has /snapshots/first '"status":"Completed","complete":false,"reason":".'
check "in the list, too" bash -c "'$tapedeck' snapshot list | grep -q '^first[[:space:]]*Completed, partial'"
check "its name is taken: 409" code 409 name_taken "$api/snapshots" -d '{"name":"first","last":"1m","allow_partial":true}'
check "it is not dissected: 404" code 404 'is not dissected' "$api/calls?db=first"
: >"$work/data/hub/work/first:default.calls" # of a job that a damaged database has forgotten
check "dissecting is begun" code 202 '"kind":"dissect"' "$api/dissections" -d '{"snapshot":"first"}'
dissected() { has /dissections/first/default '"state":"completed"' >/dev/null; }
wait_for hub dissected
check "and done" has /dissections/first/default '"calls":27'
check "which its status tells, and still not more" has /snapshots/first '"status":"Dissected","complete":false'
told() { grep -q '^data: .*"kind":"dissect".*"state":"completed"' "$work/events"; }
wait_for hub told
kill "$events" 2>/dev/null
wait "$events" 2>/dev/null
check "events told of the jobs" told
check "calls, the newest first" has "/calls?db=first&limit=2" '"cursor":"n'
pages() { # all calls, two at a time, each once
    local cursor='' n=0 answer
    : >"$work/ids"
    while [[ $cursor != null && $n -lt 30 ]]; do
        answer=$(get "/calls?db=first/default&limit=2&order=$1${cursor:+&cursor=$cursor}")
        grep -o '"id":"first/default/[0-9]*"' <<<"$answer" >>"$work/ids"
        cursor=$(grep -o '"cursor":[^,]*' <<<"$answer" | sed 's/.*://; s/"//g')
        n=$((n + 1))
    done
    [[ $(sort -u "$work/ids" | wc -l) -eq 27 && $(wc -l <"$work/ids") -eq 27 ]] || { cat "$work/ids" && false; }
}
check "pages have each call once" pages newest
check "also the oldest first" pages oldest
check "a cursor of the other order: 400" code 400 'no cursor' "$api/calls?db=first&order=oldest&cursor=n1.1"
check "a filter" has "/calls?db=first&filter=status_code%20%3E%3D%20400" '"calls":\[{'
check "as a body" code 200 '"calls":\[\]' "$api/calls" -d '{"db":"first","filter":"status_code == 999"}'
check "one that is wrong: 400, with the place" code 400 '"diagnostics":\[{"from":0' "$api/calls" -d '{"db":"first","filter":"statsu == 1"}'
check "checking it" code 200 '"ok":false' "$api/filter/check" -d '{"filter":"statsu == 1"}'
check "completing it" code 200 '"text":"status_code"' "$api/filter/complete" -d '{"filter":"status_c"}'
id=$(get "/calls?db=first&limit=1" | grep -o '"id":"[^"]*"' | head -n 1 | cut -d'"' -f4)
check "one call in full" has "/calls/${id//\//%2F}" '"headers":\['
check "one that there is not: 404" code 404 '"code":"' "$api/calls/first%2Fdefault%2F999999999"
check "fields" has "/fields?db=first" '"name":"status_code"'
check "plugins" has /plugins '"name":"local"'
check "verifying" code 202 '"kind":"verify"' "$api/snapshots/first/verify" -X POST
verified() { has "/jobs?kind=verify" '"state":"completed"' >/dev/null; }
wait_for hub verified
check "finds nothing amiss" has "/jobs?kind=verify" '"state":"completed"'
check "a job that has ended cannot be cancelled: 409" code 409 job_ended -X POST \
    "$api/jobs/$(get '/jobs?kind=verify' | grep -o '"id":"[^"]*"' | cut -d'"' -f4)/cancel"

# ---- Restarts ----
check "a second hub is refused" bash -c "! '$tapedeck' hub -c '$work/run.yaml' 2>'$work/second'"
check "for the first one runs" grep -q 'is running' "$work/second"
kill -9 "${started[hub]}"
wait "${started[hub]}" 2>/dev/null
run_hub run "$work/run.yaml"
check "after kill -9, snapshots and dissections are there" has /dissections/first/default '"calls":27'
check "and what jobs did" has "/jobs?kind=create" '"state":"completed"'
check "packets are exported" code 200 '' "$api/snapshots/first/pca%70"
check "which the audit log knows, however the path is written" grep -q 'method=GET path="/api/v1/snapshots/first/pca%70" status=200' \
    "$work/audit.log"
check "a page of another machine cannot ask for anything: 403" code 403 foreign_origin -X DELETE -H 'Origin: https://evil.example' \
    "$api/snapshots/first"
check "a dissection is deleted" code 204 '' -X DELETE "$api/dissections/first/default"
check "and gone" code 404 dissection_not_found "$api/dissections/first/default"
check "the snapshot too" code 204 '' -X DELETE "$api/snapshots/first"
check "nothing of it is left" test -z "$(find "$work/data/snapshots" -name '*.pcapng*' -o -name manifest.json)"
check "the audit log knows who deleted" grep -q 'who="127.0.0.1".*method=DELETE path="/api/v1/snapshots/first" status=204' "$work/audit.log"
check "and not who looked" bash -c "! grep -q '\"/api/v1/nodes\"' '$work/audit.log'"
stop hub

# ---- Roles ----
for role in viewer operator admin; do
    token=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
    declare "$role=$token"
    echo "$role $token # $role-person"
done >"$work/tokens"
chmod 600 "$work/tokens"
config "$work/hub.yaml" "  hub:
    tokenFile: $work/tokens
    auditLog: $work/audit.log
    workers: ['http://127.0.0.1:9', 'dns:nowhere.invalid:1']"
check "hub --check" "$tapedeck" hub -c "$work/hub.yaml" --check
run_hub hub "$work/hub.yaml"
roles_hold() { # what each role may is what the description says
    local -A level=([anyone]=0 [viewer]=1 [operator]=2 [admin]=3)
    local who got want bearer
    while read -r method path role; do
        for who in anyone viewer operator admin; do
            bearer=()
            [[ $who == anyone ]] || bearer=(-H "Authorization: Bearer ${!who}")
            got=$(curl -sS --max-time 0.4 -X "$method" -d '' -o /dev/null -w '%{http_code}' "${bearer[@]}" "$url$path" 2>/dev/null)
            want=allowed
            [[ ${level[$who]} -ge ${level[$role]} ]] || want=refused
            case $want-$got in
            allowed-401 | allowed-403 | refused-[!4]* | refused-40[!13]) echo "$method $path as $who: $got" && return 1 ;;
            esac
        done
    done <"$work/operations"
}
check "roles are as described" roles_hold
auth=(-H "Authorization: Bearer $admin")
unreachable() { [[ $(get /nodes | grep -o '"state":"unreachable"' | wc -l) -eq 2 ]]; }
wait_for hub unreachable
check "workers that cannot be reached are told, with the reason" has /nodes '"reason":"..*"state"\|"state":"unreachable","reason":".'
check "without any, nothing can be cut: 422 or 503" bash -c "curl -sS -H 'Authorization: Bearer $admin' '$api/snapshots' \
    -d '{\"name\":\"x\",\"last\":\"1m\"}' | grep -q '\"status\":\(422\|503\)'"
check "the audit log has the token's name" grep -q 'who="viewer-person" role=viewer .*status=403' "$work/audit.log"
resident() { awk '/^VmRSS/ {print $2}' "/proc/${started[hub]}/status"; }
if [[ ${BUILD:-build} == build ]]; then # sanitizers need more
    check "an idle hub needs less than 30 MB ($(resident) KiB)" test "$(resident)" -lt 30000
fi
mv "$work/audit.log" "$work/audit.old"
echo "admin $(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$work/tokens"
auth=(-H "Authorization: Bearer $(cut -d' ' -f2 "$work/tokens")")
kill -HUP "${started[hub]}"
takes_new() { code 200 nodes "$api/nodes" >/dev/null; }
wait_for hub takes_new
check "SIGHUP: new tokens" takes_new
auth=(-H "Authorization: Bearer $viewer")
check "the old ones are refused" code 401 '"code":"' "$api/nodes"
check "and the audit log is begun anew" grep -q 'status=401' "$work/audit.log"
auth=(-H "Authorization: Bearer $(cut -d' ' -f2 "$work/tokens")")
sed -i 's/^tap:/tap:\n  snapshots: {local: {storageSize: 33Mi}}/' "$work/hub.yaml"
kill -HUP "${started[hub]}"
new_room() { has /snapshots "\"limit\":$((33 << 20))[,}]" >/dev/null; }
wait_for hub new_room
check "and the room for snapshots, at once" new_room
check "which is told" logged "storageSize is 33 MiB now instead of 20 GiB"
stop hub
check "SIGTERM ends it" logged "told to end"

# ---- A configuration that cannot be changes nothing ----
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
head -c 24 /dev/urandom | base64 >"$work/worker.token"
chmod 600 "$work/worker.token" "$work/key.pem"
secure_config() { # HUB: what else of tap.hub
    config "$work/run.yaml" "  $source
  worker: {listen: '127.0.0.1:48998', tokenFile: $work/worker.token}
  snapshots: {local: {storageSize: 35Mi}}
  hub: {tokenFile: $work/tokens, $1}"
}
tls="tls: {cert: $work/cert.pem, key: $work/key.pem}"
echo "viewer $viewer" >>"$work/tokens"
secure_config "$tls"
url=https://127.0.0.1:$port api=$url/api/v1 auth=(-k "${auth[@]}")
is_up() { curl -skf -o /dev/null "$url/healthz"; }
worker_token=$(<"$work/worker.token")
worker_takes() { curl -sSf --max-time 20 -o /dev/null -H "Authorization: Bearer $worker_token" http://127.0.0.1:48998/api/v1/node; }
run_hub run "$work/run.yaml"
wait_for hub captured
curl -ksSN --max-time 20 -H "Authorization: Bearer $viewer" "$api/jobs/events" >"$work/events" &
events=$!
listening() { [[ -s $work/events ]]; }
wait_for hub listening
cp "$work/tokens" "$work/tokens.good"
# refused TEXT HUB: read again with other tokens, other room and this; it is refused, with this text, and all is as before.
refused() {
    local times
    times=$(grep -c 'stays as it was' "$work/hub.log")
    echo "admin $operator" >"$work/tokens"
    head -c 24 /dev/urandom | base64 >"$work/worker.token"
    secure_config "$2"
    sed -i 's/35Mi/44Mi/' "$work/run.yaml"
    kill -HUP "${started[hub]}"
    told_again() { [[ $(grep -c 'stays as it was' "$work/hub.log") -gt $times ]]; }
    wait_for hub told_again
    grep 'stays as it was' "$work/hub.log" | tail -n 1 | grep -- "$1" && takes_new && worker_takes &&
        has /snapshots "\"limit\":$((35 << 20))[,}]"
}
check "SIGHUP: an audit log that cannot be" refused "audit log /nowhere/audit.log" "$tls, auditLog: /nowhere/audit.log"
check "a worker that is none" refused "is no worker" "$tls, workers: ['ftp://x']"
check "a certificate without its key" refused "key is not configured" "tls: {cert: $work/cert.pem}"
check "TLS is not turned off while it runs" refused "turned off by a restart" "auditLog: $work/audit.log"
check "the worker is known to the hub" captured
check "who listens goes on listening" kill -0 "$events"
grep -v "$viewer" "$work/tokens.good" >"$work/tokens"
secure_config "$tls"
kill -HUP "${started[hub]}"
check "until its token is taken away" timeout 10 tail --pid="$events" -f /dev/null
worker_token=$(<"$work/worker.token")
wait_for hub worker_takes
check "the worker has its new token" worker_takes
stop hub
auth=() url=http://127.0.0.1:$port api=$url/api/v1

# ---- What it refuses ----
refuses() { # TEXT CONFIG
    config "$work/bad.yaml" "$2"
    timeout 10 "$tapedeck" hub -c "$work/bad.yaml" 2>"$work/err"
    local status=$?
    [[ $status -ne 0 && $status -ne 124 ]] && grep -q -- "$1" "$work/err" || { cat "$work/err" && false; }
}
check "another address without tokens is refused" refuses token "  hub: {listen: ':$port'}"
check "and with tokens, but without TLS" refuses TLS "  hub: {listen: ':$port', tokenFile: $work/tokens}"
check "a worker that is none" refuses "is no worker" "  hub: {workers: ['ftp://x']}"
check "an audit log that cannot be" refuses "audit log" "  hub: {auditLog: /nowhere/audit.log}"
echo "1..$number"
