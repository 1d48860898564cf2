"""What stands around Azure's Blob service in tests, besides Azurite: who gives tokens, SAS tokens, and a network that damages.

    azure_stand_in.py identity PORT SECONDS [CERT KEY]    gives tokens that last so long, or so it says (on a busy machine some minutes more
                                                          do no harm), as the identity provider (over TLS, if there is a certificate) and as
                                                          the metadata service; a line for each on the output
    azure_stand_in.py damage PORT TO up|down|cut [AFTER]  passes bytes to 127.0.0.1:TO; changes a byte of each request's or answer's body
                                                          that is longer than AFTER bytes, or cuts the answer's connection there
    azure_stand_in.py sas ACCOUNT KEY account|CONTAINER PERMISSIONS SECONDS-FROM-NOW
"""
import base64, hashlib, hmac, http.server, json, socket, ssl, sys, threading, time, urllib.parse


def segment(value):
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=").decode()


def token(seconds):
    now = int(time.time())
    claims = {"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant/", "iat": now - 60, "nbf": now - 60,
              "exp": now + seconds + 600}
    return f"{segment({'typ': 'JWT', 'alg': 'RS256'})}.{segment(claims)}.{segment(b'nobody checks this')}"


class Identity(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if self.headers.get("Metadata") != "true" or query.get("resource") != ["https://storage.azure.com/"]:
            return self.reply(400, {"error": "invalid_request", "error_description": "Required metadata header not specified"})
        print("token managed", flush=True)
        self.reply(200, {"access_token": token(seconds), "expires_in": str(seconds), "token_type": "Bearer"})

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path != "/the-tenant/oauth2/v2.0/token" or form.get("grant_type") != ["client_credentials"]:
            return self.reply(400, {"error": "invalid_request", "error_description": "AADSTS90002: no such tenant\r\nTrace ID: 1"})
        if form.get("client_assertion") != ["federated+token/="] or form.get("client_id") != ["the-client"] or \
                form.get("client_assertion_type") != ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"] or \
                form.get("scope") != ["https://storage.azure.com/.default"]:
            return self.reply(401, {"error": "invalid_client",
                                    "error_description": "AADSTS70021: no matching federated identity\r\nTrace ID: 1"})
        print("token workload", flush=True)
        self.reply(200, {"access_token": token(seconds), "expires_in": seconds, "token_type": "Bearer"})

    def log_message(self, *arguments):
        pass


def damage(client, to, mode, after):
    server = socket.create_connection(("127.0.0.1", to))

    def pass_on(source, target, harm):
        body, whole = 0, b""
        try:
            while data := source.recv(65536):
                whole = (whole + data)[-200000:]
                head = data.find(b"\r\n\r\n")
                if data[:5] in (b"PUT /", b"GET /", b"HEAD ", b"DELET", b"HTTP/") and head >= 0:
                    body = len(data) - head - 4
                else:
                    body += len(data)
                    head = -4
                if harm and body > after and len(data) - head - 4 > 0:
                    if harm == "cut":
                        break
                    data = data[:-1] + bytes([data[-1] ^ 1])
                    body = -10 ** 12
                target.sendall(data)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    threading.Thread(target=pass_on, args=(client, server, "up" if mode == "up" else None), daemon=True).start()
    pass_on(server, client, {"down": "down", "cut": "cut"}.get(mode))


def sas(account, key, what, permissions, ends):
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ends))
    version = "2021-12-02"
    if what == "account":
        text = "\n".join([account, permissions, "b", "co", "", end, "", "", version, "", ""])
        values = {"sv": version, "ss": "b", "srt": "co", "sp": permissions, "se": end}
    else:
        text = "\n".join([permissions, "", end, f"/blob/{account}/{what}", "", "", "", version, "c", "", "", "", "", "", "", ""])
        values = {"sv": version, "sr": "c", "sp": permissions, "se": end}
    values["sig"] = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
    return urllib.parse.urlencode(values)


if sys.argv[1] == "identity":
    seconds = int(sys.argv[3])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Identity)
    if len(sys.argv) > 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[4], sys.argv[5])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
elif sys.argv[1] == "damage":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    while True:
        arguments = listener.accept()[0], int(sys.argv[3]), sys.argv[4], int((sys.argv + [0])[5])
        threading.Thread(target=damage, args=arguments, daemon=True).start()
elif sys.argv[1] == "sas":
    print(sas(*sys.argv[2:6], int(sys.argv[6])))
else:
    sys.exit(__doc__)
