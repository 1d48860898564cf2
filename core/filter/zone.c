#include "filter/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "filter/time.h"

#define ZONE_FOLDER "/usr/share/zoneinfo/"

enum { MAX_NAME = 100, MAX_FILE = 256 << 10, HEADER = 44, MAX_TRANSITIONS = 4096, MAX_OFFSET = 26 * 3600, SECONDS_PER_DAY = 86400 };

/* When daylight saving begins or ends, as the last line of the file has it (POSIX TZ). */
struct rule {
    char kind; /* 'M': month, week, day of the week; 'J': day of the year without February 29th; 'D': with it; 0: none */
    int32_t m, w, d;
    int32_t time; /* seconds after midnight, may be negative */
};

struct filter_zone {
    int32_t standard, daylight; /* after the last transition */
    struct rule begin, end;     /* of daylight saving */
    int32_t before;             /* before the first transition */
    uint32_t n;
    struct {
        int64_t at;
        int32_t offset;
    } transitions[];
};

static struct filter_zone *zone_alloc(uint32_t n)
{
    struct filter_zone *zone = mem_calloc(1, sizeof *zone + n * sizeof zone->transitions[0]);
    if (zone)
        zone->n = n;
    return zone;
}

void filter_zone_free(struct filter_zone *zone)
{
    mem_free(zone);
}

/* The day number (since 1970) of a rule in a year. */
static int64_t rule_day(const struct rule *r, int64_t year)
{
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int64_t january = filter_days(year, 1, 1);
    if (r->kind == 'J')
        return january + r->d - 1 + (leap && r->d >= 60);
    if (r->kind == 'D')
        return january + r->d;
    int64_t first = filter_days(year, r->m, 1);
    int64_t next = r->m == 12 ? filter_days(year + 1, 1, 1) : filter_days(year, r->m + 1, 1);
    int64_t weekday = ((first % 7) + 11) % 7;
    int64_t day = first + (r->d - weekday + 7) % 7 + (r->w - 1) * 7;
    return day >= next ? day - 7 : day; /* the fifth is the last one */
}

static int32_t offset_by_rule(const struct filter_zone *zone, int64_t seconds)
{
    if (!zone->begin.kind)
        return zone->standard;
    int64_t year = filter_date(seconds + zone->standard).year;
    int64_t begin = rule_day(&zone->begin, year) * SECONDS_PER_DAY + zone->begin.time - zone->standard;
    int64_t end = rule_day(&zone->end, year) * SECONDS_PER_DAY + zone->end.time - zone->daylight;
    bool summer = begin < end ? seconds >= begin && seconds < end : seconds >= begin || seconds < end; /* in the south: over New Year */
    return summer ? zone->daylight : zone->standard;
}

int32_t filter_zone_offset(const struct filter_zone *zone, int64_t seconds)
{
    uint32_t low = 0, high = zone->n; /* how many transitions are not after it */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->transitions[middle].at <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->n)
        return offset_by_rule(zone, seconds);
    return low ? zone->transitions[low - 1].offset : zone->before;
}

/* A number of one to three digits at *at; -1 if there is none. */
static int32_t number(struct td_slice s, size_t *at)
{
    int32_t value = -1;
    for (int i = 0; i < 3 && *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; i++, ++*at)
        value = (value < 0 ? 0 : value * 10) + s.p[*at] - '0';
    return value;
}

static bool literal(struct td_slice s, size_t *at, char c)
{
    bool there = *at < s.n && s.p[*at] == (uint8_t)c;
    *at += there;
    return there;
}

/* "[+-]hh[:mm[:ss]]". */
static bool parse_hms(struct td_slice s, size_t *at, int32_t *ret)
{
    bool negative = literal(s, at, '-');
    if (!negative)
        (void)literal(s, at, '+');
    int32_t value = number(s, at), minutes = 0, seconds = 0;
    if (value < 0 || value > 167)
        return false;
    if (literal(s, at, ':')) {
        minutes = number(s, at);
        if (literal(s, at, ':'))
            seconds = number(s, at);
    }
    if (minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59)
        return false;
    value = value * 3600 + minutes * 60 + seconds;
    *ret = negative ? -value : value;
    return true;
}

