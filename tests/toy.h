/* A dissector made for tests: its protocol is lines of text, and what the lines say is what it does with its host.
 *
 * The components "toy", "alpha" and "beta" are found by content: a probe finds "NAME=SCORE" (for the client's bytes) or
 * "NAME~SCORE" (for the server's) in the first line; "toy" also knows "ask " and "reply " for what they are. alpha claims
 * TCP port 7001, beta TCP and UDP port 7002. "child" and "orphan" follow ("toy.over", "child") and ("toy.other", anything).
 *
 *     ask NAME     a new call, asked for NAME; the line is its request
 *     reply CODE   the answer to the oldest call that has none; commits it
 *     more         this line belongs to the side's message as well
 *     skip N       the next N bytes belong to the side's message and are skipped
 *     wait N       the next N bytes are wanted at once; they belong to the message
 *     tail         everything from here on belongs to the message
 *     ahead A N    so do the N bytes that begin A bytes behind this line
 *     hold N       waits until the other side says "go" (and for N bytes, if not 0)
 *     fill N       N bytes of body; pairs N: so many pairs; calls N: so many calls; take N: so much memory
 *     sub KEY      a child on the side's current call, at ("toy.inner", KEY); in TEXT: "TEXT\n" is for it, in TEXT|TEXT: twice;
 *                  lack N: it lacks so many bytes; fin: it gets no more of this side; unsub: it is closed;
 *                  last TEXT: this is for it when its parent is closed
 *     own KEY      within a child: as sub, on the current call of its own, not on its parent's
 *     over KEY, over! KEY, other KEY, anew   hands over (and, with the !, is lost at once)
 *     sure, bad, lose   confirms, reports a violation, ends the claim
 *
 * "inner" claims ("toy.inner", "inner"), "deep" that point with the key "deep". They decline calls whose toy_name is "shy", are dissectors
 * like the others, and know as well:
 *
 *     tag TEXT     sets a field of its own on its parent's call; pay N: so many bytes of a body of its own
 *     read, steal  logs what its parent's call has in toy_name and for "name" in request.pairs; tries to set toy_name */
#ifndef TESTS_TOY_H
#define TESTS_TOY_H

#include "base/buf.h"
#include "call/call.h"
#include "tapedeck/plugin.h"

extern const struct td_plugin td_plugin_v1_toy;

/* Where the components write what is done with them; NULL: nowhere. As
 * "open(toy,hint) C0+6@3 gap(S,10+5) eof(C) close(fin)": C0+6@3 is six bytes of the client's from offset 0, the newest of them
 * 3 ms after the capture's start; then ! when nothing can be added, d for a datagram, x if that is cut. */
void toy_log(struct buf *log);
/* open() of every component fails (after it has begun a call). */
void toy_decline(bool decline);

/* For struct engine_options: a call as "NAME>CODE C12/4+5 S9/6-3!;", being bytes, frames, missing bytes, and ! if a half is
 * cut; b10 of body (with a ~ if it is cut) and p3 pairs; * for a call that is partial; before it INNER[TAG] b5 if it is inner's. */
void toy_put_call(void *ctx, const struct td_call *call, struct buf *out);

#endif
