#!/usr/bin/env bash
# A hub with Azure Blob Storage, which Azurite plays: the story of a snapshot there and back; what a hub says that cannot use the container;
# a service that hangs, is away and comes back; kills in the middle of transfers; the key, which nobody gets to see.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
# shellcheck source=../servers/azurite.bash
source "$here/../servers/azurite.bash"
# shellcheck source=../cloud_story.bash
source "$here/../cloud_story.bash"
endpoint=http://127.0.0.1:10000
container() { azurite_ask PUT "$endpoint/$azurite_account/snapshots?restype=container" "$azurite_key"; }
names() { azurite_ask GET "$endpoint/$azurite_account/snapshots?restype=container&comp=list&include=uncommittedblobs" "$azurite_key"; }
nothing_there() { ! names | grep -q '<Name>'; }
account="storageAccount: $azurite_account, container: snapshots, endpoint: '$endpoint'"
export SNAPSHOT_CLOUD_PREFIX=tests/azure/ SNAPSHOT_AZBLOB_STORAGE_KEY=$azurite_key

start_azurite azurite 10000
check "a container" container
# Small blocks, so that what is moved takes some requests.
cloud="provider: azblob, patience: 20s, azblob: {$account, blockSize: 256Ki, idleTimeout: 1s}"
cloud_config a
cloud_config b
start_cloud_hub a -v
start_cloud_hub b
check "the environment has the last word" exits 0 "prefix	tests/azure/" on a cloud status
tell_story a b
check "nothing is left over there" nothing_there

# ---- What takes longer ----
python3 tests/repeat_capture.py "$capture" 300 >"$work/long.pcap"
check "a longer snapshot" on a snapshot import --name long -q "$work/long.pcap"
sums_of() { on "$1" snapshot export long -q -w - | sha256sum; }
sums_of a >"$work/long.sum"

kill -STOP "${started[azurite]}"
job=$(on a snapshot upload long -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["job"])')
running() { has a "/api/v1/jobs/$job" '"state":"running"' >/dev/null; }
wait_for a running
check "a service that hangs does not stop the hub" has a /api/v1/snapshots '"transfer":{"kind":"upload"'
check "two jobs of one snapshot are refused" exits 5 "job $job is at snapshot long: upload" on a snapshot upload long
check "also deleting it" exits 5 "job $job is at snapshot long" on a snapshot delete long
kill -CONT "${started[azurite]}"
check "it goes on when the service does" on a job show "$job" --wait -q
check "the upload is whole" on a snapshot verify long --location cloud -q
check "deleted there" on a snapshot delete long --from cloud -q
kill -STOP "${started[azurite]}"
job=$(on a snapshot upload long -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["job"])')
wait_for a running
check "one that runs is cancelled" on a job cancel "$job"
kill -CONT "${started[azurite]}"
cancelled() { has a "/api/v1/jobs/$job" '"state":"cancelled"' >/dev/null; }
wait_for a cancelled
check "and ends so" cancelled
check "leaving nothing there" nothing_there
check "nor here" test ! -e "$work/a/hub/work/$(on a snapshot show long -o json | grep -o '[0-9]*T[0-9]*Z-[0-9a-f]*' | head -n 1).upload"

# ---- Killed on the way ----
# kills HUB VERB...: the hub, three times while it moves the snapshot; at last it ends well.
kills() {
    local hub=$1 verb=$2 pause
    on "$hub" snapshot "$verb" long -q || return 1
    for pause in 0.05 0.15 0.3; do
        sleep "$pause"
        kill -9 "${started[$hub]}"
        wait "${started[$hub]}" 2>/dev/null
        start_cloud_hub "$hub"
    done
    ended() {
        has "$hub" "/api/v1/jobs?kind=$verb&subject=long&state=completed" '"attempts":[2-9]' >/dev/null &&
            location "$hub" long "Local + Cloud"
    }
    wait_for "$hub" ended
}
check "an upload during which the hub is killed" kills a upload
check "is whole in the end" on a snapshot verify long --location cloud -q
seen() { location b long Cloud; }
wait_for b seen
check "a download during which the hub is killed" kills b download
check "is whole in the end" on b snapshot verify long -q
sums_of b >"$work/again"
check "with the same packets" cmp "$work/long.sum" "$work/again"
check "and no files that nobody needs" test -z "$(ls -A "$work/a/hub/work" "$work/b/hub/work" | grep -v '^/\|^$')"

