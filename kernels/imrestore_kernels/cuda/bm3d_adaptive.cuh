// Wiener's filter whose basis is the group itself: A C with A = E (E'E + R)^-1 E', where the guide's coefficients E and the noisy
// C have a column for every node of Haar's transform, and the diagonal R is a factor times the noise.
//
// With L L' = E'E + R, W = L^-1 E' and P = L^-1 E'C it is W' P. E and C stay in registers as Coefficients: lane 8 q + r has 8 numbers
// of every node in its quarter q. Products of columns are sums over the 8 lanes of a quarter, which leave a column of E'E and one of
// E'C in every lane. L' is in the warp's exchange, where columns become rows otherwise. Rows of W are in all quarters as soon as
// they are made, and not needed when the next one is.
//
// Nodes are numbered slot by slot, four quarters each: so rows of L' may begin at their own slot, and slots whose nodes are done
// cost nothing. Groups of 1 and 2 have four nodes as well, the others of zeros. Columns are those of plain sums and differences: for
// E that is the same as columns of norm 1 if R has the squares of their factors, and C's may have any.
//
// Estimate for a group of 32: a lane has 7600 multiplications with additions in 12 000 instructions, among them 1500 shuffles and 500
// reads of shared memory. At four instructions a cycle that is 3000 cycles of a multiprocessor: a millisecond per megapixel and
// plane on an H200 with step 4, if nothing waits.
//
// Macros: those of the header.
#pragma once

#include "bm3d_group.cuh"

constexpr float LEAST_PIVOT = 0x1p-20f;  // as in bm3d_profiles.py
// Least number of R, in parts of the diagonal of E'E. Where patches span fewer dimensions than there are of them and noise is next to
// nothing, rounding errors of up to 2^-20 are left after some pivots. With least pivots alone they grow from row to row, to infinity
// in 4 of 8 pictures that repeat themselves.
constexpr float LEAST_RIDGE = 0x1p-18f;

// A number that the compiler knows nothing of: else addresses made of it are computed before all tiles and kept in 20 registers.
__device__ __forceinline__ int opaque(int v) {
    asm volatile("" : "+r"(v));
    return v;
}

// The filter of a group with S slots: where L' is, and the node whose columns this lane has. With less than 8 slots several have the
// same.
template <int S>
struct AdaptiveFilter {
    static constexpr int NODES = 4 * S;
    float* memory;
    int slot, quarter;

    __device__ __forceinline__ explicit AdaptiveFilter(float* exchange) {
        const int lane = opaque(threadIdx.x % 32);
        memory = exchange + opaque(0);
        slot = lane % 8 * S / 8;
        quarter = lane / 8;
    }

    // The row of a node in L', from the first node of its slot on.
    __device__ __forceinline__ float* row(int slot, int quarter) const {
        return memory + 8 * slot * (2 * S - slot + 1) + quarter * 4 * (S - slot);
    }
    // This lane's number in it, if there is one.
    __device__ __forceinline__ float& own(int slot, int quarter) const {
        return row(slot, quarter)[4 * (this->slot - slot) + this->quarter];
    }
    __device__ __forceinline__ bool owns(int slot, int quarter) const { return this->slot == slot && this->quarter == quarter; }

    // What this lane would have of a node of another quarter.
    static __device__ __forceinline__ float at_quarter(float v, int quarter) {
        return __shfl_sync(FULL_MASK, v, 8 * quarter + threadIdx.x % 8);
    }

