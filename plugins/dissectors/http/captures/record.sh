#!/usr/bin/env bash
# Records the captures of this folder: real servers and clients on loopback, one capture for each subject.
# Needs nginx, tinyproxy, curl, zstd, python3, tcpdump and the right to capture. Usage: record.sh [DIR] (default: this folder)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
work=$(mktemp -d)
nginx_port=18780 proxy_port=18781 talk_port=18782
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT

# ---- Servers ----

mkdir -p "$work/www"
chmod 755 "$work"
seq 1 400 | sed 's/$/ green bottles/' >"$work/www/song.txt"
printf '{"id":7,"name":"lamp"}\n' >"$work/www/item.json"
zstd -q "$work/www/item.json" -o "$work/www/item.zst"
# "brotli brotli brotli, said the server", compressed by hand
printf '\x1b\x24\x00\xf8\x1d\x09\x36\x4e\x74\x6f\x24\x86\x57\x62\x72\x09\xc2\x42\x97\x69' >"$work/www/said.br"
printf '\x6c\x6f\x49\x88\x24\xf1\x64\x02\x60\xf8\xf3\x7e\x28\x53\x0a' >>"$work/www/said.br"
cat >"$work/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http {
    access_log off;
    client_body_temp_path $work/body;
    server {
        listen 127.0.0.1:$nginx_port;
        root $work/www;
        default_type text/plain;
        gzip on;
        gzip_min_length 100;
        gzip_types text/plain;
        location = /said.br { add_header Content-Encoding br; }
        location = /item.zst { add_header Content-Encoding zstd; }
        location = /cookie {
            add_header Set-Cookie "session=s3cr3t; Path=/; HttpOnly";
            add_header Set-Cookie "theme=dark";
            return 200 "eaten\n";
        }
        location = /nothing { return 204; }
        location = /moved { return 301 /item.json; }
        location = /echo { client_max_body_size 1k; proxy_pass http://127.0.0.1:$nginx_port/sink; }
        location = /sink { return 202 "thanks\n"; }
    }
}
END
nginx -e "$work/error.log" -c "$work/nginx.conf" &
pids+=($!)
printf 'Port %d\nListen 127.0.0.1\nTimeout 20\nMaxClients 10\nConnectPort %d\n' $proxy_port $nginx_port >"$work/proxy.conf"
tinyproxy -d -c "$work/proxy.conf" >"$work/proxy.log" 2>&1 &
pids+=($!)
# A server for what others do not do: trailers, interim responses, upgrades, until-close bodies.
cat >"$work/talk.py" <<'END'
import base64, hashlib, socket, sys
ANSWERS = {
    b"/trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n"
                  b"6;note=first\r\nhello,\r\n7\r\n world\n\r\n0\r\nDigest: crc32=1b851995\r\n\r\n",
    b"/hints": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
    b"/close": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the very end\n",
    b"/fold": b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n\ttwo\r\nContent-Length: 0\r\n\r\n",
}
def websocket(conn, head):
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    frame = conn.recv(1024)
    mask, text = frame[2:6], frame[6:]
    text = bytes(b ^ mask[i % 4] for i, b in enumerate(text))
    conn.sendall(bytes([0x81, len(text)]) + text + b"\x88\x00")
