#!/usr/bin/env bash
# A hub with S3, which Ceph's gateway plays: the story of a snapshot there and back, over http and TLS; what a hub says that cannot use the
# bucket; the secret key, which nobody gets to see.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
# shellcheck source=../servers/ceph.bash
source "$here/../servers/ceph.bash"
# shellcheck source=../cloud_story.bash
source "$here/../cloud_story.bash"
trap 'ceph_stop; finish' EXIT

check "a service" ceph_start "$work"
check "a bucket" ceph_bucket snapshots
export SNAPSHOT_AWS_ACCESS_KEY=$ceph_access_key SNAPSHOT_AWS_SECRET_KEY=$ceph_secret_key SNAPSHOT_AWS_REGION=us-east-1
bucket="endpoint: '$ceph_http', bucket: snapshots"
cloud="provider: s3, prefix: tests/s3/, s3: {$bucket}"
cloud_config a
# The same bucket over TLS.
export SNAPSHOT_AWS_CA_FILE=$ceph_ca
cloud=${cloud/$ceph_http/$ceph_https}
cloud_config b
start_cloud_hub a -v
start_cloud_hub b -v
tell_story a b

# ---- Parts, and kills between them ----
python3 tests/repeat_capture.py "$capture" 300 >"$work/long.pcap"
stop a
sed -i 's/{endpoint/{partSize: 5Mi, endpoint/' "$work/a.yaml" "$work/b.yaml"
start_cloud_hub a
check "a longer snapshot" on a snapshot import --name long -q "$work/long.pcap"
on a snapshot export long -q -w - | sha256sum >"$work/long.sum"
check "an upload in parts" on a snapshot upload long -q
for pause in 0.02 0.05 0.1; do
    sleep "$pause"
    kill -9 "${started[a]}"
    wait "${started[a]}" 2>/dev/null
    start_cloud_hub a
done
there() { location a long "Local + Cloud"; }
wait_for a there
check "comes to its end, though the hub is killed" there
check "and is whole" on a snapshot verify long --location cloud -q
seen() { location b long Cloud; }
wait_for b seen
check "another hub gets it" on b snapshot download long --wait -q
on b snapshot export long -q -w - | sha256sum >"$work/again"
check "with the same packets" cmp "$work/long.sum" "$work/again"
check "deleted" on b snapshot delete long --from all -q

# ---- In a role ----
check "a token service" ceph_start_sts
role="endpoint: '$ceph_sts_http', bucket: snapshots, externalId: 'tape:1', roleArn: 'arn:aws:iam:::role"
cloud="provider: s3, prefix: tests/role/, s3: {$role/hub'}"
cloud_config c
start_cloud_hub c -v
wait_for c answers c
check "a hub that assumes a role" exits 0 "connected	true" on c cloud status
check "has asked for it" grep -q '"POST / HTTP' "$ceph_dir/log/client.sts.log"
check "a snapshot" on c snapshot import --name role -q "$capture"
check "it is uploaded" on c snapshot upload role --wait -q
check "deleted here" on c snapshot delete role --from local
check "listed there" exits 0 role on c snapshot list --location cloud
check "verified there" on c snapshot verify role --location cloud -q
check "downloaded" on c snapshot download role --wait -q
check "and deleted everywhere" on c snapshot delete role --from all -q
check "the secret key is nowhere" keeps_secret "$ceph_secret_key" c
stop c
cloud="provider: s3, s3: {$role/nobody'}"
check "a role that there is not" refuses "cloud storage: " "there is no such role"

# ---- What is wrong at the start ----
SNAPSHOT_AWS_SECRET_KEY=wrong0secret0of0tests000000000000000001
cloud="provider: s3, s3: {$bucket}"
check "a wrong secret key" refuses "cloud storage: " secretKey
SNAPSHOT_AWS_SECRET_KEY=$ceph_secret_key SNAPSHOT_AWS_ACCESS_KEY=NOBODYHASTHIS0000001
check "an unknown access key" refuses "cloud storage: " "access key"
SNAPSHOT_AWS_ACCESS_KEY=$ceph_access_key
cloud="provider: s3, s3: {endpoint: '$ceph_http', bucket: elsewhere}"
check "a bucket that there is not" refuses elsewhere "bucket"
cloud="provider: s3, unavailableAtStart: degraded, s3: {endpoint: '$ceph_http', bucket: elsewhere}"
check "which no waiting mends" refuses elsewhere
cloud="provider: s3, patience: 1s, s3: {endpoint: 'http://127.0.0.1:9', bucket: snapshots}"
check "an endpoint where nobody listens" refuses "127.0.0.1:9" "unavailableAtStart"
unset SNAPSHOT_AWS_CA_FILE
cloud="provider: s3, s3: {endpoint: '$ceph_https', bucket: snapshots}"
check "a certificate that nobody vouches for" refuses certificate caFile
cloud="provider: s3, s3: {endpoint: '${ceph_http/http:/https:}', bucket: snapshots}"
check "an endpoint that does not speak TLS" refuses "no secure connection"
check "the secret key is nowhere" keeps_secret "$ceph_secret_key" a
check "nor a wrong one" keeps_secret wrong0secret a
unset SNAPSHOT_AWS_ACCESS_KEY SNAPSHOT_AWS_SECRET_KEY
echo "$ceph_access_key" >"$work/access" && echo "$ceph_secret_key" >"$work/secret"
cloud="provider: s3, s3: {$bucket, accessKeyFile: $work/access, secretKeyFile: $work/secret}"
cloud_config c
start_cloud_hub c -v
check "nor when it is in a file" keeps_secret "$ceph_secret_key" c
stop c
cloud="provider: s3, s3: {$bucket, accessKey: $ceph_access_key, secretKey: $ceph_secret_key}"
cloud_config c
start_cloud_hub c -v
check "nor when it is in the configuration" keeps_secret "$ceph_secret_key" c
check "which would be found" bash -c "$(declare -f keeps_secret); $(declare -p ports work tapedeck); ! keeps_secret '$ceph_access_key' c"
echo "1..$number"
