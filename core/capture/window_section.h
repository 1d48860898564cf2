/* What stands in front of the packets of a window: the section header of their segment, with a comment that says what was
 * cut, and the descriptions of its interfaces as they are. */
#ifndef CAPTURE_WINDOW_SECTION_H
#define CAPTURE_WINDOW_SECTION_H

#include "base/buf.h"
#include "capture/segment_blocks.h"
#include "capture/window.h"

/* Appends both. What is not where it belongs in the segment is TD_E_CORRUPT. */
int window_section_put(struct buf *, const struct segment_blocks *, const struct notes_interface *, size_t interface_n,
                       const struct window_request *, struct error *err) MUST_CHECK;
/* A section without anything, for a window that no segment has to do with. */
int window_section_put_none(struct buf *, const struct window_request *, struct error *err) MUST_CHECK;

#endif
