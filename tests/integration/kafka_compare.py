#!/usr/bin/python3
"""Compares dissected calls with what clients know that they did: `kafka_compare.py CALLS DID`; TAP lines, one for each thing done.

CALLS: `tapedeck dissect --payload -o json`; DID: what kafka_clients.py printed."""

import base64
import json
import sys


def load(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.startswith("{")]


def body(call, half):
    return json.loads(call.get(half, {}).get("body") or "{}")


def text_of(record, name):
    if name + "Base64" in record:
        return base64.b64decode(record[name + "Base64"]).decode("latin-1")
    value = record.get(name)
    return None if value is None else value.encode("utf-8").decode("latin-1")


def batches_of(content, topics, name, partitions):
    """(topic, partition, batch) of each record batch in a Produce request or Fetch response."""
    for topic in content.get(topics, []):
        for partition in topic[partitions]:
            for batch in partition.get("records") or []:
                yield topic[name], partition.get("index", partition.get("partitionIndex")), batch


def records_of(batch):
    """[offset, key, value, headers] of each record; a message of the old formats is one itself."""
    for record in batch.get("records", [batch]):
        headers = [[header["key"], text_of(header, "value")] for header in record.get("headers", [])]
        yield [record["offset"], text_of(record, "key"), text_of(record, "value"), headers]


class Calls:
    def __init__(self, calls):
        self.calls = [call for call in calls if call["protocol"] == "KAFKA"]

    def named(self, name, client):
        return [call for call in self.calls if call.get("kafka_api_key_name") == name and call.get("kafka_client_id") == client]


def produce(calls, did):
    """Why this is not what was seen; None if it is."""
    made = calls.named("Produce", did["client"])
    records, codecs, magics, offsets = [], set(), set(), []
    for call in made:
        if call.get("partial") or call["kafka_acks"] != did["acks"] or call.get("kafka_topics") != [did["topic"]]:
            return "a call is partial or of something else: %s" % json.dumps(call)[:600]
        if call.get("kafka_response", False) != (did["acks"] != 0):
            return "kafka_response is %s" % call.get("kafka_response")
        seen = 0
        for topic, partition, batch in batches_of(body(call, "request"), "topicData", "name", "partitionData"):
            if (topic, partition) != (did["topic"], did["partition"]):
                return "topic %s partition %s" % (topic, partition)
            codecs.add(batch["compression"])  # librdkafka does not compress what would grow
            magics.add(batch["magic"])
            found = list(records_of(batch))
            seen += len(found)
            records += [record[1:] for record in found]
        if call["kafka_record_count"] != seen:
            return "kafka_record_count is %s, the body has %d" % (call["kafka_record_count"], seen)
        offsets += [partition["baseOffset"] for topic in body(call, "response").get("responses", [])
                    for partition in topic["partitionResponses"] if partition["errorCode"] == 0]
    if records != did["records"]:
        return "records %s" % json.dumps(records)[:600]
    if codecs - {"none"} != {did["codec"]} - {"none"} or magics != {did["magic"]}:
        return "codecs %s, formats %s" % (codecs, magics)
    if did["offset"] is not None and (not offsets or offsets[0] != did["offset"]):
        return "offsets %s, not %s" % (offsets, did["offset"])
    return None


def consume(calls, did):
    records = []
    for call in calls.named("Fetch", did["client"]):
        for topic, _, batch in batches_of(body(call, "response"), "responses", "topic", "partitions"):
            if topic == did["topic"]:
                records += records_of(batch)
    # A client may fetch what it has already.
    records = sorted({json.dumps(record): record for record in records}.values())
    if records != did["records"] or not records:
        return "records %s, not %s" % (json.dumps(records)[:500], json.dumps(did["records"])[:500])
    for name in ("FindCoordinator", "JoinGroup", "SyncGroup", "OffsetFetch", "OffsetCommit"):
        found = calls.named(name, did["client"])
        if not found or any(call.get("kafka_group_id") != did["group"] or call.get("partial") for call in found if call["kafka_response"]):
            return "%s: %s" % (name, json.dumps(found)[:600])
    committed = {topic["name"] for call in calls.named("OffsetCommit", did["client"]) for topic in body(call, "request")["topics"]}
    return None if did["topic"] in committed else "committed: %s" % sorted(committed)


def transaction(calls, did):
    ends = [call for call in calls.named("EndTxn", did["client"]) if body(call, "request")["committed"] == did["commit"]]
    if len(ends) != 1 or ends[0]["kafka_transactional_id"] != did["id"] or ends[0]["kafka_error"] != "NONE":
        return "EndTxn: %s" % json.dumps(ends)[:600]
    for name in ("InitProducerId", "AddPartitionsToTxn") + (("AddOffsetsToTxn", "TxnOffsetCommit") if did["commit"] else ()):
        found = calls.named(name, did["client"])
        if not found or found[0].get("kafka_transactional_id") != did["id"] or found[0].get("partial"):
            return "%s: %s" % (name, json.dumps(found)[:600])
    batches = [batch for call in calls.named("Produce", did["client"])
               for _, _, batch in batches_of(body(call, "request"), "topicData", "name", "partitionData")]
    if sum(batch["count"] for batch in batches) != 2 * did["records"] or not all(batch["isTransactional"] for batch in batches):
        return "batches %s" % json.dumps(batches)[:600]
    return None


def answered(calls):
    """Requests and responses belong together, and nothing was left over."""
    # The mock answers also who does not want it; no broker does.
    one_way = {call["conn_id"] for call in calls.calls if call.get("kafka_acks") == 0}
    for call in calls.calls:
        if not call["kafka_request"] and call["conn_id"] in one_way:
            continue
        if not call["kafka_request"]:
            return "no request: %s" % json.dumps(call)[:600]
        # The mock refuses ApiVersions in a mixture of versions 0 and 3 that no client reads to its end.
        refused = call["kafka_api_key_name"] == "ApiVersions" and call.get("kafka_error") == "UNSUPPORTED_VERSION"
        if call.get("partial") and not refused:
            return "partial: %s" % json.dumps(call)[:600]
        if call.get("kafka_out_of_order") or call.get("kafka_response_lost"):
            return "out of order: %s" % json.dumps(call)[:600]
    return None


def main():
    calls, done = Calls(load(sys.argv[1])), load(sys.argv[2])
    number = 0

    def report(name, why):
        nonlocal number
        number += 1
        print("%s %d - %s" % ("not ok" if why else "ok", number, name))
        if why:
            print("# " + why)

    for did in done:
        why = {"produce": produce, "consume": consume, "transaction": transaction}[did["did"]](calls, did)
        report(" ".join(str(did[name]) for name in ("did", "client", "topic", "commit") if name in did), why)
    report("all %d calls are whole" % len(calls.calls), answered(calls))
    report("the clients did what they do: %d things" % len(done), None if len(done) == 30 else "only %d" % len(done))
    print("1..%d" % number)


if __name__ == "__main__":
    main()
