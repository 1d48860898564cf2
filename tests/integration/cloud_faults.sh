#!/usr/bin/env bash
# Snapshots go to the cloud, come back and are removed while everything fails once that can fail, at each kind of request: cut
# connections, errors, damage. Nothing is lost, no half object is to be seen, no part is left. Over Ceph's radosgw and Azurite.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
# shellcheck source=../servers/azurite.bash
source "$here/../servers/azurite.bash"
# shellcheck source=../servers/ceph.bash
source "$here/../servers/ceph.bash"
trap 'ceph_stop; finish' EXIT
client=$PWD/${BUILD:-build}/tests/bench/cloud_client
number=0

check() { # NAME COMMAND...: what must succeed
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/check.$provider" 2>&1; then
        echo "ok $number - $provider: $name"
    else
        echo "not ok $number - $provider: $name"
        head -c 2000 "$work/check.$provider" | sed 's/^/#   /'
    fi
}

# ---- Servers, and the proxies before them ----

# one NAME COMMON OPTIONS: of the certificates that the proxies show
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "${@:2}" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
}
start_servers() {
    local -a listen
    ceph_start "$work" && ceph_bucket one || die "radosgw does not start"
    start_azurite azurite 10000
    azurite_ask PUT "http://127.0.0.1:10000/$azurite_account/one?restype=container" "$azurite_key" || die "no container"
    certificate good -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1
    certificate other -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1
    certificate misnamed -days 2 -subj /CN=elsewhere -addext subjectAltName=DNS:elsewhere.example
    openssl req -new -key "$work/good.key" -subj /CN=127.0.0.1 -out "$work/expired.csr" 2>/dev/null
    openssl x509 -req -in "$work/expired.csr" -signkey "$work/good.key" -days -1 -out "$work/expired.pem" \
        -extfile <(echo subjectAltName=IP:127.0.0.1) 2>/dev/null
    listen=(1 "2,$work/good.pem,$work/good.key" "3,$work/expired.pem,$work/good.key" "4,$work/misnamed.pem,$work/misnamed.key")
    start proxy-s3 tests/servers/fault_proxy --control 20100 --to "${ceph_http##*:}" "${listen[@]/#/--listen=2010}"
    start proxy-azblob tests/servers/fault_proxy --control 20200 --to 10000 --dialect azblob "${listen[@]/#/--listen=2020}"
    wait_for proxy-s3 tcp_open 127.0.0.1 20100
    wait_for proxy-azblob tcp_open 127.0.0.1 20200
}

# config NAME ENDPOINT [OPTIONS]: of the provider
config() {
    local common="endpoint: '$2', idleTimeout: ${idle:-2s}${3:+, $3}"
    case $provider in
    s3) common+=", bucket: one, partSize: 5Mi, accessKey: $ceph_access_key, secretKey: $ceph_secret_key" ;;
    azblob) common+=", container: one, storageAccount: $azurite_account, blockSize: 5Mi, storageKey: '$azurite_key'" ;;
    esac
    printf 'tap: {snapshots: {cloud: {provider: %s, %s: {%s}}}}\n' "$provider" "$provider" "$common" >"$work/$provider-$1.yaml"
}
proxy() { curl -sfG "http://127.0.0.1:$control/$1" "${@:2}"; }

# ---- What is there ----

# cloud FOLDER COMMAND...: through the proxy; seen COMMAND...: past it
cloud() { "$client" -p "${patience:-10}" "$work/$provider-proxied.yaml" "$work/$provider-$1" "${@:2}"; }
seen() { "$client" "$work/$provider-direct.yaml" "$work/$provider-there" "$@"; }
# Unfinished uploads, as the server itself tells them.
unfinished() {
    case $provider in
    s3) ceph_uploads one ;;
    azblob) azurite_ask GET "http://127.0.0.1:10000/$azurite_account/one?restype=container&comp=list&include=uncommittedblobs" \
        "$azurite_key" | grep -o '<Name>[^<]*' | cut -d'>' -f2 ;;
    esac
}
is_empty() {
    local keys left
    keys=$(seen keys) && left=$(unfinished) && echo "$keys $left" && [[ -z $keys$left ]]
}
no_work() { [[ -z $(ls -A "$work/$provider-here/work" "$work/$provider-there/work" | grep -v :) ]]; }
# Objects that are there have their sizes, and no manifest tells of them.
no_half() {
    seen keys >"$work/$provider-keys" && ! grep manifest.json "$work/$provider-keys" &&
        (cd "$work/$provider-here/snapshots" && find . -type f -printf 'hubs/one/%P %s\n') >"$work/$provider-files" &&
        ! grep -vxFf "$work/$provider-files" "$work/$provider-keys"
}
fired() { # the kind, at least so often
    proxy stats >"$work/$provider-stats" && cat "$work/$provider-stats"
    python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[3]))["faults"].get(sys.argv[1], 0) < int(sys.argv[2]))' "$1" "$2" \
        "$work/$provider-stats"
}

# ---- All that fails once ----

