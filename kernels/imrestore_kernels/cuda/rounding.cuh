// How a result becomes an element: rounded half to even and saturated for integers, rounded once for floats.
#pragma once

#include "dtypes.cuh"

// The comparisons with 2^63 and 2^64 are exact in double.
template <class V>
__device__ __forceinline__ V round_to(double v, double lowest, double highest) {
    const double r = rint(v);
    if (r <= lowest) return V(lowest);
    if (r >= highest) return sizeof(V) == 8 ? V(~0ull >> (lowest < 0 ? 1 : 0)) : V(highest);
    return V(r);
}
__device__ __forceinline__ void store(signed char& t, double v) { t = round_to<signed char>(v, -128., 127.); }
__device__ __forceinline__ void store(unsigned char& t, double v) { t = round_to<unsigned char>(v, 0., 255.); }
__device__ __forceinline__ void store(short& t, double v) { t = round_to<short>(v, -32768., 32767.); }
__device__ __forceinline__ void store(unsigned short& t, double v) { t = round_to<unsigned short>(v, 0., 65535.); }
__device__ __forceinline__ void store(int& t, double v) { t = round_to<int>(v, -2147483648., 2147483647.); }
__device__ __forceinline__ void store(unsigned& t, double v) { t = round_to<unsigned>(v, 0., 4294967295.); }
__device__ __forceinline__ void store(long long& t, double v) {
    t = round_to<long long>(v, -9223372036854775808., 9223372036854775808.);
}
__device__ __forceinline__ void store(unsigned long long& t, double v) {
    t = round_to<unsigned long long>(v, 0., 18446744073709551616.);
}
__device__ __forceinline__ void store(half_bits& t, float v) { t = float_to_half(v); }
__device__ __forceinline__ void store(float& t, float v) { t = v; }
__device__ __forceinline__ void store(double& t, double v) { t = v; }
