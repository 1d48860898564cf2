/* What protoc knows of messages and services: a FileDescriptorSet (descriptor.proto), as `protoc --descriptor_set_out --include_imports`
 * writes it, made ready to be looked up while messages are read.
 *
 * A schema owns its memory, keeps a copy of the files, and is constant once it is made: any number of threads may read it. Of a set that is
 * damaged or beyond the limits nothing is taken. */
#ifndef GRPC_SCHEMA_H
#define GRPC_SCHEMA_H

#include "tapedeck/slice.h"

enum {
    GRPC_MAX_SET = 64 << 20,  /* bytes of a set */
    GRPC_MAX_TYPES = 1 << 18, /* messages, enums, methods: of each */
    GRPC_MAX_NAME = 1024      /* bytes of a full name */
};

/* descriptor.proto, FieldDescriptorProto.Type */
enum grpc_type {
    GRPC_DOUBLE = 1,
    GRPC_FLOAT,
    GRPC_INT64,
    GRPC_UINT64,
    GRPC_INT32,
    GRPC_FIXED64,
    GRPC_FIXED32,
    GRPC_BOOL,
    GRPC_STRING,
    GRPC_GROUP,
    GRPC_MESSAGE,
    GRPC_BYTES,
    GRPC_UINT32,
    GRPC_ENUM,
    GRPC_SFIXED32,
    GRPC_SFIXED64,
    GRPC_SINT32,
    GRPC_SINT64
};

struct grpc_message;

struct grpc_enum_value {
    int32_t number;
    struct td_slice name;
};

struct grpc_enum {
    struct td_slice name; /* ".package.Type" */
    struct td_slice raw;
    struct grpc_enum_value *values; /* ascending by number */
    uint32_t n;
};

struct grpc_field {
    uint32_t number;
    uint8_t type; /* grpc_type */
    bool repeated;
    struct td_slice name; /* as in JSON: lowerCamelCase */
    const struct grpc_message *message;
    const struct grpc_enum *enumeration;
};

/* Messages that JSON has other forms for (the "ProtoJSON Format" document). */
enum grpc_known { GRPC_TIMESTAMP = 1, GRPC_DURATION, GRPC_WRAPPER };

struct grpc_message {
    struct td_slice name; /* ".package.Type" */
    struct td_slice raw;
    struct grpc_field *fields; /* ascending by number */
    uint32_t n;
    bool map_entry; /* of a map field: key 1, value 2 */
    uint8_t known;  /* grpc_known; 0: none of these */
};

struct grpc_method {
    struct td_slice name;                      /* "/package.Service/Method" */
    const struct grpc_message *input, *output; /* NULL: not in the set */
    bool client_streaming, server_streaming;
};

struct grpc_schema;

struct grpc_schema *grpc_schema_new(void);
/* Adds a set; *ret_why, a constant string, tells why not. To be called before grpc_schema_finish(). */
bool grpc_schema_add(struct grpc_schema *schema, struct td_slice set, const char **ret_why);
/* Resolves what refers to what. False: out of memory. */
bool grpc_schema_finish(struct grpc_schema *schema);
void grpc_schema_free(struct grpc_schema *schema);

/* By the path of a request; NULL: not in the sets. */
const struct grpc_method *grpc_schema_method(const struct grpc_schema *schema, struct td_slice path);
/* By the full name, with a dot before it. */
const struct grpc_message *grpc_schema_message(const struct grpc_schema *schema, struct td_slice name);
const struct grpc_field *grpc_message_field(const struct grpc_message *message, uint32_t number);
/* The name of an enum's value; false: it has none. */
bool grpc_enum_name(const struct grpc_enum *enumeration, int32_t number, struct td_slice *ret);

#endif
