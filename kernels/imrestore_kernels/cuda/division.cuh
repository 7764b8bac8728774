// Exact integer division without a call.
//
// The compiler turns a 64-bit division into a subroutine, and every register that is alive around it spills. Here the
// quotient is estimated in float32 and the rest divided again until it is in range: exact whatever the estimate was,
// one round for small numbers, at most four for 64 bits.
#pragma once

__device__ __forceinline__ float estimate(long long v) { return float(v); }
__device__ __forceinline__ float estimate(__int128 v) {
    const __int128 size = v < 0 ? -v : v;  // the halves of a small negative number would cancel to nothing
    const float f = float((long long)(size >> 64)) * 18446744073709551616.0f + float((unsigned long long)size);
    return v < 0 ? -f : f;
}
__device__ __forceinline__ void truncate(float f, long long& v) { v = (long long)f; }
__device__ __forceinline__ void truncate(float f, __int128& v) {
    const bool large = fabsf(f) >= 0x1p62f, huge = fabsf(f) >= 0x1p94f;  // 2^94 / 2^64 still has float32's 24 bits
    v = __int128((long long)(f * (huge ? 0x1p-64f : large ? 0x1p-32f : 1.0f))) * ((__int128)1 << (huge ? 64 : large ? 32 : 0));
}

// Quotient rounded down and rest in 0 .. divisor - 1.
template <class V>
__device__ __forceinline__ V floor_divide(V value, V divisor, V& rest) {
    V quotient = 0;
    rest = value;
    while (rest < 0 || rest >= divisor) {
        V step;
        truncate(__fdividef(estimate(rest), estimate(divisor)), step);
        if (step == 0) step = rest < 0 ? -1 : 1;
        quotient += step;
        rest -= step * divisor;
    }
    return quotient;
}

__device__ __forceinline__ int floor_divide(int value, int divisor, int& rest) {  // 32 bits are divided in line
    int quotient = value / divisor;
    rest = value - quotient * divisor;
    if (rest < 0) {
        rest += divisor;
        quotient -= 1;
    }
    return quotient;
}
