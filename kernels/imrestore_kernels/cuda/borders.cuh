// The border rule: the formula of borders.py, spelled in C. The tests compare the two sample by sample.
#pragma once

#include "division.cuh"

enum { REFLECT, MIRROR, NEAREST, WRAP, CONSTANT };

// Index inside 0 .. n-1 that sample i takes its value from; -1 means the constant.
__device__ __forceinline__ long long border_index(long long i, long long n, int mode) {
    if (i >= 0 && i < n) return i;
    if (mode == NEAREST) return i < 0 ? 0 : n - 1;
    if (mode == CONSTANT) return -1;
    if (mode == MIRROR && n == 1) return 0;
    const long long period = mode == WRAP ? n : mode == REFLECT ? 2 * n : 2 * n - 2;
    long long m;
    floor_divide(i, period, m);
    if (m < n) return m;
    return mode == REFLECT ? period - 1 - m : period - m;
}
