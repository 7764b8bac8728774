// A group of patches in the registers of a warp, its transforms, and the noise of its coefficients.
//
// A lane holds column (of coefficients: row) lane % 8 of the patches of its quarter q = lane / 8 of the warp: patches q slots ..
// q slots + slots - 1 of the group, with slots = size / 4. So three levels of Haar's transform are between registers, and only
// the 8 numbers that are left go through shuffles for the last two. Groups of 1 and 2 patches have one slot and leave quarters
// empty: all zeros there. Columns become rows by way of shared memory. S is the number of slots, known to the compiler: with loops
// that end early it spills.
//
// Haar's transform is made of plain sums and differences: the coefficient of a node with n patches is sqrt(n) times the orthonormal
// one, its variance n times that one's, and division by n on the way back is exact.
//
// Macros: those of bm3d_positions.cuh and patch_transforms.cuh, CORRELATED 0/1: whether noise has the covariances of a table.
#pragma once

#include "bm3d_positions.cuh"
#include "patch_transforms.cuh"

constexpr int SLOTS = GROUP / 4;
constexpr int PATCH = SIDE * (SIDE + 1);  // of a patch in shared memory: rows, columns and patches in different banks
constexpr int EXCHANGE = 2 * 4 * PATCH;   // of a warp: two slots

struct __align__(16) Four {
    float value[4];
};

struct Group {
    int size, slots;         // a power of two; patches in a quarter
    int* positions;          // y << 16 | x of every patch in the tile
    const float* variances;  // of the noise of every patch

    // The largest power of two of the patches in a list, with their positions; y and x are those of the reference.
    __device__ __forceinline__ void read(const unsigned* __restrict__ list, const int* __restrict__ shifts, int y, int x, int lane) {
        const unsigned candidate = lane < GROUP ? __ldg(list + lane) : ~0u;
        const int found = __popc(__ballot_sync(FULL_MASK, candidate != ~0u));
        size = 1;
        while (2 * size <= found) size *= 2;
        slots = size < 4 ? 1 : size / 4;
        if (lane >= size) return;
        const int shift = __ldg(shifts + (candidate & SHIFT_MASK));
        positions[lane] = (y + (shift >> 16)) << 16 | (x + (short)(shift & 0xffff));
    }

    __device__ __forceinline__ int member(int slot) const { return threadIdx.x % 32 / 8 * slots + slot; }
    // Patches of a node: the one whose sum or difference is in that slot.
    __device__ __forceinline__ int node(int slot) const {
        if (slot) return 2 * (slot & -slot);
        return size < 4 ? size : threadIdx.x / 8 % 2 ? 2 * slots : size;
    }
};

__device__ __forceinline__ float from_quarter(float v, int distance) {
    return __shfl_sync(FULL_MASK, v, (threadIdx.x % 32) ^ (8 * distance));
}

// A sum from a pair of quarters, and in the second of them the difference.
__device__ __forceinline__ float paired(float mine, int distance) {
    const float other = from_quarter(mine, distance);
    return threadIdx.x & (8 * distance) ? other - mine : mine + other;
}

__device__ __forceinline__ bool even_quarter() { return threadIdx.x / 8 % 2 == 0; }

struct Coefficients {
    float at[SLOTS][SIDE];

    // This lane's column of a patch in a plane, from the first pixel of the tile on.
    static __device__ __forceinline__ const float* column_of(int position, const float* __restrict__ tile, long long width) {
        return tile + (position >> 16) * width + (position & 0xffff) + threadIdx.x % 8;
    }

    // The patches, transformed.
    template <int S>
    __device__ __forceinline__ void load(const Group& group, const float* __restrict__ tile, long long width, float* exchange) {
        const int lane = threadIdx.x % 32;
        float* const patches = exchange + lane / 8 * PATCH;
#pragma unroll
        for (int j = 0; j < S; ++j) {
            const int member = group.member(j);
            const bool there = S > 1 || member < group.size;
            const float* column = column_of(group.positions[there ? member : 0], tile, width);
#pragma unroll
            for (int i = 0; i < SIDE; ++i, column += width) at[j][i] = there ? __ldg(column) : 0;  // few addresses at a time
            forward_transform(at[j]);
            float* const patch = patches + j % 2 * 4 * PATCH;
#pragma unroll
            for (int i = 0; i < SIDE; ++i) patch[i * (SIDE + 1) + lane % 8] = at[j][i];
            __syncwarp();
#pragma unroll
            for (int i = 0; i < SIDE; ++i) at[j][i] = patch[lane % 8 * (SIDE + 1) + i];
            forward_transform(at[j]);
        }
        __syncwarp();
    }

