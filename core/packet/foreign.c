#include "foreign.h"

#define CONVERT "; convert it with: editcap -F pcapng FILE OUT.pcapng"
#define UNPACK "; unpack it first"

static bool is_text(struct td_slice head)
{
    for (size_t i = 0; i < head.n; i++)
        if ((head.p[i] < 0x20 && !memchr("\t\n\r\f", head.p[i], 4)) || head.p[i] >= 0x7f)
            return false;
    return true;
}

const char *foreign_describe(struct td_slice head)
{
    const struct {
        struct td_slice magic;
        const char *text;
    } known[] = {
        {TD_LIT("snoop\0\0\0"), "is a snoop capture" CONVERT},
        {TD_LIT("btsnoop\0"), "is a btsnoop capture" CONVERT},
        {TD_LIT("GMBU"), "is a Network Monitor capture" CONVERT},
        {TD_LIT("RTSS"), "is a Network Monitor capture" CONVERT},
        {TD_LIT("TRSNIFF "), "is a Sniffer capture" CONVERT},
        {TD_LIT("XCP\0"), "is a NetXray capture" CONVERT},
        {TD_LIT("PK\x03\x04"), "is a zip archive" UNPACK},
        {TD_LIT("7z\xbc\xaf"), "is a 7z archive" UNPACK},
        {TD_LIT("BZh"), "is bzip2 data" UNPACK},
        {TD_LIT("\3757zXZ"), "is xz data" UNPACK},
        {TD_LIT("\x04\x22\x4d\x18"), "is lz4 data" UNPACK},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (td_starts(head, known[i].magic))
            return known[i].text;
    if (is_text(head))
        return "is text, neither pcap nor pcapng";
    return "is neither pcap nor pcapng";
}
