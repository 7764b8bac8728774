// CUDA C++ on one CPU thread, for tests: every CUDA thread of a block is a fiber, blocks run one after another.
//
// Fibers start by makecontext and then switch by _setjmp/_longjmp (no system call, about 70 ns). A fiber runs until it
// meets a barrier, a shuffle or its end; the order in which ready fibers are picked is forward, reverse or shuffled
// anew on every sweep, so a result that depends on it betrays a missing barrier. What a GPU would leave undefined is an
// error here: barriers that not all threads of the block (or not all lanes of the mask) reach at the same source line,
// a shuffle from a lane outside the mask, a write behind the end of shared memory. Shared memory is filled with 0xFF
// (NaN, -1) before each block, since a GPU does not clear it either.
#pragma once
#define CUDA_ON_CPU 1

#define _GLIBCXX_INCLUDE_NEXT_C_HEADERS  // plain C headers: C++'s take longer to read than a kernel to compile
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct uint3 {
    unsigned x, y, z;
};
static uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

constexpr size_t STACK_BYTES = 256 * 1024;  // only touched pages cost memory; kernels keep arrays on the stack here
constexpr size_t GUARD_BYTES = 4096;
constexpr unsigned FULL_WARP = 0xffffffffu;

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Fiber {
    ucontext_t start;
    jmp_buf resume;
    void* stack;
    bool started;
    State state;
    int line;        // where it waits
    unsigned mask;   // lanes it waits with
    uint3 thread;
    alignas(16) unsigned char slot[16];  // what it offers to a shuffle or a vote
};

static Fiber* fibers;
static unsigned fiber_count, capacity, current;
static unsigned* order;
static jmp_buf scheduler, failure;
static ucontext_t unused;
static unsigned char* shared_bytes;
static size_t shared_size, shared_capacity;
static void (*body)(void**);
static void** body_args;
static char message[512];

[[noreturn]] static void fail(const char* text, int first_line, int second_line) {
    snprintf(message, sizeof message, "block (%u, %u, %u), thread %u: %s (lines %d and %d)", blockIdx.x, blockIdx.y,
             blockIdx.z, current, text, first_line, second_line);
    for (unsigned i = 0; i < capacity; ++i) fibers[i].started = false;  // their stacks are in the middle of something
    _longjmp(failure, 1);
}

static void to_scheduler() {
    if (!_setjmp(fibers[current].resume)) _longjmp(scheduler, 1);
}

static void fiber_main() {
    for (;;) {
        body(body_args);
        fibers[current].state = DONE;
        to_scheduler();
    }
}

static void reserve(unsigned count) {
    if (count > capacity) {
        fibers = static_cast<Fiber*>(realloc(fibers, count * sizeof(Fiber)));
        order = static_cast<unsigned*>(realloc(order, count * sizeof(unsigned)));
        for (unsigned i = 0; i < count; ++i) fibers[i].started = false;  // a ucontext does not survive being moved
        for (unsigned i = capacity; i < count; ++i)
            fibers[i].stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        capacity = count;
    }
    fiber_count = count;
}

static void switch_to(unsigned i) {
    current = i;
    threadIdx = fibers[i].thread;
    if (_setjmp(scheduler)) return;
    if (fibers[i].started) _longjmp(fibers[i].resume, 1);
    fibers[i].started = true;
    getcontext(&fibers[i].start);
    fibers[i].start.uc_stack.ss_sp = fibers[i].stack;
    fibers[i].start.uc_stack.ss_size = STACK_BYTES;
    fibers[i].start.uc_link = &unused;
    makecontext(&fibers[i].start, fiber_main, 0);
    setcontext(&fibers[i].start);
}

// Lanes of one warp go on when every lane of their mask waits with the same mask at the same line.
static bool release_warp(unsigned first) {
    bool released = false;
    for (unsigned i = first; i < first + 32 && i < fiber_count; ++i) {
        if (fibers[i].state != AT_WARP_BARRIER) continue;
        bool complete = true;
        for (unsigned lane = 0; lane < 32 && first + lane < fiber_count; ++lane) {
            const Fiber& other = fibers[first + lane];
            if (!(fibers[i].mask >> lane & 1)) continue;
            current = i;
            if (other.state == DONE) fail("a lane of the mask has left the kernel", fibers[i].line, other.line);
            if (other.state != AT_WARP_BARRIER)
                complete = false;
            else if (other.line != fibers[i].line || other.mask != fibers[i].mask)
                fail("lanes of one mask wait at different places", fibers[i].line, other.line);
        }
        if (!complete) continue;
        for (unsigned lane = 0; lane < 32 && first + lane < fiber_count; ++lane)
            if (fibers[i].mask >> lane & 1) fibers[first + lane].state = READY;
        released = true;
    }
    return released;
}