    // Patches again, a column a lane.
    template <int S>
    __device__ __forceinline__ void invert(const Group& group, float* exchange) {
        const int lane = threadIdx.x % 32;
        float* const patches = exchange + lane / 8 * PATCH;
#pragma unroll
        for (int j = 0; j < S; ++j) {
            inverse_transform(at[j]);
            float* const patch = patches + j % 2 * 4 * PATCH;
#pragma unroll
            for (int i = 0; i < SIDE; ++i) patch[lane % 8 * (SIDE + 1) + i] = at[j][i];
            __syncwarp();
#pragma unroll
            for (int i = 0; i < SIDE; ++i) at[j][i] = patch[i * (SIDE + 1) + lane % 8];
            inverse_transform(at[j]);
        }
        __syncwarp();
    }

    // Adds the patches, not transformed; what is added in empty quarters is nobody's.
    template <int S>
    __device__ __forceinline__ void add(const Group& group, const float* __restrict__ tile, long long width) {
#pragma unroll
        for (int j = 0; j < S; ++j) {
            const int member = group.member(j);
            const float* column = column_of(group.positions[S > 1 || member < group.size ? member : 0], tile, width);
#pragma unroll
            for (int i = 0; i < SIDE; ++i, column += width) at[j][i] += __ldg(column);
        }
    }

    // The patches of a slot, to where other warps read them: rows side by side.
    __device__ __forceinline__ void hand_over(int slot, float* exchange) const {
        float* const column = exchange + (slot % 2 * 4 + threadIdx.x % 32 / 8) * PATCH + threadIdx.x % 8;
#pragma unroll
        for (int i = 0; i < SIDE; ++i) column[i * SIDE] = at[slot][i];
    }

    template <int S>
    __device__ __forceinline__ void pair_slots(int width) {
#pragma unroll
        for (int j = 0; j < S; j += 2 * width) {
#pragma unroll
            for (int k = 0; k < SIDE; ++k) {
                const float a = at[j][k], b = at[j + width][k];
                at[j][k] = a + b;
                at[j + width][k] = a - b;
            }
        }
    }

    __device__ __forceinline__ void pair_quarters(int distance, bool wanted) {
#pragma unroll
        for (int k = 0; k < SIDE; ++k) {
            const float v = paired(at[0][k], distance);
            if (wanted) at[0][k] = v;
        }
    }

    template <int S>
    __device__ __forceinline__ void haar(const Group& group) {
#pragma unroll
        for (int width = 1; width < S; width *= 2) pair_slots<S>(width);
        if (S > 1 || group.size > 1) pair_quarters(1, true);
        if (S > 1 || group.size > 2) pair_quarters(2, even_quarter());
    }

    // From nodes divided by their patches.
    template <int S>
    __device__ __forceinline__ void inverse_haar(const Group& group) {
        if (S > 1 || group.size > 2) pair_quarters(2, even_quarter());
        if (S > 1 || group.size > 1) pair_quarters(1, true);
#pragma unroll
        for (int width = S / 2; width; width /= 2) pair_slots<S>(width);
    }
};

// Variances of the coefficients of plain sums and differences, from the leaves up: with T the variance of the sum over a node's
// patches and S the covariance of its halves, T = T_left + T_right + 2 S and the difference has T_left + T_right - 2 S. Without
// covariances all coefficients of a node have one variance.
struct Variances {
    static constexpr int COUNT = CORRELATED ? SIDE : 1;
    float of[SLOTS][COUNT];

    __device__ __forceinline__ float operator()(int slot, int k) const { return of[slot][CORRELATED ? k : 0]; }

#if CORRELATED
    const float* table;  // this lane's coefficients of no shift
    int row;             // shifts in a row of the table

