// The element type of the arrays, T, and what the filters need to know about it.
//
// T comes as a macro. Halves travel as their bits: cuda_fp16.h would need an include path, and the two conversions are
// one instruction each.
#pragma once

struct half_bits {
    unsigned short bits;
};

__device__ __forceinline__ float half_to_float(half_bits h) {
#ifdef __CUDA_ARCH__
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h.bits));
    return f;
#else
    return cuda_on_cpu_half_to_float(h.bits);
#endif
}

__device__ __forceinline__ half_bits float_to_half(float f) {
    half_bits h;
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(f));
#else
    h.bits = cuda_on_cpu_float_to_half(f);
#endif
    return h;
}

#ifdef CUDA_ON_CPU
#define SHARED_MEMORY(name) unsigned char* const name = cuda_on_cpu::shared_bytes
#else
#define SHARED_MEMORY(name) extern __shared__ __align__(16) unsigned char name[]
#endif

// Compile-time facts and the two lossless maps of a type: `wide` (what arithmetic is done on) and an unsigned `key`
// with the same order. NaN never reaches key().
template <class V>
struct Type;

template <class V, class Wide, class Key, bool SIGNED>
struct IntegerType {
    typedef Wide wide;
    typedef Key key_type;
    static constexpr bool IS_FLOAT = false;
    static constexpr Key TOP = SIGNED ? Key(1) << (8 * sizeof(V) - 1) : Key(0);
    static constexpr Key MASK = Key(~Key(0)) >> (8 * (sizeof(Key) - sizeof(V)));
    static __device__ __forceinline__ bool is_nan(V) { return false; }
    static __device__ __forceinline__ Wide widen(V v) { return v; }
    static __device__ __forceinline__ V narrow(Wide v) { return V(v); }
    static __device__ __forceinline__ Key key(V v) { return (Key(v) & MASK) ^ TOP; }
    static __device__ __forceinline__ V from_key(Key k) { return V(k ^ TOP); }
    static __device__ __forceinline__ V nothing() { return V(0); }  // the value of a window without samples
};

template <> struct Type<signed char> : IntegerType<signed char, int, unsigned, true> {};
template <> struct Type<unsigned char> : IntegerType<unsigned char, int, unsigned, false> {};
template <> struct Type<short> : IntegerType<short, int, unsigned, true> {};
template <> struct Type<unsigned short> : IntegerType<unsigned short, int, unsigned, false> {};
template <> struct Type<int> : IntegerType<int, int, unsigned, true> {};
template <> struct Type<unsigned> : IntegerType<unsigned, unsigned, unsigned, false> {};
template <> struct Type<long long> : IntegerType<long long, long long, unsigned long long, true> {};
template <> struct Type<unsigned long long>
    : IntegerType<unsigned long long, unsigned long long, unsigned long long, false> {};

// Positive floats order like their bits; negative ones in reverse and below.
template <class Key>
__device__ __forceinline__ Key key_of_bits(Key bits, Key top) {
    return bits & top ? Key(~bits) & Key(top | (top - 1)) : bits | top;
}
template <class Key>
__device__ __forceinline__ Key bits_of_key(Key key, Key top) {
    return key & top ? key ^ top : Key(~key) & Key(top | (top - 1));
}

template <>
struct Type<float> {
    typedef float wide;
    typedef unsigned key_type;
    static constexpr bool IS_FLOAT = true;
    static __device__ __forceinline__ bool is_nan(float v) { return v != v; }
    static __device__ __forceinline__ float widen(float v) { return v; }
    static __device__ __forceinline__ float narrow(float v) { return v; }
    static __device__ __forceinline__ unsigned key(float v) { return key_of_bits(__float_as_uint(v), 0x80000000u); }
    static __device__ __forceinline__ float from_key(unsigned k) { return __uint_as_float(bits_of_key(k, 0x80000000u)); }
    static __device__ __forceinline__ float nothing() { return __uint_as_float(0x7fc00000u); }
};

template <>
struct Type<double> {
    typedef double wide;
    typedef unsigned long long key_type;
    static constexpr bool IS_FLOAT = true;
    static constexpr unsigned long long TOP = 1ull << 63;
    static __device__ __forceinline__ bool is_nan(double v) { return v != v; }
    static __device__ __forceinline__ double widen(double v) { return v; }
    static __device__ __forceinline__ double narrow(double v) { return v; }
    static __device__ __forceinline__ unsigned long long key(double v) {
        return key_of_bits((unsigned long long)__double_as_longlong(v), TOP);
    }
    static __device__ __forceinline__ double from_key(unsigned long long k) {
        return __longlong_as_double((long long)bits_of_key(k, TOP));
    }
    static __device__ __forceinline__ double nothing() { return __longlong_as_double(0x7ff8000000000000ll); }
};

template <>
struct Type<half_bits> {
    typedef float wide;
    typedef unsigned key_type;
    static constexpr bool IS_FLOAT = true;
    static __device__ __forceinline__ bool is_nan(half_bits v) { return (v.bits & 0x7fff) > 0x7c00; }
    static __device__ __forceinline__ float widen(half_bits v) { return half_to_float(v); }
    static __device__ __forceinline__ half_bits narrow(float v) { return float_to_half(v); }
    static __device__ __forceinline__ unsigned key(half_bits v) { return key_of_bits(unsigned(v.bits), 0x8000u); }
    static __device__ __forceinline__ half_bits from_key(unsigned k) {
        half_bits v;
        v.bits = (unsigned short)bits_of_key(k, 0x8000u);
        return v;
    }
    static __device__ __forceinline__ half_bits nothing() {
        half_bits v;
        v.bits = 0x7e00;
        return v;
    }
};

// cval arrives as T's bits in the low bytes of 64, so that one kernel signature serves all types.
template <class V>
__device__ __forceinline__ V from_bits(unsigned long long bits) {
    union {
        unsigned long long bits;
        V value;
    } both;
    both.bits = bits;
    return both.value;
}
