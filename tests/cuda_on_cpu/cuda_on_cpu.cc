// CUDA C++ on one CPU thread, for tests: every CUDA thread of a block is a fiber, blocks run one after another.
//
// A fiber runs until it meets a barrier, a shuffle or its end; the order in which ready fibers are picked is forward,
// reverse or shuffled anew on every sweep, so a result that depends on it betrays a missing barrier. What a GPU would
// leave undefined is an error here: barriers that not all threads of the block (or not all lanes of the mask) reach at
// the same source line, a shuffle from a lane outside the mask, a write behind the end of shared memory. Shared memory is
// filled with 0xFF (NaN, -1) before each block, since a GPU does not clear it either.
//
// Fibers start by makecontext and then hand over to the next one that is ready, by GCC's own setjmp and longjmp, which
// save three registers and nothing else; a shuffle is one meeting of its lanes. tests/test_cuda_emulated.py runs for 30 s
// instead of the 54 that it takes with glibc's _longjmp by way of the scheduler, and two meetings.
#include "cuda_on_cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

unsigned char* shared_bytes;

constexpr size_t STACK_BYTES = 256 * 1024;  // only touched pages cost memory; kernels keep arrays on the stack here
constexpr size_t GUARD_BYTES = 4096;

enum State : unsigned char { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Fiber {
    void* resume[5];
    void* stack;
    int line;       // where it waits
    unsigned mask;  // lanes it waits with
    int source;     // lane whose offer it wants; VOTE or NOTHING
    bool started;
    uint3 thread;
    alignas(16) unsigned char offer[SLOT_BYTES], result[SLOT_BYTES];
};
constexpr int VOTE = -1, NOTHING = -2;

static Fiber* fibers;
static State* states;  // of the fibers, side by side: every sweep looks at all of them
static unsigned* order;
static unsigned fiber_count, capacity, current, position;
static void *scheduler[5], *failure[5];
static unsigned char* shared_end;
static size_t shared_capacity;
static void (*body)(void**);
static void** body_args;
static char message[512];

// A function that calls __builtin_longjmp must not be one that calls __builtin_setjmp.
[[noreturn, gnu::noinline]] static void jump(void** to) { __builtin_longjmp(to, 1); }

[[noreturn]] static void fail(const char* text, int first_line, int second_line) {
    snprintf(message, sizeof message, "block (%u, %u, %u), thread %u: %s (lines %d and %d)", blockIdx.x, blockIdx.y,
             blockIdx.z, current, text, first_line, second_line);
    for (unsigned i = 0; i < capacity; ++i) fibers[i].started = false;  // their stacks are in the middle of something
    jump(failure);
}

[[noreturn]] static void run_ready();

static void fiber_main() {
    for (;;) {
        body(body_args);
        states[current] = DONE;
        if (!__builtin_setjmp(fibers[current].resume)) run_ready();
    }
}

[[noreturn, gnu::noinline]] static void go_on(unsigned i) {
    static ucontext_t start, unused;
    current = i;
    threadIdx = fibers[i].thread;
    if (fibers[i].started) jump(fibers[i].resume);
    fibers[i].started = true;
    getcontext(&start);
    start.uc_stack.ss_sp = fibers[i].stack;
    start.uc_stack.ss_size = STACK_BYTES;
    start.uc_link = &unused;
    makecontext(&start, fiber_main, 0);
    setcontext(&start);
    __builtin_unreachable();
}

// The next ready fiber of this sweep, or back to the scheduler at its end.
[[noreturn, gnu::noinline]] static void run_ready() {
    while (position < fiber_count) {
        const unsigned i = order[position++];
        if (states[i] == READY) go_on(i);
    }
    jump(scheduler);
}

[[gnu::noinline]] static void wait(State state) {
    states[current] = state;
    if (!__builtin_setjmp(fibers[current].resume)) run_ready();
}

[[gnu::noinline]] static void sweep() {
    position = 0;
    if (!__builtin_setjmp(scheduler)) run_ready();
}

static void reserve(unsigned count) {
    if (count > capacity) {
        fibers = static_cast<Fiber*>(realloc(fibers, count * sizeof(Fiber)));
        states = static_cast<State*>(realloc(states, count * sizeof(State)));
        order = static_cast<unsigned*>(realloc(order, count * sizeof(unsigned)));
        for (unsigned i = capacity; i < count; ++i) {
            fibers[i].started = false;
            fibers[i].stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        }
        capacity = count;
    }
    fiber_count = count;
}

// What a lane gets from the others of its mask, who all wait with it.
static void exchange(unsigned first, unsigned mask, Fiber& fiber) {
    if (fiber.source == VOTE) {
        unsigned votes = 0;
        for (unsigned rest = mask; rest; rest &= rest - 1) {
            const unsigned lane = unsigned(__builtin_ctz(rest));
            int vote;
            memcpy(&vote, fibers[first + lane].offer, sizeof vote);
            votes |= unsigned(vote != 0) << lane;
        }
        memcpy(fiber.result, &votes, sizeof votes);
    } else if (fiber.source != NOTHING) {
        memcpy(fiber.result, fibers[first + unsigned(fiber.source)].offer, SLOT_BYTES);
    }
}

// Lanes of one warp go on when every lane of their mask waits with the same mask at the same line.
static bool release_warp(unsigned first) {
    const unsigned lanes = fiber_count - first < 32 ? fiber_count - first : 32;
    unsigned waiting = 0;
    for (unsigned lane = 0; lane < lanes; ++lane) waiting |= unsigned(states[first + lane] == AT_WARP_BARRIER) << lane;
    bool released = false;
    while (waiting) {
        current = first + unsigned(__builtin_ctz(waiting));
        const Fiber& fiber = fibers[current];
        const unsigned mask = lanes < 32 ? fiber.mask & ((1u << lanes) - 1) : fiber.mask;
        bool complete = true;
        for (unsigned rest = mask; rest; rest &= rest - 1) {
            const unsigned i = first + unsigned(__builtin_ctz(rest));
            if (states[i] == DONE) fail("a lane of the mask has left the kernel", fiber.line, fibers[i].line);
            if (states[i] != AT_WARP_BARRIER)
                complete = false;
            else if (fibers[i].line != fiber.line || fibers[i].mask != fiber.mask)
                fail("lanes of one mask wait at different places", fiber.line, fibers[i].line);
        }
        waiting &= ~mask;
        if (!complete) continue;
        released = true;
        for (unsigned rest = mask; rest; rest &= rest - 1) {
            const unsigned i = first + unsigned(__builtin_ctz(rest));
            exchange(first, mask, fibers[i]);
            states[i] = READY;
        }
    }
    return released;
}

// Whether the block is done; otherwise all of its threads have met at one barrier.
static bool release_block() {
    unsigned done = 0, waiting = 0;
    int line = 0;
    for (unsigned i = 0; i < fiber_count; ++i) {
        done += states[i] == DONE;
        if (states[i] != AT_BLOCK_BARRIER) continue;
        if (waiting++ && line != fibers[i].line) {
            current = i;
            fail("threads of one block wait at different barriers", line, fibers[i].line);
        }
        line = fibers[i].line;
    }
    if (done == fiber_count) return true;
    if (waiting != fiber_count) fail("not every thread of the block reaches the barrier", line, line);
    memset(states, READY, fiber_count);
    return false;
}

static void run_block(int sequence, unsigned& random) {
    memset(shared_bytes, 0xFF, size_t(shared_end - shared_bytes) + GUARD_BYTES);
    memset(states, READY, fiber_count);
    for (unsigned i = 0; i < fiber_count; ++i) {
        fibers[i].line = 0;
        order[i] = sequence == 1 ? fiber_count - 1 - i : i;
    }
    for (;;) {
        if (sequence == 2)
            for (unsigned i = fiber_count - 1; i > 0; --i) {
                random = random * 1664525u + 1013904223u;
                const unsigned j = (random >> 8) % (i + 1), kept = order[i];
                order[i] = order[j];
                order[j] = kept;
            }
        sweep();
        bool released = false;
        for (unsigned first = 0; first < fiber_count; first += 32) released |= release_warp(first);
        if (!released && release_block()) break;
    }
    for (size_t i = 0; i < GUARD_BYTES; ++i)
        if (shared_end[i] != 0xFF) fail("a write behind the end of shared memory", int(i), 0);
}

// Runs all blocks or `only` one of them. Returns null, or what went wrong.
const char* launch(void (*kernel)(void**), const unsigned* grid, const unsigned* block, size_t shared,
                   void** args, int sequence, unsigned seed, const unsigned* only) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    reserve(block[0] * block[1] * block[2]);
    if (shared + GUARD_BYTES > shared_capacity) {
        shared_capacity = shared + GUARD_BYTES;
        free(shared_bytes);
        shared_bytes = static_cast<unsigned char*>(aligned_alloc(4096, (shared_capacity + 4095) / 4096 * 4096));
    }
    shared_end = shared_bytes + shared;
    body = kernel;
    body_args = args;
    for (unsigned i = 0; i < fiber_count; ++i)
        fibers[i].thread = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
    if (__builtin_setjmp(failure)) return message;
    for (unsigned z = only ? only[2] : 0; z < (only ? only[2] + 1 : grid[2]); ++z)
        for (unsigned y = only ? only[1] : 0; y < (only ? only[1] + 1 : grid[1]); ++y)
            for (unsigned x = only ? only[0] : 0; x < (only ? only[0] + 1 : grid[0]); ++x) {
                blockIdx = {x, y, z};
                run_block(sequence, seed);
            }
    return nullptr;
}

