#!/usr/bin/env bash
# The storage backend s3 against a real service, Ceph's radosgw: the conformance suite over both styles of paths, with and without
# TLS; what the check says of each mistake that people make.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../servers/ceph.bash
source tests/servers/ceph.bash
work=$(mktemp -d)
trap 'ceph_stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
suite=${BUILD:-build}/tests/conformance/storage number=0
unset "${!AWS_@}" # what this machine may have of its own
export HOME=$work AWS_EC2_METADATA_DISABLED=true

result() { # STATUS NAME [FILE]
    number=$((number + 1))
    if [[ $1 -eq 0 ]]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        [[ -z ${3:-} ]] || head -c 4000 "$3" | sed 's/^/#   /'
    fi
}

# config OPTIONS...: of a provider, with the test's keys unless they are given.
config() {
    local options="$1" keys="accessKey: $ceph_access_key, secretKey: $ceph_secret_key, "
    [[ $options == *accessKey* ]] && keys=
    printf 'tap: {snapshots: {cloud: {provider: s3, s3: {%s%s}}}}\n' "$keys" "$options" >"$work/config.yaml"
}

# conforms NAME KEYS OPTIONS
conforms() {
    config "$3"
    "$suite" "$work/config.yaml" "$2" >"$work/out" 2>&1
    local status=$? bad
    bad=$(grep -c '^not ok' "$work/out")
    grep -A4 '^not ok' "$work/out" >"$work/bad"
    [[ $status -eq 0 && $bad -eq 0 && $(grep -c '^ok' "$work/out") -gt 250 ]]
    result $? "$1: $(grep -c '^ok' "$work/out") checks" "$work/bad"
}

# says NAME PATTERN OPTIONS: what the check says, and that it holds no secret.
says() {
    config "$3"
    "$suite" --check "$work/config.yaml" >"$work/out" 2>&1
    grep -qE -- "$2" "$work/out" && ! grep -q -e "$ceph_secret_key" -e 'another0secret' "$work/out"
    result $? "$1" "$work/out"
}

ceph_start "$work" && ceph_bucket one && ceph_bucket two && ceph_start_sts || {
    echo "not ok 1 - radosgw is up"
    exit 1
}
port=${ceph_https##*:}
conforms "path style" 1200 "bucket: one, endpoint: \"$ceph_http\", partSize: 5Mi"
tls="endpoint: \"https://s3.localhost:$port\", pathStyle: false, caFile: $ceph_ca"
conforms "virtual-host style, TLS" 200 "bucket: two, $tls, region: eu-west-1, parallelParts: 2, partSize: 32Mi, storageClass: STANDARD"

there="bucket: one, endpoint: \"$ceph_http\""
keys="accessKey: $ceph_access_key, secretKey"
says "all is well" '^usable: ' "$there"
says "also with STS" '^usable: ' "bucket: two, endpoint: \"$ceph_sts_http\""
says "no such bucket" '^not found: .*nobody at 127.*no such bucket; create it' "bucket: nobody, endpoint: \"$ceph_http\""
says "no such access key" '^not allowed: .*access key is not known there; correct accessKey' \
    "$there, accessKey: NOBODY, secretKey: another0secret"
says "a wrong secret key" '^not allowed: .*secret key does not belong to the access key; correct secretKey' "$there, $keys: another0secret"
says "a wrong secret key, with STS" '^not allowed: .*not allowed' "bucket: one, endpoint: \"$ceph_sts_http\", $keys: another0secret"
says "no keys" '^not allowed: .*no credentials: accessKey is not set; ' "$there, accessKey: ''"
says "a certificate that nobody vouches for" '^not allowed: .*certificate is not trusted.*caFile' "bucket: one, endpoint: \"$ceph_https\""
says "the host is another one" '^not allowed: .*certificate is not trusted' \
    "bucket: one, endpoint: \"https://other.localhost:$port\", caFile: $ceph_ca"
says "no TLS there" '^not allowed: .*no secure connection.*is this port for http' \
    "bucket: one, endpoint: \"https://127.0.0.1:${ceph_http##*:}\""
says "nobody there" '^temporary failure: .*no connection' "bucket: one, endpoint: \"http://127.0.0.1:1\""
says "no such host" '^configuration error: .*there is no host no-such-host.invalid' "bucket: one, endpoint: \"http://no-such-host.invalid\""
says "no file of authorities" '^configuration error: .*caFile /nonexistent cannot be read' "$there, caFile: /nonexistent"
says "no name of a bucket" '^configuration error: .*no name of a bucket' "bucket: \"https://x/y\""
says "no URL" '^configuration error: .*endpoint must begin with https' "bucket: one, endpoint: \"s3://x\""
echo "1..$number"