    // Adds the covariances of patches i and j.
    __device__ __forceinline__ void add_pair(float (&sums)[SIDE], const Group& group, int i, int j) const {
        const int from = group.positions[i], to = group.positions[j];
        const int dy = (to >> 16) - (from >> 16), dx = (to & 0xffff) - (from & 0xffff);
        const Four* const r = reinterpret_cast<const Four*>(table + (long long)(dy * row + dx) * (SIDE * SIDE));
        const float scale = sqrtf(group.variances[i]) * sqrtf(group.variances[j]);
#pragma unroll
        for (int k = 0; k < SIDE; ++k) sums[k] = fmaf(scale, r[k / 4].value[k % 4], sums[k]);
    }
#endif

    template <int S>
    __device__ __forceinline__ void compute(const Group& group) {
#pragma unroll
        for (int j = 0; j < S; ++j) {
            const int member = group.member(j);
            const float v = S > 1 || member < group.size ? group.variances[member] : 0;
#pragma unroll
            for (int k = 0; k < COUNT; ++k) {
#if CORRELATED
                of[j][k] = v * table[k];
#else
                of[j][k] = v;
#endif
            }
        }
#pragma unroll
        for (int width = 1; width < S; width *= 2) {
#pragma unroll
            for (int j = 0; j < S; j += 2 * width) {
                float twice[SIDE] = {};
                add_slots(twice, group, j, width);
#pragma unroll
                for (int k = 0; k < COUNT; ++k) {
                    const float sum = of[j][k] + of[j + width][k];
                    of[j][k] = larger_of(sum + 2 * twice[k], 0);
                    of[j + width][k] = larger_of(sum - 2 * twice[k], 0);
                }
            }
        }
        if (S > 1 || group.size > 1) pair_quarters(group, 1, true);
        if (S > 1 || group.size > 2) pair_quarters(group, 2, even_quarter());
    }

    // Never below zero, by however little.
    static __device__ __forceinline__ float larger_of(float v, float least) { return v < least ? least : v; }

    // Covariances of `width` slots from `slot` on with as many that follow.
    __device__ __forceinline__ void add_slots(float (&sums)[SIDE], const Group& group, int slot, int width) const {
#if CORRELATED
#pragma unroll 1
        for (int i = 0; i < width; ++i)
#pragma unroll 1
            for (int j = width; j < 2 * width; ++j) add_pair(sums, group, group.member(slot + i), group.member(slot + j));
#endif
    }

    // Every quarter compares its patches with those of one other, so that each pair of quarters from both halves comes once: 0 with
    // 2, 1 with 3, 2 with 1 and 3 with 0. Pairs of quarters are shared between the two: every other pair of patches.
    __device__ __forceinline__ void pair_quarters(const Group& group, int distance, bool wanted) {
        float twice[SIDE] = {};
#if CORRELATED
        const int quarter = threadIdx.x % 32 / 8, slots = group.slots;
        const int partner = distance == 1 ? quarter ^ 1 : quarter == 0 ? 2 : quarter == 1 ? 3 : quarter == 2 ? 1 : 0;
        if ((quarter | 1) < group.size)  // not the empty ones
#pragma unroll 1
            for (int k = distance == 1 ? quarter % 2 : 0; k < slots * slots; k += distance == 1 ? 2 : 1) {
                const bool swapped = distance == 1 && quarter % 2;  // the same order of the pairs on both sides
                const int mine = swapped ? k % slots : k / slots, other = swapped ? k / slots : k % slots;
                add_pair(twice, group, quarter * slots + mine, partner * slots + other);
            }
#endif
#pragma unroll
        for (int k = 0; k < COUNT; ++k) {
            float covariance = 0;
            if (CORRELATED) {
                covariance = twice[k] + from_quarter(twice[k], 1);
                if (distance == 2) covariance += from_quarter(covariance, 2);
            }
            const float sum = of[0][k] + from_quarter(of[0][k], distance);
            const float v = larger_of(threadIdx.x & (8 * distance) ? sum - 2 * covariance : sum + 2 * covariance, 0);
            if (wanted) of[0][k] = v;
        }
    }
};
