/* Files that are not captures of ours, but that people pass as such. */
#ifndef PACKET_FOREIGN_H
#define PACKET_FOREIGN_H

#include "tapedeck/slice.h"

/* What a file that begins so is, and what to do: "is a snoop capture; convert it with ..." */
const char *foreign_describe(struct td_slice head);

#endif
