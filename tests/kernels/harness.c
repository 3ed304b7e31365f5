/*
 * Drive the kernels with hostile input in buffers of exactly the right size, and
 * compare what they say with a reference written one byte at a time. Built with
 * the address and undefined behaviour sanitizers, which end the program at the
 * first byte read or written out of bounds.
 *
 *     harness MODE      prints how many calls were compared
 */
#include "kernels.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long compared;

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static const size_t NO_LIMIT = SIZE_MAX;

/* A block of exactly `size` bytes: the one behind it is poisoned. `malloc` would give
 * one byte that may be read for a block of none, so that one is the end of another. */
enum { NONE = 8 };

static uint8_t *exact(size_t size)
{
    uint8_t *block = malloc(size > 0 ? size : NONE);
    CHECK(block != NULL);
    return size > 0 ? block : block + NONE;
}

static void release(uint8_t *block, size_t size)
{
    free(size > 0 ? block : block - NONE);
}

static uint8_t *exact_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *block = exact(size);
    if (size > 0)
        memcpy(block, bytes, size);
    return block;
}

static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);

/* xorshift64*: the same numbers in every run. */
static uint32_t number(uint32_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(0x2545F4914F6CDD1D)) >> 32) % below;
}

static void fill(uint8_t *bytes, size_t size, uint32_t kind)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(kind == 0 ? 'a' : kind == 1 ? 0xFF : number(256));
}

/* -- the reference */

/* Return 1 and where payload and end lie when a plain frame is complete at `at`. */
static int reference_frame(const uint8_t *data, size_t length, size_t at, uint64_t limit,
                           int masked, size_t *payload, size_t *end)
{
    uint64_t size;
    size_t octets = 0;

    if (length - at < 2 || (data[at] != 0x81 && data[at] != 0x82))
        return 0;
    if ((data[at + 1] >= 128) != (masked != 0))
        return 0;
    size = data[at + 1] % 128;
    if (size > 125)
        octets = size == 126 ? 2 : 8;
    *payload = at + 2 + octets + (masked ? 4 : 0);
    if (*payload > length)
        return 0;
    if (octets > 0) {
        size = 0;
        for (size_t i = 0; i < octets; i++)
            size = size * 256 + data[at + 2 + i];
        if (size < (octets == 2 ? 126u : 65536u))
            return 0;
    }
    if (size > limit || size > length - *payload)
        return 0;
    *end = *payload + (size_t)size;
    return 1;
}

static void check_run(const uint8_t *data, size_t start, size_t length, size_t limit, int masked)
{
    /* One block for all calls, for it is large; what the last one left is scribbled over. */
    static edgews_run *run;
    size_t at = start, payload = 0, end = 0, used = 0;
    uint32_t frames = 0;
    uint32_t ascii = 1;

    if (run == NULL)
        run = malloc(sizeof *run);
    CHECK(run != NULL);
    memset(run, 0x5A, offsetof(edgews_run, ends) + 64);
    memset(run->out, 0x5A, 512);
    edgews_read_run(data, start, length, limit, masked, run);
    while (frames < EDGEWS_RUN_FRAMES && at < length && data[at] == data[start]
           && reference_frame(data, length, at, limit, masked, &payload, &end)
           && used + (end - payload) + 1 <= EDGEWS_RUN_BYTES) {
        for (size_t i = payload; i < end; i++) {
            uint8_t octet = data[i];
            if (masked)
                octet ^= data[payload - 4 + (i - payload) % 4];
            CHECK(run->out[used++] == octet);
            ascii &= octet < 128;
        }
        CHECK(run->ends[frames++] == used);
        CHECK(run->out[used++] == 0xFF);
        at = end;
    }
    CHECK(run->frames == frames);
    CHECK(run->consumed == at);
    CHECK(run->ascii == ascii);
    compared++;
}

/* Scan all at once and in two pieces, and compare with the complete frames that are there. */
static void check_scan(const uint8_t *data, size_t start, size_t length, size_t limit, int masked)
{
    size_t at = start, payload = 0, end = 0, frames = 0, cut = start + (length - start) / 2;
    edgews_scanner whole = {.limit = limit, .masked = masked, .plain = 1};
    edgews_scanner pieces = whole;
    size_t stop = edgews_scan(&whole, data, start, length);

    while (at < length && reference_frame(data, length, at, limit, masked, &payload, &end)) {
        frames++;
        at = end;
    }
    CHECK(whole.texts + whole.binaries == frames);
    CHECK(whole.left > 0 ? stop == length && whole.ends > 0 : stop == at);
    CHECK(whole.bytes == stop - start);
    cut = edgews_scan(&pieces, data, start, cut);
    CHECK(edgews_scan(&pieces, data, cut, length) == stop);
    CHECK(pieces.texts == whole.texts && pieces.binaries == whole.binaries);
    CHECK(pieces.left == whole.left && pieces.bytes == whole.bytes);
    compared++;
}