def serve(conn):
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = conn.recv(4096)
            if not more:
                return
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        path = head.split(b" ")[1]
        if b"upgrade: websocket" in head.lower():
            return websocket(conn, head)
        conn.sendall(ANSWERS.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        if path == b"/close":
            return
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    conn, _ = server.accept()
    with conn:
        serve(conn)
END
python3 "$work/talk.py" $talk_port &
pids+=($!)

# Sends its standard input over one connection and reads until the server closes or is silent for half a second.
send() {
    python3 -c '
import socket, sys
conn = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
conn.settimeout(0.5)
conn.sendall(sys.stdin.buffer.read())
try:
    while conn.recv(65536):
        pass
except TimeoutError:
    pass' "$1"
}

# record NAME PORT COMMAND: captures what the command does on that port.
record() {
    local name=$1 port=$2 tcpdump
    shift 2
    tcpdump -i lo -U -s 0 --immediate-mode -w "$out/$name.pcap" "tcp port $port" 2>"$work/tcpdump.log" &
    tcpdump=$!
    pids+=($tcpdump)
    until grep -q listening "$work/tcpdump.log"; do sleep 0.1; done
    sleep 0.3
    "$@" >/dev/null 2>"$work/command.log" || { cat "$work/command.log" >&2; return 1; }
    sleep 0.3
    kill -INT $tcpdump
    wait $tcpdump || true
}

until curl -so /dev/null http://127.0.0.1:$nginx_port/ && curl -so /dev/null http://127.0.0.1:$talk_port/ \
        && curl -so /dev/null -x http://127.0.0.1:$proxy_port http://127.0.0.1:$nginx_port/; do sleep 0.1; done

# ---- Conversations ----

site=http://127.0.0.1:$nginx_port talk=http://127.0.0.1:$talk_port
keep_alive() {
    curl -sS "$site/item.json?colour=red&n=1" --next -sS -d 'name=lamp' "$site/sink" --next -sS -I "$site/song.txt" \
        --next -sS "$site/no/such" --next -sS -X DELETE "$site/nothing" --next -sS "$site/moved" --next -sS "$site/cookie"
}
not_modified() {
    local etag
    etag=$(curl -sSI "$site/item.json" | tr -d '\r' | sed -n 's/^ETag: //p')
    curl -sS -H "If-None-Match: $etag" "$site/item.json" --next -sS -b 'a=1; b=two' "$site/item.json"
}
coded() {
    curl -sS --compressed "$site/song.txt" --next -sS "$site/said.br" --next -sS "$site/item.zst" \
        --next -sS --http1.0 --compressed "$site/song.txt"
}
uploads() {
    echo 'a chunked upload' | curl -sS -T - -H 'Expect:' "$site/sink"
    head -c 900 /dev/zero | tr '\0' x | curl -sS --data-binary @- -H 'Expect: 100-continue' "$site/echo"
    head -c 3000 /dev/zero | tr '\0' x | curl -sS --data-binary @- -H 'Expect: 100-continue' "$site/echo"
}
pipelined() {
    {
        printf '%s HTTP/1.1\r\nHost: site\r\n\r\n' 'GET /item.json' 'HEAD /song.txt' 'GET /nothing'
        printf 'GET /item.json HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n'
    } | send $nginx_port
}
sloppy() {
    printf '\r\n\nGET /item.json HTTP/1.0\nHost: site\n\n' | send $nginx_port
    printf 'GET /item.json\r\n' | send $nginx_port
    printf 'NONSENSE\r\n\r\n' | send $nginx_port
}
talking() {
    curl -sS "$talk/trailers" --next -sS "$talk/hints" --next -sS "$talk/fold" --next -sS "$talk/close"
}
upgrading() {
    {
        printf 'GET /chat HTTP/1.1\r\nHost: site\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
        printf 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
        printf '\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58'
    } | send $talk_port
    curl -sS --http2 "$talk/hints"
}
proxied() {
    curl -sS -x http://127.0.0.1:$proxy_port "$site/item.json"
    curl -sS -p -x http://127.0.0.1:$proxy_port "$site/item.json"
    curl -sS -p -x http://127.0.0.1:$proxy_port "http://127.0.0.1:9/" || true
}

record keep-alive $nginx_port keep_alive
record not-modified $nginx_port not_modified
record coded $nginx_port coded
record uploads $nginx_port uploads
record pipelined $nginx_port pipelined
record sloppy $nginx_port sloppy
record talking $talk_port talking
record upgrading $talk_port upgrading
record proxied $proxy_port proxied
ls -l "$out"/*.pcap
