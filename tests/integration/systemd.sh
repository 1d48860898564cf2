# The units for systemd, as systemd-analyze sees them: well formed, and hardened.
root=$(cd "$(dirname "$0")/../.." && pwd)
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
number=0

check() { # check NAME STATUS
    number=$((number + 1))
    if [[ $2 -eq 0 ]]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        sed 's/^/# /' "$dir/said"
    fi
}

for unit in "$root"/configs/systemd/*.service; do
    name=$(basename "$unit")
    # The manual may not be installed here, nor the program.
    sed "/^Documentation=man:/d; s|/usr/local/bin/tapedeck|$program|" "$unit" >"$dir/$name"
    systemd-analyze verify "$dir/$name" >"$dir/said" 2>&1 && [[ ! -s $dir/said ]]
    check "$name is well formed" $?
    systemd-analyze security --offline=yes --no-pager --threshold=25 "$dir/$name" >"$dir/said" 2>&1
    check "$name is exposed by no more than 2.5 of 10" $?
    command=$(sed -n 's/^ExecStart=[^ ]* \([a-z]*\) .*/\1/p' "$unit")
    "$program" "$command" --help >"$dir/said" 2>&1
    check "$name runs a command that there is: $command" $?
done
echo "1..$number"
