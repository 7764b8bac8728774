// Block matching: for every reference the shifts to the patches most like it, as sorted lists.
//
// A lane owns STEP columns, a warp ROWS rows of references. For a shift a lane squares the differences of its own pixels, each
// once for all ROWS references, in blocks of STEP x STEP; patches are put together from blocks, down the rows in registers and
// across the columns by shuffles. With STEP 3 and ROWS 2 that is 17 squared differences for a pair of patches, not 64.
// SHIFTS_AT_ONCE shifts are done side by side: a pixel read from shared memory serves all of them.
//
// A candidate is a whole number, bits of its distance with the number of the shift in the low ones. Numbers differ, so a list does
// not depend on the order in which candidates come. Where there is no pixel distances are NaN, beyond every limit.
//
// Macros: those of bm3d_positions.cuh, ROWS, MATCH_WARPS, CHUNK: rows of shifts whose pixels lie in shared memory at a time.
#pragma once

#include "bm3d_positions.cuh"

constexpr int SHIFTS_AT_ONCE = 4;
constexpr int FULL = SIDE / STEP, REST = SIDE % STEP, BLOCKS = FULL + (REST > 0);
constexpr int OWNERS = 32 - (BLOCKS - 1);  // lanes with a reference: the last ones only own columns
constexpr int SPAN = (ROWS - 1) * STEP + SIDE;
constexpr int MARGIN = (REACH + STEP - 1) / STEP;
constexpr int PHASE = 32 + 2 * MARGIN;  // columns of the tile with the same remainder of STEP, side by side: no bank conflicts
constexpr int LINE = STEP * PHASE;
constexpr int TILE_ROWS = (MATCH_WARPS * ROWS - 1) * STEP + SIDE + CHUNK - 1;
constexpr int CHUNKS = (WINDOW + CHUNK - 1) / CHUNK;

__device__ __forceinline__ unsigned smaller(unsigned a, unsigned b) { return a < b ? a : b; }
__device__ __forceinline__ unsigned larger(unsigned a, unsigned b) { return a < b ? b : a; }

// Never fused with an addition that follows: whether the compiler would depends on the copy of unrolled code.
__device__ __forceinline__ float square(float d) { return __fmul_rn(d, d); }

// Sums of squares of one shift: blocks that grow row by row, and the patches made of them. `first` are the first REST columns of
// a block, `others` the rest of it.
struct ShiftSums {
    float first, others, patch_first[ROWS], patch_others[ROWS];

    __device__ __forceinline__ void add_row(int row, const float (&own)[STEP], const float (&other)[STEP]) {
#pragma unroll
        for (int c = 0; c < STEP; ++c) {
            const float d = own[c] - other[c];
            float& sum = c < REST ? first : others;
            sum = row % STEP == 0 && (c == 0 || c == REST) ? square(d) : fmaf(d, d, sum);
        }
        const int block = row / STEP, rows = row % STEP + 1;
        if (rows == STEP) add_block<0, FULL>(block);
        if (rows == REST) add_block<FULL, FULL + 1>(block);
    }

    // To the patches in which it is block FROM .. UNTIL - 1.
    template <int FROM, int UNTIL>
    __device__ __forceinline__ void add_block(int block) {
#pragma unroll
        for (int k = FROM; k < UNTIL; ++k) {
            const int m = block - k;
            if (m < 0 || m >= ROWS) continue;
            patch_others[m] = k ? patch_others[m] + others : others;
            if (REST) patch_first[m] = k ? patch_first[m] + first : first;
        }
    }

    __device__ __forceinline__ float distance(int m, int lane) const {
        float sum = REST ? patch_first[m] + patch_others[m] : patch_others[m];
#pragma unroll
        for (int width = 1; width < FULL; width *= 2) sum += __shfl_sync(FULL_MASK, sum, (lane + width) & 31);
        if (REST) sum += __shfl_sync(FULL_MASK, patch_first[m], (lane + FULL) & 31);
        return sum;
    }
};

// The candidates of a warp's references: those that wait, in shared memory, in columns of their own lanes; and the best so far, in
// sorted lists in global memory, entry i of which only lane i touches. A list of 16 takes in about 90 of 1500 candidates one by one,
// and about 140 in five batches of 32, which cost as much as 30 insertions.
struct Candidates {
    unsigned *waiting, *lists;  // the lists of the references of the first lane
    long long row;              // references beside each other in the image
    int lane;
    unsigned worst[ROWS];  // candidates below these are wanted
    int count[ROWS];       // of those that wait

