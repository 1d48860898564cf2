# To be sourced by scripts that need a real S3 service: Ceph's radosgw with a monitor and one OSD that keeps all in memory, below a
# directory of the caller's, on free ports of the loopback interface. It is up in about three seconds.
#
#     ceph_start DIR      then: $ceph_http and $ceph_https (URLs), $ceph_ca (its certificate), $ceph_access_key, $ceph_secret_key
#     ceph_start_sts      a second gateway to the same buckets, with STS: $ceph_sts_http; role arn:aws:iam:::role/hub may be assumed
#     ceph_bucket NAME    makes a bucket
#     ceph_stop
#
# Each returns 1 when it fails, having said why.

ceph_access_key=TAPEDECKTESTKEY00001 ceph_secret_key=tapedeck0secret0of0tests0000000000000001
ceph_dir='' ceph_pids=()

# N ports that nobody listens on, all different.
ceph_free_ports() {
    python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))' "$1"
}

# ceph_await SECONDS COMMAND...: until it succeeds.
ceph_await() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [[ $SECONDS -lt $until ]] || return 1
        sleep 0.05
    done
}

ceph_fail() {
    echo "ceph: $1" >&2
    tail -n 5 "$ceph_dir"/log/*.out >&2 2>/dev/null
    return 1
}

# Debian's and others' wait for authentication and sizes that make no sense here. Without `crc` radosgw hangs when there is no
# authentication; without tcp_nodelay every answer with a body takes 40 ms more. What was removed makes room soon, not after hours.
ceph_configure() {
    local mon_port=$1 http=$2 https=$3 sts=$4 mode
    cat >"$ceph_dir/ceph.conf" <<CONF
[global]
fsid = $ceph_fsid
mon_host = [v2:127.0.0.1:$mon_port/0]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
$(for mode in mon_client mon_service mon_cluster client service cluster; do echo "ms_${mode}_mode = crc"; done)
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_tick_interval = 1
auth_allow_insecure_global_id_reclaim = true
run_dir = $ceph_dir/run
admin_socket = $ceph_dir/run/\$name.asok
log_file = $ceph_dir/log/\$name.log
pid_file = $ceph_dir/run/\$name.pid
crash_dir = $ceph_dir/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 4000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
[mon.a]
host = localhost
mon_data = $ceph_dir/mon
[osd.0]
osd_data = $ceph_dir/osd
osd_objectstore = memstore
memstore_device_bytes = ${ceph_bytes:-4294967296}
osd_heartbeat_grace = 60
[client.plain]
rgw_frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:$http ssl_endpoint=127.0.0.1:$https ssl_certificate=$ceph_dir/tls.pem
[client.sts]
rgw_frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:$sts
rgw_s3_auth_use_sts = true
rgw_sts_key = 0123456789abcdef
rgw_enable_apis = s3, sts, iam, admin
[client]
rgw_dns_name = s3.localhost
rgw_data = $ceph_dir/rgw
rgw_thread_pool_size = 64
rgw_crypt_require_ssl = false
rgw_enable_usage_log = false
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
rgw_gc_processor_max_time = 5
CONF
}

# ceph_run NAME COMMAND...: in the background, its output in log/NAME.out.
ceph_run() {
    local name=$1
    shift
    "$@" >"$ceph_dir/log/$name.out" 2>&1 </dev/null &
    ceph_pids+=($!)
}

ceph_do() { timeout 20 ceph -c "$ceph_dir/ceph.conf" --connect-timeout 5 "$@"; }
ceph_osd_is_up() { ceph_do osd stat 2>/dev/null | grep -q '1 up'; }

ceph_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext 'subjectAltName=DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost,IP:127.0.0.1' \
        -keyout "$ceph_dir/tls.key" -out "$ceph_ca" 2>/dev/null && cat "$ceph_ca" "$ceph_dir/tls.key" >"$ceph_dir/tls.pem"
}

ceph_start() {
    local ports uuid conf
    ceph_dir=$1/ceph ceph_fsid=$(</proc/sys/kernel/random/uuid) ceph_ca=$1/ceph/ca.pem
    conf=$ceph_dir/ceph.conf
    mkdir -p "$ceph_dir"/{mon,osd,run,log,rgw}
    read -r -a ports < <(ceph_free_ports 4)
    ceph_http=http://127.0.0.1:${ports[1]} ceph_https=https://127.0.0.1:${ports[2]} ceph_sts_http=http://127.0.0.1:${ports[3]}
    ceph_configure "${ports[@]}"
    ceph_certificate || ceph_fail "no certificate" || return 1

    monmaptool --create --fsid "$ceph_fsid" --addv a "[v2:127.0.0.1:${ports[0]}/0]" --clobber "$ceph_dir/monmap" >/dev/null &&
        ceph-mon -c "$conf" -i a --mkfs --monmap "$ceph_dir/monmap" >"$ceph_dir/log/mkfs.out" 2>&1 ||
        ceph_fail "the monitor's store cannot be made" || return 1
    ceph_run mon ceph-mon -c "$conf" -i a -f
    ceph_await 20 ceph_do mon stat || ceph_fail "the monitor does not answer" || return 1

    uuid=$(</proc/sys/kernel/random/uuid)
    ceph_do osd new "$uuid" 0 >/dev/null 2>&1
    ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$uuid" >"$ceph_dir/log/osd-mkfs.out" 2>&1
    ceph_do osd crush add osd.0 1.0 host=localhost root=default >/dev/null 2>&1
    ceph_run osd ceph-osd -c "$conf" -i 0 -f
    ceph_await 20 ceph_osd_is_up || ceph_fail "the OSD does not come up" || return 1

    ceph_run plain radosgw -c "$conf" -n client.plain -f
    ceph_await 60 curl -s -o /dev/null "$ceph_http/" || ceph_fail "radosgw does not answer" || return 1
    radosgw-admin -c "$conf" user create --uid=test --display-name=Test --access-key="$ceph_access_key" \
        --secret-key="$ceph_secret_key" >"$ceph_dir/log/user.out" 2>&1 || ceph_fail "no user" || return 1
}

ceph_start_sts() {
    local conf=$ceph_dir/ceph.conf
    local trust='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/test"]},
        "Action":["sts:AssumeRole"]}]}'
    local rights='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}'
    ceph_run sts radosgw -c "$conf" -n client.sts -f
    ceph_await 60 curl -s -o /dev/null "$ceph_sts_http/" || ceph_fail "radosgw with STS does not answer" || return 1
    {
        radosgw-admin -c "$conf" caps add --uid=test --caps='roles=*' &&
            radosgw-admin -c "$conf" role create --role-name=hub --path=/ --assume-role-policy-doc="$trust" &&
            radosgw-admin -c "$conf" role-policy put --role-name=hub --policy-name=all --policy-doc="$rights"
    } >"$ceph_dir/log/role.out" 2>&1 || ceph_fail "no role" || return 1
}

# Signed as of old, which needs no more than openssl.
ceph_bucket() {
    local code date sign
    date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')
    sign=$(printf 'PUT\n\n\n%s\n/%s' "$date" "$1" | openssl dgst -sha1 -hmac "$ceph_secret_key" -binary | openssl base64)
    code=$(curl -s -o "$ceph_dir/log/bucket.out" -w '%{http_code}' -H "Date: $date" \
        -H "Authorization: AWS $ceph_access_key:$sign" -X PUT "$ceph_http/$1")
    [[ $code == 200 ]] || ceph_fail "bucket $1 cannot be made: $code"
}

# The last ones first. radosgw does not end by itself once the monitor is gone; nothing of it needs an orderly end.
ceph_stop() {
    local i
    for ((i = ${#ceph_pids[@]} - 1; i >= 0; i--)); do
        kill -9 "${ceph_pids[i]}" 2>/dev/null
        wait "${ceph_pids[i]}" 2>/dev/null
    done
    ceph_pids=()
}