# ---- Away ----
stop a
stop b
sed -i 's/patience: 20s/patience: 1s/' "$work/a.yaml"
start_cloud_hub a -v
there() { location a long "Local + Cloud"; }
wait_for a there
stop azurite
away() { has a /api/v1/cloud '"connected":false,"error":"[^"]' >/dev/null; }
wait_for a away
check "that the service is away is told" exits 7 "connected	false" on a cloud status
check "with the reason" has a /api/v1/cloud '"error":".*127.0.0.1:10000'
check "and in metrics" has a /metrics '^tapedeck_cloud_connected{provider="azblob"} 0'
check "the hub is ready all the same" hub_is_up a
check "what is here can be used" on a snapshot verify long -q
check "what is not known there is not denied" exits 7 "the cloud does not answer" on a snapshot download unknown
check "nor exported, nor deleted" exits 7 "the cloud does not answer" on a snapshot export unknown -w "$work/x"
check "nothing is deleted while the other copy may be gone" exits 7 "nothing is deleted" on a snapshot delete long --from local
check "and it is still here" on a snapshot verify long -q
check "another snapshot" on a snapshot import --name only -q "$capture"
check "nor while there may be another copy" exits 7 "nothing is deleted" on a snapshot delete only --from all
check "unless it is said from where" on a snapshot delete only --from local
check "an upload fails when patience is over" bash -c "! '$tapedeck' snapshot upload long --wait --hub http://127.0.0.1:${ports[a]} -q"
cloud="provider: azblob, patience: 1s, azblob: {$account}"
check "hubs do not start without it" refuses "127.0.0.1:10000" "unavailableAtStart: degraded"
cloud="provider: azblob, patience: 1s, unavailableAtStart: degraded, azblob: {$account}"
cloud_config c
check "unless they may" exits 0 "does not answer; the hub starts all the same" "$tapedeck" hub -c "$work/c.yaml" --check
start_cloud_hub c
check "then they say so" exits 7 "connected	false" on c cloud status
start_azurite azurite 10000
container
back() { has c /api/v1/cloud '"connected":true' >/dev/null; }
for _ in $(seq 400); do back && break; sleep 0.05; done # it is asked every ten seconds
check "until it is back" back
stop c

# ---- What is wrong at the start ----
SNAPSHOT_AZBLOB_STORAGE_KEY=$(head -c 64 /dev/zero | base64 -w 0)
check "a wrong key" refuses "cloud storage: " key
SNAPSHOT_AZBLOB_STORAGE_KEY=nonsense
check "one that is none" refuses "cloud storage: " key
export SNAPSHOT_AZBLOB_STORAGE_KEY=$azurite_key
cloud="provider: azblob, azblob: {${account/container: snapshots/container: elsewhere}}"
check "a container that there is not" refuses elsewhere "container"
cloud="provider: azblob, unavailableAtStart: degraded, azblob: {${account/container: snapshots/container: elsewhere}}"
check "which no waiting mends" refuses elsewhere
cloud="provider: azblob, patience: 1s, azblob: {${account/:10000/:9}}"
check "an endpoint where nobody listens" refuses "127.0.0.1:9" "unavailableAtStart"
cloud="provider: azblob, azblob: {${account/http:/https:}}"
check "one that does not speak TLS" refuses "no secure connection"
cloud="provider: azblob, azblob: {storageAccount: a}"
cloud_config c
check "options that are missing" exits 2 container "$tapedeck" hub -c "$work/c.yaml"
check "the key is nowhere" keeps_secret "${azurite_key:10:30}" a
unset SNAPSHOT_AZBLOB_STORAGE_KEY
echo "$azurite_key" >"$work/key"
cloud="provider: azblob, azblob: {$account, storageKeyFile: $work/key}"
cloud_config c
start_cloud_hub c
check "nor when it is in a file" keeps_secret "${azurite_key:10:30}" c
stop c
cloud="provider: azblob, azblob: {$account, storageKey: '$azurite_key'}"
cloud_config c
start_cloud_hub c
check "nor when it is in the configuration" keeps_secret "${azurite_key:10:30}" c
check "which would be found" bash -c "$(declare -f keeps_secret); $(declare -p ports work tapedeck); ! keeps_secret '$azurite_account' c"
check "where it is masked" grep -q 'storageKey: .*\*\*' "$work/shown"
echo "1..$number"
