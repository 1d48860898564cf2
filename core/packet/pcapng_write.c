#include "pcapng_write.h"

enum { BLOCK_SECTION = 0x0a0d0d0au, BLOCK_INTERFACE = 1, BLOCK_NAMES = 4, BLOCK_STATISTICS = 5, BYTE_ORDER_MAGIC = 0x1a2b3c4d };

enum { NAMES_IPV4 = 1, NAMES_IPV6 = 2, NAMES_BYTES = 32 << 10 /* of names in one block */, MAX_NAME = 255 };

enum option {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    SECTION_HARDWARE = 2,
    SECTION_OS = 3,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_DESCRIPTION = 3,
    INTERFACE_RESOLUTION = 9,
    INTERFACE_FILTER = 11,
    STATISTICS_START = 2,
    STATISTICS_END = 3,
    STATISTICS_RECEIVED = 4,
    STATISTICS_INTERFACE_DROPS = 5,
    STATISTICS_SYSTEM_DROPS = 7
};

static void put_16(struct buf *b, uint32_t v)
{
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_put(b, bytes, sizeof(bytes));
}

static void put_32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];
    pcapng_le32(bytes, v);
    buf_put(b, bytes, sizeof(bytes));
}

static void put_64(struct buf *b, uint64_t v)
{
    put_32(b, (uint32_t)v);
    put_32(b, (uint32_t)(v >> 32));
}

/* Times stand with their upper half first. */
static void put_time(struct buf *b, int64_t ns)
{
    put_32(b, (uint32_t)((uint64_t)ns >> 32));
    put_32(b, (uint32_t)(uint64_t)ns);
}

static void put_option(struct buf *b, enum option code, const void *value, size_t n)
{
    put_16(b, code);
    put_16(b, (uint32_t)n);
    buf_put(b, value, n);
    buf_put(b, "\0\0\0", (4 - n % 4) % 4);
}

static void put_text(struct buf *b, enum option code, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (text)
        put_option(b, code, text, n > PCAPNG_MAX_COMMENT ? PCAPNG_MAX_COMMENT : n);
}

static void put_number_option(struct buf *b, enum option code, uint64_t v)
{
    put_16(b, code);
    put_16(b, 8);
    put_64(b, v);
}

static void put_time_option(struct buf *b, enum option code, int64_t ns)
{
    put_16(b, code);
    put_16(b, 8);
    put_time(b, ns);
}

/* Where the block begins; its length is filled in by end_block(). */
static size_t begin_block(struct buf *b, uint32_t type)
{
    size_t at = b->n;
    put_32(b, type);
    put_32(b, 0);
    return at;
}

static void end_block(struct buf *b, size_t at)
{
    put_32(b, OPTION_END);
    uint32_t length = (uint32_t)(b->n - at) + 4;
    put_32(b, length);
    if (!b->failed)
        pcapng_le32(b->p + at + 4, length);
}

void pcapng_put_section(struct buf *b, const struct pcapng_section *s)
{
    size_t at = begin_block(b, BLOCK_SECTION);
    put_32(b, BYTE_ORDER_MAGIC);
    put_16(b, 1); /* version 1.0 */
    put_16(b, 0);
    put_64(b, UINT64_MAX); /* the section's length is not known */
    put_text(b, SECTION_HARDWARE, s->hardware);
    put_text(b, SECTION_OS, s->os);
    put_text(b, SECTION_APPLICATION, s->application);
    for (size_t i = 0; i < s->comment_count; i++)
        put_text(b, OPTION_COMMENT, s->comments[i]);
    end_block(b, at);
}

void pcapng_put_interface(struct buf *b, const struct pcapng_interface *i)
{
    static const uint8_t nanoseconds = 9;
    size_t at = begin_block(b, BLOCK_INTERFACE);
    put_16(b, i->linktype);
    put_16(b, 0);
    put_32(b, i->snaplen);
    put_text(b, INTERFACE_NAME, i->name);
    put_text(b, INTERFACE_DESCRIPTION, i->description);
    put_option(b, INTERFACE_RESOLUTION, &nanoseconds, 1);
    if (i->filter && *i->filter) { /* its first byte says of which kind: 0 is libpcap's language */
        size_t n = strlen(i->filter);
        n = n > PCAPNG_MAX_COMMENT - 1 ? PCAPNG_MAX_COMMENT - 1 : n;
        put_16(b, INTERFACE_FILTER);
        put_16(b, (uint32_t)n + 1);
        buf_putc(b, 0);
        buf_put(b, i->filter, n);
        buf_put(b, "\0\0\0", (4 - (n + 1) % 4) % 4);
    }
    put_text(b, OPTION_COMMENT, i->comment);
    end_block(b, at);
}

void pcapng_put_statistics(struct buf *b, const struct pcapng_statistics *s)
{
    size_t at = begin_block(b, BLOCK_STATISTICS);
    put_32(b, s->iface);
    put_time(b, s->time_ns);
    put_time_option(b, STATISTICS_START, s->start_ns);
    put_time_option(b, STATISTICS_END, s->end_ns);
    put_number_option(b, STATISTICS_RECEIVED, s->received);
    put_number_option(b, STATISTICS_INTERFACE_DROPS, s->dropped_by_interface);
    put_number_option(b, STATISTICS_SYSTEM_DROPS, s->dropped_by_kernel);
    put_text(b, OPTION_COMMENT, s->comment);
    end_block(b, at);
}

void pcapng_put_names(struct buf *b, const struct capture_name *v, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t at = begin_block(b, BLOCK_NAMES);
        for (; i < n && b->n - at < NAMES_BYTES; i++) {
            size_t address = v[i].ip_version == 4 ? 4 : 16, name = strnlen(v[i].name, MAX_NAME);
            if (!name)
                continue;
            put_16(b, v[i].ip_version == 4 ? NAMES_IPV4 : NAMES_IPV6);
            put_16(b, (uint32_t)(address + name) + 1);
            buf_put(b, v[i].ip, address);
            buf_put(b, v[i].name, name);
            buf_put(b, "\0\0\0\0", 1 + (-(address + name + 1) & 3));
        }
        if (b->failed)
            return;
        end_block(b, at);
    }
}
