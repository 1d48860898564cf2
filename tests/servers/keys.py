#!/usr/bin/env python3
"""Services that a cloud has for who runs in it, in front of a real token service: keys of a role by instance metadata (version 2) and as a
container's agent gives them, and an identity provider with one web identity.

    keys.py STS_URL ACCESS_KEY SECRET_KEY ROLE_ARN SECONDS FOLDER

Writes FOLDER/port when it listens; FOLDER has key.pem and cert.pem of the identity provider, and gets the file `token`."""

import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sts, access, secret, role, seconds, folder = sys.argv[1:]


def post(fields, service, headers=None):
    """A form, signed; returns status and text."""
    body = urllib.parse.urlencode(fields)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host, scope = urllib.parse.urlsplit(sts).netloc, f"{now[:8]}/us-east-1/{service}/aws4_request"
    canonical = f"POST\n/\n\nhost:{host}\nx-amz-date:{now}\n\nhost;x-amz-date\n{hashlib.sha256(body.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    request = urllib.request.Request(sts + "/", body.encode(), {
        "X-Amz-Date": now, "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def keys():
    status, text = post({"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": role, "RoleSessionName": "machine",
                         "DurationSeconds": seconds}, "sts")
    if status != 200:
        return status, {"code": "Failed", "message": text}
    value = {name: re.search(f"<{name}>([^<]*)<", text).group(1)
             for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")}
    value["Token"] = value.pop("SessionToken")
    return 200, {"Code": "Success", "Type": "AWS-HMAC", **value}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write(name, text):
    with open(f"{folder}/{name}.new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(f"{folder}/{name}.new", f"{folder}/{name}")


def certificate():
    return subprocess.run(["openssl", "x509", "-in", f"{folder}/cert.pem", "-outform", "DER"], check=True, capture_output=True).stdout


def web_identity(issuer):
    claims = {"iss": issuer, "sub": "hub", "aud": "tapedeck", "client_id": "tapedeck", "iat": int(time.time()),
              "exp": int(time.time()) + 600}
    head = {"alg": "RS256", "typ": "JWT", "kid": "1"}
    text = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{folder}/key.pem"], input=text.encode(), check=True,
                            capture_output=True).stdout
    return f"{text}.{encode(signed)}"


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tokens = 0

    def say(self, status, body, kind="text/plain"):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        if self.path != "/latest/api/token" or not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            return self.say(400, "")
        Service.tokens += 1
        return self.say(200, f"token-{Service.tokens}")

    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path.startswith("/latest/") and self.headers.get("X-aws-ec2-metadata-token") != f"token-{Service.tokens}":
            return self.say(401, "")
        if self.path == roles:
            return self.say(200, "machine-role")
        if self.path == roles + "machine-role" or (self.path == "/agent" and self.headers.get("Authorization") == "let-me"):
            status, value = keys()
            return self.say(status, json.dumps(value), "application/json")
        if self.path == "/.well-known/openid-configuration":
            return self.say(200, json.dumps({"issuer": issuer, "jwks_uri": issuer + "/keys"}), "application/json")
        if self.path == "/keys":
            x5c = [base64.b64encode(certificate()).decode()]
            return self.say(200, json.dumps({"keys": [{"kid": "1", "kty": "RSA", "alg": "RS256", "use": "sig", "x5c": x5c}]}),
                            "application/json")
        return self.say(404, "")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
issuer_url = f"http://127.0.0.1:{server.server_port}"
thumbprint = hashlib.sha1(certificate()).hexdigest().upper()
write("provider", "\n".join(map(str, post({"Action": "CreateOpenIDConnectProvider", "Version": "2010-05-08", "Url": issuer_url,
                                           "ClientIDList.member.1": "tapedeck", "ThumbprintList.member.1": thumbprint}, "iam"))))
write("token", web_identity(issuer_url) + "\n")
write("port", f"{server.server_port}\n")
server.serve_forever()
