# To be sourced by scripts that capture what servers and clients of their own say on the loopback interface.
#
# Where the system allows it, they run in a network namespace of their own: nobody else's traffic is captured, the usual
# ports are free, and being root is not necessary. Where it does not, as in most containers, on the machine's loopback
# interface with other ports; capturing then needs to be root, through sudo if WITH_SUDO is set.

# enter_namespace "$0" "$@": starts the script again inside a namespace; one of mounts as well if with_mounts is set. Returns if
# it runs there, or cannot.
enter_namespace() {
    if [[ -z ${IN_NAMESPACE:-} ]]; then
        local how=(unshare --net ${with_mounts:+--mount})
        if [[ $(id -u) -ne 0 ]]; then
            [[ -n ${with_mounts:-} ]] && how+=(--map-root-user) || how+=(--map-current-user --keep-caps)
        fi
        if "${how[@]}" ip link set lo up 2>/dev/null; then
            IN_NAMESPACE=1 exec "${how[@]}" "$@"
        fi
        if [[ -n ${WITH_SUDO:-} && $(id -u) -ne 0 ]] && command -v sudo >/dev/null; then
            exec sudo "$@"
        fi
        http_port=8080 dns_port=8053
    else
        ip link set lo up
        http_port=80 dns_port=53
    fi
    localhosts=(127.0.0.1)
    grep -qs ' lo$' /proc/net/if_inet6 && localhosts+=(::1)
    work=$(mktemp -d) # for configurations and logs
    trap finish EXIT
    trap 'exit 1' INT TERM
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# What was started is ended, and the directory removed, with the script.
declare -A started=()
finish() {
    for name in "${!started[@]}"; do
        stop "$name"
    done
    rm -rf "$work"
}

# start NAME COMMAND...: in the background, with its output in a log.
start() {
    local name=$1
    shift
    command -v "$1" >/dev/null || die "$1 is not installed; \`make deps\` installs it"
    "$@" >"$work/$name.log" 2>&1 &
    started[$name]=$!
}

# stop NAME: ends it, and waits for that.
stop() {
    kill "${started[$1]}" 2>/dev/null
    wait "${started[$1]}" 2>/dev/null
    unset "started[$1]"
}

# wait_for NAME COMMAND...: until the command succeeds, at most thirty seconds and what the command takes.
wait_for() {
    local name=$1
    shift
    for _ in $(seq 600); do
        "$@" 2>/dev/null && return
        sleep 0.05
    done
    tail -n 20 "$work/$name.log" >&2
    die "$name does not answer; its last words are above"
}

# check NAME COMMAND...: a test that the command succeeds; what it said is shown if not. Counts in `number`, which the script sets to 0.
check() {
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/check" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        head -c 2000 "$work/check" | sed 's/^/#   /'
    fi
}

tcp_open() { (: <"/dev/tcp/$1/$2"); }

# start_capture FILE OPTION... EXPRESSION: tcpdump on the loopback interface.
start_capture() {
    local file=$1
    shift
    local user=()
    [[ $(id -u) -ne 0 ]] || user=(-Z root)
    start tcpdump tcpdump -i lo -n "${user[@]}" -B 65536 -w "$file" "$@"
    wait_for tcpdump grep -q 'listening on' "$work/tcpdump.log"
}

# stop_capture: ends it if it has not ended, with everything written. A capture with holes is none.
stop_capture() {
    stop tcpdump
    grep -q '^0 packets dropped by kernel' "$work/tcpdump.log" || {
        cat "$work/tcpdump.log" >&2
        die "the kernel dropped packets"
    }
}

# start_nginx CONFIG: `CONFIG` is what stands inside of http{}. One process, without a change of user, so that it runs in
# a namespace with only one; with the command nginx_in in front, and asked at nginx_address, if they are set.
start_nginx() {
    mkdir -p "$work/nginx"
    cat >"$work/nginx.conf" <<EOF
daemon off;
user root;
master_process off;
pid $work/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 4096;
events { worker_connections 2048; }
http {
    access_log off;
    client_body_temp_path $work/nginx/body;
    proxy_temp_path $work/nginx/proxy;
    fastcgi_temp_path $work/nginx/fastcgi;
    uwsgi_temp_path $work/nginx/uwsgi;
    scgi_temp_path $work/nginx/scgi;
    types { text/html html; text/plain txt; application/json json; application/octet-stream bin; }
    default_type application/json;
    $1
}
EOF
    # shellcheck disable=SC2086 # many words
    start nginx ${nginx_in:-} nginx -c "$work/nginx.conf" -e stderr
    wait_for nginx tcp_open "${nginx_address:-127.0.0.1}" "$http_port"
}
