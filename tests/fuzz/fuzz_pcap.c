/* Capture files as they come: pcap of all kinds, bare, in gzip and in zstd. */
#include "capture_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_all_ways(td_bytes(data, size));
    return 0;
}
