#include "config/decode_as.h"

#include "tap.h"

static void good(const char *text, uint8_t transport, uint16_t lo, uint16_t hi, const char *dissector)
{
    struct decode_rule rule = {0};
    struct error err = {0, ""};
    is_int(decode_rule_parse(text, &rule, &err), TD_OK, "%s", text);
    ok(rule.transport == transport && rule.port_lo == lo && rule.port_hi == hi, "  its transport and ports");
    is_str(rule.dissector, dissector, "  its dissector");
}

static void bad(const char *text, const char *message)
{
    struct decode_rule rule;
    struct error err = {0, ""};
    is_int(decode_rule_parse(text, &rule, &err), TD_E_CONFIG, "refused: %s", text);
    like(err.text, message, "  and told so");
    like(err.text, "write as tcp.port==8888,http", "  with an example");
}

int main(void)
{
    good("tcp.port==8888,http", 6, 8888, 8888, "http");
    good("udp.port==5300-5310,dns", 17, 5300, 5310, "dns");
    good("tcp.port==1-65535,my_proto-2", 6, 1, 65535, "my_proto-2");
    bad("", "\"\" does not begin with tcp.port==");
    bad("sctp.port==1,x", "does not begin with tcp.port== or udp.port==");
    bad("tcp.port=1,x", "does not begin");
    bad("tcp.port==,x", "needs a port from 1 to 65535");
    bad("tcp.port==0,x", "needs a port");
    bad("tcp.port==65536,x", "needs a port");
    bad("tcp.port==99999999999999999999,x", "needs a port");
    bad("tcp.port==-1,x", "needs a port");
    bad("tcp.port==10-9,x", "the lower first");
    bad("tcp.port==10-,x", "the lower first");
    bad("tcp.port==10", "needs a comma");
    bad("tcp.port==10x,y", "needs a comma");
    bad("tcp.port==10,", "needs a dissector's name");
    bad("tcp.port==10,HTTP", "needs a dissector's name");
    bad("tcp.port==10,http ", "needs a dissector's name");
    bad("tcp.port==10,1http", "needs a dissector's name");
    bad("tcp.port==10,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "needs a dissector's name");

    static const struct decode_rule rules[] = {
        {6, 80, 90, "http"},
        {17, 53, 53, "dns"},
        {6, 85, 85, "other"},
    };
    is_str(decode_rule_find(rules, 3, 6, 84)->dissector, "http", "a port in a range");
    is_str(decode_rule_find(rules, 3, 6, 85)->dissector, "other", "a later rule wins");
    ok(!decode_rule_find(rules, 3, 6, 53) && !decode_rule_find(rules, 3, 6, 91) && !decode_rule_find(rules, 0, 6, 80), "no rule");
    return tap_done();
}
