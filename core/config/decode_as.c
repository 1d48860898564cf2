#include "decode_as.h"

#include <ctype.h>

#include "config/findings.h"

static int fail(const char *text, const char *why, struct error *err)
{
    char quoted[FINDINGS_QUOTE];
    return error_set(err, TD_E_CONFIG, "%s %s; write as tcp.port==8888,http or udp.port==5300-5310,dns", findings_quote(text, quoted), why);
}

/* 1 to 65535; advances *s. */
static bool parse_port(const char **s, uint16_t *ret)
{
    unsigned value = 0;
    if (!isdigit((unsigned char)**s))
        return false;
    for (; isdigit((unsigned char)**s) && value <= UINT16_MAX; (*s)++)
        value = value * 10 + (unsigned)(**s - '0');
    *ret = (uint16_t)value;
    return value >= 1 && value <= UINT16_MAX;
}

int decode_rule_parse(const char *text, struct decode_rule *ret, struct error *err)
{
    static const char tcp[] = "tcp.port==", udp[] = "udp.port==";
    struct decode_rule rule = {.transport = 0};
    const char *s = text;
    if (strncmp(s, tcp, strlen(tcp)) == 0)
        rule.transport = 6;
    else if (strncmp(s, udp, strlen(udp)) == 0)
        rule.transport = 17;
    else
        return fail(text, "does not begin with tcp.port== or udp.port==", err);
    s += strlen(tcp);
    if (!parse_port(&s, &rule.port_lo))
        return fail(text, "needs a port from 1 to 65535", err);
    rule.port_hi = rule.port_lo;
    if (*s == '-') {
        s++;
        if (!parse_port(&s, &rule.port_hi) || rule.port_hi < rule.port_lo)
            return fail(text, "needs a range of ports from 1 to 65535, the lower first", err);
    }
    if (*s++ != ',')
        return fail(text, "needs a comma and a dissector's name after the port", err);
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (!n || s[n] || n > DECODE_AS_NAME || !islower((unsigned char)*s))
        return fail(text, "needs a dissector's name after the comma", err);
    memcpy(rule.dissector, s, n);
    *ret = rule;
    return TD_OK;
}

const struct decode_rule *decode_rule_find(const struct decode_rule *rules, size_t n, uint8_t transport, uint16_t port)
{
    for (size_t i = n; i-- > 0;)
        if (rules[i].transport == transport && rules[i].port_lo <= port && port <= rules[i].port_hi)
            return &rules[i];
    return NULL;
}