/* "CET", "<+0330>". */
static bool skip_name(struct td_slice s, size_t *at)
{
    size_t start = *at;
    if (literal(s, at, '<')) {
        while (*at < s.n && s.p[*at] != '>')
            ++*at;
        return literal(s, at, '>');
    }
    while (*at < s.n && td_ascii_lower(s.p[*at]) >= 'a' && td_ascii_lower(s.p[*at]) <= 'z')
        ++*at;
    return *at > start;
}

/* ",M3.5.0/2", ",J60", ",59". */
static bool parse_rule(struct td_slice s, size_t *at, struct rule *r)
{
    if (!literal(s, at, ','))
        return false;
    r->kind = literal(s, at, 'M') ? 'M' : literal(s, at, 'J') ? 'J' : 'D';
    r->time = 2 * 3600;
    if (r->kind == 'M') {
        r->m = number(s, at);
        bool good = literal(s, at, '.');
        r->w = number(s, at);
        good = good && literal(s, at, '.');
        r->d = number(s, at);
        if (!good || r->m < 1 || r->m > 12 || r->w < 1 || r->w > 5 || r->d < 0 || r->d > 6)
            return false;
    } else {
        r->d = number(s, at);
        if (r->d < (r->kind == 'J') || r->d > 365)
            return false;
    }
    return !literal(s, at, '/') || parse_hms(s, at, &r->time);
}

/* The last line: "CET-1CEST,M3.5.0,M10.5.0/3". Its offsets are west of Greenwich. */
static bool parse_footer(struct td_slice s, struct filter_zone *zone)
{
    size_t at = 0;
    if (!skip_name(s, &at) || !parse_hms(s, &at, &zone->standard))
        return false;
    zone->standard = -zone->standard;
    zone->daylight = zone->standard + 3600;
    if (at == s.n)
        return true;
    if (!skip_name(s, &at))
        return false;
    if (at < s.n && s.p[at] != ',') {
        if (!parse_hms(s, &at, &zone->daylight))
            return false;
        zone->daylight = -zone->daylight;
    }
    return parse_rule(s, &at, &zone->begin) && parse_rule(s, &at, &zone->end) && at == s.n;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

struct counts {
    uint32_t isut, isstd, leap, time, type, name;
    uint64_t size; /* of the block behind the header */
};

static bool parse_header(struct td_slice s, size_t at, unsigned time_size, struct counts *c)
{
    struct td_slice h = td_sub(s, at, at + HEADER);
    if (h.n != HEADER || !td_starts(h, TD_LIT("TZif")))
        return false;
    *c = (struct counts){.isut = be32(h.p + 20),
                         .isstd = be32(h.p + 24),
                         .leap = be32(h.p + 28),
                         .time = be32(h.p + 32),
                         .type = be32(h.p + 36),
                         .name = be32(h.p + 40)};
    c->size =
        (uint64_t)c->time * (time_size + 1) + (uint64_t)c->type * 6 + c->name + (uint64_t)c->leap * (time_size + 4) + c->isstd + c->isut;
    return c->size <= s.n - at - HEADER && c->type > 0 && c->time <= MAX_TRANSITIONS;
}

/* The block with 64-bit times: the times, the types' numbers, the types. */
static bool fill(struct filter_zone *zone, const uint8_t *p, const struct counts *c)
{
    const uint8_t *numbers = p + (size_t)c->time * 8, *types = numbers + c->time;
    for (uint32_t i = 0; i < c->type; i++) {
        int32_t offset = (int32_t)be32(types + 6 * (size_t)i);
        if (offset < -MAX_OFFSET || offset > MAX_OFFSET)
            return false;
    }
    zone->before = (int32_t)be32(types);
    for (uint32_t i = 0; i < c->time; i++) {
        if (numbers[i] >= c->type)
            return false;
        zone->transitions[i].at = be64(p + 8 * (size_t)i);
        zone->transitions[i].offset = (int32_t)be32(types + 6 * (size_t)numbers[i]);
        if (i && zone->transitions[i].at <= zone->transitions[i - 1].at)
            return false;
    }
    zone->standard = c->time ? zone->transitions[c->time - 1].offset : zone->before; /* unless there is a rule */
    return true;
}

int filter_zone_parse(struct td_slice file, struct filter_zone **ret, struct error *err)
{
    struct counts c;
    struct filter_zone *zone = NULL;
    if (!parse_header(file, 0, 4, &c) || file.p[4] < '2')
        goto bad;
    size_t at = HEADER + (size_t)c.size;
    if (!parse_header(file, at, 8, &c) || c.leap) /* the zones below right/ count leap seconds; nothing else here does */
        goto bad;
    zone = zone_alloc(c.time);
    if (!zone)
        return error_nomem(err);
    if (!fill(zone, file.p + at + HEADER, &c))
        goto bad;
    struct td_slice footer = td_sub(file, at + HEADER + (size_t)c.size, file.n);
    if (footer.n < 2 || footer.p[0] != '\n' || footer.p[footer.n - 1] != '\n')
        goto bad;
    footer = td_sub(footer, 1, footer.n - 1);
    if (footer.n && !parse_footer(footer, zone))
        goto bad;
    *ret = zone;
    return TD_OK;
bad:
    filter_zone_free(zone);
    return error_set(err, TD_E_CORRUPT, "not a file of the time zone database that this program can read");
}

/* Letters, digits and "_+-", in parts between single slashes: no way out of the folder. */
static bool is_name(struct td_slice name)
{
    uint8_t before = '/';
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i], lower = td_ascii_lower(c);
        bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
        if (!plain && (c != '/' || before == '/'))
            return false;
        before = c;
    }
    return name.n && name.n <= MAX_NAME && before != '/';
}

