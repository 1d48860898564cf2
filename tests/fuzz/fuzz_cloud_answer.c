/* What comes from a cloud: XML documents, errors of S3, names in lists, dates, sums. The first byte says how it is read. */
#include "../../plugins/storage/cloud/cloud_http.h"
#include "../../plugins/storage/s3/s3.h"

#include <stdlib.h>

static int each(void *ctx, const char *path, const char *text)
{
    size_t *n = ctx;
    *n += strlen(path) + (text ? strlen(text) : 0);
    return *n > 1 << 20 ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct s3_error error;
    uint8_t bytes[64];
    char etag[S3_MAX_ETAG];
    int64_t time_ns;
    size_t seen = 0;
    if (!n)
        return 0;
    char *text = malloc(n);
    if (!text)
        return 0;
    memcpy(text, data + 1, n - 1);
    text[n - 1] = 0;
    switch (data[0] % 4) {
    case 0: (void)cloud_xml(td_bytes(data + 1, n - 1), NULL, each, &seen); break;
    case 1: s3_error_read(td_bytes(data + 1, n - 1), &error); break;
    case 2:
        s3_decode_name(text);
        s3_copy_etag(etag, text);
        break;
    default:
        (void)cloud_read_http_date(text, &time_ns);
        (void)cloud_read_iso8601(text, &time_ns);
        (void)cloud_read_base64(text, bytes, sizeof(bytes));
        (void)cloud_read_hex(text, bytes, sizeof(bytes));
    }
    free(text);
    return 0;
}
