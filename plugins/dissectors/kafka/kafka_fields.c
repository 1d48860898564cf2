/* The fields of a call, documented in the order of kafka_call.h. */
#include "kafka_call.h"

/* clang-format off */
#define FIELD(name, type, flags, doc) { name, type, flags, doc, { NULL, 0, 0 } }
/* clang-format on */

const struct td_field kafka_fields[F_COUNT] = {
    [F_API_KEY] = FIELD("kafka_api_key", TD_U64, TD_F_REQUEST, "Number of the API that was called (Kafka protocol, Api Keys)."),
    [F_API_KEY_NAME] = FIELD("kafka_api_key_name", TD_STRING, TD_F_REQUEST | TD_F_METHOD,
                             "Name of the API: Produce, Fetch, Metadata ...; Api123 if it has none."),
    [F_API_VERSION] = FIELD("kafka_api_version", TD_U64, TD_F_REQUEST, "Version of the API in which the request is written."),
    [F_RESPONSE_VERSION] = FIELD("kafka_response_version", TD_U64, TD_F_RESPONSE,
                                 "Version in which the response is written, if it is another: 0 for a refused ApiVersions (KIP-511)."),
    [F_CORRELATION_ID] =
        FIELD("kafka_correlation_id", TD_I64, TD_F_REQUEST | TD_F_RESPONSE, "Number that joins a response to its request."),
    [F_CLIENT_ID] = FIELD("kafka_client_id", TD_STRING, TD_F_REQUEST, "Name that the client gives itself in the request's header."),
    [F_SUMMARY] = FIELD("kafka_request_summary", TD_STRING, TD_F_REQUEST | TD_F_TARGET,
                        "What the call is about: its topics, else its group, transaction or the like; at most 256 bytes."),
    [F_SIZE] = FIELD("kafka_size", TD_U64, TD_F_REQUEST | TD_F_RESPONSE, "kafka_request_size + kafka_response_size, in bytes."),
    [F_REQUEST_SIZE] = FIELD("kafka_request_size", TD_U64, TD_F_REQUEST, "Bytes of the request, without the four of its length."),
    [F_RESPONSE_SIZE] = FIELD("kafka_response_size", TD_U64, TD_F_RESPONSE, "Bytes of the response, without the four of its length."),
    [F_REQUEST] = FIELD("kafka_request", TD_BOOL, TD_F_REQUEST, "Was the request seen?"),
    [F_RESPONSE] = FIELD("kafka_response", TD_BOOL, TD_F_RESPONSE, "Was a response seen?"),
    [F_TOPICS] = FIELD("kafka_topics", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE | TD_F_LIST,
                       "Topics of request and response, each once, at most 256; an id in base64 where no name is known for it."),
    [F_PARTITIONS] = FIELD("kafka_partitions", TD_U64, TD_F_REQUEST | TD_F_RESPONSE | TD_F_LIST,
                           "Numbers of the partitions of all topics, those below 1024 once, at most 4096."),
    [F_GROUP_ID] = FIELD("kafka_group_id", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE, "Consumer group; the first if there are several."),
    [F_MEMBER_ID] = FIELD("kafka_member_id", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE, "Member of the group."),
    [F_TRANSACTIONAL_ID] = FIELD("kafka_transactional_id", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE,
                                 "Transactional id of the producer; the first if there are several."),
    [F_PRODUCER_ID] =
        FIELD("kafka_producer_id", TD_I64, TD_F_REQUEST | TD_F_RESPONSE, "Producer id (KIP-98); the first if there are several."),
    [F_ACKS] = FIELD("kafka_acks", TD_I64, TD_F_REQUEST,
                     "Acknowledgements that a producer asks for: 0 none (no response follows), 1 leader, -1 all."),
    [F_ERROR] = FIELD("kafka_error", TD_STRING, TD_F_RESPONSE | TD_F_STATUS,
                      "First error of the response by name; NONE if all its error codes are 0."),
    [F_ERROR_CODE] =
        FIELD("kafka_error_code", TD_I64, TD_F_RESPONSE, "First error of the response by number (Kafka protocol, Error Codes)."),
    [F_ERRORS] = FIELD("kafka_errors", TD_STRING, TD_F_RESPONSE | TD_F_LIST, "All errors of the response by name, each once."),
    [F_ERROR_MESSAGE] = FIELD("kafka_error_message", TD_STRING, TD_F_RESPONSE, "First error message of the response."),
    [F_THROTTLE_TIME] =
        FIELD("kafka_throttle_time", TD_DUR_NS, TD_F_RESPONSE, "How long the broker throttles the client because of a quota."),
    [F_RECORD_COUNT] = FIELD("kafka_record_count", TD_U64, TD_F_REQUEST | TD_F_RESPONSE,
                             "Records that were produced or fetched, by the headers of their batches."),
    [F_RECORD_BYTES] =
        FIELD("kafka_record_bytes", TD_U64, TD_F_REQUEST | TD_F_RESPONSE, "Bytes of record batches as transferred, compressed."),
    [F_COMPRESSION] = FIELD("kafka_compression", TD_STRING, TD_F_REQUEST | TD_F_RESPONSE | TD_F_LIST,
                            "Codecs of the record batches: none, gzip, snappy, lz4, zstd."),
    [F_SASL_MECHANISM] =
        FIELD("kafka_sasl_mechanism", TD_STRING, TD_F_REQUEST, "Mechanism that SaslHandshake asks for: PLAIN, SCRAM-SHA-256 ..."),
    [F_OUT_OF_ORDER] =
        FIELD("kafka_out_of_order", TD_BOOL, TD_F_RESPONSE, "The response came before that of an earlier request; only set if so."),
    [F_RESPONSE_LOST] =
        FIELD("kafka_response_lost", TD_BOOL, TD_F_RESPONSE, "Later requests were answered, this one was not; only set if so."),
    [F_REQUEST_BODY] = FIELD("request.body", TD_BYTES, TD_F_REQUEST | TD_F_BODY | TD_F_SENSITIVE,
                             "Request as JSON with the names of the message's definition and its records, up to maxBodySize bytes."),
    [F_RESPONSE_BODY] = FIELD("response.body", TD_BYTES, TD_F_RESPONSE | TD_F_BODY | TD_F_SENSITIVE,
                              "Response as JSON with the names of the message's definition and its records, up to maxBodySize bytes."),
};

_Static_assert(F_COUNT <= 64, "a field's bit must fit into kafka_calls.wanted");