static void run_block(int sequence, unsigned& random) {
    memset(shared_bytes, 0xFF, shared_size + GUARD_BYTES);
    for (unsigned i = 0; i < fiber_count; ++i) {
        fibers[i].state = READY;
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
        for (unsigned i = 0; i < fiber_count; ++i)
            if (fibers[order[i]].state == READY) switch_to(order[i]);
        bool released = false;
        for (unsigned first = 0; first < fiber_count; first += 32) released |= release_warp(first);
        if (released) continue;
        unsigned done = 0, waiting = 0, line = 0;
        for (unsigned i = 0; i < fiber_count; ++i) {
            if (fibers[i].state == DONE) ++done;
            if (fibers[i].state != AT_BLOCK_BARRIER) continue;
            if (waiting++ && int(line) != fibers[i].line) {
                current = i;
                fail("threads of one block wait at different barriers", int(line), fibers[i].line);
            }
            line = unsigned(fibers[i].line);
        }
        if (done == fiber_count) break;
        if (waiting != fiber_count) fail("not every thread of the block reaches the barrier", int(line), int(line));
        for (unsigned i = 0; i < fiber_count; ++i) fibers[i].state = READY;
    }
    for (size_t i = shared_size; i < shared_size + GUARD_BYTES; ++i)
        if (shared_bytes[i] != 0xFF) fail("a write behind the end of shared memory", int(i - shared_size), 0);
}

// Runs all blocks or `only` one of them. Returns null, or what went wrong.
static const char* launch(void (*kernel)(void**), const unsigned* grid, const unsigned* block, size_t shared,
                          void** args, int sequence, unsigned seed, const unsigned* only) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    reserve(block[0] * block[1] * block[2]);
    if (shared + GUARD_BYTES > shared_capacity) {
        shared_capacity = shared + GUARD_BYTES;
        free(shared_bytes);
        shared_bytes = static_cast<unsigned char*>(aligned_alloc(4096, (shared_capacity + 4095) / 4096 * 4096));
    }
    shared_size = shared;
    body = kernel;
    body_args = args;
    for (unsigned i = 0; i < fiber_count; ++i)
        fibers[i].thread = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
    if (_setjmp(failure)) return message;
    for (unsigned z = only ? only[2] : 0; z < (only ? only[2] + 1 : grid[2]); ++z)
        for (unsigned y = only ? only[1] : 0; y < (only ? only[1] + 1 : grid[1]); ++y)
            for (unsigned x = only ? only[0] : 0; x < (only ? only[0] + 1 : grid[0]); ++x) {
                blockIdx = {x, y, z};
                run_block(sequence, seed);
            }
    return nullptr;
}

static inline void block_barrier(int line) {
    fibers[current].state = AT_BLOCK_BARRIER;
    fibers[current].line = line;
    to_scheduler();
}

static inline void warp_barrier(int line, unsigned mask = FULL_WARP) {
    if (!(mask >> (current % 32) & 1)) fail("a lane waits with a mask it is not in", line, line);
    fibers[current].state = AT_WARP_BARRIER;
    fibers[current].line = line;
    fibers[current].mask = mask;
    to_scheduler();
}

template <class V>
static inline V shuffle(int line, unsigned mask, V value, unsigned lane) {
    static_assert(sizeof(V) <= sizeof(Fiber::slot), "shuffled values have up to 16 bytes");
    memcpy(fibers[current].slot, &value, sizeof value);
    warp_barrier(line, mask);
    const unsigned source = current / 32 * 32 + lane % 32;
    if (!(mask >> (lane % 32) & 1) || source >= fiber_count) fail("a shuffle from a lane outside the mask", line, line);
    V result;
    memcpy(&result, fibers[source].slot, sizeof result);
    warp_barrier(line, mask);
    return result;
}

