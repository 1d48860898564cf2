#!/usr/bin/python3
"""gRPC traffic for tests/bench/record, between grpcio's server and its clients: `grpc_load.py serve|ask DIR PORT`.

Until it is killed, each of a few connections has some calls under way: single answers of some hundred bytes most of the time, some lists,
some errors, all with the metadata that such calls have in the field.
"""

import os
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import grpc_live  # noqa: E402

CONNECTIONS = 4
CALLS = 8  # of a connection, at a time


def metadata(number):
    return (("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"), ("x-tenant", "shop-eu"),
            ("x-request-id", str(uuid.uuid4())), ("traceparent", "00-%032x-%016x-01" % (number * 2654435761, number)))


def ask(shop, grpc, port, seed):
    channel = grpc.insecure_channel("127.0.0.1:%d" % port, options=[("grpc.use_local_subchannel_pool", 1)])
    find = channel.unary_unary("/%s/Find" % grpc_live.SERVICE, shop.Query.SerializeToString, shop.Item.FromString)
    find_all = channel.unary_stream("/%s/List" % grpc_live.SERVICE, shop.Query.SerializeToString, shop.Item.FromString)
    free = threading.Semaphore(CALLS)
    number = seed
    while True:
        number += CONNECTIONS
        query = shop.Query(text="missing" if number % 16 == 0 else "lamp %d, oak and linen" % number, limit=number % 120)
        if number % 10 == 3:
            query.limit = number % 7
            list(find_all(query, timeout=5, metadata=metadata(number)))
            continue
        free.acquire()
        find.future(query, timeout=5, metadata=metadata(number)).add_done_callback(lambda _: free.release())


def main():
    what, directory, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "serve":
        grpc_live.compile_protocol(directory)
    sys.path.insert(0, directory)
    import grpc
    import shop_pb2

    if what == "serve":
        grpc_live.serve(shop_pb2, grpc, port).wait_for_termination()
    for seed in range(CONNECTIONS):
        threading.Thread(target=ask, args=(shop_pb2, grpc, port, seed), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
