#!/usr/bin/env bash
# `tapedeck plugin` and `tapedeck config` as people type them: what is printed where, and the exit codes.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset TAPEDECK_PLUGIN_PATH
tapedeck=${BUILD:-build}/tapedeck
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
number=0

# run CODE STDOUT STDERR ARGUMENTS...: the exit code, and what must stand in either output ("": it must be empty).
run() {
    local code=$1 out=$2 err=$3
    shift 3
    number=$((number + 1))
    "$tapedeck" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    local status=$?
    if [[ $status -eq $code ]] && stands "$out" "$dir/out" && stands "$err" "$dir/err"; then
        echo "ok $number - tapedeck $*"
    else
        echo "not ok $number - tapedeck $*"
        echo "# exit code $status, want $code; stdout:"
        sed 's/^/#   /' "$dir/out"
        echo "# stderr:"
        sed 's/^/#   /' "$dir/err"
    fi
}

stands() {
    if [[ -z $1 ]]; then
        [[ ! -s $2 ]]
    else
        grep -qF -- "$1" "$2"
    fi
}

run 0 "Usage: tapedeck plugin VERB" "" plugin --help
run 0 "Usage: tapedeck plugin show [OPTIONS] NAME" "" plugin show --help
run 0 "Usage: tapedeck config VERB" "" config -h
run 0 "Usage: tapedeck config check [OPTIONS] FILE..." "" config check -h
run 2 "" "a verb is missing" plugin
run 2 "" 'unknown verb "lits"; did you mean "list"?' plugin lits
run 2 "" 'unknown verb "q"' config q
run 2 "" '"--colour" is no option here' plugin list --colour
run 2 "" '"-o" needs a value' plugin list -o
run 2 "" '"xml" is no format; there are table and json' plugin list -o xml
run 2 "" "is no option here" config check -c x y
run 2 "" "too few arguments; usage: tapedeck plugin help NAME" plugin help
run 2 "" "too many arguments" config show x

run 0 "NAME       KIND            VERSION" "" plugin list
run 0 '{"name":"http","kind":"dissector"' "" plugin list -o json
run 0 "/dissectors/http.so" "" plugin list --output table
run 0 "status_code" "" plugin show http
run 0 "dissector dns" "" plugin show dissectors/dns
run 3 "" 'there is no plugin "htpt"; did you mean "http"?' plugin show htpt
run 3 "" 'there is no plugin "zzzzzz"' plugin help zzzzzz
run 0 "maxBodySize: size" "" plugin help http
run 0 "ok     dissector http: two instances created and destroyed" "" plugin check "${BUILD:-build}/plugins/dissectors/http.so"
run 0 "storage plugin local" "" plugin show storage/local
run 0 "  objects  as files, which can be read in place" "" plugin show local
run 0 "under tap.snapshots.cloud.local:" "" plugin help local
run 0 "path: text; required" "" plugin help local
local=${BUILD:-build}/plugins/storage/local.so
run 0 'not created: the configuration (-c FILE) does not have its option "path"' "" plugin check "$local"
echo "tap: {snapshots: {cloud: {provider: local, local: {path: $dir/never}}}}" >"$dir/local.yaml"
run 0 "ok     storage plugin local: two instances created and destroyed" "" plugin check -c "$dir/local.yaml" "$local"
run 0 "ok" "" config check "$dir/local.yaml"
run 0 "sync: true" "" config show -c "$dir/local.yaml"
echo "tap: {snapshots: {cloud: {provider: local}}}" >"$dir/local.yaml"
run 2 "" 'option "path"' config check "$dir/local.yaml"
echo "tap: {snapshots: {cloud: {provider: local, local: {path: relative}}}}" >"$dir/local.yaml"
run 1 'path "relative" must be absolute' "" plugin check -c "$dir/local.yaml" "$local"
run 2 "" 'storage plugin "local": path "relative" must be absolute' config check "$dir/local.yaml"
echo "tap: {snapshots: {cloud: {provider: local, prefix: nowhere, local: {path: $dir/bucket}}}}" >"$dir/local.yaml"
run 2 "" 'prefix "nowhere": it is empty, or parts that each end with a slash' config check "$dir/local.yaml"
sed -i 's,nowhere,somewhere/,' "$dir/local.yaml"
run 0 'cloud storage "local", prefix "somewhere/": can be used; 0 snapshots, 0 B' "" config check --connect "$dir/local.yaml"
: >"$dir/file"
echo "tap: {snapshots: {cloud: {provider: local, local: {path: $dir/file}}}}" >"$dir/local.yaml"
run 0 "ok" "" config check "$dir/local.yaml"
run 5 "" 'cloud storage: storage plugin "local": ' config check --connect "$dir/local.yaml"
run 1 'LACKS  cloud storage: storage plugin "local": ' "" hub --check -c "$dir/local.yaml"
echo "tap: {snapshots: {cloud: {parallel: 0, unavailableAtStart: maybe}}}" >"$dir/local.yaml"
run 2 "" '"maybe" is not one of refuse, degraded' config check "$dir/local.yaml"
run 2 "" '"0" is out of range; it must be 1 to 64' config check "$dir/local.yaml"
run 1 "FAILED the file and its directories cannot be written by others" "" plugin check /nowhere.so
install -m 644 Makefile "$dir/text.so"
run 1 "FAILED the dynamic linker takes it" "" plugin check "$dir/text.so"
run 2 "" "No such file or directory" plugin list -c /nowhere.yaml

