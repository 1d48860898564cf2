# To be sourced after loopback.bash by the scripts that try a hub with cloud storage, each with a provider of its own: hubs, and the story
# that all providers have to tell.
#
#     cloud='provider: ..., ...: {...}'     what stands in tap.snapshots.cloud of every hub
#     start_cloud_hub NAME [OPTION...]      on port ${ports[NAME]}, below $work/NAME; its log is $work/NAME.log
#     on NAME ARGUMENT...                   the client of that hub
#     tell_story NAME OTHER                 with two hubs that run
tapedeck=$PWD/${BUILD:-build}/tapedeck
capture=$PWD/plugins/dissectors/http/captures/nginx_curl.pcap
number=0
declare -A ports=([a]=8801 [b]=8802 [c]=8803)
unset "${!SNAPSHOT_@}" "${!AWS_@}" "${!AZURE_@}" "${!TAPEDECK_@}"

on() {
    local hub=$1
    shift
    "$tapedeck" "$@" --hub "http://127.0.0.1:${ports[$hub]}"
}
# exits CODE TEXT COMMAND...: how it ends, and what it says.
exits() {
    local code=$1 text=$2 got
    shift 2
    "$@" >"$work/said" 2>&1
    got=$?
    [[ $got -eq $code ]] && grep -qF -- "$text" "$work/said" || { echo "$got: $(<"$work/said")" && false; }
}
# has NAME PATH PATTERN: what the API answers.
has() { curl -sS --max-time 20 "http://127.0.0.1:${ports[$1]}$2" | tee "$work/last" | grep -q -- "$3" || { cat "$work/last" && false; }; }

cloud_config() { # NAME
    printf 'tap:\n  node: %s\n  dataDir: %s/%s\n  hub: {listen: "127.0.0.1:%s", auditLog: %s/%s.audit}\n  snapshots:\n    cloud: {%s}\n' \
        "$1" "$work" "$1" "${ports[$1]}" "$work" "$1" "refreshInterval: 1s, $cloud" >"$work/$1.yaml"
}
hub_is_up() { curl -sf -o /dev/null "http://127.0.0.1:${ports[$1]}/readyz"; }
start_cloud_hub() {
    local name=$1
    shift
    start "$name" "$tapedeck" hub -c "$work/$name.yaml" "$@"
    wait_for "$name" hub_is_up "$name"
}
# answers HUB: its cloud has answered, which it may not have been asked yet when the hub is up.
answers() { on "$1" cloud status >/dev/null; }
# refuses TEXT...: a hub of this configuration does not start, and says why.
refuses() {
    local status text
    cloud_config c
    timeout 60 "$tapedeck" hub -c "$work/c.yaml" >"$work/said" 2>&1
    status=$?
    [[ $status -ne 0 && $status -ne 124 && $(wc -l <"$work/said") -eq 1 ]] || { cat "$work/said" && return 1; }
    for text in "$@"; do
        grep -qiF -- "$text" "$work/said" || { cat "$work/said" && return 1; }
    done
    ! "$tapedeck" hub -c "$work/c.yaml" --check >"$work/checked" 2>&1 && grep -q '^LACKS  cloud storage: ' "$work/checked"
}

