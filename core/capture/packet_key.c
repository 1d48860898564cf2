#include "capture/packet_key_words.h"

void packet_key_of(uint32_t linktype, const uint8_t *bytes, uint32_t caplen, struct packet_key *ret)
{
    struct packet_key_words words = packet_key_read(linktype, bytes, caplen);
    memcpy(ret, &words, sizeof(*ret));
}

/* ---- Knowing less ---- */

void packet_key_forget_client(struct packet_key *key)
{
    struct packet_key_words words;
    memcpy(&words, key, sizeof(words));
    packet_key_words_forget_client(&words);
    memcpy(key, &words, sizeof(words));
}

void packet_key_forget_ports(struct packet_key *key)
{
    struct packet_key_words words;
    memcpy(&words, key, sizeof(words));
    packet_key_words_forget_ports(&words);
    memcpy(key, &words, sizeof(words));
}

/* ---- Of a key ---- */

static bool sound_place(const struct packet_key *key)
{
    int type = packet_key_type_at(key->linktype);
    if (type >= 0) {
        int tags = key->ip_at - type - 2;
        return tags >= 0 && tags % TAG == 0 && tags / TAG <= MAX_TAGS;
    }
    if (key->linktype == LINK_COOKED_2)
        return key->ip_at == COOKED_2_HEADER;
    return key->ip_at == 0 && packet_key_version_of_raw(key->linktype, (uint8_t)(key->ip_version << 4)) &&
           (key->linktype == LINK_RAW || key->linktype == LINK_RAW_IPV4 || key->linktype == LINK_RAW_IPV6);
}

bool packet_key_sound(const struct packet_key *key)
{
    static const uint8_t none[sizeof(key->source)];
    if (key->flags & ~(unsigned)(PACKET_KEY_PORTS | PACKET_KEY_SERVICE) || key->flags == PACKET_KEY_SERVICE)
        return false;
    if (!(key->flags & PACKET_KEY_PORTS) && (key->source_port || key->target_port))
        return false;
    if (key->flags & PACKET_KEY_SERVICE && key->source_port && key->target_port)
        return false;
    if (key->ip_version == 0)
        return !key->protocol && !key->ip_at && !key->flags && !memcmp(key->source, none, 16) && !memcmp(key->target, none, 16);
    if ((key->flags & PACKET_KEY_PORTS && !packet_key_has_ports(key->protocol)) || !sound_place(key))
        return false;
    if (key->ip_version == 4)
        return !memcmp(key->source + 4, none, 12) && !memcmp(key->target + 4, none, 12);
    return key->ip_version == 6;
}

struct known {
    uint8_t *bytes, *mask;
};

static void know(const struct known *k, size_t at, const void *p, size_t n)
{
    memcpy(k->bytes + at, p, n);
    memset(k->mask + at, 0xff, n);
}

static void know_bits(const struct known *k, size_t at, uint8_t byte, uint8_t mask)
{
    k->bytes[at] = byte;
    k->mask[at] = mask;
}

static void know_16(const struct known *k, size_t at, uint16_t v)
{
    const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    know(k, at, bytes, sizeof(bytes));
}

/* A tag's type is one of two: what they have in common. */
static void know_tag(const struct known *k, size_t at)
{
    know_bits(k, at, (TYPE_VLAN & TYPE_SERVICE_VLAN) >> 8, (uint8_t)((0xffffu ^ TYPE_VLAN ^ TYPE_SERVICE_VLAN) >> 8));
    know_bits(k, at + 1, TYPE_VLAN & TYPE_SERVICE_VLAN & 0xff, (uint8_t)(0xffffu ^ TYPE_VLAN ^ TYPE_SERVICE_VLAN));
}

static void know_link(const struct packet_key *key, const struct known *k)
{
    uint16_t type = key->ip_version == 4 ? TYPE_IPV4 : TYPE_IPV6;
    int at = packet_key_type_at(key->linktype);
    if (at >= 0) {
        for (; at + 2 < key->ip_at; at += TAG)
            know_tag(k, (size_t)at);
        know_16(k, (size_t)at, type);
    } else if (key->linktype == LINK_COOKED_2) {
        know_16(k, 0, type);
    }
}

/* The lower port is known, so where it is 0 there is no telling on which side. */
static void know_ports(const struct packet_key *key, const struct known *k, size_t at)
{
    if (!(key->flags & PACKET_KEY_SERVICE) || key->source_port)
        know_16(k, at, key->source_port);
    if (!(key->flags & PACKET_KEY_SERVICE) || key->target_port)
        know_16(k, at + 2, key->target_port);
}

void packet_key_known(const struct packet_key *key, uint8_t bytes[PACKET_KEY_KNOWN], uint8_t mask[PACKET_KEY_KNOWN], struct bpf_known *ret)
{
    const struct known k = {bytes, mask};
    size_t at = key->ip_at;
    *ret = (struct bpf_known){.linktype = key->linktype, .bytes = bytes, .mask = mask};
    if (!key->ip_version)
        return;
    ret->n = at + (key->ip_version == 4 ? IPV4_HEADER : IPV6_HEADER) + PORTS;
    memset(bytes, 0, ret->n);
    memset(mask, 0, ret->n);
    know_link(key, &k);
    if (key->ip_version == 4) {
        know_bits(&k, at, IPV4_PLAIN, 0xff);
        know_bits(&k, at + 9, key->protocol, 0xff);
        know(&k, at + 12, key->source, 4);
        know(&k, at + 16, key->target, 4);
        if (key->flags & PACKET_KEY_PORTS) { /* nothing lies before it in the datagram */
            know_bits(&k, at + IPV4_FRAGMENT_AT, 0, 0x1f);
            know_bits(&k, at + IPV4_FRAGMENT_AT + 1, 0, 0xff);
            know_ports(key, &k, at + IPV4_HEADER);
        }
    } else {
        know_bits(&k, at, 0x60, 0xf0);
        know_bits(&k, at + 6, key->protocol, 0xff);
        know(&k, at + 8, key->source, 16);
        know(&k, at + 24, key->target, 16);
        if (key->flags & PACKET_KEY_PORTS)
            know_ports(key, &k, at + IPV6_HEADER);
    }
}
