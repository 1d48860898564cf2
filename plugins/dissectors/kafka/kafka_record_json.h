/* A record as JSON, written at once: most of a capture's bytes are records. Pure. */
#ifndef KAFKA_RECORD_JSON_H
#define KAFKA_RECORD_JSON_H

#include "kafka_json.h"
#include "kafka_records.h"

/* Writes the record as the next element of the array that is open, if it is small enough for the buffer; what it reads it has read of it
 * (kafka_record_header()). False: nothing was done. */
bool kafka_record_json(struct kafka_json *j, struct kafka_record *r);

#endif