run 0 "ok" "" filter check 'http && status_code >= 500'
run 2 "did you mean: status_code" "" filter check 'statuscode >= 500'
run 2 '"from_utf16":0,"to_utf16":10,"severity":"error","code":"undeclared"' "" filter check 'statuscode >= 500' -o json
run 0 '{"ok":true,"filter":"http && status_code == 500","diagnostics":[{"from":9' "" filter check 'http and response.status == 500' -o json
run 0 "src.port == 80 || dst.port == 80" "" filter explain 'tcp.port == 80'
run 0 "path.matches" "write: path.matches" filter explain 'path == "a.*" && path.matches("x")'
run 0 '"reads":["http","path"]' "" filter explain 'http && path == "a"' -o json
run 2 "" "there is no field" filter explain 'nothing'
run 0 "startsWith  method" "" filter complete 'path.st'
run 0 "src.ip" "" filter complete 'src.' --at 4
run 0 '"kind":"value","text":"\"TCP\""' "" filter complete 'transport == "' -o json
run 2 "" "is no place in the filter" filter complete 'src.' --at 5
run 2 "" "is no place in the filter" filter complete 'src.' --at -1
run 2 "" "is no option here" filter check 'http' --at 1
run 2 "" 'did you mean "check"' filter chek 'http'
run 0 "check FILTER" "" filter --help
run 0 "the place, as a number of bytes" "" filter complete --help

run 0 "configs/tapedeck.yaml: ok" "" config check configs/tapedeck.yaml
run 0 "configs/hub.yaml: ok" "" config check configs/hub.yaml
run 0 "configs/worker.yaml: ok" "" config check configs/worker.yaml
for name in s3 minio azblob; do
    run 0 "configs/$name.yaml: ok" "" config check "configs/$name.yaml"
done
run 0 "maxMemory: 32Mi" "" config show
run 0 "tcpIdleTimeout: duration, at least 1s; default 1h" "" config help tap.dissection
run 0 "enabledDissectors" "" config help
run 3 "" 'did you mean "tap.dissection"?' config help tap.disection

cat >"$dir/bad.yaml" <<YAML
tap:
  enabledDissectors: [http, dsn]
  dissectors:
    http: {maxBodySzie: 1Mi, maxBodySize: lots}
  snapshots:
    cloud: {provider: tape, tape: {bucket: b}}
YAML
run 2 "" "$dir/bad.yaml:4:12: unknown option \"maxBodySzie\" of dissector \"http\"; did you mean \"maxBodySize\"?" \
    config check "$dir/bad.yaml"
run 2 "" "$dir/bad.yaml:4:43: option \"maxBodySize\" of dissector \"http\": \"lots\" is not a size" config check "$dir/bad.yaml"
run 2 "" "$dir/bad.yaml:2:29: there is no dissector \"dsn\"; did you mean \"dns\"?" config check "$dir/bad.yaml"
run 2 "" "$dir/bad.yaml:6:23: there is no storage plugin \"tape\"; available: " config check "$dir/bad.yaml"
run 2 "configs/tapedeck.yaml: ok" "unknown option" config check configs/tapedeck.yaml "$dir/bad.yaml"
run 2 "" "unknown option" config show -c "$dir/bad.yaml"

cat >"$dir/good.yaml" <<YAML
tap:
  enabledDissectors: [http]
  dissectors: {http: {maxBodySize: 3Mi}}
  dissection: {decodeAs: [tcp.port==8888,http]}
YAML
run 2 "" "\"tcp.port==8888\" needs a comma" config show -c "$dir/good.yaml"
sed -i "s/\[tcp.*\]/['tcp.port==8888,http']/" "$dir/good.yaml"
run 0 "maxBodySize: 3Mi" "" config show -c "$dir/good.yaml"
run 0 'decodeAs: ["tcp.port==8888,http"]' "" config show --config "$dir/good.yaml"
"$tapedeck" config show -c "$dir/good.yaml" >"$dir/shown.yaml"
run 0 "shown.yaml: ok" "" config check "$dir/shown.yaml"
run 0 "enabledDissectors: [http]" "" config show -c "$dir/shown.yaml"
echo "1..$number"