template <class V>
static inline V shuffle_up(int line, unsigned mask, V value, unsigned delta) {
    const unsigned lane = current % 32;
    return shuffle(line, mask, value, lane < delta ? lane : lane - delta);
}

static inline unsigned ballot(int line, unsigned mask, int vote) {
    memcpy(fibers[current].slot, &vote, sizeof vote);
    warp_barrier(line, mask);
    unsigned result = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
        int other = 0;
        if (mask >> lane & 1) memcpy(&other, fibers[current / 32 * 32 + lane].slot, sizeof other);
        result |= unsigned(other != 0) << lane;
    }
    warp_barrier(line, mask);
    return result;
}

template <size_t... I>
struct Indices {};

template <class... A, size_t... I>
static inline void unpack(void (*kernel)(A...), void** args, Indices<I...>) {
    kernel(*static_cast<A*>(args[I])...);
}

template <class... A>
static inline void call(void (*kernel)(A...), void** args) {
    unpack(kernel, args, Indices<__integer_pack(sizeof...(A))...>());
}

template <class... A>
static constexpr int count_arguments(void (*)(A...)) {
    return sizeof...(A);
}

}  // namespace cuda_on_cpu

#define __syncthreads() cuda_on_cpu::block_barrier(__LINE__)
#define __syncwarp(...) cuda_on_cpu::warp_barrier(__LINE__, ##__VA_ARGS__)
#define __shfl_sync(mask, value, lane) cuda_on_cpu::shuffle(__LINE__, mask, value, lane)
#define __shfl_up_sync(mask, value, delta) cuda_on_cpu::shuffle_up(__LINE__, mask, value, delta)
#define __ballot_sync(mask, vote) cuda_on_cpu::ballot(__LINE__, mask, vote)
#define __any_sync(mask, vote) (cuda_on_cpu::ballot(__LINE__, mask, vote) != 0)

// Only one fiber runs at a time, so plain operations are atomic.
template <class V>
static inline V atomicAdd(V* at, V value) {
    const V old = *at;
    *at = old + value;
    return old;
}
static inline unsigned atomicXor(unsigned* at, unsigned value) {
    const unsigned old = *at;
    *at = old ^ value;
    return old;
}

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __ffs(unsigned v) { return __builtin_ffs(int(v)); }
template <class V>
static inline V __ldg(const V* at) {
    return *at;
}
template <class To, class From>
static inline To cuda_on_cpu_bits(From value) {
    To result;
    static_assert(sizeof(To) == sizeof(From), "same size");
    memcpy(&result, &value, sizeof result);
    return result;
}
static inline float __fmul_rn(float a, float b) { return a * b; }  // nothing is fused here: -ffp-contract=off
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline unsigned __float_as_uint(float v) { return cuda_on_cpu_bits<unsigned>(v); }
static inline float __uint_as_float(unsigned v) { return cuda_on_cpu_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return cuda_on_cpu_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return cuda_on_cpu_bits<double>(v); }

// The GPU converts halves by an instruction.
static inline float cuda_on_cpu_half_to_float(unsigned short h) {
    const unsigned sign = unsigned(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
    if (exponent) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
    const float tiny = ldexpf(float(fraction), -24);
    return sign ? -tiny : tiny;
}
static inline unsigned short cuda_on_cpu_float_to_half(float f) {
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
static inline float cuda_on_cpu_exp2(float x) {
    if (x == 0) return 1;
    const double result = exp2(double(x)) * (__float_as_uint(x) & 1 ? 1 + 0x1p-22 : 1 - 0x1p-22);
    return result < 0x1p-126 ? 0 : float(result);
}

#define CUDA_ON_CPU_ENTRY(kernel)                                                                                  \
    extern "C" int kernel##_arguments() { return cuda_on_cpu::count_arguments(kernel); }                           \
    extern "C" const char* kernel##_launch(const unsigned* grid, const unsigned* block, size_t shared, void** args, \
                                           int sequence, unsigned seed, const unsigned* only) {                    \
        return cuda_on_cpu::launch([](void** a) { cuda_on_cpu::call(kernel, a); }, grid, block, shared, args,       \
                                   sequence, seed, only);                                                          \
    }
