/* The index of a segment while it is being written: readers see all that was published, whole, while the writer goes on. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/log.h"
#include "segment_build.h"

enum { PACKETS = 60000, READERS = 2, HOSTS = 3000, START_NS = 1000000000, BATCH = 200 };

static const char *const filters[] = {"host 192.0.2.77", "udp port 53 and net 192.0.3.0/24", "host 2001:db8::5", ""};
enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };

struct shared {
    struct built segment; /* all of it, made beforehand */
    struct sample *samples;
    struct notes *notes;
    atomic_bool done;
    atomic_int looks; /* of readers, while the segment was being written */
};

static void *write_all(void *ctx)
{
    struct shared *s = ctx;
    uint64_t seed = 99;
    for (size_t i = 0; i < s->segment.n; i++) {
        const struct built_packet *p = &s->segment.packets[i];
        if (!notes_add(s->notes, i % 2, p->at, p->end, p->time_ns, s->samples[i].bytes, s->samples[i].caplen))
            break;
        if (!below(&seed, BATCH)) {
            notes_publish(s->notes);
            sched_yield();
        }
    }
    notes_publish(s->notes);
    atomic_store(&s->done, true);
    return NULL;
}

struct reader {
    struct shared *shared;
    struct built segment; /* own marks of what matches */
    struct bpf *filter;
    uint64_t seed;
    size_t looks, placed, spared;
    const char *fault;
};

static void look(struct reader *r)
{
    const struct built *s = &r->segment;
    struct segment_index *x = NULL;
    struct segment_choice c = {0};
    struct error err;
    size_t interfaces, n = (size_t)notes_count(r->shared->notes);
    int64_t last = s->packets[n ? n - 1 : 0].time_ns, start = START_NS + (int64_t)below(&r->seed, (uint32_t)(last - START_NS) + 1);
    int64_t end = below(&r->seed, 2) ? INT64_MAX : start + below(&r->seed, 3000000);
    if (segment_index_of_notes(r->shared->notes, &x, &err) != TD_OK || segment_index_choose(x, start, end, r->filter, &c, &err) != TD_OK)
        r->fault = "no choice";
    else
        r->fault = built_fault(s, n, start, end, &c, &r->spared);
    const struct notes_interface *v = segment_index_interfaces(x, &interfaces);
    if (interfaces != 2 || v[0].linktype != 1 || v[1].linktype != 101)
        r->fault = "wrong interfaces";
    r->looks++;
    r->placed += c.placed;
    mem_free(c.places);
    segment_index_close(x);
}

static void *read_often(void *ctx)
{
    struct reader *r = ctx;
    struct error err;
    for (size_t f = 0; !r->fault && (!atomic_load(&r->shared->done) || f < FILTERS); f++) {
        if (bpf_compile(filters[f % FILTERS], &r->filter, &err) != TD_OK)
            break;
        built_match(&r->segment, r->filter);
        for (int i = 0; i < 20 && !r->fault; i++) {
            look(r);
            atomic_fetch_add(&r->shared->looks, !atomic_load(&r->shared->done));
        }
        bpf_free(r->filter);
    }
    return NULL;
}

/* The segment as it will be. */
static void make_segment(struct shared *s)
{
    uint64_t seed = 4711;
    int64_t now = START_NS;
    built_begin(&s->segment, 16 << 20);
    s->notes = notes_new(16 << 20);
    s->samples = malloc(PACKETS * sizeof(*s->samples));
    for (uint32_t i = 0; i < 2; i++) {
        built_interface(&s->segment, i ? 101 : 1);
        if (!notes_add_interface(s->notes, &(struct notes_interface){64 + 64 * i, 64, i ? 101 : 1, 0}))
            ok(false, "an interface");
    }
    notes_publish(s->notes);
    for (uint32_t i = 0; i < PACKETS; i++) {
        do
            make_sample(&seed, i % 2 ? 101 : 1, HOSTS, &s->samples[i]);
        while (!s->samples[i].plain && below(&seed, 32));
        now += below(&seed, 1000);
        if (!built_packet(&s->segment, i % 2, now - below(&seed, 5000), &s->samples[i]))
            ok(false, "a packet");
    }
}

int main(void)
{
    struct shared s = {0};
    struct reader readers[READERS];
    pthread_t writer, threads[READERS];
    size_t placed = 0;
    log_set_level(TD_LOG_ERROR);
    make_segment(&s);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.shared = &s, .segment = s.segment, .seed = 1000 + i};
        readers[i].segment.packets = malloc(s.segment.n * sizeof(*s.segment.packets));
        memcpy(readers[i].segment.packets, s.segment.packets, s.segment.n * sizeof(*s.segment.packets));
        pthread_create(&threads[i], NULL, read_often, &readers[i]);
    }
    pthread_create(&writer, NULL, write_all, &s);
    pthread_join(writer, NULL);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        ok(!readers[i].fault, "reader %zu: %zu looks, %zu placed: %s", i, readers[i].looks, readers[i].placed,
           readers[i].fault ? readers[i].fault : "right");
        placed += readers[i].placed;
        free(readers[i].segment.packets);
    }
    ok(placed, "some choices named places");
    is_int(notes_count(s.notes), PACKETS, "all was published");
    ok(atomic_load(&s.looks) > 0, "readers looked while it was being written: %d times", atomic_load(&s.looks));
    notes_free(s.notes);
    free(s.samples);
    built_clear(&s.segment);
    return tap_done();
}
