/* Messages of administration and of connections. */
#include "kafka_schema.h"

static const struct kafka_row sasl_handshake_in[] = {
    {0, STRING, "mechanism", 0, LAST, MECHANISM, 0, 0},
};
static const struct kafka_row sasl_handshake_out[] = {
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, ARRAY | STRING, "mechanisms", 0, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(sasl_handshake);

static const struct kafka_row sasl_authenticate_in[] = {
    {0, BYTES, "authBytes", 0, LAST, SECRET, 0, 0},
};
static const struct kafka_row sasl_authenticate_out[] = {
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
    {0, BYTES, "authBytes", 0, LAST, SECRET, 0, 0},
    {0, INT64, "sessionLifetimeMs", 1, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(sasl_authenticate);

static const struct kafka_row api_versions_in[] = {
    {0, STRING, "clientSoftwareName", 3, LAST, PLAIN, 0, 0},
    {0, STRING, "clientSoftwareVersion", 3, LAST, PLAIN, 0, 0},
    {0, STRING, "clusterId", 5, LAST, PLAIN, SINCE(5), 0},
    {0, INT32, "nodeId", 5, LAST, PLAIN, 0, 0},
};
static const struct kafka_row api_versions_out[] = {
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "apiKeys", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "apiKey", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "minVersion", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "maxVersion", 0, LAST, PLAIN, 0, 0},
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "supportedFeatures", 3, LAST, PLAIN, 0, TAG(0)},
    {1, STRING, "name", 3, LAST, PLAIN, 0, 0},
    {1, INT16, "minVersion", 3, LAST, PLAIN, 0, 0},
    {1, INT16, "maxVersion", 3, LAST, PLAIN, 0, 0},
    {0, INT64, "finalizedFeaturesEpoch", 3, LAST, PLAIN, 0, TAG(1)},
    {0, ARRAY | STRUCT, "finalizedFeatures", 3, LAST, PLAIN, 0, TAG(2)},
    {1, STRING, "name", 3, LAST, PLAIN, 0, 0},
    {1, INT16, "maxVersionLevel", 3, LAST, PLAIN, 0, 0},
    {1, INT16, "minVersionLevel", 3, LAST, PLAIN, 0, 0},
    {0, BOOL, "zkMigrationReady", 3, LAST, PLAIN, 0, TAG(3)},
};
KAFKA_DEFINE(api_versions);

static const struct kafka_row create_topics_in[] = {
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {1, INT32, "numPartitions", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "replicationFactor", 0, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "assignments", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {2, ARRAY | INT32, "brokerIds", 0, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "configs", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "value", 0, LAST, PLAIN, SINCE(0), 0},
    {0, INT32, "timeoutMs", 0, LAST, PLAIN, 0, 0},
    {0, BOOL, "validateOnly", 1, LAST, PLAIN, 0, 0},
};
static const struct kafka_row create_topics_out[] = {
    {0, INT32, "throttleTimeMs", 2, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {1, UUID, "topicId", 7, LAST, TOPIC_ID, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 1, LAST, ERROR_TEXT, SINCE(0), 0},
    {1, INT32, "numPartitions", 5, LAST, PLAIN, 0, 0},
    {1, INT16, "replicationFactor", 5, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "configs", 5, LAST, PLAIN, SINCE(5), 0},
    {2, STRING, "name", 5, LAST, PLAIN, 0, 0},
    {2, STRING, "value", 5, LAST, PLAIN, SINCE(5), 0},
    {2, BOOL, "readOnly", 5, LAST, PLAIN, 0, 0},
    {2, INT8, "configSource", 5, LAST, PLAIN, 0, 0},
    {2, BOOL, "isSensitive", 5, LAST, PLAIN, 0, 0},
    {1, INT16, "topicConfigErrorCode", 5, LAST, ERROR, 0, TAG(0)},
};
KAFKA_DEFINE(create_topics);

static const struct kafka_row delete_topics_in[] = {
    {0, ARRAY | STRUCT, "topics", 6, LAST, PLAIN, 0, 0}, {1, STRING, "name", 6, LAST, TOPIC, SINCE(6), 0},
    {1, UUID, "topicId", 6, LAST, TOPIC_ID, 0, 0},       {0, ARRAY | STRING, "topicNames", 0, 5, TOPIC, 0, 0},
    {0, INT32, "timeoutMs", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row delete_topics_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0}, {0, ARRAY | STRUCT, "responses", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, TOPIC, SINCE(6), 0},      {1, UUID, "topicId", 6, LAST, TOPIC_ID, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},         {1, STRING, "errorMessage", 5, LAST, ERROR_TEXT, SINCE(5), 0},
};
KAFKA_DEFINE(delete_topics);

static const struct kafka_row create_partitions_in[] = {
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {1, INT32, "count", 0, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "assignments", 0, LAST, PLAIN, SINCE(0), 0},
    {2, ARRAY | INT32, "brokerIds", 0, LAST, PLAIN, 0, 0},
    {0, INT32, "timeoutMs", 0, LAST, PLAIN, 0, 0},
    {0, BOOL, "validateOnly", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row create_partitions_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "results", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
};
KAFKA_DEFINE(create_partitions);

static const struct kafka_row describe_configs_in[] = {
    {0, ARRAY | STRUCT, "resources", 0, LAST, PLAIN, 0, 0},    {1, INT8, "resourceType", 0, LAST, RESOURCE_TYPE, 0, 0},
    {1, STRING, "resourceName", 0, LAST, RESOURCE_NAME, 0, 0}, {1, ARRAY | STRING, "configurationKeys", 0, LAST, PLAIN, SINCE(0), 0},
    {0, BOOL, "includeSynonyms", 1, LAST, PLAIN, 0, 0},        {0, BOOL, "includeDocumentation", 3, LAST, PLAIN, 0, 0},
};
static const struct kafka_row describe_configs_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "results", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
    {1, INT8, "resourceType", 0, LAST, RESOURCE_TYPE, 0, 0},
    {1, STRING, "resourceName", 0, LAST, RESOURCE_NAME, 0, 0},
    {1, ARRAY | STRUCT, "configs", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "value", 0, LAST, PLAIN, SINCE(0), 0},
    {2, BOOL, "readOnly", 0, LAST, PLAIN, 0, 0},
    {2, BOOL, "isDefault", 0, 0, PLAIN, 0, 0},
    {2, INT8, "configSource", 1, LAST, PLAIN, 0, 0},
    {2, BOOL, "isSensitive", 0, LAST, PLAIN, 0, 0},
    {2, ARRAY | STRUCT, "synonyms", 1, LAST, PLAIN, 0, 0},
    {3, STRING, "name", 1, LAST, PLAIN, 0, 0},
    {3, STRING, "value", 1, LAST, PLAIN, SINCE(0), 0},
    {3, INT8, "source", 1, LAST, PLAIN, 0, 0},
    {2, INT8, "configType", 3, LAST, PLAIN, 0, 0},
    {2, STRING, "documentation", 3, LAST, PLAIN, SINCE(0), 0},
};
KAFKA_DEFINE(describe_configs);

static const struct kafka_row alter_configs_in[] = {
    {0, ARRAY | STRUCT, "resources", 0, LAST, PLAIN, 0, 0},
    {1, INT8, "resourceType", 0, LAST, RESOURCE_TYPE, 0, 0},
    {1, STRING, "resourceName", 0, LAST, RESOURCE_NAME, 0, 0},
    {1, ARRAY | STRUCT, "configs", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "value", 0, LAST, PLAIN, SINCE(0), 0},
    {0, BOOL, "validateOnly", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row alter_configs_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},   {0, ARRAY | STRUCT, "responses", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},           {1, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
    {1, INT8, "resourceType", 0, LAST, RESOURCE_TYPE, 0, 0}, {1, STRING, "resourceName", 0, LAST, RESOURCE_NAME, 0, 0},
};
KAFKA_DEFINE(alter_configs);

static const struct kafka_row incremental_alter_configs_in[] = {
    {0, ARRAY | STRUCT, "resources", 0, LAST, PLAIN, 0, 0},
    {1, INT8, "resourceType", 0, LAST, RESOURCE_TYPE, 0, 0},
    {1, STRING, "resourceName", 0, LAST, RESOURCE_NAME, 0, 0},
    {1, ARRAY | STRUCT, "configs", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 0, LAST, PLAIN, 0, 0},
    {2, INT8, "configOperation", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "value", 0, LAST, PLAIN, SINCE(0), 0},
    {0, BOOL, "validateOnly", 0, LAST, PLAIN, 0, 0},
};
#define incremental_alter_configs_out alter_configs_out
KAFKA_DEFINE(incremental_alter_configs);

static const struct kafka_row describe_cluster_in[] = {
    {0, BOOL, "includeClusterAuthorizedOperations", 0, LAST, PLAIN, 0, 0},
    {0, INT8, "endpointType", 1, LAST, PLAIN, 0, 0},
    {0, BOOL, "includeFencedBrokers", 2, LAST, PLAIN, 0, 0},
};
static const struct kafka_row describe_cluster_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
    {0, INT8, "endpointType", 1, LAST, PLAIN, 0, 0},
    {0, STRING, "clusterId", 0, LAST, PLAIN, 0, 0},
    {0, INT32, "controllerId", 0, LAST, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "brokers", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "brokerId", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "host", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "port", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "rack", 0, LAST, PLAIN, SINCE(0), 0},
    {1, BOOL, "isFenced", 2, LAST, PLAIN, 0, 0},
    {0, INT32, "clusterAuthorizedOperations", 0, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(describe_cluster);

static const struct kafka_row leader_and_isr_in[] = {
    {0, INT32, "controllerId", 0, LAST, PLAIN, 0, 0},
    {0, BOOL, "isKRaftController", 7, LAST, PLAIN, 0, 0},
    {0, INT32, "controllerEpoch", 0, LAST, PLAIN, 0, 0},
    {0, INT64, "brokerEpoch", 2, LAST, PLAIN, 0, 0},
    {0, INT8, "type", 5, LAST, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "ungroupedPartitionStates", 0, 1, PLAIN, 0, 0},
    {1, STRING, "topicName", 0, 1, TOPIC, 0, 0},
    {1, INT32, "partitionIndex", 0, 1, PARTITION, 0, 0},
    {1, INT32, "controllerEpoch", 0, 1, PLAIN, 0, 0},
    {1, INT32, "leader", 0, 1, PLAIN, 0, 0},
    {1, INT32, "leaderEpoch", 0, 1, PLAIN, 0, 0},
    {1, ARRAY | INT32, "isr", 0, 1, PLAIN, 0, 0},
    {1, INT32, "partitionEpoch", 0, 1, PLAIN, 0, 0},
    {1, ARRAY | INT32, "replicas", 0, 1, PLAIN, 0, 0},
    {1, BOOL, "isNew", 1, 1, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "topicStates", 2, LAST, PLAIN, 0, 0},
    {1, STRING, "topicName", 2, LAST, TOPIC, 0, 0},
    {1, UUID, "topicId", 5, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | STRUCT, "partitionStates", 2, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 2, LAST, PARTITION, 0, 0},
    {2, INT32, "controllerEpoch", 2, LAST, PLAIN, 0, 0},
    {2, INT32, "leader", 2, LAST, PLAIN, 0, 0},
    {2, INT32, "leaderEpoch", 2, LAST, PLAIN, 0, 0},
    {2, ARRAY | INT32, "isr", 2, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionEpoch", 2, LAST, PLAIN, 0, 0},
    {2, ARRAY | INT32, "replicas", 2, LAST, PLAIN, 0, 0},
    {2, ARRAY | INT32, "addingReplicas", 3, LAST, PLAIN, 0, 0},
    {2, ARRAY | INT32, "removingReplicas", 3, LAST, PLAIN, 0, 0},
    {2, BOOL, "isNew", 2, LAST, PLAIN, 0, 0},
    {2, INT8, "leaderRecoveryState", 6, LAST, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "liveLeaders", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "brokerId", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "hostName", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "port", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row leader_and_isr_out[] = {
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "partitionErrors", 0, 4, PLAIN, 0, 0},
    {1, STRING, "topicName", 0, 4, TOPIC, 0, 0},
    {1, INT32, "partitionIndex", 0, 4, PARTITION, 0, 0},
    {1, INT16, "errorCode", 0, 4, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "topics", 5, LAST, PLAIN, 0, 0},
    {1, UUID, "topicId", 5, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | STRUCT, "partitionErrors", 5, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 5, LAST, PARTITION, 0, 0},
    {2, INT16, "errorCode", 5, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(leader_and_isr);

static const struct kafka_row stop_replica_in[] = {
    {0, INT32, "controllerId", 0, LAST, PLAIN, 0, 0},
    {0, BOOL, "isKRaftController", 4, LAST, PLAIN, 0, 0},
    {0, INT32, "controllerEpoch", 0, LAST, PLAIN, 0, 0},
    {0, INT64, "brokerEpoch", 1, LAST, PLAIN, 0, 0},
    {0, BOOL, "deletePartitions", 0, 2, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "ungroupedPartitions", 0, 0, PLAIN, 0, 0},
    {1, STRING, "topicName", 0, 0, TOPIC, 0, 0},
    {1, INT32, "partitionIndex", 0, 0, PARTITION, 0, 0},
    {0, ARRAY | STRUCT, "topics", 1, 2, PLAIN, 0, 0},
    {1, STRING, "name", 1, 2, TOPIC, 0, 0},
    {1, ARRAY | INT32, "partitionIndexes", 1, 2, PARTITION, 0, 0},
    {0, ARRAY | STRUCT, "topicStates", 3, LAST, PLAIN, 0, 0},
    {1, STRING, "topicName", 3, LAST, TOPIC, 0, 0},
    {1, ARRAY | STRUCT, "partitionStates", 3, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 3, LAST, PARTITION, 0, 0},
    {2, INT32, "leaderEpoch", 3, LAST, PLAIN, 0, 0},
    {2, BOOL, "deletePartition", 3, LAST, PLAIN, 0, 0},
};
static const struct kafka_row stop_replica_out[] = {
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},  {0, ARRAY | STRUCT, "partitionErrors", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "topicName", 0, LAST, TOPIC, 0, 0}, {1, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(stop_replica);
