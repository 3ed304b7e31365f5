#include "kernels.h"

#include <string.h>

/* RFC 6455 §5.2 */
enum {
    FINAL_TEXT = 0x81,
    FINAL_BINARY = 0x82,
    MASK_BIT = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
    KEY_SIZE = 4,
};

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* A byte that ends a payload in `out`. It never occurs in UTF-8, so a run of
 * ASCII text can be cut at it. */
#define SEPARATOR 0xFF

#if defined(__GNUC__) && defined(__x86_64__)
#define WIDE __attribute__((target("avx2")))
#define HAS_WIDE __builtin_cpu_supports("avx2")
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* From this length on, wide vectors are worth the question whether there are any:
 * they read a payload of 64 KiB in two thirds of the time. */
#define WIDE_FROM 256

/* Mask whole words and return the OR of what was written: a loop that the compiler
 * turns into the widest vector instructions that its caller may use. It counts words,
 * for a counter of bytes that is used behind the loop would cost a vector of its own. */
INLINE uint64_t mask_words(uint8_t *target, const uint8_t *source, size_t words, uint64_t word)
{
    uint64_t seen = 0;

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC unroll 4 /* clang does so by itself, and worse when told */
#endif
    for (size_t i = 0; i < words; i++) {
        uint64_t piece;
        memcpy(&piece, source + 8 * i, 8);
        piece ^= word;
        memcpy(target + 8 * i, &piece, 8);
        seen |= piece;
    }
    return seen;
}

#ifdef WIDE
WIDE static uint64_t mask_words_wide(uint8_t *target, const uint8_t *source, size_t words,
                                     uint64_t word)
{
    return mask_words(target, source, words, word);
}
#endif

/* Copy with the mask; returns the OR of what was written, so that the caller knows
 * for nothing whether it is ASCII. */
static inline uint64_t mask_copy(uint8_t *target, const uint8_t *source, size_t length,
                                 const uint8_t *key, unsigned phase)
{
    uint8_t turned[8];
    uint64_t word, seen;

    for (unsigned k = 0; k < 8; k++)
        turned[k] = key[(phase + k) & 3];
    memcpy(&word, turned, 8);
#ifdef WIDE
    if (length >= WIDE_FROM && HAS_WIDE)
        seen = mask_words_wide(target, source, length / 8, word);
    else
#endif
        seen = mask_words(target, source, length / 8, word);
    for (size_t i = length & ~(size_t)7; i < length; i++) {
        target[i] = source[i] ^ turned[i & 3];
        seen |= target[i];
    }
    return seen;
}

static inline uint64_t plain_copy(uint8_t *target, const uint8_t *source, size_t length)
{
    static const uint8_t zero[KEY_SIZE];
    return mask_copy(target, source, length, zero, 0);
}

int edgews_mask(uint8_t *target, size_t to, const uint8_t *source, size_t from,
                size_t length, const uint8_t *key, unsigned phase)
{
    return (mask_copy(target + to, source + from, length, key, phase) & HIGH_BITS) == 0;
}

/* Where the payload of a plain frame lies. */
typedef struct {
    size_t payload; /* position of its first byte */
    size_t length;
} frame_at;

/* True when the header of a plain frame stands complete at `at`. */
static inline int plain_header(const uint8_t *data, size_t at, size_t length, uint64_t limit,
                               int masked, size_t *payload, uint64_t *size)
{
    const uint8_t *head = data + at;
    size_t left = length - at;
    size_t header = masked ? 2 + KEY_SIZE : 2;

    if (left < header || (head[1] & MASK_BIT) != (masked ? MASK_BIT : 0))
        return 0;
    *size = head[1] & 0x7F;
    if (*size == LENGTH_16) {
        header += 2;
        if (left < header)
            return 0;
        *size = (uint64_t)head[2] << 8 | head[3];
        if (*size < LENGTH_16)
            return 0;
    } else if (*size == LENGTH_64) {
        header += 8;
        if (left < header)
            return 0;
        *size = 0;
        for (int i = 2; i < 10; i++)
            *size = *size << 8 | head[i];
        if (*size < 65536)
            return 0;
    }
    *payload = at + header;
    return *size <= limit;
}

