#!/usr/bin/python3
"""Two kinds of Kafka client at work with librdkafka's mock broker: `kafka_clients.py broker|rdkafka|python ...`.

broker PORT_FILE    a broker until it is killed; writes its address
rdkafka ADDRESS     librdkafka, through confluent_kafka: each codec, a consumer group, transactions
python ADDRESS      kafka-python, which shares no code with it: each codec in each message format, acks=0, a group

A client prints what it knows that it did, one JSON object a line: {"did": "produce", "topic", "client", "partition", "codec", "acks",
"records": [[key, value, headers]], "offset"} and so on; kafka_compare.py looks for that in the calls.
"""

import json
import os
import sys
import time

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = int(os.environ.get("RECORDS", 12))
ONE_WAY = os.environ.get("ONE_WAY", "1") == "1"  # the mock answers these, which no broker does
HEADERS = [("trace", b"\x00\x01\xff"), ("empty", b""), ("text", "gr\u00fc\u00df".encode())]


def say(**what):
    print(json.dumps(what), flush=True)


def value_of(topic, number):
    return ("%s, record %d. " % (topic, number)).encode() * (number + 1)


def records_of(topic, headers):
    shown = [[name, value.decode("latin-1")] for name, value in headers]
    return [["key-%d" % n, value_of(topic, n).decode("latin-1"), shown] for n in range(RECORDS)]


def broker(port_file):
    from confluent_kafka import Producer
    producer = Producer({"test.mock.num.brokers": "1", "client.id": "broker", "log_level": 0})
    host = next(iter(producer.list_topics(timeout=10).brokers.values()))
    with open(port_file + ".new", "w", encoding="ascii") as out:
        out.write("%s %d\n" % (host.host, host.port))
    os.rename(port_file + ".new", port_file)
    while True:
        time.sleep(3600)


def rdkafka(address):
    from confluent_kafka import Consumer, Producer
    topics = []
    for codec in CODECS:
        topic, client = "rd-" + codec, "rd-producer-" + codec
        producer = Producer({"bootstrap.servers": address, "client.id": client, "compression.codec": codec, "linger.ms": 500,
                             "acks": "all"})
        offsets = []
        for number in range(RECORDS):
            producer.produce(topic, key="key-%d" % number, value=value_of(topic, number), headers=HEADERS, partition=1,
                             on_delivery=lambda error, message: offsets.append(message.offset()))
        producer.flush(10)
        topics.append(topic)
        say(did="produce", topic=topic, client=client, partition=1, codec=codec, acks=-1, records=records_of(topic, HEADERS),
            offset=offsets[0], magic=2)
    consumer = Consumer({"bootstrap.servers": address, "client.id": "rd-consumer", "group.id": "rd-group", "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 50})
    consumer.subscribe(topics)
    consume_all(consumer, topics)
    transactions(Producer({"bootstrap.servers": address, "client.id": "rd-transactions", "transactional.id": "rd-tx", "linger.ms": 100}),
                 consumer)
    consumer.close()


def consume_all(consumer, topics):
    got = {topic: [] for topic in topics}
    until = time.monotonic() + 20
    while sum(map(len, got.values())) < RECORDS * len(topics) and time.monotonic() < until:
        message = consumer.poll(0.5)
        if message and not message.error():
            got[message.topic()].append([message.offset(), message.key().decode(), message.value().decode("latin-1"),
                                         [[name, value.decode("latin-1")] for name, value in message.headers() or []]])
    consumer.commit(asynchronous=False)
    for topic, records in got.items():
        say(did="consume", client="rd-consumer", group="rd-group", topic=topic, records=sorted(records))


def transactions(producer, consumer):
    producer.init_transactions(10)
    for commit in (True, False):
        producer.begin_transaction()
        for number in range(3):
            producer.produce("rd-tx", key="key-%d" % number, value=b"in a transaction", partition=0)
        producer.flush(10)
        if commit:
            producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 10)
            producer.commit_transaction(10)
        else:
            producer.abort_transaction(10)
        say(did="transaction", id="rd-tx", client="rd-transactions", commit=commit, records=3)


def python(address):
    from kafka import KafkaProducer
    produced = []
    # The message formats 0, 1 and 2; zstd came with a later API. Lz4 in format 0 needs a library that nobody has any more.
    for version, magic in (((0, 9), 0), ((0, 10, 2), 1), ((0, 11, 0), 2), ((2, 1, 0), 2)):
        for codec in CODECS:
            if (codec == "zstd") != (version == (2, 1, 0)) or (codec == "lz4" and magic == 0):
                continue
            topic = "py-%s-%d" % (codec, magic)
            producer = KafkaProducer(bootstrap_servers=address, client_id=topic, compression_type=None if codec == "none" else codec,
                                     linger_ms=300, api_version=version, acks=1, retries=0)
            futures = [producer.send(topic, key=b"key-%d" % n, value=value_of(topic, n), partition=0) for n in range(RECORDS)]
            producer.flush(10)
            offset = futures[0].value.offset if futures[0].succeeded() else None
            producer.close()
            if offset is not None:
                produced.append(topic)
            say(did="produce", topic=topic, client=topic, partition=0, codec=codec, acks=1, records=records_of(topic, []),
                offset=offset, magic=magic)
    if ONE_WAY:
        one_way(address)
    consume_python(address, produced)


def one_way(address):
    from kafka import KafkaProducer
    producer = KafkaProducer(bootstrap_servers=address, client_id="py-one-way", acks=0, api_version=(0, 11, 0), linger_ms=300)
    for number in range(RECORDS):
        producer.send("py-one-way", key=b"key-%d" % number, value=value_of("py-one-way", number), partition=0)
    producer.flush(10)
    producer.close()
    say(did="produce", topic="py-one-way", client="py-one-way", partition=0, codec="none", acks=0, records=records_of("py-one-way", []),
        offset=None, magic=2)


def consume_python(address, produced):
    from kafka import KafkaConsumer
    consumer = KafkaConsumer(*produced, bootstrap_servers=address, client_id="py-consumer", group_id="py-group", api_version=(0, 11, 0),
                             auto_offset_reset="earliest", consumer_timeout_ms=1500, enable_auto_commit=False, fetch_max_wait_ms=50)
    got = {topic: [] for topic in produced}
    for message in consumer:
        got[message.topic].append([message.offset, message.key.decode(), message.value.decode("latin-1"), []])
    consumer.commit()
    consumer.close()
    for topic, records in got.items():
        say(did="consume", client="py-consumer", group="py-group", topic=topic, records=sorted(records))


if __name__ == "__main__":
    {"broker": broker, "rdkafka": rdkafka, "python": python}[sys.argv[1]](*sys.argv[2:])