    __device__ __forceinline__ unsigned* list(int m, int owner) const { return lists + (m * row + owner) * GROUP; }

    __device__ __forceinline__ void start(int m, unsigned limit, int references) {
        worst[m] = limit;
        count[m] = 0;
        for (int owner = 0; owner < references; ++owner)
            if (lane < GROUP) list(m, owner)[lane] = lane ? ~0u : 0;  // 0 is the reference itself
    }

    __device__ __forceinline__ void add(int m, unsigned candidate) {
        if (candidate < worst[m]) waiting[(m * 32 + count[m]++) * 32 + lane] = candidate;
    }

    // Those of one stage of a sorting network whose lanes differ in a bit; the lower lane gets the smaller one if `up`.
    __device__ __forceinline__ unsigned exchanged(unsigned mine, int bit, bool up) const {
        const unsigned other = __shfl_sync(FULL_MASK, mine, lane ^ bit);
        return up == !(lane & bit) ? smaller(mine, other) : larger(mine, other);
    }

    // Of all references with more candidates than that.
    __device__ __forceinline__ void merge(int m, int most) {
        unsigned left = __ballot_sync(FULL_MASK, count[m] > most);
        if (!left) return;
        __syncwarp();
        for (; left; left &= left - 1) {
            const int owner = __ffs(left) - 1;
            unsigned fresh = lane < __shfl_sync(FULL_MASK, count[m], owner) ? waiting[(m * 32 + lane) * 32 + owner] : ~0u;
#pragma unroll
            for (int length = 2; length <= 32; length *= 2)
#pragma unroll
                for (int bit = length / 2; bit; bit /= 2) fresh = exchanged(fresh, bit, lane & length);
            // Falling against rising: the smaller ones are the smallest of all, and rise and fall once.
            unsigned mine = smaller(lane < GROUP ? list(m, owner)[lane] : ~0u, fresh);
#pragma unroll
            for (int bit = 16; bit; bit /= 2) mine = exchanged(mine, bit, true);
            if (lane < GROUP) list(m, owner)[lane] = mine;
            const unsigned last = __shfl_sync(FULL_MASK, mine, GROUP - 1);
            if (lane == owner) {
                worst[m] = smaller(worst[m], last);
                count[m] = 0;
            }
        }
        __syncwarp();
    }
};

// First of the whole numbers that are no candidates; see limit_of of bm3d_profiles.py.
__device__ __forceinline__ unsigned limit_of(double match, float variance) {
    return __float_as_uint(float(fmin(match * (SIDE * SIDE) * variance, 3.4028234663852886e38))) | SHIFT_MASK;
}

struct MatchTile {
    int first_row, row, first_column, column;  // the first reference: its numbers and its pixel
    int rows, columns;                         // references

    // References come in tiles on the grid; those of the last row and column have tiles of their own where they are off it.
    __device__ __forceinline__ MatchTile(const Axis& y, const Axis& x, int row_start, int row_stop, int number, int across) {
        constexpr int HEIGHT = MATCH_WARPS * ROWS;
        const int on_grid = row_stop < y.regular ? row_stop : y.regular;
        const int tile_y = number / across, tile_x = number % across;
        first_row = row_start + tile_y * HEIGHT;
        rows = on_grid - first_row < HEIGHT ? on_grid - first_row : HEIGHT;
        if (rows <= 0) {
            first_row = y.regular;
            rows = 1;
        }
        first_column = tile_x * OWNERS;
        columns = x.regular - first_column < OWNERS ? x.regular - first_column : OWNERS;
        if (columns <= 0) {
            first_column = x.regular;
            columns = 1;
        }
        row = y.position(first_row);
        column = x.position(first_column);
    }
};

// The pixels that shifts of CHUNK rows from `shift_y` on reach, columns by their remainders of STEP.
__device__ __forceinline__ void load_match_tile(float* tile, const float* __restrict__ plane, long long height, long long width,
                                                long long top, long long left) {
    for (int i = threadIdx.x; i < TILE_ROWS * LINE; i += 32 * MATCH_WARPS) {
        const int r = i / LINE, c = i % LINE;
        const long long y = top + r, x = left + c;
        const bool inside = y >= 0 && y < height && x >= 0 && x < width;
        tile[r * LINE + c % STEP * PHASE + c / STEP] = inside ? __ldg(plane + y * width + x) : nothing();
    }
}