location() { # HUB SNAPSHOT WHERE
    [[ $(on "$1" snapshot list -o json | python3 -c '
import json, sys
print(next((s.get("location") for s in json.load(sys.stdin)["snapshots"] if s["name"] == sys.argv[1]), "nowhere"))' "$2") == "$3" ]]
}
# All of a snapshot that a hub has, as sums; of packets and of calls, as this hub exports them.
sums() {
    on "$1" snapshot export "$2" --format pcapng -q -w - | sha256sum
    on "$1" snapshot export "$2" --format archive --compression none -q -w - | tar -xO "$2/SHA256SUMS" 2>/dev/null | sort | sha256sum
    on "$1" calls "$2" --limit 1000 -o json | sha256sum
}
same_sums() { sums "$1" "$2" >"$work/again" && cmp "$work/sums" "$work/again"; }

tell_story() {
    local hub=$1 other=$2
    wait_for "$hub" answers "$hub"
    check "the cloud answers" exits 0 "connected	true" on "$hub" cloud status
    check "a snapshot" on "$hub" snapshot import --name tale -q "$capture"
    check "is dissected" on "$hub" snapshot dissect tale --wait -q
    sums "$hub" tale >"$work/sums"
    check "with packets and calls" test "$(sort -u "$work/sums" | wc -l)" -eq 3
    check "it is uploaded" on "$hub" snapshot upload tale --wait -q
    check "and in both places" location "$hub" tale "Local + Cloud"
    check "where to delete it must be said" exits 5 "from=local, from=cloud or from=all" on "$hub" snapshot delete tale
    check "it is deleted here" on "$hub" snapshot delete tale --from local
    check "and still in the cloud" location "$hub" tale Cloud
    check "where it is listed" exits 0 tale on "$hub" snapshot list --location cloud
    check "and not here" bash -c "[[ -z \$('$tapedeck' snapshot list --location local --hub http://127.0.0.1:${ports[$hub]}) ]]"
    check "it can be looked at" exits 0 "packets	242" on "$hub" snapshot show tale
    for words in "snapshot export tale -w $work/x" "snapshot dissect tale" "snapshot verify tale" "calls tale" "snapshot upload tale"; do
        # shellcheck disable=SC2086 # many words
        check "$words: not without downloading it" exits 5 "tapedeck snapshot download tale" on "$hub" $words
    done
    check "its bytes there are verified" on "$hub" snapshot verify tale --location cloud -q
    seen() { location "$other" tale Cloud; }
    wait_for "$other" seen
    check "another hub sees it" location "$other" tale Cloud
    check "and downloads it" on "$other" snapshot download tale --wait -q
    check "with the same packets, objects and calls" same_sums "$other" tale
    check "the first one as well" on "$hub" snapshot download tale --wait -q
    check "and exports the same" same_sums "$hub" tale
    check "verified here" on "$hub" snapshot verify tale -q
    check "it is deleted there" on "$hub" snapshot delete tale --from cloud -q
    gone() { location "$other" tale Local; }
    wait_for "$other" gone
    check "which the other one sees" location "$other" tale Local
    on "$hub" snapshot upload tale --wait -q >"$work/one" 2>&1 &
    local one=$!
    on "$other" snapshot upload tale --wait -q >"$work/two" 2>&1
    local two=$?
    wait "$one"
    check "two hubs upload it at once" test "$?-$two" == 0-0
    check "and it is whole" on "$other" snapshot verify tale --location cloud -q
    check "nothing else is there" bash -c "'$tapedeck' cloud status --hub http://127.0.0.1:${ports[$other]} | grep -q '^snapshots	1$'"
    check "deleted everywhere" on "$hub" snapshot delete tale --from all -q
    wait_for "$other" gone
    check "and at the other one" on "$other" snapshot delete tale --from local
    wait_for "$other" location "$other" tale nowhere
    check "it is nowhere" location "$hub" tale nowhere
    check "the audit log knows who uploaded" grep -q 'method=POST path="/api/v1/snapshots/tale/upload" status=202' "$work/$hub.audit"
    check "who downloaded" grep -q 'method=POST path="/api/v1/snapshots/tale/download" status=202' "$work/$hub.audit"
    check "and who deleted from the cloud" grep -q 'method=DELETE path="/api/v1/snapshots/tale?from=cloud" status=202' "$work/$hub.audit"
}

# No secret stands in what anybody can read: configurations that are shown, logs, answers, metrics, errors.
keeps_secret() { # SECRET HUB
    local secret=$1 hub=$2 path
    for path in /api/v1/cloud /api/v1/plugins /api/v1/jobs /api/v1/snapshots /metrics /api/v1/openapi.json; do
        curl -sS "http://127.0.0.1:${ports[$hub]}$path"
    done >"$work/answers" 2>&1
    "$tapedeck" config show -c "$work/$hub.yaml" >"$work/shown" 2>&1
    "$tapedeck" config check "$work/$hub.yaml" >>"$work/shown" 2>&1
    "$tapedeck" plugin check -c "$work/$hub.yaml" "${BUILD:-build}"/plugins/storage/*.so >>"$work/shown" 2>&1
    [[ -s $work/answers && -s $work/shown ]] || return 1
    ! grep -F -- "$secret" "$work"/*.log "$work"/*.audit "$work/answers" "$work/shown" "$work/checked" "$work/said" 2>/dev/null
}
