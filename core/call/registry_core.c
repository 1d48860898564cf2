/* The core's own fields. Names and types are those that users of KFL know. */
#include "call/registry_table.h"

static const char *const transports[] = {"TCP", "UDP", NULL};

/* CORE_UNKNOWN is part of the language, and empty until a source of calls knows it. */
static const struct core_row rows[] = {
    {"id", REGISTRY_INT, CORE_ID, "Number of the call in its call store.", NULL, false},
    {"timestamp", REGISTRY_TIMESTAMP, CORE_TIMESTAMP, "When the request began, or the response if there is no request.", NULL, true},
    {"elapsed_time", REGISTRY_INT, CORE_ELAPSED_TIME,
     "From the first byte of the request to the last of the response, in microseconds; 0 if one is missing.", NULL, false},
    {"latency", REGISTRY_DURATION, CORE_LATENCY, "From the first byte of the request to the last of the response.", NULL, true},
    {"protocol", REGISTRY_STRING, CORE_PROTOCOL, "The protocol of the call, in capitals.", NULL, true},
    {"transport", REGISTRY_STRING, CORE_TRANSPORT, "The protocol below it.", transports, false},
    {"tcp", REGISTRY_BOOL, CORE_TCP, "Is it carried by TCP?", NULL, false},
    {"udp", REGISTRY_BOOL, CORE_UDP, "Is it carried by UDP?", NULL, false},
    {"src.ip", REGISTRY_STRING, CORE_SRC_IP, "Address of the client.", NULL, true},
    {"src.port", REGISTRY_INT, CORE_SRC_PORT, "Port of the client.", NULL, true},
    {"dst.ip", REGISTRY_STRING, CORE_DST_IP, "Address of the server.", NULL, true},
    {"dst.port", REGISTRY_INT, CORE_DST_PORT, "Port of the server.", NULL, true},
    {"conn_id", REGISTRY_INT, CORE_CONN_ID, "Number of the connection: the first packet of it in the capture.", NULL, false},
    {"request.size", REGISTRY_INT, CORE_REQUEST_SIZE, "Bytes of the request on the wire, in its transport's payload.", NULL, false},
    {"response.size", REGISTRY_INT, CORE_RESPONSE_SIZE, "Bytes of the response on the wire, in its transport's payload.", NULL, false},
    {"request.complete", REGISTRY_BOOL, CORE_REQUEST_COMPLETE, "Was all of the request captured?", NULL, false},
    {"response.complete", REGISTRY_BOOL, CORE_RESPONSE_COMPLETE, "Was all of the response captured?", NULL, false},
    {"complete", REGISTRY_BOOL, CORE_COMPLETE, "Was all of the call captured?", NULL, false},
    {"partial", REGISTRY_BOOL, CORE_PARTIAL, "Is there something in it that could not be decoded? What stands is right.", NULL, false},
    {"one_way", REGISTRY_BOOL, CORE_ONE_WAY, "Is it a message that nothing answers? Then no other half is missing.", NULL, false},
    {"missing_bytes", REGISTRY_INT, CORE_MISSING_BYTES, "Bytes of request and response that were not captured.", NULL, false},
    {"has_pcap", REGISTRY_BOOL, CORE_HAS_PCAP, "Are its packets known?", NULL, false},

    {"src.name", REGISTRY_STRING, CORE_UNKNOWN, "Best name of the client: pod, service, DNS name or process.", NULL, false},
    {"dst.name", REGISTRY_STRING, CORE_UNKNOWN, "Best name of the server: pod, service, DNS name or process.", NULL, false},
    {"src.namespace", REGISTRY_STRING, CORE_UNKNOWN, "Kubernetes namespace of the client.", NULL, false},
    {"dst.namespace", REGISTRY_STRING, CORE_UNKNOWN, "Kubernetes namespace of the server.", NULL, false},
    {"src.pod.name", REGISTRY_STRING, CORE_UNKNOWN, "Pod of the client.", NULL, false},
    {"src.pod.namespace", REGISTRY_STRING, CORE_UNKNOWN, "Namespace of the client's pod.", NULL, false},
    {"dst.pod.name", REGISTRY_STRING, CORE_UNKNOWN, "Pod of the server.", NULL, false},
    {"dst.pod.namespace", REGISTRY_STRING, CORE_UNKNOWN, "Namespace of the server's pod.", NULL, false},
    {"src.service.name", REGISTRY_STRING, CORE_UNKNOWN, "Service of the client.", NULL, false},
    {"src.service.namespace", REGISTRY_STRING, CORE_UNKNOWN, "Namespace of the client's service.", NULL, false},
    {"dst.service.name", REGISTRY_STRING, CORE_UNKNOWN, "Service of the server.", NULL, false},
    {"dst.service.namespace", REGISTRY_STRING, CORE_UNKNOWN, "Namespace of the server's service.", NULL, false},
    {"src.dns", REGISTRY_STRING, CORE_UNKNOWN, "DNS name of the client.", NULL, false},
    {"dst.dns", REGISTRY_STRING, CORE_UNKNOWN, "DNS name of the server.", NULL, false},
    {"namespaces", REGISTRY_LIST, CORE_UNKNOWN, "Namespaces of both ends.", NULL, false},
    {"pods", REGISTRY_LIST, CORE_UNKNOWN, "Pods of both ends.", NULL, false},
    {"services", REGISTRY_LIST, CORE_UNKNOWN, "Services of both ends.", NULL, false},
    {"dns_resolutions", REGISTRY_LIST, CORE_UNKNOWN, "DNS names of both ends.", NULL, false},
    {"node", REGISTRY_MAP, CORE_NODE, "The node that captured it: name, ip.", NULL, false},
    {"node_id", REGISTRY_STRING, CORE_UNKNOWN, "Identity of the node that captured it.", NULL, false},
    {"node_name", REGISTRY_STRING, CORE_NODE_NAME, "Name of the node that captured it.", NULL, false},
    {"node_ip", REGISTRY_STRING, CORE_UNKNOWN, "Address of the node that captured it.", NULL, false},
    {"local_node_name", REGISTRY_STRING, CORE_UNKNOWN, "Node of the end on the node that captured it.", NULL, false},
    {"remote_node_name", REGISTRY_STRING, CORE_UNKNOWN, "Node of the other end.", NULL, false},
    {"local_process_name", REGISTRY_STRING, CORE_UNKNOWN, "Process of the end on the node that captured it.", NULL, false},
    {"remote_process_name", REGISTRY_STRING, CORE_UNKNOWN, "Process of the other end.", NULL, false},
    {"local_labels", REGISTRY_MAP, CORE_UNKNOWN, "Labels of the end on the node that captured it.", NULL, false},
    {"remote_labels", REGISTRY_MAP, CORE_UNKNOWN, "Labels of the other end.", NULL, false},
    {"local_annotations", REGISTRY_MAP, CORE_UNKNOWN, "Annotations of the end on the node that captured it.", NULL, false},
    {"remote_annotations", REGISTRY_MAP, CORE_UNKNOWN, "Annotations of the other end.", NULL, false},
};

const struct core_row *registry_core_rows(uint32_t *ret_n)
{
    *ret_n = sizeof(rows) / sizeof(rows[0]);
    return rows;
}
