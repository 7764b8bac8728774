// Reference patches along the axes of an image, and shifts.
//
// Macros: STEP between references, REACH of shifts, GROUP: most patches of a group.
#pragma once

#include "dtypes.cuh"

constexpr int SIDE = 8;
constexpr int WINDOW = 2 * REACH + 1;
constexpr int SHIFT_BITS = 11;  // of a candidate, its last ones: the number of the shift
constexpr unsigned SHIFT_MASK = (1u << SHIFT_BITS) - 1;
constexpr unsigned FULL_MASK = 0xffffffffu;

// References along an axis: every STEP pixels, and one at the end.
struct Axis {
    int last, count, regular;  // first pixel of the last reference, references, those on the grid

    __device__ __forceinline__ explicit Axis(long long length) : last(int(length - SIDE)) {
        regular = last / STEP + 1;
        count = regular + (last % STEP != 0);
    }
    __device__ __forceinline__ int position(int i) const { return i < regular ? i * STEP : last; }
};

// The image whose patches are compared: its pixels outside make patches that are never alike.
__device__ __forceinline__ float nothing() { return __uint_as_float(0x7fffffffu); }
