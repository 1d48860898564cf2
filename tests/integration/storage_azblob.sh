#!/usr/bin/env bash
# The storage backend azblob against Azurite: the conformance suite, credentials of every kind, what is told when something is wrong, what
# unfinished uploads leave, and bytes that are damaged on their way.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
# shellcheck source=../servers/azurite.bash
source "$here/../servers/azurite.bash"
program=$PWD/${BUILD:-build}/tests/conformance/storage
stand_in=$PWD/tests/servers/azure_stand_in.py
number=0 port=10000 tls_port=10443
base=http://127.0.0.1:$port/$azurite_account tls_base=https://127.0.0.1:$tls_port/$azurite_account
unset "${!AZURE_@}" "${!IDENTITY_@}" 2>/dev/null

# config OPTIONS: of the plugin, in one line
config() {
    printf 'tap: {snapshots: {cloud: {provider: azblob, azblob: {%s}}}}\n' "$1" >"$work/hub.yaml"
}
conforms() { # KEYS OPTIONS
    config "$2"
    "$program" "$work/hub.yaml" "$1" >"$work/suite" 2>&1 && ! grep -q '^not ok' "$work/suite" && grep -q '^1\.\.' "$work/suite" && return
    grep -A4 '^not ok' "$work/suite" || tail -n 20 "$work/suite"
    false
}
# tells STATUS TEXT OPTIONS: what a check says; and no secret
tells() {
    config "$3"
    "$program" --check "$work/hub.yaml" >"$work/told" 2>&1
    cat "$work/told"
    grep -q "^$1: " "$work/told" && grep -qF -- "$2" "$work/told" &&
        ! grep -qF -e "${azurite_key:10:20}" -e sig= -e federated+token "$work/told"
}
names() {
    azurite_ask GET "$1?restype=container&comp=list&include=uncommittedblobs" "$azurite_key" | grep -o '<Name>[^<]*' | cut -d'>' -f2
}
is_empty() { [[ -z $(names "$base/snapshots") ]] || { names "$base/snapshots" && false; }; }
make_container() { azurite_ask PUT "$1?restype=container" "$azurite_key"; }
sas() { python3 "$stand_in" sas "$azurite_account" "$azurite_key" "$@"; }

start_azurite azurite "$port" --debug "$work/azurite.debug"
check "a container" make_container "$base/snapshots"
account="storageAccount: $azurite_account, container: snapshots, endpoint: 'http://127.0.0.1:$port'"
key="storageKey: '$azurite_key'"

# ---- The suite ----

check "the suite, objects whole" conforms 400 "$account, $key, pageSize: 100"
check "leaves nothing, not even what was not committed" is_empty
: >"$work/azurite.debug"
check "the suite, in small blocks and pages" conforms 30 "$account, $key, blockSize: 256Ki, parallelBlocks: 3, pageSize: 7"
check "leaves nothing, either" is_empty
# 40 MiB and 5 bytes are 161 blocks; what was on its way when it was stopped may have to be sent again.
sent() { grep -ao 'RequestMethod=PUT RequestURL=[^ ]*files/resumed?comp=block&blockid=[^ ]*' "$work/azurite.debug" | sort | uniq -c; }
resumed() { sent | awk '{n += $1} END {print NR " blocks, " n " times"; exit !(NR == 161 && n <= 165)}'; }
check "blocks that are there are not sent again" resumed

# ---- Credentials ----

