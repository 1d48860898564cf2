/* May a filter match, when only some bits of a packet are known?
 *
 * The compiled program is run with values of which each bit is 0, 1 or unknown. A jump whose condition is not certain goes both
 * ways; where ways meet again, only what they agree on stays known. Jumps go forward, so that in the program's order each
 * instruction is met once, with everything that can lead to it already there. */
#include <string.h>

#include "base/mem.h"
#include "packet/bpf_program.h"
#include "packet/bytes.h"

/* Where a bit of `known` is 0, that of `value` is 0 too. */
struct bits {
    uint32_t value, known;
};

enum { A, X, MEMORY, REGISTERS = MEMORY + BPF_MEMWORDS };

/* The packet's offsets from here on stand for values that are not in it (the Linux kernel's extensions). */
static const uint32_t ancillary = 0xfffff000;

struct bpf_paths {
    uint32_t n;           /* instructions */
    uint32_t width;       /* registers that the program uses: A, X and the memory up to the last word that it touches */
    struct bits *waiting; /* n * width: with what an instruction will be met ... */
    bool *is_waiting;     /* ... if a jump led to it */
};

struct walk {
    const struct bpf_insn *code;
    const struct bpf_known *packet;
    struct bpf_paths *paths;
    size_t waiting;           /* how many instructions wait */
    struct bits r[REGISTERS]; /* on the way that is followed now */
};

/* ---- Values ---- */

static struct bits unknown(void)
{
    return (struct bits){0, 0};
}

static struct bits exactly(uint32_t value)
{
    return (struct bits){value, UINT32_MAX};
}

static struct bits with_known(uint32_t value, uint32_t known)
{
    return (struct bits){value & known, known};
}

static bool is_exact(struct bits a)
{
    return a.known == UINT32_MAX;
}

static uint32_t least(struct bits a)
{
    return a.value;
}

static uint32_t most(struct bits a)
{
    return a.value | ~a.known;
}

static struct bits complement(struct bits a)
{
    return with_known(~a.value, a.known);
}

static struct bits both_say(struct bits a, struct bits b)
{
    return with_known(a.value, a.known & b.known & ~(a.value ^ b.value));
}

static struct bits bits_and(struct bits a, struct bits b)
{
    return with_known(a.value & b.value, (a.known & b.known) | (a.known & ~a.value) | (b.known & ~b.value));
}

static struct bits bits_or(struct bits a, struct bits b)
{
    return with_known(a.value | b.value, (a.known & b.known) | a.value | b.value);
}

static struct bits bits_xor(struct bits a, struct bits b)
{
    return with_known(a.value ^ b.value, a.known & b.known);
}

/* A sum's bit is known if both bits are and what is carried into it; carries lie between those of the smallest and the largest sum. */
static struct bits bits_add(struct bits a, struct bits b, uint32_t carry)
{
    uint32_t low = least(a) + least(b) + carry, high = most(a) + most(b) + carry;
    uint32_t never_carried = ~(high ^ most(a) ^ most(b)), always_carried = low ^ least(a) ^ least(b);
    return with_known(low, a.known & b.known & (never_carried | always_carried));
}

static struct bits bits_shift(struct bits a, struct bits by, bool left)
{
    if (!is_exact(by) || by.value >= 32) /* then libpcap leaves it to the processor, for constants */
        return unknown();
    uint32_t n = by.value;
    return left ? with_known(a.value << n, a.known << n | ~(UINT32_MAX << n)) : with_known(a.value >> n, a.known >> n | ~(UINT32_MAX >> n));
}

static struct bits calculate(uint32_t operation, struct bits a, struct bits b)
{
    switch (operation) {
    case BPF_ADD: return bits_add(a, b, 0);
    case BPF_SUB: return bits_add(a, complement(b), 1);
    case BPF_AND: return bits_and(a, b);
    case BPF_OR: return bits_or(a, b);
    case BPF_XOR: return bits_xor(a, b);
    case BPF_LSH: return bits_shift(a, b, true);
    case BPF_RSH: return bits_shift(a, b, false);
    case BPF_NEG: return bits_add(complement(a), exactly(0), 1);
    default: break;
    }
    if (!is_exact(a) || !is_exact(b))
        return unknown();
    switch (operation) {
    case BPF_MUL: return exactly(a.value * b.value);
    case BPF_DIV: return b.value ? exactly(a.value / b.value) : unknown();
    case BPF_MOD: return b.value ? exactly(a.value % b.value) : unknown();
    default: return unknown();
    }
}

/* ---- Loads ---- */

static uint32_t network_order(const uint8_t *p, uint32_t size)
{
    return size == 1 ? *p : size == 2 ? bytes_u16(p, true) : bytes_u32(p, true);
}

