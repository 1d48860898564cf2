/* One connection that speaks the toy's protocol, and what the engine makes of it: the set-up of tests of feeding. */
#ifndef TESTS_TOY_TALK_H
#define TESTS_TOY_TALK_H

#include "rig.h"
#include "toy.h"
#include "traffic.h"

extern struct rig rig;   /* with the toy alone; its output is toy_put_call()'s */
extern struct traffic t; /* since start() */
extern struct talk k;    /* in it, from port 40000 of 10.0.0.1 to 7000 of 10.0.0.2 */
extern struct buf seen;  /* toy_log()'s, of the last run() */
extern const struct peer A, B;

void toy_talk_open(void);
void toy_talk_close(void);
/* The connection's handshake. */
void start(void);
/* Either side says something. */
void client(const char *text);
void server(const char *text);
/* Runs what was sent; the calls, valid until the next run. */
const char *run(void);

#endif