    // Sums over the lanes of a quarter, each slot's in the lanes that own it: half of them go to the other half of the lanes.
    static __device__ __forceinline__ float sum(float (&v)[S]) {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int half = S / 2; half; half /= 2) {
            const int distance = 8 * half / S;
            const bool upper = lane & distance;
#pragma unroll
            for (int j = 0; j < half; ++j) {
                const float kept = upper ? v[j + half] : v[j], given = upper ? v[j] : v[j + half];
                v[j] = kept + __shfl_sync(FULL_MASK, given, lane ^ distance);
            }
        }
#pragma unroll
        for (int distance = 4 / S; distance; distance /= 2) v[0] += __shfl_sync(FULL_MASK, v[0], lane ^ distance);
        return v[0];
    }

    // A node's column of E times this lane's of c, if that is of a slot from the given one on.
    static __device__ __forceinline__ float product(const Coefficients& e, int slot, int quarter, const Coefficients& c, int from) {
        float products[S] = {};
#pragma unroll
        for (int k = 0; k < SIDE; ++k) {
            const float number = at_quarter(e.at[slot][k], quarter);
#pragma unroll
            for (int j = from; j < S; ++j) products[j] = fmaf(number, c.at[j][k], products[j]);
        }
        return sum(products);
    }

    // Takes a node's row of L' times its number from what is below it in a column.
    __device__ __forceinline__ void eliminate(float (&column)[NODES], int node) const {
#pragma unroll
        for (int j = node / 4; j < S; ++j) {
            const Four factors = reinterpret_cast<const Four*>(row(node / 4, node % 4))[j - node / 4];
#pragma unroll
            for (int k = 0; k < 4; ++k)
                if (4 * j + k > node) column[4 * j + k] = fmaf(-factors.value[k], column[node], column[4 * j + k]);
        }
    }

    // Stores E'E + R, as far as L' goes; `ridge` is the number of R in this lane's column. Returns the column's least pivot.
    __device__ __forceinline__ float store_gram(const Coefficients& e, float ridge) const {
        float least = 0;
#pragma unroll
        for (int i = 0; i < S; ++i)
#pragma unroll 1
            for (int q = 0; q < 4; ++q) {
                float square = product(e, i, q, e, i);
                if (owns(i, q)) {
                    square += ridge < square * LEAST_RIDGE ? square * LEAST_RIDGE : ridge;
                    least = square * LEAST_PIVOT;
                }
                if (slot >= i) own(i, q) = square;
            }
        __syncwarp();
        return least;
    }

    // L' in place of the matrix, its diagonal inverted. Without noise a column of zeros has a pivot of zero, and its row counts for
    // nothing.
    __device__ __forceinline__ void factorise(float least) const {
        float column[NODES];
#pragma unroll
        for (int n = 0; n < NODES; ++n) column[n] = slot >= n / 4 ? own(n / 4, n % 4) : 0;
        __syncwarp();
#pragma unroll
        for (int n = 0; n < NODES; ++n) {
            const int i = n / 4, q = n % 4;
            const float pivot = __shfl_sync(FULL_MASK, column[n] < least ? least : column[n], 8 * q + i * (8 / S));
            const float inverse = pivot == 0 ? 0 : __fdividef(1, sqrtf(pivot));
            column[n] *= inverse;
            if (slot >= i) own(i, q) = owns(i, q) ? inverse : column[n];
            __syncwarp();
            eliminate(column, n);
        }
    }

    // This lane's column of P.
    __device__ __forceinline__ void project(const Coefficients& e, const Coefficients& c, float (&column)[NODES]) const {
#pragma unroll
        for (int i = 0; i < S; ++i)
#pragma unroll 1
            for (int q = 0; q < 4; ++q) {
                const float number = product(e, i, q, c, 0);
#pragma unroll
                for (int k = 0; k < 4; ++k)
                    if (k == q) column[4 * i + k] = number;
            }
#pragma unroll
        for (int n = 0; n < NODES; ++n) {
            column[n] *= row(n / 4, n % 4)[n % 4];
            eliminate(column, n);
        }
    }

    // Takes A C from C. Nothing is left of E. Returns what adds up to A's trace in any quarter.
    __device__ __forceinline__ float subtract(Coefficients& c, Coefficients& e, const float (&column)[NODES]) const {
        float trace = 0;
#pragma unroll
        for (int i = 0; i < S; ++i)
#pragma unroll 1
            for (int q = 0; q < 4; ++q) {
                const float* const factors = row(i, q);
                float w[SIDE], own_product = column[4 * i];
#pragma unroll
                for (int k = 1; k < 4; ++k)
                    if (k == q) own_product = column[4 * i + k];
#pragma unroll
                for (int k = 0; k < SIDE; ++k) {
                    w[k] = at_quarter(e.at[i][k], q) * factors[q];
                    trace = fmaf(w[k], w[k], trace);
                }
#pragma unroll
                for (int j = 0; j < S; ++j) {
                    const float product = __shfl_sync(FULL_MASK, own_product, 8 * quarter + j * (8 / S));
#pragma unroll
                    for (int k = 0; k < SIDE; ++k) c.at[j][k] = fmaf(-product, w[k], c.at[j][k]);
                }
#pragma unroll
                for (int j = i; j < S; ++j) {
                    const float factor = factors[4 * (j - i) + quarter];  // done nodes are spoilt, and not needed
#pragma unroll
                    for (int k = 0; k < SIDE; ++k) e.at[j][k] = fmaf(-factor, w[k], e.at[j][k]);
                }
            }
        __syncwarp();
        return trace;
    }
};
static_assert(8 * SLOTS * (SLOTS + 1) <= EXCHANGE, "the factor fits where columns become rows");
