/* A tree as bytecode: what runs for every record.
 *
 * A stack machine. Each instruction takes its operands from the stack and leaves one value; errors are values, so that an
 * operation on one leaves the first of them and nothing needs to jump. Comparisons of a field with a literal, which most terms
 * are, are instructions of their own, and in a chain of && or || they decide it in place. How much stack, slots and loops a
 * program needs is known when it is made: running it allocates nothing but what functions make, in the arena of the run.
 *
 * It gives what filter_eval() gives, but for where a limit strikes. */
#ifndef FILTER_PROGRAM_H
#define FILTER_PROGRAM_H

#include "filter/ast.h"
#include "filter/filter.h"
#include "filter/function.h"

enum filter_code {
    CODE_CONST,      /* -> constant a */
    CODE_FIELD,      /* -> field a of the record */
    CODE_VARIABLE,   /* -> slot a */
    CODE_HAS_FIELD,  /* -> has the record field a? */
    CODE_HAS,        /* v -> has(v.name); name: constant a */
    CODE_SELECT,     /* v -> v.name */
    CODE_OPT_SELECT, /* v -> v.?name */
    CODE_NOT,        /* v -> !v */
    CODE_NEGATE,     /* v -> -v */
    CODE_OPERATE,    /* v w -> v sub w */
    CODE_CALL,       /* n values -> function a of them; b: prepared argument + 1, or 0 */
    CODE_DISPATCH,   /* n values -> the function of that name, from overload a on, that takes them; sub: with a receiver */
    CODE_LIST,       /* n values -> list */
    CODE_MAP,        /* n values -> map */
    CODE_FAIL,       /* -> error a */
    CODE_JUMP,       /* to a */
    CODE_BRANCH,     /* v -> ; ?: of a condition: to a if false; to b, leaving it, if an error */
    CODE_LOGIC,      /* -> the undecided result of a chain: && if sub is 0, || if it is 1 */
    CODE_LOGIC_TERM, /* result v -> result; to a if v decides */
    CODE_TERM_BOOL,  /* the same for the field b itself ... */
    CODE_TERM_INT,   /* ... for field b compared with the constant next to it in the program, by `compare` */
    CODE_TERM_TEXT,
    CODE_LOOP, /* range -> ; begins macro sub over it, with b variables from slot n on; to a, leaving it, if an error */
    CODE_NEXT, /* sets the variables to the next element, or -> result and to a */
    CODE_STEP, /* v -> ; takes the body's value in, and back to a; or -> result and to b */
    CODE_KEEP, /* v -> ; a predicate: back to a if false; on an error -> it, and to b */
    CODE_BIND, /* v -> ; to slot n, also an error */
    CODE_END   /* v -> the result */
};

struct filter_instruction {
    uint8_t code, sub;
    uint8_t compare; /* filter_op */
    uint16_t n;
    uint32_t a, b;
    uint32_t place; /* in the filter's text, for errors */
    int64_t number; /* TERM_INT: the literal. TERM_TEXT: the constant's index */
};

struct filter_program {
    struct filter_instruction *code;
    uint32_t code_n, code_cap;
    struct filter_value *constants;
    uint32_t constant_n, constant_cap;
    void **prepared; /* by `kinds`: regular expressions and zones */
    uint8_t *kinds;
    uint32_t prepared_n;
    uint32_t stack, slots, loops; /* that a run needs */
    int64_t now_ns;
};

/* From a checked tree, which must outlive the program: its texts are not copied. */
int filter_program_make(struct filter_program *, const struct filter_node *root, int64_t now_ns, struct error *err) MUST_CHECK;
void filter_program_clear(struct filter_program *);

struct filter_vm;

/* A machine that can run each of these programs. One thread. */
int filter_vm_new(const struct filter_program *const *programs, uint32_t n, struct filter_vm **ret, struct error *err) MUST_CHECK;
void filter_vm_free(struct filter_vm *);
/* What the program comes to for a record; it lives until the next run. An ERROR has its place in `nanos`. */
struct filter_value filter_vm_run(struct filter_vm *, const struct filter_program *, const struct filter_record *);
/* Sets a macro's variable for programs that are made from the macro's body alone. */
void filter_vm_set(struct filter_vm *, uint32_t slot, struct filter_value);

#endif
