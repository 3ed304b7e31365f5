/*
 * The loops of edgews that touch every byte, in plain C99: no Python, no
 * allocation, no I/O, no protocol decisions. A kernel stops at the first frame
 * that is anything but a complete, final, unreserved data frame and leaves that
 * frame to the state machine.
 *
 * The declarations between the two markers are also what cffi reads.
 */
#ifndef EDGEWS_KERNELS_H
#define EDGEWS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */
#define EDGEWS_RUN_FRAMES 8192
#define EDGEWS_RUN_BYTES 278528

/* What a connection reads with: what it accepts, and what it has counted. */
typedef struct {
    uint64_t messages; /* received so far */
    uint64_t bytes;
    size_t limit;      /* longest payload of a plain frame */
    int masked;        /* 1 when the peer masks */
} edgews_reader;

/* What reading one run leaves behind. */
typedef struct {
    size_t consumed;  /* position behind the last frame of the run */
    uint32_t frames;  /* how many frames the run has */
    uint32_t ascii;   /* 1 when no payload byte has its high bit set */
    uint32_t ends[EDGEWS_RUN_FRAMES]; /* end of each payload in `out` */
    uint8_t out[EDGEWS_RUN_BYTES];    /* payloads, a 0xFF behind each */
} edgews_run;

/* What one direction of a relayed connection is scanned with: what may pass, where the
 * stream is, and what was counted. */
typedef struct {
    uint64_t bytes;    /* scanned so far, headers included */
    uint64_t texts;    /* messages that are over */
    uint64_t binaries;
    uint64_t left;     /* of the payload of the frame that is arriving */
    uint64_t limit;    /* longest payload of a plain frame */
    int masked;        /* 1 when frames have to be masked */
    int ignored;       /* bits of the first byte that a plain frame may have or not */
    int ends;          /* opcode of the message that ends with the frame that is arriving; or 0 */
    int plain;         /* 0 when the next frame is not the kernel's to judge */
} edgews_scanner;

/* Copy `length` bytes, from `source + from` to `target + to`, masked with the four bytes
 * of `key`, of which byte `phase` (0-3) comes first. The two may be the very same place:
 * then the bytes are masked where they are. Returns 1 when all that was written is ASCII. */
int edgews_mask(uint8_t *target, size_t to, const uint8_t *source, size_t from,
                size_t length, const uint8_t *key, unsigned phase);

/* Read the one frame that is all of `data` into `out`, which has room for
 * EDGEWS_RUN_BYTES, if it is plain (below) and fits, and count it. Returns the length
 * of a text; -3 - length of anything binary; -1 if a plain frame stands there and more,
 * or one that does not fit; -2 if none does. */
int64_t edgews_read_one(edgews_reader *reader, const uint8_t *data, size_t length, uint8_t *out);

/* Read the frames from `start` on that share the opcode of the first one, until
 * one is not plain: incomplete, fragmented, a control frame, with a reserved
 * bit, with the other mask bit, not minimal, or longer than `limit` bytes. */
void edgews_read_run(const uint8_t *data, size_t start, size_t length,
                     size_t limit, int masked, edgews_run *run);

/* Go through the rest of the frame that is arriving and the plain frames behind it, text
 * and binary mixed, of which the last one may be incomplete, and touch no payload. Returns
 * the position of the first byte that is anything else, or `length`. */
size_t edgews_scan(edgews_scanner *scanner, const uint8_t *data, size_t start, size_t length);

/* Write one masked frame: the opcode byte, the length, the four bytes of `key`
 * and the masked payload. `target` has room for `length` + 14 bytes. Returns the
 * size of the frame. */
size_t edgews_build_masked(uint8_t *target, unsigned first, const uint8_t *payload,
                           size_t length, const uint8_t *key);
/* cffi: end */

#endif