/* `size` bytes in network order; bits in front of them are 0. */
static struct bits packet_bits(const struct bpf_known *packet, uint64_t at, uint32_t size)
{
    uint32_t value = 0, known = size < 4 ? UINT32_MAX << size * 8 : 0;
    if (at + size <= packet->n)
        return with_known(network_order(packet->bytes + at, size), known | network_order(packet->mask + at, size));
    if (at >= ancillary)
        return unknown();
    for (uint32_t i = 0; at + i < packet->n; i++) {
        uint32_t shift = (size - 1 - i) * 8;
        value |= (uint32_t)packet->bytes[at + i] << shift;
        known |= (uint32_t)packet->mask[at + i] << shift;
    }
    return with_known(value, known);
}

static uint32_t load_size(const struct bpf_insn *in)
{
    switch (BPF_SIZE(in->code)) {
    case BPF_B: return 1;
    case BPF_H: return 2;
    default: return 4;
    }
}

static struct bits load(const struct walk *w, const struct bpf_insn *in)
{
    switch (BPF_MODE(in->code)) {
    case BPF_IMM: return exactly(in->k);
    case BPF_ABS: return packet_bits(w->packet, in->k, load_size(in));
    case BPF_IND:
        if (is_exact(w->r[X]))
            return packet_bits(w->packet, (uint64_t)w->r[X].value + in->k, load_size(in));
        return packet_bits(w->packet, UINT32_MAX / 2, load_size(in)); /* anywhere, but of this size */
    case BPF_MEM: return in->k < BPF_MEMWORDS ? w->r[MEMORY + in->k] : unknown();
    case BPF_MSH: return bits_shift(bits_and(packet_bits(w->packet, in->k, 1), exactly(0xf)), exactly(2), true);
    default: return unknown(); /* the length */
    }
}

/* ---- Ways through the program ---- */

enum outcome { NO, YES, EITHER };

static enum outcome compare(const struct walk *w, const struct bpf_insn *in)
{
    struct bits a = w->r[A], b = BPF_SRC(in->code) == BPF_X ? w->r[X] : exactly(in->k);
    switch (BPF_OP(in->code)) {
    case BPF_JEQ:
        if ((a.value ^ b.value) & a.known & b.known)
            return NO;
        return is_exact(a) && is_exact(b) ? YES : EITHER;
    case BPF_JGT: return least(a) > most(b) ? YES : most(a) <= least(b) ? NO : EITHER;
    case BPF_JGE: return least(a) >= most(b) ? YES : most(a) < least(b) ? NO : EITHER;
    case BPF_JSET: return a.value & b.value ? YES : most(a) & most(b) ? EITHER : NO;
    default: return EITHER;
    }
}

/* The way that is followed leads to instruction `at`, later on. */
static void wait_at(struct walk *w, size_t at)
{
    size_t width = w->paths->width;
    struct bits *there = w->paths->waiting + at * width;
    if (!w->paths->is_waiting[at]) {
        memcpy(there, w->r, width * sizeof(*there));
        w->paths->is_waiting[at] = true;
        w->waiting++;
        return;
    }
    for (size_t i = 0; i < width; i++)
        there[i] = both_say(there[i], w->r[i]);
}

/* From behind `pc`, the first instruction that a way leads to, or the number of instructions; `next` is that of the way that is followed
 * (the number of instructions: it has ended). */
static size_t go_on(struct walk *w, size_t pc, size_t next)
{
    size_t n = w->paths->n, width = w->paths->width;
    if (!w->waiting)
        return next;
    if (next < n)
        wait_at(w, next);
    do
        pc++;
    while (!w->paths->is_waiting[pc]);
    w->paths->is_waiting[pc] = false;
    w->waiting--;
    memcpy(w->r, w->paths->waiting + pc * width, width * sizeof(*w->r));
    return pc;
}

static void run(struct walk *w, const struct bpf_insn *in)
{
    struct bits *r = w->r;
    switch (BPF_CLASS(in->code)) {
    case BPF_LD: r[A] = load(w, in); break;
    case BPF_LDX: r[X] = load(w, in); break;
    case BPF_ST:
    case BPF_STX:
        if (in->k < BPF_MEMWORDS)
            r[MEMORY + in->k] = r[BPF_CLASS(in->code) == BPF_ST ? A : X];
        break;
    case BPF_ALU: r[A] = calculate(BPF_OP(in->code), r[A], BPF_SRC(in->code) == BPF_X ? r[X] : exactly(in->k)); break;
    case BPF_MISC:
        if (BPF_MISCOP(in->code) == BPF_TAX)
            r[X] = r[A];
        else
            r[A] = r[X];
        break;
    default: break;
    }
}

static bool may_return(const struct walk *w, const struct bpf_insn *in)
{
    return BPF_RVAL(in->code) == BPF_A ? most(w->r[A]) != 0 : BPF_RVAL(in->code) != BPF_K || in->k != 0;
}

