#!/usr/bin/env bash
# A hub with cloud storage, as people use it: the provider here is the plugin local, in a second directory, which can do all that the others
# can. The story of a snapshot there and back; roles, events, restarts, and what it refuses.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
with_mounts=1
enter_namespace "$0" "$@"
# shellcheck source=../cloud_story.bash
source "$here/../cloud_story.bash"

cloud="provider: local, prefix: tests/, local: {path: $work/bucket, sync: false}"
cloud_config a
cloud_config b
check "hub --check tells of the cloud" exits 0 'cloud storage "local", prefix "tests/": can be used; 0 snapshots' \
    "$tapedeck" hub -c "$work/a.yaml" --check
start_cloud_hub a
start_cloud_hub b
(curl -sSN --max-time 20 "http://127.0.0.1:${ports[b]}/api/v1/jobs/events" >"$work/events" 2>/dev/null) &
events=$!
tell_story a b
kill "$events" 2>/dev/null
wait "$events" 2>/dev/null
check "who follows events hears of what other hubs do there" grep -q '^event: cloud$' "$work/events"
check "and of jobs" grep -q '"kind":"download"' "$work/events"
check "nothing is left over in the bucket" test -z "$(find "$work/bucket" -type f)"
check "nor in the work directories" test -z "$(ls -A "$work/a/hub/work" "$work/b/hub/work" | grep -v '^/\|^$')"
check "what is nowhere cannot be uploaded" exits 3 "no snapshot none" on a snapshot upload none
check "nor downloaded" exits 3 "no snapshot none" on a snapshot download none

# ---- Restarts ----
check "another one" on a snapshot import --name kept -q "$capture"
check "is uploaded" on a snapshot upload kept --wait -q
id=$(on a snapshot show kept -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
stop a
stop b
mkdir -p "$work/b/hub/work/$id.download/n" "$work/b/snapshots/$id/n" # of a download that a damaged database has forgotten
: >"$work/b/hub/work/$id.download/n/1" && : >"$work/b/snapshots/$id/n/1"
mkdir -p "$work/a/hub/work/$id.upload"
rm -f "$work/b/hub/hub.db"*
start_cloud_hub a
start_cloud_hub b
check "what was left of a download is removed" test ! -e "$work/b/hub/work/$id.download" -a ! -e "$work/b/snapshots/$id"
tidied() { has a /api/v1/jobs '"kind":"cleanup".*"state":"completed"' >/dev/null && [[ ! -e $work/a/hub/work/$id.upload ]]; }
wait_for a tidied
check "and what was left of an upload" tidied
check "but nothing that is whole" location a kept "Local + Cloud"

# ---- A deletion that cannot come to its end ----
objects=$work/bucket/tests/$id/imported
if mount --bind "$objects" "$objects" 2>/dev/null && mount -o remount,ro,bind "$objects" 2>/dev/null; then
    check "objects that cannot be removed fail a deletion" exits 4 "snapshot delete $id --from cloud\` tries again" \
        on a snapshot delete kept --from cloud
    check "but the snapshot is not there any more" location a kept Local
    umount "$objects"
    stop a
    start_cloud_hub a
    emptied() { [[ -z $(find "$work/bucket" -type f) ]]; }
    wait_for a emptied
    check "the next start removes the rest" emptied
    check "it is uploaded again" on a snapshot upload kept --wait -q
else
    number=$((number + 1))
    echo "ok $number - objects that cannot be removed # SKIP nothing can be mounted here"
fi

# ---- Roles ----
stop b
for role in viewer operator admin; do
    token=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
    declare "$role=$token"
    echo "$role $token"
done >"$work/tokens"
chmod 600 "$work/tokens"
sed -i "s|hub: {|hub: {tokenFile: $work/tokens, |" "$work/b.yaml"
start_cloud_hub b
code() { # ROLE METHOD PATH: the status
    curl -sS --max-time 20 -o "$work/body" -w '%{http_code}' -X "$2" -H "Authorization: Bearer ${!1}" \
        "http://127.0.0.1:${ports[b]}/api/v1$3"
}
check "a viewer may look" test "$(code viewer GET /cloud)" == 200
check "but not download" test "$(code viewer POST /snapshots/kept/download)" == 403
check "nor upload" test "$(code viewer POST /snapshots/kept/upload)" == 403
check "an operator may not delete" test "$(code operator DELETE '/snapshots/kept?from=cloud')" == 403
check "but download" test "$(code operator POST /snapshots/kept/download)" == 202
stop b

# ---- What it refuses ----
good=$cloud
cloud=${good/tests\//tests}
check "a prefix without its slash" refuses 'prefix "tests"' 'as "production/'
cloud=${good/provider: local/provider: lokal}
cloud_config c
check "a provider that there is not" exits 2 'no storage plugin "lokal"' "$tapedeck" hub -c "$work/c.yaml"
cloud=${good/path: $work\/bucket/path: $work\/c\/snapshots}
mkdir -p "$work/c/snapshots"
check "the directory of the local snapshots" refuses "is the directory of the local snapshots"
: >"$work/file"
cloud=${good/path: $work\/bucket/path: $work\/file}
check "a bucket that is a file" refuses "$work/file"
cloud="$good, parallel: 1000"
cloud_config c
check "more at once than can be" exits 2 "1 to 64" "$tapedeck" hub -c "$work/c.yaml"
cloud="${good/tests\//other/}"
cloud_config a
kill -HUP "${started[a]}"
wait_for a grep -q "tap.snapshots.cloud has changed: that needs a restart" "$work/a.log"
check "SIGHUP says that another cloud needs a restart" grep -q "tap.snapshots.cloud has changed" "$work/a.log"
stop a
cloud_config a
start_cloud_hub a
check "another prefix is another cloud" location a kept Local
echo "1..$number"