# Requests of each kind, by method and URL.
declare -A requests=(
    [s3]='^GET.*tapedeck-check ^PUT.*[.]idx$ ^PUT.*manifest ^POST.*[?]uploads partNumber= ^POST.*uploadId= ^GET.*[.]pcapng$
        ^GET.*list-type ^HEAD ^(DELETE.*[^=]$|POST.*[?]delete)'
    [azblob]='^GET.*tapedeck-check ^PUT.*[.]idx$ ^PUT.*manifest comp=block& comp=blocklist ^GET.*[.]pcapng$
        ^GET.*comp=list ^HEAD ^DELETE'
)
round_trip() {
    cloud here upload one && seen list | grep -q "^$id one$" && cloud there download "$id" && seen verify one &&
        diff -r "$work/$provider-here" "$work/$provider-there" && seen delete one && cloud there remove "$id"
}
fails_once() { # KIND
    local request
    proxy clear >/dev/null
    for request in ${requests[$provider]}; do
        proxy arm --data-urlencode "kind=$1" --data-urlencode "match=$request" >/dev/null
    done
    # The first one is before there is a manifest.
    proxy arm --data-urlencode "kind=$1" -d 'match=^GET.*manifest' -d skip=1 -d times=2 >/dev/null
    begin=$SECONDS
    check "$1, once at each kind of request" round_trip
    check "  in time" test $((SECONDS - begin)) -le 15
    check "  and nothing is left" is_empty
    check "  nor here" no_work
}

# ---- What fails for good ----

refused() { # STATUS TEXT COMMAND...: it fails with this status, and says this
    local said
    said=$("${@:3}") && return 1
    echo "$said"
    [[ $said == "$1: "*$2* && $said != *"${secret:4:12}"* ]]
}
fails_for_good() {
    local begin
    proxy clear >/dev/null
    proxy arm --data-urlencode "kind=$1" --data-urlencode "match=$2" -d times=0 >/dev/null
    begin=$SECONDS
    patience=1 check "$1 for good: $4" refused "$3" "$4" cloud here upload one
    check "  told in time" test $((SECONDS - begin)) -le 12
    check "  nothing half is to be seen" no_half
    proxy clear >/dev/null
    check "  cleaned up" cloud here clean-upload "$id"
    check "  without a rest" is_empty
    check "  nor here" no_work
}

test_provider() {
    local kind port list='comp=blocklist|^POST.*uploadId='
    provider=$1 control=$2 direct=$3 secret=$4
    config direct "$direct"
    config proxied "http://127.0.0.1:$((control + 1))"
    id=$("$client" "$work/$provider-direct.yaml" "$work/$provider-here" make one 1 6000000 7 | head -n 1)
    check "a snapshot" test -n "$id"
    for kind in cut-head cut-in-head cut-body cut-answer cut-answer-head cut-answer-body end-answer-head 500 503 408 429 500-done short \
        flip-up flip-down; do
        fails_once "$kind"
    done
    idle=1s config proxied "http://127.0.0.1:$((control + 1))"
    proxy clear >/dev/null
    proxy arm -d kind=stall --data-urlencode "match=^PUT.*pcapng" >/dev/null
    proxy arm -d kind=stall --data-urlencode "match=^GET.*pcapng" >/dev/null
    check "bytes that stop coming" round_trip
    proxy clear >/dev/null
    proxy arm -d kind=slow -d at=4000000 --data-urlencode "match=pcapng" -d times=4 >/dev/null
    check "bytes that come slowly" round_trip
    check "  as they did" fired slow 4
    proxy clear >/dev/null
    proxy arm -d kind=flip-up -d at=45 --data-urlencode "match=$list" >/dev/null
    check "a list of parts that is none any more" round_trip
    fails_for_good 503 . "temporary failure" "then given up"
    fails_for_good cut-answer pcapng "temporary failure" "then given up"
    fails_for_good flip-up "^PUT.*pcapng" "temporary failure" "damaged"

    port=$((control + 2))
    config proxied "https://127.0.0.1:$port" "caFile: $work/good.pem"
    check "over TLS" round_trip
    for kind in cut-head cut-body cut-answer-body; do
        proxy arm -d kind=$kind -d match=. -d skip=3 >/dev/null
    done
    check "over TLS that is cut" round_trip
    begin=$SECONDS
    config proxied "https://127.0.0.1:$port" "caFile: $work/other.pem"
    check "another authority" refused "not allowed" "its certificate is not trusted" cloud here upload one
    config proxied "https://127.0.0.1:$((control + 3))" "caFile: $work/expired.pem"
    check "a certificate that has expired" refused "not allowed" "certificate has expired" cloud here upload one
    config proxied "https://127.0.0.1:$((control + 4))" "caFile: $work/misnamed.pem"
    check "a certificate of somebody else" refused "not allowed" "its certificate is not trusted" cloud here upload one
    check "told in time" test $((SECONDS - begin)) -le 5
}

# Both at once: most of the time is spent with waiting.
start_servers
test_provider s3 20100 "$ceph_http" "$ceph_secret_key" >"$work/told.s3" &
s3=$!
test_provider azblob 20200 http://127.0.0.1:10000 "$azurite_key" >"$work/told.azblob" &
wait "$s3" $!
cat "$work"/told.* | sed -E "s/^(not ok|ok) [0-9]+/\\1/"
echo "1..$(cat "$work"/told.* | grep -cE '^(not )?ok')"
