#!/usr/bin/env bash
# Records the captures of this folder anew: librdkafka and kafka-python with librdkafka's mock broker, as in tests/integration/kafka.sh
# but with fewer records. Needs root; Debian: python3-confluent-kafka python3-kafka python3-lz4 python3-snappy python3-zstandard tcpdump.
#
# Afterwards: make bless T=kafka, and read what it shows.
set -u
cd "$(dirname "$0")" || exit
clients=../../../../tests/integration/kafka_clients.py
# shellcheck source=../../../../tests/loopback.bash
source ../../../../tests/loopback.bash
enter_namespace "$PWD/record.sh"

for client in rdkafka python; do
    rm -f "$work/address"
    start broker /usr/bin/python3 "$clients" broker "$work/address"
    wait_for broker test -s "$work/address"
    read -r host port <"$work/address"
    start_capture "$work/$client.pcap" -s 0 "port $port"
    RECORDS=2 ONE_WAY=0 /usr/bin/python3 "$clients" "$client" "$host:$port" >/dev/null || die "$client failed"
    sleep 0.5
    stop_capture
    stop broker
    cp "$work/$client.pcap" "$client.pcap"
done