static void check_one(const uint8_t *data, size_t length, size_t limit, int masked)
{
    edgews_reader *reader = malloc(sizeof *reader);
    size_t payload = 0, end = 0, size;
    int plain = length > 0 && reference_frame(data, length, 0, limit, masked, &payload, &end);
    int whole = plain && end == length && end - payload <= EDGEWS_RUN_BYTES;
    uint8_t *out = exact(whole ? end - payload : 0);
    int64_t found;

    CHECK(reader != NULL);
    reader->messages = 7;
    reader->bytes = 70;
    reader->limit = limit;
    reader->masked = masked;
    found = edgews_read_one(reader, data, length, out);
    size = whole ? end - payload : 0;
    if (whole) {
        CHECK(found == (data[0] == 0x81 ? (int64_t)size : -3 - (int64_t)size));
        for (size_t i = 0; i < size; i++)
            CHECK(out[i] == (masked ? data[payload + i] ^ data[payload - 4 + i % 4] : data[payload + i]));
    } else {
        CHECK(found == (plain ? -1 : -2));
    }
    CHECK(reader->messages == (whole ? 8 : 7));
    CHECK(reader->bytes == (whole ? 70 + length : 70));
    release(out, size);
    free(reader);
    compared++;
}

/* Everything that reads frames, on a copy that ends where the bytes end. */
static void check_readers(const uint8_t *bytes, size_t start, size_t length, size_t limit)
{
    uint8_t *data = exact_copy(bytes, length);

    for (int masked = 0; masked <= 1; masked++) {
        check_run(data, start, length, limit, masked);
        check_scan(data, start, length, limit, masked);
        if (start == 0)
            check_one(data, length, limit, masked);
    }
    release(data, length);
}

/* Write a frame's header and return its size; `announced` need not be the truth. */
static size_t header(uint8_t *target, uint8_t first, uint64_t announced, int form, int masked)
{
    size_t size = 2;

    if (form == 0)
        form = announced < 126 ? 7 : announced < 65536 ? 16 : 64;
    target[0] = first;
    target[1] = (uint8_t)((masked ? 0x80 : 0) | (form == 7 ? (int)announced & 0x7F : form == 16 ? 126 : 127));
    for (int shift = form == 7 ? -8 : form - 8; shift >= 0; shift -= 8)
        target[size++] = (uint8_t)(announced >> shift);
    if (masked)
        for (int i = 0; i < 4; i++)
            target[size++] = (uint8_t)number(256);
    return size;
}

/* -- modes */

static void check_mask(size_t length, unsigned phase, size_t from, size_t to)
{
    uint8_t *source = exact(from + length), *target = exact(to + length), *key = exact(4);
    int ascii = 1, said;

    fill(key, 4, number(3));
    fill(source, from + length, number(3));
    memset(target, 0xA5, to + length);
    said = edgews_mask(target, to, source, from, length, key, phase);
    for (size_t i = 0; i < to; i++)
        CHECK(target[i] == 0xA5);
    for (size_t i = 0; i < length; i++) {
        CHECK(target[to + i] == (source[from + i] ^ key[(phase + i) % 4]));
        ascii &= target[to + i] < 128;
    }
    CHECK(said == ascii);
    /* In place. */
    CHECK(edgews_mask(source, from, source, from, length, key, phase) == ascii);
    CHECK(memcmp(source + from, target + to, length) == 0);
    release(key, 4);
    release(source, from + length);
    release(target, to + length);
    compared++;
}

static void mode_mask(void)
{
    static const size_t large[] = {511, 512, 513, 4095, 4096, 4097, 65535, 65536, 70001};

    for (size_t length = 0; length < 300; length++)
        for (unsigned phase = 0; phase < 4; phase++)
            for (size_t offset = 0; offset < 64; offset++)
                check_mask(length, phase, offset % 8, offset / 8);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (unsigned phase = 0; phase < 4; phase++)
            for (size_t offset = 0; offset < 9; offset++)
                check_mask(large[i], phase, offset % 3, offset / 3);
}

