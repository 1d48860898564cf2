#!/usr/bin/python3
"""A gRPC server and its client on loopback, for tests: all kinds of calls, errors, compression, deadlines, metadata.

grpc_live.py DIR PORT: compiles shop.proto into DIR, serves, calls, and writes what the client knows of each call as a line of JSON to
DIR/truth.jsonl, and the descriptor set to DIR/shop.pb.
"""

import json
import os
import sys
import time
from concurrent import futures

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICE = "tapedeck.test.Shop"


def compile_protocol(directory):
    import grpc_tools
    from grpc_tools import protoc

    status = protoc.main(["protoc", "-I" + HERE, "--python_out=" + directory, "--descriptor_set_out=" + directory + "/shop.pb",
                          "--include_imports", "-I" + os.path.join(os.path.dirname(grpc_tools.__file__), "_proto"), HERE + "/shop.proto"])
    if status:
        sys.exit("protoc fails")
    sys.path.insert(0, directory)


def make_item(shop, number):
    item = shop.Item(name="lamp %d \u2603 \"quoted\"" % number, price_cents=-5 - 10 ** 12 * number, colour=shop.COLOUR_DEEP_BLUE,
                     tags=["a", "", "c"], picture=bytes(range(number % 200)), weight=1 / 3, height=2.5, offset=-number,
                     far_offset=-10 ** 15, code=0xffffffff, long_code=2 ** 64 - 1, signed_code=-7, signed_long_code=-8,
                     sold=number % 2 == 1, count=number,
                     serial=2 ** 63, sizes=[1, -2, 300], ratios=[0.1, 1e300], country="de")
    item.stock["here"] = number
    item.made.FromNanoseconds(1700000000123456000 + 10 ** 15 * number)
    item.lasts.FromMilliseconds(-1500 * number)
    item.remark.value = "" if number % 2 else "none"
    item.marks.add(value=-number)
    item.marks.add()
    item.waits["long"].FromSeconds(number)
    item.part.name = "bulb"
    item.part.part.colour = shop.COLOUR_RED
    item.variants[-3].name = "three"
    for i in range(number % 3):
        item.more.add(name="m%d" % i, planet=i)
    return item


class Shop:
    """The server's side. What a query's text says is done."""

    def __init__(self, shop, grpc):
        self.shop, self.grpc = shop, grpc

    def find(self, query, context):
        context.set_trailing_metadata((("trailer", "behind"), ("grpc-tags-bin", b"\x00\x01\xfe")))
        if query.text == "missing":
            context.abort(self.grpc.StatusCode.NOT_FOUND, "no such thing: 100% s\u00fcr\n")
        if query.text == "fail":
            raise RuntimeError("the server's own fault")
        if query.text == "slow":
            time.sleep(0.6)
        if query.text == "compressed":
            context.set_compression(self.grpc.Compression.Gzip)
        return make_item(self.shop, query.limit)

    def list(self, query, context):
        for number in range(query.limit):
            if query.text == "break" and number == 2:
                context.abort(self.grpc.StatusCode.DATA_LOSS, "gone")
            yield make_item(self.shop, number)

    def store(self, items, context):
        return self.shop.Query(text=",".join(item.name for item in items), limit=3)

    def trade(self, items, context):
        for item in items:
            if item.count == 999:
                context.abort(self.grpc.StatusCode.FAILED_PRECONDITION, "enough")
            yield item
            yield self.shop.Item(name="and one more")


