#!/usr/bin/python3
"""gRPC-Web over HTTP/1.1 on loopback, for tests: a server and a client by the protocol's document, in binary and in base64.

grpc_web.py DIR PORT: writes what was sent as lines of JSON to DIR/web.jsonl, in the form of grpc_live.py.
"""

import base64
import http.client
import http.server
import json
import struct
import sys
import threading

import grpc_live


def framed(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers = {}  # by path: messages, status, text

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        messages, status, text = self.answers[self.path]
        parts = [framed(message) for message in messages] + [framed(b"grpc-status: %d\r\ngrpc-message: %s\r\n" % (status, text), 0x80)]
        is_text = "-text" in self.headers["content-type"]
        self.send_response(200)
        self.send_header("Content-Type", self.headers["content-type"])
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:  # each with a padding of its own, as browsers' peers do
            part = base64.b64encode(part) if is_text else part
            for piece in (part[:7], part[7:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments):
        pass


def talk(shop, port):
    from google.protobuf import json_format

    def as_json(messages):
        return [json.loads(json_format.MessageToJson(message)) for message in messages]

    item, truth = grpc_live.make_item, []
    calls = [("Find", "unary", shop.Query(text="lamp", limit=4), [item(shop, 4)], 0, ""),
             ("List", "server_streaming", shop.Query(limit=3), [item(shop, n) for n in range(3)], 0, ""),
             ("Find", "unary", shop.Query(text="no"), [], 5, "no such thing: \u00fc")]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for media_type in ("application/grpc-web+proto", "application/grpc-web-text"):
        for method, kind, request, responses, status, text in calls:
            path = "/%s/%s" % (grpc_live.SERVICE, method)
            quoted = "".join("%%%02X" % byte if byte > 126 else chr(byte) for byte in text.encode())
            Handler.answers[path] = ([message.SerializeToString() for message in responses], status, quoted.encode())
            body = framed(request.SerializeToString())
            connection.request("POST", path, base64.b64encode(body) if "text" in media_type else body,
                               {"Content-Type": media_type, "grpc-trace-bin": "AP8Q"})
            connection.getresponse().read()
            truth.append({"method": method, "kind": kind, "status": "OK" if status == 0 else "NOT_FOUND", "message": text, "timeout": None,
                          "known": True, "requests": as_json([request]), "responses": as_json(responses), "cancelled": False,
                          "request_sizes": [request.ByteSize()], "response_sizes": [message.ByteSize() for message in responses],
                          "compression": None})
    connection.close()
    return truth


def main():
    directory, port = sys.argv[1], int(sys.argv[2])
    grpc_live.compile_protocol(directory)
    import shop_pb2

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(directory + "/web.jsonl", "w", encoding="utf-8") as out:
        for call in talk(shop_pb2, port):
            out.write(json.dumps(call) + "\n")
    server.shutdown()


if __name__ == "__main__":
    main()