echo "$azurite_key" >"$work/key"
check "a key" tells usable "" "$account, $key"
check "a key in a file" tells usable "" "$account, storageKeyFile: $work/key"
check "a connection string" tells usable "" "container: snapshots, \
connectionString: 'AccountName=$azurite_account;AccountKey=$azurite_key;BlobEndpoint=$base;'"
check "a SAS token of the account" tells usable "" "$account, sasToken: '?$(sas account rwdlc 3600)'"
check "a SAS token of the container" tells usable "" "$account, sasToken: '$(sas snapshots rwdl 3600)'"
check "which is told when it expires" grep -q "the SAS token expires on " "$work/told"
sas snapshots rwdl 3600 >"$work/sas"
check "a SAS token in a file" tells usable "" "$account, sasTokenFile: $work/sas"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
start_azurite azurite-tls "$tls_port" --cert "$work/tls.pem" --key "$work/tls.key" --oauth basic
start authority python3 "$stand_in" identity 10444 4 "$work/tls.pem" "$work/tls.key"
start metadata python3 "$stand_in" identity 10445 3600
wait_for authority tcp_open 127.0.0.1 10444
wait_for metadata tcp_open 127.0.0.1 10445
check "a container behind TLS" make_container "$tls_base/snapshots"
tls="storageAccount: $azurite_account, container: snapshots, endpoint: 'https://127.0.0.1:$tls_port', caFile: $work/tls.pem"
workload="clientId: the-client, tenantId: the-tenant, authorityHost: 'https://127.0.0.1:10444/', federatedTokenFile: $work/federated"
printf 'federated+token/=\n' >"$work/federated"
check "managed identity" tells usable "" "$tls, identityEndpoint: 'http://127.0.0.1:10445'"
check "with one token" test "$(grep -c 'token managed' "$work/metadata.log")" -eq 1
check "workload identity, with tokens of 4 seconds" conforms 10 "$tls, $workload, blockSize: 1Mi"
check "which were renewed" test "$(grep -c 'token workload' "$work/authority.log")" -gt 1
export AZURE_CLIENT_ID=the-client AZURE_TENANT_ID=the-tenant AZURE_AUTHORITY_HOST=https://127.0.0.1:10444
export AZURE_FEDERATED_TOKEN_FILE=$work/federated
check "workload identity by the environment" tells usable "" "$tls"
unset "${!AZURE_@}"

# ---- What is wrong ----

other_key=$(printf 'a%.0s' {1..64} | base64 -w0)
check "no such container" tells "not found" "there is no such container; make it" "${account/snapshots/elsewhere}, $key"
check "a wrong key" tells "not allowed" "the key (storageKey)" "$account, storageKey: '$other_key'"
check "a wrong account" tells "not found" "is no storage account \"nosuchaccount\"" "${account/$azurite_account/nosuchaccount}, $key"
check "no key" tells "configuration error" "tokens of identities are only sent over https" "$account"
check "half a key" tells "configuration error" "storageKey is no base64" "$account, storageKey: '${azurite_key:1}'"
printf '%s' "${azurite_key:0:7}" >"$work/half"
check "half a key in a file" tells "configuration error" "holds no key in base64" "$account, storageKeyFile: $work/half"
check "no file of a key" tells "configuration error" "storageKeyFile \"$work/none\" cannot be read" "$account, storageKeyFile: $work/none"
check "an expired token" tells "not allowed" "the SAS token has expired, on " "$account, sasToken: '$(sas snapshots rwdl -60)'"
check "a token that may only read" tells "not allowed" "SAS token the permissions rwdl" "$account, sasToken: '$(sas snapshots rl 3600)'"
check "a token of another container" tells "not allowed" "the SAS token" "$account, sasToken: '$(sas elsewhere rwdl 3600)'"
check "a certificate that is not trusted" tells "not allowed" "its certificate is not trusted" "${tls/, caFile: $work\/tls.pem/}, $key"
check "http where it should be https" tells "temporary failure" "127.0.0.1:$tls_port" "${account/$port/$tls_port}, $key"
check "https where it should be http" tells "not allowed" "is this port for http?" "${account/http:/https:}, $key"
check "nobody there" tells "temporary failure" "no connection" "${account/$port/9}, $key"
check "an authority that refuses" tells "not allowed" "AADSTS70021: no matching federated identity" "$tls, ${workload/the-client/other}"
check "no identity where one should be" tells "temporary failure" "managed identity: no token from" \
    "$tls, identityEndpoint: 'http://127.0.0.1:9'"
check "a name that is none" tells "configuration error" "container \"A b\" is no name" "${account/snapshots/'"A b"'}, $key"

# ---- Damage ----

for mode in up down cut; do
    start "$mode" python3 "$stand_in" damage "$((10500 + ${#mode}))" "$port" "$mode" 0
    wait_for "$mode" tcp_open 127.0.0.1 "$((10500 + ${#mode}))"
    case $mode in
    up) text="damaged on its way" ;;
    down) text="do not have the MD5 sum" ;;
    cut) text="the connection" ;;
    esac
    check "bytes that are damaged: $mode" tells "temporary failure" "$text" "${account/$port/$((10500 + ${#mode}))}, $key"
    stop "$mode"
done
check "nothing is left" test -z "$(names "$base/snapshots" | grep -v '^tapedeck-check-')"
echo "1..$number"