/* True when a plain frame stands complete at `at`. */
static inline int plain_frame(const uint8_t *data, size_t at, size_t length,
                              size_t limit, int masked, frame_at *frame)
{
    uint64_t size;

    if (!plain_header(data, at, length, limit, masked, &frame->payload, &size)
        || size > length - frame->payload)
        return 0;
    frame->length = (size_t)size;
    return 1;
}

int64_t edgews_read_one(edgews_reader *reader, const uint8_t *data, size_t length, uint8_t *out)
{
    frame_at frame;
    const uint8_t *payload;

    if (length == 0 || (data[0] != FINAL_TEXT && data[0] != FINAL_BINARY)
        || !plain_frame(data, 0, length, reader->limit, reader->masked, &frame))
        return -2;
    if (frame.payload + frame.length != length || frame.length > EDGEWS_RUN_BYTES)
        return -1;
    payload = data + frame.payload;
    if (reader->masked)
        mask_copy(out, payload, frame.length, payload - KEY_SIZE, 0);
    else
        memcpy(out, payload, frame.length);
    reader->messages++;
    reader->bytes += length;
    return data[0] == FINAL_TEXT ? (int64_t)frame.length : -3 - (int64_t)frame.length;
}

void edgews_read_run(const uint8_t *data, size_t start, size_t length,
                     size_t limit, int masked, edgews_run *run)
{
    frame_at frame;
    size_t at = start, used = 0;
    uint32_t frames = 0;
    uint64_t seen = 0;
    uint8_t first = start < length ? data[start] : 0;

    if (first == FINAL_TEXT || first == FINAL_BINARY) {
        while (at < length && data[at] == first && frames < EDGEWS_RUN_FRAMES
               && plain_frame(data, at, length, limit, masked, &frame)
               && frame.length < EDGEWS_RUN_BYTES - used) {
            const uint8_t *payload = data + frame.payload;
            seen |= masked ? mask_copy(run->out + used, payload, frame.length,
                                       payload - KEY_SIZE, 0)
                           : plain_copy(run->out + used, payload, frame.length);
            used += frame.length;
            run->ends[frames++] = (uint32_t)used;
            run->out[used++] = SEPARATOR;
            at = frame.payload + frame.length;
        }
    }
    run->consumed = at;
    run->frames = frames;
    run->ascii = (seen & HIGH_BITS) == 0;
}

static inline void count_message(edgews_scanner *scanner, int opcode)
{
    scanner->texts += opcode == (FINAL_TEXT & 0x0F);
    scanner->binaries += opcode == (FINAL_BINARY & 0x0F);
}

size_t edgews_scan(edgews_scanner *scanner, const uint8_t *data, size_t start, size_t length)
{
    size_t at = start;
    size_t payload;
    uint64_t size;

    if (scanner->left > 0 && at < length) {
        if (scanner->left > length - at) {
            scanner->left -= length - at;
            at = length;
        } else {
            at += (size_t)scanner->left;
            scanner->left = 0;
            count_message(scanner, scanner->ends);
        }
    }
    while (scanner->plain && at < length) {
        int first = data[at] & ~scanner->ignored;
        if ((first != FINAL_TEXT && first != FINAL_BINARY)
            || !plain_header(data, at, length, scanner->limit, scanner->masked, &payload, &size))
            break;
        first &= 0x0F;
        if (size > length - payload) {
            scanner->left = size - (length - payload);
            scanner->ends = first;
            at = length;
        } else {
            at = payload + (size_t)size;
            count_message(scanner, first);
        }
    }
    scanner->bytes += at - start;
    return at;
}

size_t edgews_build_masked(uint8_t *target, unsigned first, const uint8_t *payload,
                           size_t length, const uint8_t *key)
{
    size_t header = 2;

    target[0] = (uint8_t)first;
    if (length < LENGTH_16) {
        target[1] = (uint8_t)(MASK_BIT | length);
    } else if (length < 65536) {
        target[1] = MASK_BIT | LENGTH_16;
        target[2] = (uint8_t)(length >> 8);
        target[3] = (uint8_t)length;
        header += 2;
    } else {
        target[1] = MASK_BIT | LENGTH_64;
        for (int i = 0; i < 8; i++)
            target[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
        header += 8;
    }
    memcpy(target + header, key, KEY_SIZE);
    header += KEY_SIZE;
    mask_copy(target + header, payload, length, key, 0);
    return header + length;
}
