/* IP addresses and networks. */
#include "evaluate.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))
#define CONVERSION "error: the value cannot be converted to this type"

static const struct expectation addresses[] = {
    {"ip('192.0.2.1')", "192.0.2.1"},
    {"ip('2001:DB8:0:0::1')", "2001:db8::1"},
    {"ip('192.0.2.01')", CONVERSION},
    {"ip('192.0.2')", CONVERSION},
    {"ip('192.0.2.256')", CONVERSION},
    {"ip('1:2:3:4:5:6:7:8:9')", CONVERSION},
    {"ip('fe80::1%eth0')", CONVERSION},
    {"ip('')", CONVERSION},
    {"ip(' ::1')", CONVERSION},
    {"ip('::1\\u0000')", CONVERSION},
    {"ip('::ffff:192.0.2.1')", CONVERSION},
    {"ip('::ffff:c000:201') == ip('192.0.2.1')", "false"},
    {"ip('::192.0.2.1').family()", "6"},
    {"ip('::1') == ip('0:0:0:0:0:0:0:1')", "true"},
    {"ip('0.0.0.1') == ip('::1')", "false"},
    {"isIP('10.0.0.1') && isIP('::') && !isIP('10.0.0.1/8') && !isIP('localhost')", "true"},
    {"isCIDR('10.0.0.1/8') && !isCIDR('10.0.0.1') && !isCIDR('10.0.0.1/33') && !isCIDR('::/129') && !isCIDR('::/')", "true"},
    {"isCIDR('10.0.0.0/08') || isCIDR('10.0.0.0/+8') || isCIDR('10.0.0.0/0008')", "false"},
    {"ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:db8:0::1') && ip.isCanonical('10.0.0.1')", "true"},
    {"ip.isCanonical('x')", CONVERSION},
    {"string(ip('FF02::1')) + ' ' + string(cidr('10.9.8.7/24'))", "\"ff02::1 10.9.8.7/24\""},
    {"type(ip('::1'))", "net.IP"},
    {"[ip('10.0.0.1'), ip('10.0.0.2')].exists(a, a == ip('10.0.0.2'))", "true"},
};

static const struct expectation kinds[] = {
    {"ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified() && !ip('::1').isUnspecified()", "true"},
    {"ip('127.255.0.1').isLoopback() && ip('::1').isLoopback() && !ip('128.0.0.1').isLoopback() && !ip('::2').isLoopback()", "true"},
    {"ip('169.254.0.1').isLinkLocalUnicast() && ip('febf::').isLinkLocalUnicast() && !ip('fec0::').isLinkLocalUnicast()", "true"},
    {"ip('224.0.0.9').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast() && ip('ff12::1').isLinkLocalMulticast()", "true"},
    {"ip('224.0.1.9').isLinkLocalMulticast() || ip('ff05::1').isLinkLocalMulticast()", "false"},
    {"ip('10.0.0.1').isGlobalUnicast() && ip('2001:db8::').isGlobalUnicast() && ip('fd00::1').isGlobalUnicast()", "true"},
    {"['0.0.0.0', '127.0.0.1', '169.254.1.1', '239.1.1.1', '255.255.255.255', '::', '::1', 'fe80::1', 'ff05::1']"
     ".exists(a, ip(a).isGlobalUnicast())",
     "false"},
};

static const struct expectation networks[] = {
    {"cidr('10.1.2.3/8')", "10.1.2.3/8"},
    {"cidr('10.1.2.3/8').masked()", "10.0.0.0/8"},
    {"cidr('10.255.255.255/13').masked()", "10.248.0.0/13"},
    {"cidr('2001:db8:ffff::/33').masked()", "2001:db8:8000::/33"},
    {"cidr('1.2.3.4/0').masked() == cidr('0.0.0.0/0')", "true"},
    {"cidr('10.1.2.3/8').ip()", "10.1.2.3"},
    {"cidr('10.1.2.3/8').prefixLength() + cidr('::/128').prefixLength()", "136"},
    {"cidr('10.0.0.0/8') == cidr('10.0.0.0/9') || cidr('10.0.0.0/8') == cidr('10.0.0.1/8')", "false"},
    {"cidr('192.0.2.128/25').containsIP(ip('192.0.2.129'))", "true"},
    {"cidr('192.0.2.128/25').containsIP('192.0.2.127')", "false"},
    {"cidr('192.0.2.1/32').containsIP('192.0.2.1') && !cidr('192.0.2.1/32').containsIP('192.0.2.0')", "true"},
    {"cidr('0.0.0.0/0').containsIP('::1') || cidr('::/0').containsIP('0.0.0.1')", "false"},
    {"cidr('2001:db8::/31').containsIP('2001:db9::1')", "true"},
    {"cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))", "true"},
    {"cidr('10.1.0.0/16').containsCIDR('10.0.0.0/8')", "false"},
    {"cidr('10.0.0.0/8').containsCIDR('::/8')", "false"},
    {"cidr('10.0.0.0/8').containsIP('nothing')", CONVERSION},
    {"cidr('10.0.0.0/8').containsCIDR('10.0.0.0')", CONVERSION},
};

int main(void)
{
    evaluate_all(addresses, COUNT(addresses));
    evaluate_all(kinds, COUNT(kinds));
    evaluate_all(networks, COUNT(networks));
    evaluate_end();
    return tap_done();
}
