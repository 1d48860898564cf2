/* Messages of groups and their coordinators. */
#include "kafka_schema.h"

static const struct kafka_row offset_commit_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, INT32, "generationIdOrMemberEpoch", 1, LAST, PLAIN, 0, 0},
    {0, STRING, "memberId", 1, LAST, MEMBER, 0, 0},
    {0, STRING, "groupInstanceId", 7, LAST, PLAIN, SINCE(7), 0},
    {0, INT64, "retentionTimeMs", 2, 4, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, 9, TOPIC, 0, 0},
    {1, UUID, "topicId", 10, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {2, INT64, "committedOffset", 0, LAST, PLAIN, 0, 0},
    {2, INT64, "commitTimestamp", 1, 1, PLAIN, 0, 0},
    {2, INT32, "committedLeaderEpoch", 6, LAST, PLAIN, 0, 0},
    {2, STRING, "committedMetadata", 0, LAST, PLAIN, SINCE(0), 0},
};
static const struct kafka_row offset_commit_out[] = {
    {0, INT32, "throttleTimeMs", 3, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, 9, TOPIC, 0, 0},
    {1, UUID, "topicId", 10, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {2, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(offset_commit);

static const struct kafka_row offset_fetch_in[] = {
    {0, STRING, "groupId", 0, 7, GROUP, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, 7, PLAIN, SINCE(2), 0},
    {1, STRING, "name", 0, 7, TOPIC, 0, 0},
    {1, ARRAY | INT32, "partitionIndexes", 0, 7, PARTITION, 0, 0},
    {0, ARRAY | STRUCT, "groups", 8, LAST, PLAIN, 0, 0},
    {1, STRING, "groupId", 8, LAST, GROUP, 0, 0},
    {1, STRING, "memberId", 9, LAST, MEMBER, SINCE(9), 0},
    {1, INT32, "memberEpoch", 9, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "topics", 8, LAST, PLAIN, SINCE(8), 0},
    {2, STRING, "name", 8, 9, TOPIC, 0, 0},
    {2, UUID, "topicId", 10, LAST, TOPIC_ID, 0, 0},
    {2, ARRAY | INT32, "partitionIndexes", 8, LAST, PARTITION, 0, 0},
    {0, BOOL, "requireStable", 7, LAST, PLAIN, 0, 0},
};
static const struct kafka_row offset_fetch_out[] = {
    {0, INT32, "throttleTimeMs", 3, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, 7, PLAIN, 0, 0},
    {1, STRING, "name", 0, 7, TOPIC, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, 7, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, 7, PARTITION, 0, 0},
    {2, INT64, "committedOffset", 0, 7, PLAIN, 0, 0},
    {2, INT32, "committedLeaderEpoch", 5, 7, PLAIN, 0, 0},
    {2, STRING, "metadata", 0, 7, PLAIN, SINCE(0), 0},
    {2, INT16, "errorCode", 0, 7, ERROR, 0, 0},
    {0, INT16, "errorCode", 2, 7, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "groups", 8, LAST, PLAIN, 0, 0},
    {1, STRING, "groupId", 8, LAST, GROUP, 0, 0},
    {1, ARRAY | STRUCT, "topics", 8, LAST, PLAIN, 0, 0},
    {2, STRING, "name", 8, 9, TOPIC, 0, 0},
    {2, UUID, "topicId", 10, LAST, TOPIC_ID, 0, 0},
    {2, ARRAY | STRUCT, "partitions", 8, LAST, PLAIN, 0, 0},
    {3, INT32, "partitionIndex", 8, LAST, PARTITION, 0, 0},
    {3, INT64, "committedOffset", 8, LAST, PLAIN, 0, 0},
    {3, INT32, "committedLeaderEpoch", 8, LAST, PLAIN, 0, 0},
    {3, STRING, "metadata", 8, LAST, PLAIN, SINCE(8), 0},
    {3, INT16, "errorCode", 8, LAST, ERROR, 0, 0},
    {1, INT16, "errorCode", 8, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(offset_fetch);

static const struct kafka_row find_coordinator_in[] = {
    {0, STRING, "key", 0, 3, COORDINATOR_KEY, 0, 0},
    {0, INT8, "keyType", 1, LAST, KEY_TYPE, 0, 0},
    {0, ARRAY | STRING, "coordinatorKeys", 4, LAST, COORDINATOR_KEY, 0, 0},
};
static const struct kafka_row find_coordinator_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, 3, ERROR, 0, 0},
    {0, STRING, "errorMessage", 1, 3, ERROR_TEXT, SINCE(1), 0},
    {0, INT32, "nodeId", 0, 3, PLAIN, 0, 0},
    {0, STRING, "host", 0, 3, PLAIN, 0, 0},
    {0, INT32, "port", 0, 3, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "coordinators", 4, LAST, PLAIN, 0, 0},
    {1, STRING, "key", 4, LAST, PLAIN, 0, 0},
    {1, INT32, "nodeId", 4, LAST, PLAIN, 0, 0},
    {1, STRING, "host", 4, LAST, PLAIN, 0, 0},
    {1, INT32, "port", 4, LAST, PLAIN, 0, 0},
    {1, INT16, "errorCode", 4, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 4, LAST, ERROR_TEXT, SINCE(4), 0},
};
KAFKA_DEFINE(find_coordinator);

static const struct kafka_row join_group_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, INT32, "sessionTimeoutMs", 0, LAST, PLAIN, 0, 0},
    {0, INT32, "rebalanceTimeoutMs", 1, LAST, PLAIN, 0, 0},
    {0, STRING, "memberId", 0, LAST, MEMBER, 0, 0},
    {0, STRING, "groupInstanceId", 5, LAST, PLAIN, SINCE(5), 0},
    {0, STRING, "protocolType", 0, LAST, PLAIN, 0, 0},
    {0, ARRAY | STRUCT, "protocols", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, PLAIN, 0, 0},
    {1, BYTES, "metadata", 0, LAST, PLAIN, 0, 0},
    {0, STRING, "reason", 8, LAST, PLAIN, SINCE(8), 0},
};
static const struct kafka_row join_group_out[] = {
    {0, INT32, "throttleTimeMs", 2, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, INT32, "generationId", 0, LAST, PLAIN, 0, 0},
    {0, STRING, "protocolType", 7, LAST, PLAIN, SINCE(7), 0},
    {0, STRING, "protocolName", 0, LAST, PLAIN, SINCE(7), 0},
    {0, STRING, "leader", 0, LAST, PLAIN, 0, 0},
    {0, BOOL, "skipAssignment", 9, LAST, PLAIN, 0, 0},
    {0, STRING, "memberId", 0, LAST, MEMBER, 0, 0},
    {0, ARRAY | STRUCT, "members", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "memberId", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "groupInstanceId", 5, LAST, PLAIN, SINCE(5), 0},
    {1, BYTES, "metadata", 0, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(join_group);

static const struct kafka_row heartbeat_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, INT32, "generationId", 0, LAST, PLAIN, 0, 0},
    {0, STRING, "memberId", 0, LAST, MEMBER, 0, 0},
    {0, STRING, "groupInstanceId", 3, LAST, PLAIN, SINCE(3), 0},
};
static const struct kafka_row heartbeat_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(heartbeat);

static const struct kafka_row leave_group_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, STRING, "memberId", 0, 2, MEMBER, 0, 0},
    {0, ARRAY | STRUCT, "members", 3, LAST, PLAIN, 0, 0},
    {1, STRING, "memberId", 3, LAST, MEMBER, 0, 0},
    {1, STRING, "groupInstanceId", 3, LAST, PLAIN, SINCE(3), 0},
    {1, STRING, "reason", 5, LAST, PLAIN, SINCE(5), 0},
};
static const struct kafka_row leave_group_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0},       {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "members", 3, LAST, PLAIN, 0, 0},        {1, STRING, "memberId", 3, LAST, MEMBER, 0, 0},
    {1, STRING, "groupInstanceId", 3, LAST, PLAIN, SINCE(3), 0}, {1, INT16, "errorCode", 3, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(leave_group);

static const struct kafka_row sync_group_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, INT32, "generationId", 0, LAST, PLAIN, 0, 0},
    {0, STRING, "memberId", 0, LAST, MEMBER, 0, 0},
    {0, STRING, "groupInstanceId", 3, LAST, PLAIN, SINCE(3), 0},
    {0, STRING, "protocolType", 5, LAST, PLAIN, SINCE(5), 0},
    {0, STRING, "protocolName", 5, LAST, PLAIN, SINCE(5), 0},
    {0, ARRAY | STRUCT, "assignments", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "memberId", 0, LAST, PLAIN, 0, 0},
    {1, BYTES, "assignment", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row sync_group_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0},    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, STRING, "protocolType", 5, LAST, PLAIN, SINCE(5), 0}, {0, STRING, "protocolName", 5, LAST, PLAIN, SINCE(5), 0},
    {0, BYTES, "assignment", 0, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(sync_group);

static const struct kafka_row describe_groups_in[] = {
    {0, ARRAY | STRING, "groups", 0, LAST, GROUP, 0, 0},
    {0, BOOL, "includeAuthorizedOperations", 3, LAST, PLAIN, 0, 0},
};
static const struct kafka_row describe_groups_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "groups", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 6, LAST, ERROR_TEXT, SINCE(6), 0},
    {1, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {1, STRING, "groupState", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "protocolType", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "protocolData", 0, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "members", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "memberId", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "groupInstanceId", 4, LAST, PLAIN, SINCE(4), 0},
    {2, STRING, "clientId", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "clientHost", 0, LAST, PLAIN, 0, 0},
    {2, BYTES, "memberMetadata", 0, LAST, PLAIN, 0, 0},
    {2, BYTES, "memberAssignment", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "authorizedOperations", 3, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(describe_groups);

static const struct kafka_row list_groups_in[] = {
    {0, ARRAY | STRING, "statesFilter", 4, LAST, PLAIN, 0, 0},
    {0, ARRAY | STRING, "typesFilter", 5, LAST, PLAIN, 0, 0},
};
static const struct kafka_row list_groups_out[] = {
    {0, INT32, "throttleTimeMs", 1, LAST, THROTTLE, 0, 0}, {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, ARRAY | STRUCT, "groups", 0, LAST, PLAIN, 0, 0},   {1, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {1, STRING, "protocolType", 0, LAST, PLAIN, 0, 0},     {1, STRING, "groupState", 4, LAST, PLAIN, 0, 0},
    {1, STRING, "groupType", 5, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(list_groups);

static const struct kafka_row delete_groups_in[] = {
    {0, ARRAY | STRING, "groupsNames", 0, LAST, GROUP, 0, 0},
};
static const struct kafka_row delete_groups_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "results", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 3, LAST, ERROR_TEXT, SINCE(3), 0},
};
KAFKA_DEFINE(delete_groups);

static const struct kafka_row offset_delete_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0},
    {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
};
static const struct kafka_row offset_delete_out[] = {
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},           {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "topics", 0, LAST, PLAIN, 0, 0},     {1, STRING, "name", 0, LAST, TOPIC, 0, 0},
    {1, ARRAY | STRUCT, "partitions", 0, LAST, PLAIN, 0, 0}, {2, INT32, "partitionIndex", 0, LAST, PARTITION, 0, 0},
    {2, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
};
KAFKA_DEFINE(offset_delete);

static const struct kafka_row consumer_group_heartbeat_in[] = {
    {0, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {0, STRING, "memberId", 0, LAST, MEMBER, 0, 0},
    {0, INT32, "memberEpoch", 0, LAST, PLAIN, 0, 0},
    {0, STRING, "instanceId", 0, LAST, PLAIN, SINCE(0), 0},
    {0, STRING, "rackId", 0, LAST, PLAIN, SINCE(0), 0},
    {0, INT32, "rebalanceTimeoutMs", 0, LAST, PLAIN, 0, 0},
    {0, ARRAY | STRING, "subscribedTopicNames", 0, LAST, TOPIC, SINCE(0), 0},
    {0, STRING, "subscribedTopicRegex", 1, LAST, PLAIN, SINCE(1), 0},
    {0, STRING, "serverAssignor", 0, LAST, PLAIN, SINCE(0), 0},
    {0, ARRAY | STRUCT, "topicPartitions", 0, LAST, PLAIN, SINCE(0), 0},
    {1, UUID, "topicId", 0, LAST, TOPIC_ID, 0, 0},
    {1, ARRAY | INT32, "partitions", 0, LAST, PARTITION, 0, 0},
};
static const struct kafka_row consumer_group_heartbeat_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {0, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
    {0, STRING, "memberId", 0, LAST, MEMBER, SINCE(0), 0},
    {0, INT32, "memberEpoch", 0, LAST, PLAIN, 0, 0},
    {0, INT32, "heartbeatIntervalMs", 0, LAST, PLAIN, 0, 0},
    {0, STRUCT, "assignment", 0, LAST, PLAIN, SINCE(0), 0},
    {1, ARRAY | STRUCT, "topicPartitions", 0, LAST, PLAIN, 0, 0},
    {2, UUID, "topicId", 0, LAST, TOPIC_ID, 0, 0},
    {2, ARRAY | INT32, "partitions", 0, LAST, PARTITION, 0, 0},
};
KAFKA_DEFINE(consumer_group_heartbeat);

static const struct kafka_row consumer_group_describe_in[] = {
    {0, ARRAY | STRING, "groupIds", 0, LAST, GROUP, 0, 0},
    {0, BOOL, "includeAuthorizedOperations", 0, LAST, PLAIN, 0, 0},
};
static const struct kafka_row consumer_group_describe_out[] = {
    {0, INT32, "throttleTimeMs", 0, LAST, THROTTLE, 0, 0},
    {0, ARRAY | STRUCT, "groups", 0, LAST, PLAIN, 0, 0},
    {1, INT16, "errorCode", 0, LAST, ERROR, 0, 0},
    {1, STRING, "errorMessage", 0, LAST, ERROR_TEXT, SINCE(0), 0},
    {1, STRING, "groupId", 0, LAST, GROUP, 0, 0},
    {1, STRING, "groupState", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "groupEpoch", 0, LAST, PLAIN, 0, 0},
    {1, INT32, "assignmentEpoch", 0, LAST, PLAIN, 0, 0},
    {1, STRING, "assignorName", 0, LAST, PLAIN, 0, 0},
    {1, ARRAY | STRUCT, "members", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "memberId", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "instanceId", 0, LAST, PLAIN, SINCE(0), 0},
    {2, STRING, "rackId", 0, LAST, PLAIN, SINCE(0), 0},
    {2, INT32, "memberEpoch", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "clientId", 0, LAST, PLAIN, 0, 0},
    {2, STRING, "clientHost", 0, LAST, PLAIN, 0, 0},
    {2, ARRAY | STRING, "subscribedTopicNames", 0, LAST, TOPIC, 0, 0},
    {2, STRING, "subscribedTopicRegex", 0, LAST, PLAIN, SINCE(0), 0},
    {2, STRUCT, "assignment", 0, LAST, PLAIN, 0, 0},
    {3, ARRAY | STRUCT, "topicPartitions", 0, LAST, PLAIN, 0, 0},
    {4, UUID, "topicId", 0, LAST, TOPIC_ID, 0, 0},
    {4, STRING, "topicName", 0, LAST, TOPIC, 0, 0},
    {4, ARRAY | INT32, "partitions", 0, LAST, PARTITION, 0, 0},
    {2, STRUCT, "targetAssignment", 0, LAST, PLAIN, 0, 0},
    {3, ARRAY | STRUCT, "topicPartitions", 0, LAST, PLAIN, 0, 0},
    {4, UUID, "topicId", 0, LAST, TOPIC_ID, 0, 0},
    {4, STRING, "topicName", 0, LAST, TOPIC, 0, 0},
    {4, ARRAY | INT32, "partitions", 0, LAST, PARTITION, 0, 0},
    {2, INT8, "memberType", 1, LAST, PLAIN, 0, 0},
    {1, INT32, "authorizedOperations", 0, LAST, PLAIN, 0, 0},
};
KAFKA_DEFINE(consumer_group_describe);
