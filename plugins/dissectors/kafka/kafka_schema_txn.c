/* Messages of idempotent and transactional producers. */
#include "kafka_schema.h"

static const struct kafka_row init_producer_id_in[] = {
    {0, STRING, "transactionalId", 0, LAST, TRANSACTIONAL_ID, SINCE(0), 0},
    {0, INT32, "transactionTimeoutMs", 0, LAST, PLAIN, 0, 0},
    {0, INT64, "producerId", 3, LAST, PLAIN, 0, 0},
    {0, INT16, "producerEpoch", 3, LAST, PLAIN, 0, 0},
    {0, BOOL, "enable2Pc", 6, LAST, PLAIN, 0, 0},
    {0, BOOL, "keepPreparedTxn", 6, LAST, PLAIN, 0, 0},
};
static const struct kafka_row init_producer_id_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, INT64, "producerId", 0, LAST, PRODUCER_ID, 0, 0},     {0, INT16, "producerEpoch", 0, LAST, PLAIN, 0, 0},
    {0, INT64, "ongoingTxnProducerId", 6, LAST, PLAIN, 0, 0}, {0, INT16, "ongoingTxnProducerEpoch", 6, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(init_producer_id);

static const struct kafka_row add_partitions_to_txn_in[] = {
    {0, ARRAY | STRUCT, "transactions", 4, LAST, PLAIN, 0, 0},
    {1, STRING, "transactionalId", 4, LAST, TRANSACTIONAL_ID, 0, 0},
    {1, INT64, "producerId", 4, LAST, PRODUCER_ID, 0, 0},
    {1, INT16, "producerEpoch", 4, LAST, PLAIN, 0, 0},
    {1, BOOL, "verifyOnly", 4, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "topics", 4, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 4, LAST, TOPIC, 0, 0},
    {2, ARRAY | INT32, "partitions", 4, LAST, PARTITION, 0, 0},
    {0, STRING, "v3AndBelowTransactionalId", 0, 3, TRANSACTIONAL_ID, 0, 0},
    {0, INT64, "v3AndBelowProducerId", 0, 3, PRODUCER_ID, 0, 0},
    {0, INT16, "v3AndBelowProducerEpoch", 0, 3, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "v3AndBelowTopics", 0, 3, PLAIN, 0, 0},
    {1, STRING, "name", 0, 3, TOPIC, 0, 0},
    {1, ARRAY | INT32, "partitions", 0, 3, PARTITION, 0, 0},
};
static const struct kafka_row add_partitions_to_txn_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 4, LAST, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "resultsByTransaction", 4, LAST, PLAIN, 0, 0},
    {1, STRING, "transactionalId", 4, LAST, TRANSACTIONAL_ID, 0, 0},
    {1, ARRAY | STRUCT, "topicResults", 4, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 4, LAST, TOPIC, 0, 0},
    {2, ARRAY | STRUCT, "resultsByPartition", 4, LAST, PLAIN, 0, 0},
    {3, INT32, "partitionIndex", 4, LAST, PARTITION, 0, 0},
    {3, INT16, "partitionErrorCode", 4, LAST, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "resultsByTopicV3AndBelow", 0, 3, PLAIN, 0, 0},
    {1, STRING, "name", 0, 3, TOPIC, 0, 0},
    {1, ARRAY | STRUCT, "resultsByPartition", 0, 3, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, 3, PARTITION, 0, 0},
    {2, INT16, "partitionErrorCode", 0, 3, ERROR, 0, 0},
};
KAFKA_DEFINE(add_partitions_to_txn);

static const struct kafka_row add_offsets_to_txn_in[] = {
    {0, STRING, "transactionalId", 0, LAST, TRANSACTIONAL_ID, 0, 0},
    {0, INT64, "producerId", 0, LAST, PRODUCER_ID, 0, 0},
    {0, INT16, "producerEpoch", 0, LAST, PLAIN, 0, 0},
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
};
static const struct kafka_row add_offsets_to_txn_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(add_offsets_to_txn);

static const struct kafka_row end_txn_in[] = {
    {0, STRING, "transactionalId", 0, LAST, TRANSACTIONAL_ID, 0, 0},
    {0, INT64, "producerId", 0, LAST, PRODUCER_ID, 0, 0},
    {0, INT16, "producerEpoch", 0, LAST, PLAIN, 0, 0},
    {0, BOOL, "committed", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row end_txn_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, INT64, "producerId", 5, LAST, PLAIN, 0, 0},
    {0, INT16, "producerEpoch", 5, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(end_txn);

static const struct kafka_row write_txn_markers_in[] = {
    {0, ARRAY | STRUCT, "markers", 0, LAST, PLAIN, 0, 0},
    {1, INT64, "producerId", 0, LAST, PRODUCER_ID, 0, 0},
    {1, INT16, "producerEpoch", 0, LAST, PLAIN, 0, 0},
    {1, BOOL, "transactionResult", 0, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {2, ARRAY | INT32, "partitionIndexes", 0, LAST, PARTITION, 0, 0},
    {1, INT32, "coordinatorEpoch", 0, LAST, PLAIN, 0, 0},
    {1, INT8, "transactionVersion", 2, LAST, PLAIN, 0, 0},
};
static const struct kafka_row write_txn_markers_out[] = {
    {0, ARRAY | STRUCT, "markers", 0, LAST, PLAIN, 0, 0},    {1, INT64, "producerId", 0, LAST, PRODUCER_ID, 0, 0},
    {1, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},     {2, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {2, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0}, {3, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {3, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(write_txn_markers);

static const struct kafka_row txn_offset_commit_in[] = {
    {0, STRING, "transactionalId", 0, LAST, TRANSACTIONAL_ID, 0, 0},
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, INT64, "producerId", 0, LAST, PRODUCER_ID, 0, 0},
    {0, INT16, "producerEpoch", 0, LAST, PLAIN, 0, 0},
    {0, INT32, "generationId", 3, LAST, PLAIN, 0, 0},
    {0, STRING, "memberId", 3, LAST, MEMBER, 0, 0},
    {0, STRING, "groupInstanceId", 3, LAST, PLAIN, SINCE(3), 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, 5, TOPIC, 0, 0},
    {1, UUID, "topicId", 6, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {2, INT64, "committedOffset", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "committedLeaderEpoch", 2, LAST, PLAIN, 0, 0},
    {2, STRING, "committedMetadata", 0, LAST, PLAIN, SINCE(0), 0},
};
static const struct kafka_row txn_offset_commit_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, 5, TOPIC, 0, 0},
    {1, UUID, "topicId", 6, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {2, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(txn_offset_commit);
