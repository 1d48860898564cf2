#!/usr/bin/env bash
# Credentials of the storage backend s3 against a real token service, Ceph's radosgw: roles by the options, by a profile, by a web
# identity, and keys as container and instance metadata give them; with keys that hold for three seconds and are renewed.
#
# radosgw takes an external id, but does not let trust policies ask for it; that it is sent, tests/unit/s3/credentials.c sees.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=../servers/ceph.bash
source tests/servers/ceph.bash
work=$(mktemp -d)
services=
trap '[[ -z $services ]] || kill "$services"; ceph_stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
suite=${BUILD:-build}/tests/conformance/storage number=0
unset "${!AWS_@}"
export HOME=$work/home AWS_EC2_METADATA_DISABLED=true
mkdir -p "$HOME/.aws"

result() { # STATUS NAME [FILE]
    number=$((number + 1))
    if [[ $1 -eq 0 ]]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        [[ -z ${3:-} ]] || head -c 4000 "$3" | sed 's/^/#   /'
    fi
}

# config OPTIONS: a hub's, for the provider with the token service.
config() {
    printf 'tap: {snapshots: {cloud: {provider: s3, s3: {bucket: one, endpoint: "%s"%s}}}}\n' "$ceph_sts_http" "$1" >"$work/config.yaml"
}

# says NAME PATTERN OPTIONS [VARIABLE=VALUE...]: what the check says, which puts and gets an object; it holds no secret.
says() {
    local name=$1 pattern=$2
    config ", $3"
    shift 3
    env "$@" "$suite" --check "$work/config.yaml" >"$work/out" 2>&1
    grep -qE -- "$pattern" "$work/out" && ! grep -q -e "$ceph_secret_key" -e 'another0secret' "$work/out"
    result $? "$name" "$work/out"
}

# role NAME TRUST: one that may do all with objects.
role() {
    radosgw-admin -c "$ceph_dir/ceph.conf" role create --role-name="$1" --path=/ --assume-role-policy-doc="$2" &&
        radosgw-admin -c "$ceph_dir/ceph.conf" role-policy put --role-name="$1" --policy-name=all \
            --policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}'
}

start_services() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=identity -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    radosgw-admin -c "$ceph_dir/ceph.conf" caps add --uid=test --caps='oidc-provider=*' >/dev/null 2>&1
    python3 tests/servers/keys.py "$ceph_sts_http" "$ceph_access_key" "$ceph_secret_key" arn:aws:iam:::role/hub 3 "$work" \
        >"$work/services.out" 2>&1 &
    services=$!
    ceph_await 20 test -s "$work/port" || return 1
    service=127.0.0.1:$(<"$work/port")
    role web '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Principal":{"Federated":["arn:aws:iam:::oidc-provider/'"$service"'"]},"Action":["sts:AssumeRoleWithWebIdentity"],
        "Condition":{"StringEquals":{"'"$service"':app_id":"tapedeck"}}}]}' \
        >"$work/web.out" 2>&1
}

# The shortest time that keys may hold is 15 minutes, unless this is said.
ceph_start "$work" && ceph_bucket one && echo 'rgw_sts_min_session_duration = 1' >>"$ceph_dir/ceph.conf" && ceph_start_sts &&
    start_services || {
    echo "not ok 1 - radosgw and the services before it are up"
    exit 1
}

keys="accessKey: $ceph_access_key, secretKey: $ceph_secret_key"
hub='roleArn: "arn:aws:iam:::role/hub"'
says "a role" '^usable: ' "$keys, $hub"
says "with all that there is to it" '^usable: ' \
    "$keys, $hub, externalId: \"tape:1\", roleSessionName: night@hub, roleDuration: 15m, stsEndpoint: \"$ceph_sts_http/\""
echo "$ceph_access_key" >"$work/access" && echo "$ceph_secret_key" >"$work/secret"
says "with keys from files" '^usable: ' "accessKeyFile: $work/access, secretKeyFile: $work/secret, $hub"
says "on top of the environment's keys" '^usable: ' "$hub" AWS_ACCESS_KEY_ID="$ceph_access_key" AWS_SECRET_ACCESS_KEY="$ceph_secret_key"
says "a role that may not be assumed" '^not allowed: .*role/web at 127.*look at its trust policy' \
    "$keys, roleArn: \"arn:aws:iam:::role/web\""
says "one that is not there" '^configuration error: .*there is no such role' "$keys, roleArn: \"arn:aws:iam:::role/nobody\""
says "for longer than the role allows" '^configuration error: .*its duration' "$keys, $hub, roleDuration: 12h"
says "with a wrong secret key" '^not allowed: .*role/hub at 127' "accessKey: $ceph_access_key, secretKey: another0secret, $hub"
says "where no token service is" '^(not allowed|configuration error|internal error|unsupported): .*role/hub at ' \
    "$keys, $hub, stsEndpoint: \"$ceph_http\""
says "no credentials" '^not allowed: .*no credentials: accessKey is not set; AWS_ACCESS_KEY_ID is not set; ' "region: us-east-1"

web=(AWS_WEB_IDENTITY_TOKEN_FILE="$work/token" AWS_ROLE_ARN=arn:aws:iam:::role/web)
says "a web identity" '^usable: ' "region: us-east-1" "${web[@]}"
sed 's/\..*\./.e30./' "$work/token" >"$work/forged"
says "a forged one" '^(not allowed|configuration error|internal error): .*role/web at ' "region: us-east-1" "${web[@]}" \
    AWS_WEB_IDENTITY_TOKEN_FILE="$work/forged"
says "the instance's keys" '^usable: ' "region: us-east-1" AWS_EC2_METADATA_DISABLED= AWS_EC2_METADATA_SERVICE_ENDPOINT="http://$service"
agent=(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://$service/agent" AWS_CONTAINER_AUTHORIZATION_TOKEN=let-me)
says "the container's keys" '^usable: ' "region: us-east-1" "${agent[@]}"
says "without its leave" '^not allowed: .*container.*refused' "region: us-east-1" "${agent[@]}" AWS_CONTAINER_AUTHORIZATION_TOKEN=not

# Keys that nobody renews.
curl -s -H 'Authorization: let-me' "http://$service/agent" >"$work/keys"
given=$(python3 -c '
import json, sys
k = json.load(open(sys.argv[1]))
print("accessKey: \"%s\", secretKey: \"%s\", sessionToken: \"%s\"" % (k["AccessKeyId"], k["SecretAccessKey"], k["Token"]))' "$work/keys")
says "a session token" '^usable: ' "$given"
sleep 4
says "one that has expired" '^not allowed: ' "$given"

# Those of a profile are renewed again and again.
printf '[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$ceph_access_key" "$ceph_secret_key" >"$HOME/.aws/credentials"
printf '[profile short]\nrole_arn = arn:aws:iam:::role/hub\nsource_profile = base\nduration_seconds = 3\n' >"$HOME/.aws/config"
asked() { grep -c '"POST / HTTP' "$ceph_dir/log/client.sts.log"; }
before=$(asked)
config ""
AWS_PROFILE=short "$suite" "$work/config.yaml" 300 >"$work/out" 2>&1
status=$?
grep -A4 '^not ok' "$work/out" >"$work/bad"
[[ $status -eq 0 && ! -s $work/bad && $(grep -c '^ok' "$work/out") -gt 250 ]]
result $? "the conformance suite with keys that hold for three seconds: $(grep -c '^ok' "$work/out") checks" "$work/bad"
n=$(($(asked) - before))
[[ $n -ge 2 && $n -lt 60 ]]
result $? "which were renewed: $n requests"
echo "1..$number"