// The shifts of SHIFTS_AT_ONCE rows by dx columns. `tile`: the warp's first row, so many rows of shifts on; `numbers`: of the first
// of the shifts. Number 0 is the reference itself, or no shift at all.
__device__ __forceinline__ void compare(const float (&own)[SPAN][STEP], const float* tile, int dx,
                                        const unsigned short* __restrict__ numbers, Candidates& candidates) {
    const float* columns[STEP];
#pragma unroll
    for (int c = 0; c < STEP; ++c) {
        const int at = MARGIN * STEP + c + dx;
        columns[c] = tile + at % STEP * PHASE + at / STEP + candidates.lane;
    }
    float other[STEP];
    ShiftSums sums[SHIFTS_AT_ONCE];
#pragma unroll
    for (int r = 0; r < SPAN + SHIFTS_AT_ONCE - 1; ++r) {
#pragma unroll
        for (int c = 0; c < STEP; ++c) other[c] = columns[c][r * LINE];
#pragma unroll
        for (int s = 0; s < SHIFTS_AT_ONCE; ++s)
            if (r - s >= 0 && r - s < SPAN) sums[s].add_row(r - s, own[r - s], other);
    }
#pragma unroll
    for (int s = 0; s < SHIFTS_AT_ONCE; ++s) {
        const unsigned number = __ldg(numbers + s * WINDOW);
        if (!number) continue;
#pragma unroll
        for (int m = 0; m < ROWS; ++m)
            candidates.add(m, (__float_as_uint(sums[s].distance(m, candidates.lane)) & ~SHIFT_MASK) | number);
    }
#pragma unroll
    for (int m = 0; m < ROWS; ++m) candidates.merge(m, 32 - SHIFTS_AT_ONCE);
}

// Sorted lists of the candidates of all references in rows row_start .. row_stop - 1, all ones where there are no more. `numbers`: of
// the shifts by dy and dx, and rows of zeros that complete the last chunk. `local`: variance of the noise at every pixel, or null
// for `variance` alone.
extern "C" __global__ void __launch_bounds__(32 * MATCH_WARPS, 1)
    bm3d_match(const float* __restrict__ plane, const float* __restrict__ local, const unsigned short* __restrict__ numbers,
               unsigned* lists, long long height, long long width, int row_start, int row_stop, int across, int tiles, double match,
               double variance) {
    SHARED_MEMORY(memory);
    unsigned* const waiting = reinterpret_cast<unsigned*>(memory);
    float* const tile = reinterpret_cast<float*>(waiting + MATCH_WARPS * ROWS * 32 * 32);
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * ROWS;  // row of references in the tile
    const Axis ys(height), xs(width);
    for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
        const MatchTile mine(ys, xs, row_start, row_stop, number, across);
        const bool active = first < mine.rows;
        const long long top = mine.row + first * STEP, left = mine.column + lane * STEP;
        float own[SPAN][STEP];
        Candidates candidates;
        candidates.waiting = waiting + first * 32 * 32;
        candidates.lists = lists + ((long long)(mine.first_row + first - row_start) * xs.count + mine.first_column) * GROUP;
        candidates.row = xs.count;
        candidates.lane = lane;
        if (active) {
#pragma unroll
            for (int r = 0; r < SPAN; ++r)
#pragma unroll
                for (int c = 0; c < STEP; ++c)
                    own[r][c] = top + r < height && left + c < width ? __ldg(plane + (top + r) * width + left + c) : 0;
#pragma unroll
            for (int m = 0; m < ROWS; ++m) {
                const int references = first + m < mine.rows ? mine.columns : 0;
                const bool there = lane < references;
                const double v = local && there ? __ldg(local + (top + m * STEP) * (width - SIDE + 1) + left) : variance;
                candidates.start(m, there ? limit_of(match, v) : 0, references);
            }
        }
        for (int k = 0; k < CHUNKS; ++k) {  // from the middle: near patches are most alike, and later ones rarely enter a list
            const int shift_row = (CHUNKS / 2 + k) % CHUNKS * CHUNK;
            __syncthreads();
            load_match_tile(tile, plane, height, width, mine.row + shift_row - REACH, mine.column - MARGIN * STEP);
            __syncthreads();
            if (!active) continue;
            for (int i = 0; i < WINDOW; ++i) {
                const int dx = i % 2 ? (i + 1) / 2 : -(i / 2);
#pragma unroll 1
                for (int r = 0; r < CHUNK && shift_row + r < WINDOW; r += SHIFTS_AT_ONCE)
                    compare(own, tile + (first * STEP + r) * LINE, dx, numbers + (shift_row + r) * WINDOW + REACH + dx, candidates);
            }
        }
        if (active)
#pragma unroll
            for (int m = 0; m < ROWS; ++m) candidates.merge(m, 0);
    }
}
