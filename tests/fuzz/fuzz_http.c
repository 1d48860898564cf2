/* The HTTP dissector behind the mock host, fed in steps (mock_steps.h). The first byte chooses the flow's flags, the second the fields that
 * are wanted and the limits. */
#include "mock_steps.h"

#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_http;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned wanted[] = {MOCK_QUIET, MOCK_QUIET | MOCK_NO_BODIES, MOCK_QUIET | MOCK_NO_BODIES | MOCK_NO_SIZES,
                                      MOCK_QUIET | MOCK_FEW_FIELDS};
    struct mock m;
    if (size < 2)
        return 0;
    if (!mock_init(&m, &td_plugin_v1_http, wanted[data[1] & 3]))
        abort();
    if (data[1] & 4)
        mock_option(&m, "maxHeadersSize", 1024);
    mock_option(&m, "maxBodySize", data[1] & 8 ? 16 : 65536);
    if (data[1] & 16)
        m.fail_alloc_at = data[1] >> 5;
    (void)mock_probe_both(&m, data + 2, size - 2);
    if (mock_open(&m, data[0] & (TD_FLOW_MIDSTREAM | TD_FLOW_ROLE_GUESSED)))
        mock_play(&m, data + 2, size - 2);
    mock_close(&m, data[0] & 4 ? TD_CLOSE_FIN : TD_CLOSE_RESET);
    if (m.fault)
        abort();
    mock_clear(&m);
    return 0;
}
