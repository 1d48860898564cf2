#!/usr/bin/python3
"""Kafka traffic for tests/bench/record: `kafka_load.py ADDRESS`. Until it is killed, one producer for each codec sends orders, as JSON of
some hundred bytes with key and headers, in batches of what comes within some milliseconds, and a group of two consumers reads them."""

import json
import random
import sys
import threading
import time

from confluent_kafka import Consumer, Producer

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def order(number):
    return json.dumps({"order": number, "customer": "c-%05d" % (number * 7919 % 20011), "state": random.choice(("new", "paid", "sent")),
                       "items": [{"sku": "A-%04d" % (number * k % 4711), "name": "Armchair, oak and linen", "count": k}
                                 for k in range(1, 2)], "total": round(random.uniform(1, 500), 2), "currency": "EUR"}).encode()


def produce(address, codec):
    producer = Producer({"bootstrap.servers": address, "client.id": "orders-" + codec, "compression.codec": codec, "linger.ms": 5,
                         "batch.size": 65536, "queue.buffering.max.messages": 20000})
    orders = [order(number) for number in range(3000)]
    number = 0
    while True:
        number += 1
        try:
            producer.produce("orders-" + codec, key="c-%05d" % (number % 20011), value=orders[number % 3000],
                             headers=[("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])
        except BufferError:
            producer.poll(0.05)
        if number % 200 == 0:
            producer.poll(0)
            time.sleep(0.002)


def consume(address):
    consumer = Consumer({"bootstrap.servers": address, "client.id": "billing", "group.id": "billing", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders-" + codec for codec in CODECS])
    while True:
        consumer.consume(1000, 0.2)


if __name__ == "__main__":
    for codec in CODECS:
        threading.Thread(target=produce, args=(sys.argv[1], codec), daemon=True).start()
    for _ in range(2):
        threading.Thread(target=consume, args=(sys.argv[1],), daemon=True).start()
    time.sleep(600)
