"""Kafka messages: the facts' and ours, field by field.

A call's fields are of both halves; what each half says is in its body, as JSON."""

import json

from .checks import FULL, OTHER
from .matching import Message

KIND = "kafka"
PROTOCOL = "KAFKA"
RULE = ",kafka"
SHARED = False

MOST_PARTITIONS = 50  # the facts' lists end there
OLD_NAMES = {"Offsets": "ListOffsets"}
# Arrays whose elements are topics, or name one, and how they call it; arrays of partitions, and their numbers.
TOPIC_ARRAYS = {"topics", "topicData", "responses", "topicStates", "ungroupedPartitionStates", "partitionErrors", "v3AndBelowTopics",
                "resultsByTopicV3AndBelow"}
TOPIC_NAMES = ("name", "topic", "topicName")
PARTITION_NUMBERS = {"index", "partition", "partitionIndex"}
PARTITION_ARRAYS = {"partitionIndexes", "partitions"}


def known(facts):
    return facts.get(KIND, {}).get("messages", [])


def level_of(fact):
    confirmed = fact.get("confirmed")
    return FULL if confirmed == "full" else OTHER if confirmed else None


def expected_message(fact):
    values = {"correlation_id": fact["correlation_id"], "length": fact["length"]}
    for name in ("api_key", "api_version", "group_id"):
        if name in fact:
            values[name] = fact[name]
    if "api_name" in fact:
        values["api_name"] = OLD_NAMES.get(fact["api_name"], fact["api_name"])
    if fact["type"] == "request" and "client_id" in fact:
        values["client_id"] = fact["client_id"]
    # Of versions that its reader does not know, the facts have pieces only.
    if not fact.get("tshark_unsupported_version"):
        values.update({name: fact[name] for name in ("topics", "partitions", "errors") if name in fact})
    return Message(fact["type"], fact["src"], fact["dst"], [fact["frame"]], fact["correlation_id"], values)


class Content:
    """What a body says, in its order; topics and errors once, as in the facts."""

    def __init__(self, text):
        self.topics, self.partitions, self.errors, self.groups = [], [], [], []
        if text:
            self.walk(json.loads(text), None)

    def walk(self, value, parent):
        if isinstance(value, list):
            for element in value:
                self.walk(element, parent)
                if parent == "topicNames":
                    self.add(self.topics, element)
                elif parent in PARTITION_ARRAYS and isinstance(element, int):
                    self.partitions.append(element)
        elif isinstance(value, dict):
            for key, member in value.items():
                if parent in TOPIC_ARRAYS and key in TOPIC_NAMES and member is not None:
                    self.add(self.topics, member)
                elif key in PARTITION_NUMBERS:
                    self.partitions.append(member)
                elif key.lower().endswith("errorcode"):
                    self.add(self.errors, member)
                elif key == "groupId":
                    self.add(self.groups, member)
                elif key != "records":
                    self.walk(member, key)

    @staticmethod
    def add(values, value):
        if value not in values:
            values.append(value)


def our_messages(calls):
    messages = []
    for number, call in enumerate(calls):
        if call["protocol"] != PROTOCOL:
            continue
        client, server = ("%s:%d" % (call[end]["ip"], call[end]["port"]) for end in ("src", "dst"))
        for half, src, dst in (("request", client, server), ("response", server, client)):
            if half not in call:
                continue
            content = Content(call[half].get("body"))
            values = {
                "correlation_id": call["kafka_correlation_id"], "length": call.get("kafka_%s_size" % half),
                "api_key": call.get("kafka_api_key"), "api_name": call.get("kafka_api_key_name"),
                "api_version": call.get("kafka_api_version"), "client_id": call.get("kafka_client_id"),
                "topics": content.topics, "partitions": content.partitions, "errors": content.errors,
                "group_id": content.groups[0] if content.groups else None,
            }
            messages.append(Message(half, src, dst, sorted(call[half]["frames"]), call["kafka_correlation_id"], values, number))
    return messages


def agrees(field, expected, got):
    if field in ("topics", "errors"):
        return sorted(expected) == sorted(got)
    if field == "partitions" and len(expected) == MOST_PARTITIONS:
        return expected == got[:MOST_PARTITIONS]
    return expected == got


class Unlisted:
    """All messages are listed."""

    def __init__(self, facts):
        pass

    def take(self, _message):
        return False
