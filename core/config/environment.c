#include "environment.h"

#include <stdlib.h>

#define CLOUD "tap.snapshots.cloud."

static const struct environment_row rows[] = {
    {"SNAPSHOT_CLOUD_PROVIDER", CLOUD "provider"},
    {"SNAPSHOT_CLOUD_PREFIX", CLOUD "prefix"},
    {"SNAPSHOT_AWS_BUCKET", CLOUD "s3.bucket"},
    {"SNAPSHOT_AWS_REGION", CLOUD "s3.region"},
    {"SNAPSHOT_AWS_ACCESS_KEY", CLOUD "s3.accessKey"},
    {"SNAPSHOT_AWS_SECRET_KEY", CLOUD "s3.secretKey"},
    {"SNAPSHOT_AWS_ROLE_ARN", CLOUD "s3.roleArn"},
    {"SNAPSHOT_AWS_EXTERNAL_ID", CLOUD "s3.externalId"},
    {"SNAPSHOT_AWS_ENDPOINT", CLOUD "s3.endpoint"},
    {"SNAPSHOT_AWS_PATH_STYLE", CLOUD "s3.pathStyle"},
    {"SNAPSHOT_AWS_CA_FILE", CLOUD "s3.caFile"},
    {"SNAPSHOT_AZBLOB_STORAGE_ACCOUNT", CLOUD "azblob.storageAccount"},
    {"SNAPSHOT_AZBLOB_CONTAINER", CLOUD "azblob.container"},
    {"SNAPSHOT_AZBLOB_STORAGE_KEY", CLOUD "azblob.storageKey"},
    {"SNAPSHOT_AZBLOB_ENDPOINT", CLOUD "azblob.endpoint"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

const struct environment_row *environment_rows(size_t *ret_n)
{
    *ret_n = ROWS;
    return rows;
}

int environment_apply(struct yaml_tree **tree, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0; i < ROWS && status == TD_OK; i++) {
        const char *value = getenv(rows[i].variable);
        if (!value || !*value)
            continue;
        if (!*tree)
            status = yaml_tree_parse(TD_LIT("{}"), "environment", tree, err);
        if (status == TD_OK)
            status = yaml_tree_set(*tree, rows[i].path, value, rows[i].variable, err);
    }
    return status;
}
