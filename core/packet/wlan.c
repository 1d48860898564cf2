#include "wlan.h"

enum layer wlan_radiotap(struct walk *w)
{
    enum { HAS_TIMER = 1u << 0, HAS_FLAGS = 1u << 1, FLAG_PADDED = 0x20, MORE_WORDS = 0x80, MAX_WORDS = 32 };
    if (w->caplen < 8)
        return walk_stop_short(w, 8);
    uint32_t header = walk_le16(w->p + 2), present = walk_le32(w->p + 4);
    if (w->p[0] != 0 || header < 8)
        return walk_stop(w, DECODE_MALFORMED);
    const uint8_t *h = walk_take(w, header);
    if (!h)
        return LAYER_STOP;
    if (!(present & HAS_FLAGS))
        return LAYER_WLAN;

    /* Fields follow the last word of the presence bits, each at its natural alignment. */
    uint32_t at = 8;
    for (unsigned words = 1; at + 4 <= header && h[at - 1] & MORE_WORDS && words < MAX_WORDS; words++)
        at += 4;
    if (present & HAS_TIMER)
        at = ((at + 7) & ~7u) + 8;
    return at < header && h[at] & FLAG_PADDED ? LAYER_WLAN_PADDED : LAYER_WLAN;
}

/* IEEE 802.11 section 9.2 (frame formats) and 9.3.2 (data frames). */
static enum layer data_frame(struct walk *w, bool padded, bool swapped)
{
    enum { TYPE_MASK = 0x0c, TYPE_DATA = 0x08, SUBTYPE_NO_DATA = 0x40, SUBTYPE_QOS = 0x80 };
    enum { TO_AND_FROM_DS = 0x03, MORE_FRAGMENTS = 0x04, PROTECTED = 0x40, ORDER = 0x80, QOS_AGGREGATE = 0x80, SUBFRAME_HEADER = 14 };
    if (w->caplen < 24)
        return walk_stop_short(w, 24);
    uint8_t type = w->p[swapped], flags = w->p[!swapped];
    bool fragment = flags & MORE_FRAGMENTS || w->p[22 + swapped] & 0x0f;
    uint32_t header = (flags & TO_AND_FROM_DS) == TO_AND_FROM_DS ? 30 : 24, qos = header;
    if ((type & TYPE_MASK) != TYPE_DATA || type & SUBTYPE_NO_DATA)
        return walk_stop(w, DECODE_NOT_IP);
    if (flags & PROTECTED)
        return walk_stop(w, DECODE_ENCRYPTED);
    if (fragment)
        return walk_stop(w, DECODE_FRAGMENT);
    if (type & SUBTYPE_QOS)
        header += flags & ORDER ? 6 : 2; /* quality of service, high-throughput control */
    const uint8_t *h = walk_take(w, padded ? (header + 3) & ~3u : header);
    if (!h)
        return LAYER_STOP;
    /* Of several frames in one, the first stands for all. */
    if (type & SUBTYPE_QOS && h[qos] & QOS_AGGREGATE) {
        const uint8_t *subframe = walk_take(w, SUBFRAME_HEADER);
        if (!subframe)
            return LAYER_STOP;
        walk_cut(w, walk_be16(subframe + 12));
    }
    return LAYER_LLC;
}

enum layer wlan_frame(struct walk *w)
{
    return data_frame(w, false, false);
}

enum layer wlan_frame_padded(struct walk *w)
{
    return data_frame(w, true, false);
}

enum layer wlan_frame_swapped(struct walk *w)
{
    return data_frame(w, false, true);
}
