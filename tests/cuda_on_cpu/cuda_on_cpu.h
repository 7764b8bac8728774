// CUDA C++ on one CPU thread, for tests: what a kernel sees of it. cuda_on_cpu.cc runs the kernel.
//
// This is read and compiled anew for every kernel, so whatever need not be here is in cuda_on_cpu.cc.
#pragma once
#define CUDA_ON_CPU 1

#define _GLIBCXX_INCLUDE_NEXT_C_HEADERS  // plain C headers: C++'s take longer to read than a kernel to compile
#include <math.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

typedef decltype(sizeof 0) size_t;
struct uint3 {
    unsigned x, y, z;
};
extern uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_cpu {

constexpr unsigned FULL_WARP = 0xffffffffu;
constexpr size_t SLOT_BYTES = 16;  // what a thread can offer to a shuffle or a vote

extern unsigned char* shared_bytes;

const char* launch(void (*kernel)(void**), const unsigned* grid, const unsigned* block, size_t shared, void** args,
                   int sequence, unsigned seed, const unsigned* only);
void block_barrier(int line);
void warp_barrier(int line, unsigned mask = FULL_WARP);
void shuffle_bytes(int line, unsigned mask, void* value, size_t size, unsigned lane);
unsigned ballot(int line, unsigned mask, int vote);
unsigned lane();

template <class V>
static inline V shuffle(int line, unsigned mask, V value, unsigned lane) {
    static_assert(sizeof(V) <= SLOT_BYTES, "shuffled values have up to 16 bytes");
    shuffle_bytes(line, mask, &value, sizeof value, lane);
    return value;
}

template <class V>
static inline V shuffle_up(int line, unsigned mask, V value, unsigned delta) {
    const unsigned self = lane();
    return shuffle(line, mask, value, self < delta ? self : self - delta);
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
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}
static inline float __fmul_rn(float a, float b) { return a * b; }  // nothing is fused here: -ffp-contract=off
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline unsigned __float_as_uint(float v) { return cuda_on_cpu_bits<unsigned>(v); }
static inline float __uint_as_float(unsigned v) { return cuda_on_cpu_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return cuda_on_cpu_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return cuda_on_cpu_bits<double>(v); }

float cuda_on_cpu_half_to_float(unsigned short h);
unsigned short cuda_on_cpu_float_to_half(float f);
float cuda_on_cpu_exp2(float x);

#define CUDA_ON_CPU_ENTRY(kernel)                                                                                  \
    extern "C" int kernel##_arguments() { return cuda_on_cpu::count_arguments(kernel); }                           \
    extern "C" const char* kernel##_launch(const unsigned* grid, const unsigned* block, size_t shared, void** args, \
                                           int sequence, unsigned seed, const unsigned* only) {                    \
        return cuda_on_cpu::launch([](void** a) { cuda_on_cpu::call(kernel, a); }, grid, block, shared, args,       \
                                   sequence, seed, only);                                                          \
    }