void block_barrier(int line) {
    fibers[current].line = line;
    wait(AT_BLOCK_BARRIER);
}

static void meet(int line, unsigned mask, int source) {
    if (!(mask >> (current % 32) & 1)) fail("a lane waits with a mask it is not in", line, line);
    fibers[current].line = line;
    fibers[current].mask = mask;
    fibers[current].source = source;
    wait(AT_WARP_BARRIER);
}

void warp_barrier(int line, unsigned mask) { meet(line, mask, NOTHING); }

void shuffle_bytes(int line, unsigned mask, void* value, size_t size, unsigned lane) {
    lane %= 32;
    if (!(mask >> lane & 1) || current / 32 * 32 + lane >= fiber_count)
        fail("a shuffle from a lane outside the mask", line, line);
    memcpy(fibers[current].offer, value, size);
    meet(line, mask, int(lane));
    memcpy(value, fibers[current].result, size);
}

unsigned ballot(int line, unsigned mask, int vote) {
    memcpy(fibers[current].offer, &vote, sizeof vote);
    meet(line, mask, VOTE);
    unsigned votes;
    memcpy(&votes, fibers[current].result, sizeof votes);
    return votes;
}

unsigned lane() { return current % 32; }

}  // namespace cuda_on_cpu

// The GPU converts halves by an instruction.
float cuda_on_cpu_half_to_float(unsigned short h) {
    const unsigned sign = unsigned(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
    if (exponent) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
    const float tiny = ldexpf(float(fraction), -24);
    return sign ? -tiny : tiny;
}
unsigned short cuda_on_cpu_float_to_half(float f) {
    const unsigned sign = __float_as_uint(f) >> 16 & 0x8000;
    const float size = fabsf(f);
    if (size != size) return static_cast<unsigned short>(sign | 0x7e00);
    if (size == 0) return static_cast<unsigned short>(sign);
    if (size >= 65520.0f) return static_cast<unsigned short>(sign | 0x7c00);  // would round beyond the largest half
    int exponent;
    frexpf(size, &exponent);
    if (exponent < -13) exponent = -13;                                  // halves below 2^-14 have a fixed step
    const unsigned steps = unsigned(rintf(ldexpf(size, 11 - exponent)));  // 1024 steps to a power of two
    return static_cast<unsigned short>(sign | (steps + (unsigned(exponent + 13) << 10)));
}

// ex2.approx.ftz.f32: 1 at 0, elsewhere as far off as it may be, up or down by the argument's last bit, so that no test
// passes only because the CPU is more exact. Subnormal results are 0.
float cuda_on_cpu_exp2(float x) {
    if (x == 0) return 1;
    const double result = exp2(double(x)) * (__float_as_uint(x) & 1 ? 1 + 0x1p-22 : 1 - 0x1p-22);
    return result < 0x1p-126 ? 0 : float(result);
}