static void check_build(size_t length)
{
    uint8_t expected[14], *key, *payload = exact(length), *target;
    size_t head = header(expected, (uint8_t)number(256), length, 0, 1);

    key = exact_copy(expected + head - 4, 4);
    fill(payload, length, 2);
    target = exact(head + length);
    CHECK(edgews_build_masked(target, expected[0], payload, length, key) == head + length);
    CHECK(memcmp(target, expected, head) == 0);
    for (size_t i = 0; i < length; i++)
        CHECK(target[head + i] == (payload[i] ^ key[i % 4]));
    release(key, 4);
    release(payload, length);
    release(target, head + length);
    compared++;
}

static void mode_build(void)
{
    static const size_t large[] = {65534, 65535, 65536, 65537, 70001, EDGEWS_RUN_BYTES};

    for (size_t length = 0; length < 600; length++)
        check_build(length);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        check_build(large[i]);
}

/* Every string of up to five of the octets at which a decision changes. */
static void mode_small(void)
{
    static const uint8_t octets[] = {0x00, 0x01, 0x02, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0xFD, 0xFE, 0xFF};
    static const size_t limits[] = {0, 1, SIZE_MAX};
    enum { COUNT = sizeof octets };
    uint8_t data[5];

    for (size_t length = 0, strings = 1; length <= 5; length++, strings *= COUNT)
        for (size_t string = 0; string < strings; string++) {
            for (size_t i = 0, rest = string; i < length; i++, rest /= COUNT)
                data[i] = octets[rest % COUNT];
            check_readers(data, 0, length, limits[string % 3]);
        }
    /* And every beginning of a frame in front of a few more octets. */
    for (unsigned pair = 0; pair < 65536; pair++) {
        uint8_t frame[16];
        size_t length = 2 + number(15);

        fill(frame, sizeof frame, 2);
        frame[0] = (uint8_t)(pair >> 8);
        frame[1] = (uint8_t)pair;
        check_readers(frame, 0, length, NO_LIMIT);
    }
}

/* Append one frame to `data`, mostly a plain one; return where it ends. */
static size_t append(uint8_t *data, size_t at, uint8_t usual, int masked)
{
    static const size_t sizes[] = {0, 1, 3, 8, 63, 124, 125, 126, 127, 130, 255, 256, 300};
    size_t size = number(3) ? number(20) : sizes[number(sizeof sizes / sizeof *sizes)];
    uint64_t announced = size;
    uint8_t first = usual;
    int form = 0;

    switch (number(24)) {
    case 0:
        first = (uint8_t)number(256);
        break;
    case 1:
        masked = !masked;
        break;
    case 2:
        form = size < 126 ? 16 : 64;
        break;
    case 3:
        announced = size + number(3);
        break;
    case 4:
        form = 64;
        announced = (uint64_t)number(UINT32_MAX) << number(33);
        break;
    }
    at += header(data + at, first, announced, form, masked);
    fill(data + at, size, number(3));
    return at + size;
}

/* Runs, every one cut at every byte and begun at several. */
static void mode_runs(void)
{
    static const size_t limits[] = {SIZE_MAX, SIZE_MAX, 0, 19, 125, 126, 299};
    static uint8_t data[4096];

    for (int round = 0; round < 300; round++) {
        int masked = round % 2;
        uint8_t usual = round / 2 % 2 ? 0x81 : 0x82;
        size_t limit = limits[number(sizeof limits / sizeof *limits)];
        size_t frames = 1 + number(6), length = 0, starts[6];

        for (size_t i = 0; i < frames; i++) {
            starts[i] = length;
            length = append(data, length, usual, masked);
        }
        for (size_t cut = 0; cut <= length; cut++)
            check_readers(data, 0, cut, limit);
        for (size_t i = 0; i < frames; i++)
            check_readers(data, starts[i], length, limit);
        for (int i = 0; i < 20; i++)
            check_readers(data, number((uint32_t)length + 1), length, limit);
    }
}

/* A whole frame whose length is in the form that is asked for, minimal or not. */
static void check_form(size_t size, int form)
{
    for (int masked = 0; masked <= 1; masked++) {
        uint8_t *data = exact(14 + size);
        size_t length = header(data, number(2) ? 0x81 : 0x82, size, form, masked);

        fill(data + length, size, 2);
        check_readers(data, 0, length + size, NO_LIMIT);
        release(data, 14 + size);
    }
}