/* False: it goes back, as filters that follow chains of headers do (`protochain`), or outside. */
static bool jump(struct walk *w, const struct bpf_insn *in, size_t pc, size_t *ret_next)
{
    size_t n = w->paths->n;
    if (BPF_OP(in->code) == BPF_JA) {
        *ret_next = pc + 1 + in->k;
        return *ret_next < n;
    }
    size_t yes = pc + 1 + in->jt, no = pc + 1 + in->jf;
    if (yes >= n || no >= n)
        return false;
    enum outcome outcome = yes == no ? NO : compare(w, in);
    if (outcome == EITHER)
        wait_at(w, yes);
    *ret_next = outcome == YES ? yes : no;
    return true;
}

/* Follows the one way that there is at the beginning, as far as it takes only loads from known places, masks, and comparisons that are
 * certain; most programs end there. Returns where to go on. An index asks about each of its keys, so this counts. */
static size_t hurry(struct walk *w)
{
    const struct bpf_known *packet = w->packet;
    struct bits a = w->r[A];
    size_t pc = 0, n = w->paths->n;
    while (pc < n) {
        const struct bpf_insn *in = &w->code[pc];
        uint32_t size = in->code == (BPF_LD | BPF_B | BPF_ABS) ? 1 : in->code == (BPF_LD | BPF_H | BPF_ABS) ? 2 : 4;
        if (in->code == (BPF_JMP | BPF_JEQ | BPF_K)) {
            bool differs = (a.value ^ in->k) & a.known;
            if (!differs && !is_exact(a))
                break;
            pc += 1u + (differs ? in->jf : in->jt);
        } else if (in->code == (BPF_ALU | BPF_AND | BPF_K)) {
            a = bits_and(a, exactly(in->k));
            pc++;
        } else if ((in->code & ~BPF_SIZE(UINT32_MAX)) == (BPF_LD | BPF_ABS) && (uint64_t)in->k + size <= packet->n) {
            a = packet_bits(packet, in->k, size);
            pc++;
        } else {
            break;
        }
    }
    w->r[A] = a;
    return pc;
}

static bool may_match(struct walk *w)
{
    size_t n = w->paths->n, first = hurry(w);
    if (first >= n)
        return true; /* no program ends like that */
    for (size_t pc = first, next; pc < n; pc = go_on(w, pc, next)) {
        const struct bpf_insn *in = &w->code[pc];
        next = pc + 1;
        if (BPF_CLASS(in->code) == BPF_RET) {
            if (may_return(w, in))
                return true;
            next = n;
        } else if (BPF_CLASS(in->code) == BPF_JMP) {
            if (!jump(w, in, pc, &next))
                return true;
        } else {
            run(w, in);
            if (next == n) /* a program ends with a return */
                return true;
        }
    }
    return false;
}

static bool uses_memory(const struct bpf_insn *in)
{
    switch (BPF_CLASS(in->code)) {
    case BPF_ST:
    case BPF_STX: return true;
    case BPF_LD:
    case BPF_LDX: return BPF_MODE(in->code) == BPF_MEM;
    default: return false;
    }
}

/* NULL: out of memory. */
static struct bpf_paths *make_paths(const struct bpf_program *code)
{
    uint32_t n = code->bf_len, width = MEMORY;
    for (uint32_t i = 0; i < code->bf_len; i++) {
        const struct bpf_insn *in = &code->bf_insns[i];
        if (uses_memory(in) && in->k < BPF_MEMWORDS && width < MEMORY + in->k + 1)
            width = MEMORY + in->k + 1;
    }
    struct bpf_paths *paths = mem_calloc(1, sizeof(*paths) + n * (width * sizeof(struct bits) + sizeof(bool)));
    if (!paths)
        return NULL;
    paths->n = n;
    paths->width = width;
    paths->waiting = (struct bits *)(paths + 1);
    paths->is_waiting = (bool *)(paths->waiting + (size_t)n * width);
    return paths;
}

bool bpf_possible(struct bpf *bpf, const struct bpf_known *known)
{
    struct bpf_compiled *c = bpf_compiled_for(bpf, known->linktype);
    if (!c || !c->usable)
        return false;
    if (!c->paths)
        c->paths = make_paths(&c->code);
    if (!c->paths)
        return true;
    struct walk w;
    w.code = c->code.bf_insns;
    w.packet = known;
    w.paths = c->paths;
    w.waiting = 0;
    w.r[A] = w.r[X] = exactly(0);
    for (uint32_t i = MEMORY; i < c->paths->width; i++)
        w.r[i] = unknown();
    bool may = may_match(&w);
    if (w.waiting) /* ways that were not followed to their end */
        memset(c->paths->is_waiting, 0, c->paths->n);
    return may;
}
