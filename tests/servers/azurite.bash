# To be sourced after loopback.bash: Azurite, an emulator of Azure Blob Storage that checks signatures, tokens' times and conditions.
# `make deps` installs it into a folder of the user's cache.

azurite_version=3.35.0
azurite_home=${TAPEDECK_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tapedeck-tests}/azurite-$azurite_version
azurite_main=$azurite_home/node_modules/azurite/dist/src/blob/main.js
# Of the account that it has by itself.
azurite_account=devstoreaccount1
azurite_key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
azurite_keeps=(--inMemoryPersistence)

# start_azurite NAME PORT OPTION...: keeps all in memory, or as the options in azurite_keeps say. With --cert and --key it speaks TLS only, with --oauth basic it takes tokens.
start_azurite() {
    local name=$1 port=$2
    shift 2
    [[ -e $azurite_main ]] || die "Azurite is not installed; \`make deps\` installs it"
    # It ends connections after five idle seconds, on a busy machine also those on which a request is coming just then, and takes no
    # option against it (it has one, and does not look at it).
    cat >"$work/patient.js" <<'END'
for (const name of ["http", "https"])
    Object.defineProperty(require(name).Server.prototype, "keepAliveTimeout", {get: () => 120000, set: () => {}});
END
    # Without --skipApiVersionCheck it refuses versions of the interface that are younger than itself.
    (cd "$work" && exec node -r "$work/patient.js" "$azurite_main" --blobHost 127.0.0.1 --blobPort "$port" "${azurite_keeps[@]}" \
        --disableTelemetry --skipApiVersionCheck --silent "$@") >"$work/$name.log" 2>&1 &
    started[$name]=$!
    wait_for "$name" tcp_open 127.0.0.1 "$port"
}

# azurite_ask METHOD URL KEY [HEADER:VALUE]...: one request signed with the account's key, written independently of the plugin.
# The answer's body; fails unless the status is 2xx.
azurite_ask() {
    python3 - "$@" <<'END'
import base64, email.utils, hashlib, hmac, ssl, sys, urllib.error, urllib.parse, urllib.request
method, url, key = sys.argv[1:4]
headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
headers.update(argument.split(":", 1) for argument in sys.argv[4:])
body = headers.pop("body", "").encode()
parts = urllib.parse.urlsplit(url)
account = parts.path.split("/")[1]
query = sorted((k.lower(), v) for k, v in urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
text = "\n".join([method, "", "", str(len(body) or ""), headers.get("Content-MD5", ""), "", "", "", headers.get("If-Match", ""),
                  headers.get("If-None-Match", ""), "", ""]) + "\n"
text += "".join(f"{k}:{headers[k]}\n" for k in sorted(headers) if k.startswith("x-ms-"))
text += f"/{account}{parts.path}" + "".join(f"\n{k}:{v}" for k, v in query)
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
headers["Authorization"] = f"SharedKey {account}:{signature}"
request = urllib.request.Request(url, data=body if method == "PUT" else None, method=method, headers=headers)
if method == "PUT":
    request.add_header("Content-Length", str(len(body)))
request.add_unredirected_header("Content-Type", "")
try:
    with urllib.request.urlopen(request, timeout=20, context=ssl._create_unverified_context()) as answer:
        sys.stdout.buffer.write(answer.read())
except urllib.error.HTTPError as e:
    sys.exit(f"{e.code} {e.headers.get('x-ms-error-code')}")
END
}