/* Lengths that overflow, that are just not true, or not in their shortest form. */
static void mode_hostile(void)
{
    static const uint64_t announced[] = {
        0, 1, 125, 126, 127, 65535, 65536, 65537,
        UINT64_C(0x7FFFFFFF), UINT64_C(0x80000000), UINT64_C(0xFFFFFFFF), UINT64_C(0x100000000),
        UINT64_C(0x7FFFFFFFFFFFFFFF), UINT64_C(0x8000000000000000),
    };
    enum { COUNT = sizeof announced / sizeof *announced, NEAR = 24 };
    static const size_t limits[] = {0, 1, 65535, 65536, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
    uint8_t data[14 + 40];

    for (int form = 7; form <= 64; form = form == 7 ? 16 : form == 16 ? 64 : 65)
        for (size_t i = 0; i < COUNT + 2 * NEAR; i++) {
            /* The largest numbers, and those around what is there, wrapped or not. */
            uint64_t length = i < COUNT ? announced[i]
                              : i < COUNT + NEAR ? UINT64_MAX - (i - COUNT)
                                                 : i - COUNT - NEAR;
            for (int masked = 0; masked <= 1; masked++) {
                size_t head = header(data, number(2) ? 0x81 : 0x82, length, form, masked);
                fill(data + head, 40, 2);
                for (size_t rest = 0; rest <= 40; rest++)
                    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
                        check_readers(data, 0, head + rest, limits[k]);
            }
        }
    for (size_t size = 0; size < 300; size++) {
        check_form(size, 16);
        check_form(size, 64);
    }
    for (size_t size = 65500; size < 65600; size++)
        check_form(size, 64);
}

/* One stream of `frames` frames of `size` bytes each, `last` bytes in one more. */
static void check_stream(uint8_t first, size_t frames, size_t size, size_t last, int masked)
{
    size_t length = 0, size_of_stream = (frames + 1) * (size + 14) + last;
    uint8_t *data = exact(size_of_stream);

    for (size_t i = 0; i <= frames; i++) {
        size_t payload = i < frames ? size : last;
        length += header(data + length, first, payload, 0, masked);
        fill(data + length, payload, i == 0 ? 2 : 0);
        length += payload;
    }
    check_readers(data, 0, length, NO_LIMIT);
    release(data, size_of_stream);
}

/* Runs that just fit into the table and the payloads, and that just do not. */
static void mode_capacity(void)
{
    static const size_t sizes[] = {0, 1, 32, 33, 34, 125, 126, 4000, 65535, 65536};

    for (int masked = 0; masked <= 1; masked++) {
        for (size_t extra = 0; extra < 4; extra++) {
            check_stream(0x81, EDGEWS_RUN_FRAMES - 2 + extra, 0, 0, masked);
            check_stream(0x82, EDGEWS_RUN_FRAMES - 2 + extra, 1, 2, masked);
            check_stream(0x82, 2 * EDGEWS_RUN_FRAMES + extra, 0, 1, masked);
            check_stream(0x81, 0, 0, EDGEWS_RUN_BYTES - 2 + extra, masked);
        }
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            /* As many as fit, and one more that fills what is left, give or take. */
            size_t frames = EDGEWS_RUN_BYTES / (sizes[i] + 1);
            size_t left;

            if (frames > EDGEWS_RUN_FRAMES - 1)
                frames = EDGEWS_RUN_FRAMES - 1;
            left = EDGEWS_RUN_BYTES - frames * (sizes[i] + 1);
            for (size_t last = left > 3 ? left - 3 : 0; last <= left + 2; last++)
                check_stream(i % 2 ? 0x81 : 0x82, frames, sizes[i], last, masked);
        }
    }
}

/* What must be found: without this, a program built without sanitizers would pass. */
static void mode_overrun(void)
{
    uint8_t *source = exact_copy((const uint8_t *)"12345678", 8), *target = exact(9);
    edgews_mask(target, 0, source, 0, 9, source, 0);
    release(source, 8);
    release(target, 9);
}

static void mode_undefined(void)
{
    volatile int large = 0x7FFFFFFF;
    large = large + (int)compared + 1;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {
        {"mask", mode_mask}, {"build", mode_build}, {"small", mode_small},
        {"runs", mode_runs}, {"hostile", mode_hostile}, {"capacity", mode_capacity},
        {"overrun", mode_overrun}, {"undefined", mode_undefined},
    };

    for (size_t i = 0; count == 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(arguments[1], modes[i].name) == 0) {
            modes[i].run();
            printf("%lu\n", compared);
            return 0;
        }
    fprintf(stderr, "usage: harness MODE\n");
    return 2;
}