/* The whole file; it is small. */
static int read_file(const char *path, uint8_t **ret, size_t *ret_n, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, TD_E_NOT_FOUND, "%s: %s", path, strerror(errno));
    int status = TD_OK;
    uint8_t *bytes = NULL;
    struct stat st;
    size_t n = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
        status = error_set(err, TD_E_NOT_FOUND, "%s: not a file of the time zone database", path);
        goto out;
    }
    bytes = mem_alloc((size_t)st.st_size + 1);
    if (!bytes) {
        status = error_nomem(err);
        goto out;
    }
    while (n < (size_t)st.st_size) {
        ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    *ret = bytes;
    *ret_n = n;
out:
    close(fd);
    return status;
}

/* "+02:00", "-9:30", "02:00". */
static bool parse_fixed(struct td_slice name, int32_t *ret)
{
    size_t at = 0;
    bool negative = literal(name, &at, '-');
    if (!negative)
        (void)literal(name, &at, '+');
    size_t start = at;
    int32_t hours = number(name, &at);
    size_t colon = at;
    if (hours < 0 || hours > 23 || colon - start > 2 || !literal(name, &at, ':'))
        return false;
    int32_t minutes = number(name, &at);
    if (minutes < 0 || minutes > 59 || at - colon != 3 || at != name.n)
        return false;
    *ret = (hours * 3600 + minutes * 60) * (negative ? -1 : 1);
    return true;
}

int filter_zone_new(struct td_slice name, struct filter_zone **ret, struct error *err)
{
    int32_t offset = 0;
    if (!name.n || td_eq(name, TD_LIT("UTC")) || parse_fixed(name, &offset)) {
        struct filter_zone *zone = zone_alloc(0);
        if (!zone)
            return error_nomem(err);
        zone->standard = offset;
        *ret = zone;
        return TD_OK;
    }
    if (!is_name(name))
        return error_set(err, TD_E_NOT_FOUND, "not the name of a time zone, such as Europe/Berlin or +02:00");
    char path[sizeof ZONE_FOLDER + MAX_NAME] = ZONE_FOLDER;
    memcpy(path + strlen(ZONE_FOLDER), name.p, name.n);
    uint8_t *bytes = NULL;
    size_t n = 0;
    int status = read_file(path, &bytes, &n, err);
    if (status == TD_OK) {
        status = filter_zone_parse(td_bytes(bytes, n), ret, err);
        if (status != TD_OK)
            error_prefix(err, "%s: ", path);
    }
    mem_free(bytes);
    return status;
}