def serve(shop, grpc, port):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), compression=grpc.Compression.NoCompression)
    mine = Shop(shop, grpc)
    item, query = shop.Item, shop.Query

    def handle(make, function, request, response):
        return make(function, request_deserializer=request.FromString, response_serializer=response.SerializeToString)

    handlers = {"Find": handle(grpc.unary_unary_rpc_method_handler, mine.find, query, item),
                "List": handle(grpc.unary_stream_rpc_method_handler, mine.list, query, item),
                "Store": handle(grpc.stream_unary_rpc_method_handler, mine.store, item, query),
                "Trade": handle(grpc.stream_stream_rpc_method_handler, mine.trade, item, item)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port("127.0.0.1:%d" % port)
    server.start()
    return server


class Client:
    KINDS = {"Find": "unary", "List": "server_streaming", "Store": "client_streaming", "Trade": "bidi_streaming"}

    def __init__(self, shop, grpc, port, compression=None):
        self.shop, self.grpc = shop, grpc
        self.channel = grpc.insecure_channel("127.0.0.1:%d" % port, compression=compression)
        self.calls = []

    def call(self, method, requests, timeout=None, known=True, compression=None, cancel_after=None, metadata=()):
        """Makes a call and notes it; `known`: there is such a method."""
        from google.protobuf import json_format

        kind = self.KINDS.get(method, "unary")
        request_type = self.shop.Query if method in ("Find", "List") else self.shop.Item
        response_type = self.shop.Query if method == "Store" else self.shop.Item
        make = {"unary": self.channel.unary_unary, "server_streaming": self.channel.unary_stream,
                "client_streaming": self.channel.stream_unary, "bidi_streaming": self.channel.stream_stream}[kind]
        stub = make("/%s/%s" % (SERVICE, method), request_type.SerializeToString, response_type.FromString)
        argument = iter(requests) if kind in ("client_streaming", "bidi_streaming") else requests[0]
        responses, code, details = [], "OK", ""
        try:
            if kind in ("unary", "client_streaming"):
                responses.append(stub(argument, timeout=timeout, compression=compression, metadata=metadata))
            else:
                stream = stub(argument, timeout=timeout, compression=compression, metadata=metadata)
                for response in stream:
                    responses.append(response)
                    if cancel_after == len(responses):
                        stream.cancel()
        except self.grpc.RpcError as error:
            code, details = error.code().name, error.details()
        as_json = [[json.loads(json_format.MessageToJson(message)) for message in messages] for messages in (requests, responses)]
        self.calls.append({"method": method, "kind": kind, "status": code, "message": details, "timeout": timeout, "known": known,
                           "requests": as_json[0], "responses": as_json[1], "cancelled": cancel_after is not None,
                           "request_sizes": [len(message.SerializeToString()) for message in requests],
                           "response_sizes": [len(message.SerializeToString()) for message in responses],
                           "compression": compression.name if compression is not None else None})


def talk(shop, grpc, port):
    query = shop.Query
    client = Client(shop, grpc, port)
    client.call("Find", [query(text="lamp", limit=5)], metadata=(
        ("user", "me"), ("grpc-trace-bin", b"\x00\xff\x10"), ("x-token-bin", b"a,b"), ("x-token-bin", b"")))
    client.call("Find", [query(text="missing")])
    client.call("Find", [query(text="fail")])
    client.call("Find", [query(text="slow")], timeout=0.2)
    client.call("Nowhere", [shop.Item(name="x")], known=False)
    client.call("Find", [query(text="lamp", limit=1)], timeout=30)
    client.call("List", [query(limit=4)])
    client.call("List", [query(text="break", limit=4)])
    client.call("List", [query(limit=0)])
    client.call("List", [query(limit=50)], cancel_after=3)
    client.call("Store", [make_item(shop, number) for number in range(5)])
    client.call("Store", [])
    client.call("Trade", [make_item(shop, number) for number in range(3)])
    client.call("Trade", [make_item(shop, number) for number in (0, 999, 1)])
    client.call("Find", [query(text="x" * 60000, limit=199)])
    client.call("Find", [query(text="y" * 200, limit=1)], compression=grpc.Compression.Gzip)
    client.call("Find", [query(text="y" * 200, limit=1)], compression=grpc.Compression.Deflate)
    client.call("Store", [make_item(shop, number) for number in range(30)], compression=grpc.Compression.Gzip)
    client.call("Find", [query(text="compressed", limit=40)])
    client.channel.close()
    return client.calls


def main():
    directory, port = sys.argv[1], int(sys.argv[2])
    compile_protocol(directory)
    import grpc
    import shop_pb2

    server = serve(shop_pb2, grpc, port)
    with open(directory + "/truth.jsonl", "w", encoding="utf-8") as out:
        for call in talk(shop_pb2, grpc, port):
            out.write(json.dumps(call) + "\n")
    server.stop(None).wait()


if __name__ == "__main__":
    main()
