#!/usr/bin/python3
"""A WebSocket server and clients that talk on loopback: websocket_live.py DIR PORT [SIZE]. What each client sent and got goes into
DIR/truth.jsonl, a line for each message. SIZE: bytes of the largest message; below 1000 only a few connections."""

import asyncio
import hashlib
import json
import logging
import os
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

logging.getLogger("websockets").setLevel(logging.CRITICAL)
truth = []
largest = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
TEXTS = ["hello", "", "Grüße, 世界 😀", json.dumps({"op": "subscribe", "topics": ["prices", "trades"], "id": 17}), "again and " * 200]


def note(ws, direction, opcode, data, **more):
    data = data.encode() if isinstance(data, str) else data
    truth.append({"port": ws.local_address[1], "direction": direction, "opcode": opcode, "length": len(data),
                  "sha256": hashlib.sha256(data).hexdigest(), "path": ws.path, "subprotocol": ws.subprotocol or "", **more})


async def serve(ws, path=None):
    """Sends back what it gets; for "push N", N messages; for "frames", one in fragments; for "close", the end."""
    async for message in ws:
        if isinstance(message, str) and message.startswith("push "):
            for i in range(int(message[5:])):
                await ws.send(json.dumps({"topic": "prices", "n": i, "value": i * i}))
        elif message == "frames":
            await ws.send(["one ", "two ", "", "three"])
        elif message == "close":
            await ws.close(4321, "that is enough")
        else:
            await ws.send(message)


class Client:
    def __init__(self, ws):
        self.ws = ws

    async def say(self, message, answers=1):
        frames = 1
        if isinstance(message, list):
            await self.ws.send(message)
            message, frames = "".join(message), len(message) + 1
        else:
            await self.ws.send(message)
        opcode = "text" if isinstance(message, str) else "binary"
        note(self.ws, "request", opcode, message, frames=frames)
        for _ in range(answers):
            got = await self.ws.recv()
            note(self.ws, "response", "text" if isinstance(got, str) else "binary", got)

    async def ping(self, data):
        await (await self.ws.ping(data))
        note(self.ws, "request", "ping", data)
        note(self.ws, "response", "pong", data)


async def talk(url, how, ending, **options):
    async with websockets.connect(url, ping_interval=None, max_size=None, **options) as ws:
        client = Client(ws)
        for text in TEXTS:
            await client.say(text)
        await client.say(bytes(range(256)) * 3)
        await client.say(os.urandom(300))
        await client.ping(b"")
        await client.say(["frag", "", "ment", "ed " * 30])
        await client.say("frames")
        await client.ping(b"are you there")
        await client.say("push 20", 20) if largest >= 1000 else await client.say("push 3", 3)
        for n in (125, 126, 65535, 65536, largest):
            if n <= largest:
                await client.say("x" * n if how else b"y" * n)
        if ending == "server":
            await ws.send("close")
            note(ws, "request", "text", "close")
            await ws.wait_closed()
        elif ending == "client":
            await ws.close(1001, "leaving")
        code, reason = ws.close_code, ws.close_reason
        note(ws, "request", "close", code.to_bytes(2, "big") + reason.encode(), code=code, reason=reason)
        note(ws, "response", "close", code.to_bytes(2, "big") + reason.encode(), code=code, reason=reason)


async def main():
    host, port = "127.0.0.1", int(sys.argv[2])
    servers = [ServerPerMessageDeflateFactory(), None]
    url = "ws://%s:%d" % (host, port)
    deflate = ClientPerMessageDeflateFactory
    ways = [
        dict(compression=None),
        dict(compression="deflate"),
        dict(compression=None, extensions=[deflate(server_no_context_takeover=True)]),
        dict(compression=None, extensions=[deflate(client_no_context_takeover=True, server_max_window_bits=9)]),
        dict(compression=None, extensions=[deflate(server_no_context_takeover=True, client_no_context_takeover=True,
                                                   client_max_window_bits=10)]),
        dict(compression="deflate", subprotocols=["chat.v2", "chat.v1"]),
    ]
    async with websockets.serve(serve, host, port, ping_interval=None, max_size=None, compression=None,
                                extensions=servers[:1], subprotocols=["chat.v1"]):
        for i, options in enumerate(ways if largest >= 1000 else (ways[0], ways[1], ways[4])):
            await talk("%s/room/%d?way=%d" % (url, i, i), i % 2, "server" if i % 2 else "client", **options)
        if largest >= 1000:
            await asyncio.gather(*(talk("%s/at/once/%d" % (url, i), i % 2, "client", **options) for i, options in enumerate(ways)))
    with open(os.path.join(sys.argv[1], "truth.jsonl"), "w", encoding="utf-8") as out:
        for line in truth:
            out.write(json.dumps(line) + "\n")


asyncio.run(main())
