/* Environment variables that override the configuration file: those that Kubeshark's users know, for secrets that come from elsewhere.
 *
 *     SNAPSHOT_CLOUD_PROVIDER, SNAPSHOT_CLOUD_PREFIX              tap.snapshots.cloud.provider, .prefix
 *     SNAPSHOT_AWS_BUCKET, _REGION, _ACCESS_KEY, _SECRET_KEY,     tap.snapshots.cloud.s3.bucket, .region, .accessKey, .secretKey,
 *       _ROLE_ARN, _EXTERNAL_ID, _ENDPOINT, _PATH_STYLE, _CA_FILE   .roleArn, .externalId, .endpoint, .pathStyle, .caFile
 *     SNAPSHOT_AZBLOB_STORAGE_ACCOUNT, _CONTAINER,                tap.snapshots.cloud.azblob.storageAccount, .container,
 *       _STORAGE_KEY, _ENDPOINT                                     .storageKey, .endpoint
 *
 * One that is empty counts as not set. Errors in a value name the variable as the place. */
#ifndef CONFIG_ENVIRONMENT_H
#define CONFIG_ENVIRONMENT_H

#include "config/yaml.h"

struct environment_row {
    const char *variable, *path; /* "SNAPSHOT_AWS_BUCKET", "tap.snapshots.cloud.s3.bucket" */
};
const struct environment_row *environment_rows(size_t *ret_n);

/* Puts the values into *tree, which is made if it is NULL and there are any. TD_E_CONFIG: the file has something else than a mapping
 * on the way. */
int environment_apply(struct yaml_tree **tree, struct error *err) MUST_CHECK;

#endif
