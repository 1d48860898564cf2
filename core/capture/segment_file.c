#include "segment_file.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "base/units.h"
#include "packet/pcapng_write.h"

enum { SEQUENCE_DIGITS = 10 };

static const char *const suffixes[SEGMENT_FILE_KINDS] = {".pcapng", ".pcapng.zst", ".idx"};
static const char unfinished_suffix[] = ".tmp";
static const char since[] = ", from ";

const char *segment_file_name(uint64_t sequence, enum segment_file_kind kind, bool unfinished, char out[SEGMENT_NAME])
{
    snprintf(out, SEGMENT_NAME, "%0*llu%s%s", SEQUENCE_DIGITS, (unsigned long long)sequence, suffixes[kind],
             unfinished ? unfinished_suffix : "");
    return out;
}

bool segment_file_parse(const char *name, uint64_t *ret_sequence, enum segment_file_kind *ret_kind, bool *ret_unfinished)
{
    uint64_t sequence = 0;
    size_t digits = strspn(name, "0123456789"), n = strlen(name), tail = sizeof(unfinished_suffix) - 1;
    if (digits < SEQUENCE_DIGITS || digits > 19)
        return false;
    for (size_t i = 0; i < digits; i++)
        sequence = sequence * 10 + (uint64_t)(name[i] - '0');
    bool unfinished = n > digits + tail && strcmp(name + n - tail, unfinished_suffix) == 0;
    size_t end = unfinished ? n - tail : n;
    for (int kind = 0; kind < SEGMENT_FILE_KINDS; kind++) {
        if (strlen(suffixes[kind]) == end - digits && memcmp(name + digits, suffixes[kind], end - digits) == 0) {
            *ret_sequence = sequence;
            *ret_kind = (enum segment_file_kind)kind;
            *ret_unfinished = unfinished;
            return true;
        }
    }
    return false;
}

void segment_file_head(struct buf *ret, const char *node, const struct segment_summary *s, int64_t previous_ns, const char *reason)
{
    char from[UNITS_TEXT], to[UNITS_TEXT], what[256], missing[512], system[200];
    const char *comments[2] = {what, missing};
    struct utsname name;
    struct pcapng_section section = {.application = "tapedeck", .comments = comments, .comment_count = 1};
    if (uname(&name) == 0) {
        snprintf(system, sizeof(system), "%.64s %.128s", name.sysname, name.release);
        section.os = system;
    }
    units_format_time(s->covered_from_ns, to);
    snprintf(what, sizeof(what), "Raw capture of node %.128s, segment %llu%s%s", node, (unsigned long long)s->sequence, since, to);
    if (s->gap != GAP_NONE && s->gap != GAP_FIRST && previous_ns != INT64_MIN) {
        units_format_time(previous_ns, from);
        snprintf(missing, sizeof(missing), "Nothing was captured from %s to %s: %s%s%.128s", from, to, segment_gap_name(s->gap),
                 reason ? ": " : "", reason ? reason : "");
        section.comment_count = 2;
    }
    pcapng_put_section(ret, &section);
}

static const uint8_t *find(struct td_slice in, const char *text)
{
    return in.n ? memmem(in.p, in.n, text, strlen(text)) : NULL;
}

void segment_file_read_head(struct td_slice head, struct segment_summary *s)
{
    enum { TIME_LENGTH = 30 };
    char text[TIME_LENGTH + 1];
    const uint8_t *at = find(head, since);
    int64_t from_ns;
    if (at && (size_t)(head.p + head.n - at) >= sizeof(since) - 1 + TIME_LENGTH) {
        memcpy(text, at + sizeof(since) - 1, TIME_LENGTH);
        text[TIME_LENGTH] = 0;
        if (units_parse_time(text, 0, &from_ns))
            s->covered_from_ns = from_ns;
    }
    for (uint32_t gap = GAP_STOPPED; gap < GAP_COUNT; gap++)
        if (find(head, segment_gap_name(gap)))
            s->gap = gap;
}
