/* Keys from services of the machine that this runs on: a container's agent (ECS, EKS Pod Identity), or the instance metadata service,
 * version 2 only. Never through a proxy. Sources: "Container credential provider" and "IMDS credential provider" (AWS SDKs and Tools
 * Reference Guide), "Use the Instance Metadata Service to access instance metadata" (Amazon EC2 User Guide). */
#ifndef S3_METADATA_H
#define S3_METADATA_H

#include "s3_keys.h"

/* [io] `http` waits for a connection no longer than a second or so. TD_E_NOT_FOUND: the environment names no such service. Else
 * TD_E_CONFIG, TD_E_DENIED, TD_E_RETRY, TD_E_CORRUPT, TD_E_CANCELLED. */
int s3_container_keys(struct cloud_http *http, const struct s3_environment *, struct s3_found *ret, struct s3_trouble *);
/* TD_E_NOT_FOUND also: nothing answers, or the instance has no role. */
int s3_instance_keys(struct cloud_http *http, const struct s3_environment *, struct s3_found *ret, struct s3_trouble *);

#endif
