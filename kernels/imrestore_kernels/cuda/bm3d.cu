// BM3D (Dabov, Foi, Katkovnik and Egiazarian, IEEE TIP 2007), one stage in three launches: groups are found, filtered and added
// up in tiles of references, and tiles are put together.
//
// A block owns a tile of PER_SIDE x PER_SIDE references and adds their patches in shared memory. Every thread of two warps owns the
// pixels with its remainders of 8, of which a patch has just one: no atomics, an order of additions that does not depend on what
// runs when, and floats of any range, NaN among them. The weights of pixels are those of patches, one number each, spread by the
// window at the end. Tiles overlap; a pixel adds up those that hold it, in their order.
//
// Macros: those of the headers, WIENER 0/1: which stage, ADAPTIVE 0, 1 or 2: whether nothing, a share or all of its result is the
// adaptive estimate, LOCAL 0/1: variances of the noise from a table, WARPS, PER_SIDE, PITCH: an odd multiple of 8, not below
// TILE_SIDE.
#include "bm3d_adaptive.cuh"
#include "bm3d_group.cuh"
#include "bm3d_match.cuh"

constexpr int TILE_SIDE = (PER_SIDE - 1) * STEP + SIDE + 2 * REACH;
constexpr int WEIGHT_SIDE = TILE_SIDE - SIDE + 1;  // first pixels of patches
constexpr int TILE_PIXELS = TILE_SIDE * TILE_SIDE;
constexpr int ADDERS = SIDE * SIDE;
constexpr int FILTER_BLOCKS = (GROUP < 32 ? 4 : 3) - (CORRELATED || ADAPTIVE);  // on a multiprocessor, as far as registers go
// Weights of what has no noise: so much more than those of what has, but not so much that products overflow.
constexpr float LEAST_VARIANCE = 0x1p-60f;

// Where a block keeps what it adds up, and what its warps tell the threads that add.
struct Workspace {
    float *sums, *weights, *exchange, *variances, *group_weights;
    int *positions, *sizes;

    __device__ __forceinline__ explicit Workspace(unsigned char* memory) {
        sums = reinterpret_cast<float*>(memory);
        weights = sums + TILE_SIDE * PITCH;
        exchange = weights + WEIGHT_SIDE * PITCH;
        variances = exchange + WARPS * EXCHANGE;
        group_weights = variances + WARPS * GROUP;
        positions = reinterpret_cast<int*>(group_weights + WARPS);
        sizes = positions + WARPS * GROUP;
    }
};

struct Images {
    const float *image, *guide, *local, *correlation;
    int correlation_reach;
    long long height, width;
};

struct Strengths {
    float strength;  // the threshold, or the factor of the noise in gains
    float adaptive, excess, share;  // as in bm3d_profiles.py
};

// Wiener's, from the guide's coefficient.
__device__ __forceinline__ float gain_of(float coefficient, float strength, float variance) {
    const float power = coefficient * coefficient;
    return power > 0 ? __fdividef(power, fmaf(strength, variance, power)) : 0;
}

// First stage: shrinks coefficients. Second stage: makes gains of the coefficients of the guide. Both are divided by the patches of
// their nodes, which Haar's transform owes. Adds the variances that are left to `total`.
template <int S>
__device__ __forceinline__ void shrink(Coefficients& c, const Variances& v, const Group& group, float strength, float& total) {
#pragma unroll
    for (int j = 0; j < S; ++j) {
        const float share = 1.0f / group.node(j);
        float threshold = strength * sqrtf(v(j, 0));
#pragma unroll
        for (int k = 0; k < SIDE; ++k) {
            const bool mean = j == 0 && k == 0 && threadIdx.x % 32 == 0;
#if WIENER
            const float gain = mean ? 1 : gain_of(c.at[j][k], strength, v(j, k));
            total = fmaf(gain * gain, v(j, k) * share, total);
            c.at[j][k] = gain * share;
#else
            if (CORRELATED) threshold = strength * sqrtf(v(j, k));
            const bool kept = mean || !(fabsf(c.at[j][k]) < threshold);
            if (kept) total += v(j, k) * share;
            c.at[j][k] = kept ? c.at[j][k] * share : 0;
#endif
        }
    }
}

// The noise of a group's coefficients.
template <int S>
__device__ __forceinline__ Variances variances_of(const Group& group, const Images& images, int plane) {
    Variances v;
#if CORRELATED
    v.row = 2 * images.correlation_reach + 1;
    v.table = images.correlation + ((long long)plane * v.row * v.row + images.correlation_reach * (v.row + 1)) * (SIDE * SIDE) +
              threadIdx.x % 8 * SIDE;
#endif
    v.compute<S>(group);
    return v;
}

// Over all lanes, the same in each.
__device__ __forceinline__ float sum_of_warp(float v) {
#pragma unroll
    for (int distance = 16; distance; distance /= 2) v += __shfl_sync(FULL_MASK, v, (threadIdx.x % 32) ^ distance);
    return v;
}

#if ADAPTIVE
// Second stage, where noise is white: what the estimates, each its share, change in the coefficients, divided likewise. The patches
// are added in the end: until then C need not be kept beside what the adaptive estimate leaves out of it.
template <int S>
__device__ __forceinline__ void change(Coefficients& c, Coefficients& guide, const Group& group, const Images& images, int plane,
                                       long long first, const Strengths& strengths, float* exchange, float& total) {
    const int lane = threadIdx.x % 32;
    const float variances = sum_of_warp(lane < group.size ? group.variances[lane] : 0), variance = variances / group.size;
    if (lane == 0) c.at[0][0] = guide.at[0][0] = 0;
    {
        const AdaptiveFilter<S> filter(exchange);
        filter.factorise(filter.store_gram(guide, strengths.adaptive * variances * group.node(filter.slot)));
    }
    float column[4 * S] = {};
    AdaptiveFilter<S>(exchange).project(guide, c, column);
    const float trace = sum_of_warp(AdaptiveFilter<S>(exchange).subtract(c, guide, column)) / 4;  // all quarters have the same
    float energy = 0;
#pragma unroll
    for (int j = 0; j < S; ++j) {
        float squares = 0;
#pragma unroll
        for (int k = 0; k < SIDE; ++k) squares = fmaf(c.at[j][k], c.at[j][k], squares);
        energy += squares / group.node(j);
    }
    const float exceeding = 1 - strengths.excess * variances * (SIDE * SIDE - trace) / sum_of_warp(energy);
    const float back = exceeding > 0 ? exceeding : 0;
#pragma unroll
    for (int j = 0; j < S; ++j)
#pragma unroll
        for (int k = 0; k < SIDE; ++k) c.at[j][k] *= strengths.share * (back - 1) / group.node(j);
    if (lane == 0) {
        c.at[0][0] = 0;
        total += strengths.share * variance * (1 + trace + back * (SIDE * SIDE - trace));
    }
#if ADAPTIVE == 1
    float left = 0;
    guide.load<S>(group, images.guide + first, images.width, exchange);
    guide.haar<S>(group);
    shrink<S>(guide, variances_of<S>(group, images, plane), group, strengths.strength, left);
    total += (1 - strengths.share) * left;
    Coefficients noisy;
    noisy.load<S>(group, images.image + first, images.width, exchange);
    noisy.haar<S>(group);
#pragma unroll
    for (int j = 0; j < S; ++j)
#pragma unroll
        for (int k = 0; k < SIDE; ++k)
            c.at[j][k] = fmaf((1 - strengths.share) * (guide.at[j][k] - 1.0f / group.node(j)), noisy.at[j][k], c.at[j][k]);
#endif
}
#endif

// NaN for a group with a sample that is not finite: its mean is not finite either.
__device__ __forceinline__ float spoiled(const Coefficients& c) {
    const float mean = c.at[0][0];
    return threadIdx.x % 32 == 0 && !(mean - mean == 0) ? nothing() : 0;
}

// Filters a group and leaves its patches, times their weights, in the registers; returns the weight of the group.
template <int S>
__device__ __forceinline__ float filter_group(Coefficients& c, const Group& group, const Images& images, long long tile_offset,
                                              int plane, const float* __restrict__ taps, const Strengths& strengths, float unit,
                                              float* exchange) {
    const int lane = threadIdx.x % 32;
    const long long first = plane * images.height * images.width + tile_offset;
#if !ADAPTIVE
    const Variances v = variances_of<S>(group, images, plane);
#endif
    float total = 0;
#if WIENER
    Coefficients guide;
    guide.load<S>(group, images.guide + first, images.width, exchange);
    guide.haar<S>(group);
    total += spoiled(guide);
#if !ADAPTIVE
    shrink<S>(guide, v, group, strengths.strength, total);
#endif
#endif
    c.load<S>(group, images.image + first, images.width, exchange);
    c.haar<S>(group);
    total += spoiled(c);
#if ADAPTIVE
    change<S>(c, guide, group, images, plane, first, strengths, exchange, total);
#elif WIENER
#pragma unroll
    for (int j = 0; j < S; ++j)
#pragma unroll
        for (int k = 0; k < SIDE; ++k)
            c.at[j][k] *= guide.at[j][k];  // now gains
#else
    shrink<S>(c, v, group, strengths.strength, total);
#endif
    total = sum_of_warp(total);
    const float least = unit * LEAST_VARIANCE, weight = unit / (total < least ? least : total);
    c.inverse_haar<S>(group);
    c.invert<S>(group, exchange);
#if ADAPTIVE
    // The address is made again: for two registers that would wait for it, others spill.
    c.add<S>(group, images.image + opaque(plane) * images.height * images.width + tile_offset, images.width);
#endif
    const float column = weight * __ldg(taps + lane % 8);
#pragma unroll
    for (int i = 0; i < SIDE; ++i) {
        const float factor = column * __ldg(taps + i);
#pragma unroll
        for (int j = 0; j < S; ++j)
            c.at[j][i] *= factor;
    }
    return weight;
}

// The code for as many slots as the group has.
template <int S, class... A>
__device__ __forceinline__ float filter_slots(Coefficients& c, const Group& group, A&&... arguments) {
    if constexpr (S > 1)
        if (group.slots < S) return filter_slots<S / 2>(c, group, arguments...);
    return filter_group<S>(c, group, arguments...);
}

// Adds the patches of two slots of all warps: in the order of warps, slots and quarters. Four patches are read before the first is
// written, so a pixel in several of them is handed on.
__device__ __forceinline__ void add_patches(const Workspace& work, int slot) {
    const int y = threadIdx.x / SIDE, x = threadIdx.x % SIDE;
    for (int warp = 0; warp < WARPS; ++warp) {
        const int size = work.sizes[warp], slots = size < 4 ? 1 : size / 4;
        if (size == 0) continue;
        const int* const positions = work.positions + warp * GROUP;
        const float weight = work.group_weights[warp];
        for (int j = slot; j < slot + 2 && j < slots; ++j) {
            const float* const patches = work.exchange + warp * EXCHANGE + (j - slot) * 4 * PATCH;
            int at[4];
            float sums[4] = {}, values[4] = {};  // nothing of them is kept from patch to patch, not even in registers
#pragma unroll
            for (int q = 0; q < 4; ++q) {
                const int member = q * slots + j;
                at[q] = -1;
                if (member >= size) continue;
                const int position = positions[member];
                const int row = (y - (position >> 16)) & 7, column = (x - position) & 7;
                at[q] = ((position >> 16) + row) * PITCH + (position & 0xffff) + column;
                values[q] = patches[q * PATCH + row * SIDE + column];
                sums[q] = work.sums[at[q]];
                if (row == 0 && column == 0) work.weights[at[q]] += weight;
            }
#pragma unroll
            for (int q = 0; q < 4; ++q) {
#pragma unroll
                for (int before = 0; before < q; ++before)
                    if (at[before] == at[q]) sums[q] = sums[before];
                if (at[q] < 0) continue;
                sums[q] += values[q];
                work.sums[at[q]] = sums[q];
            }
        }
    }
}

// What a tile adds up to: weighted pixels, and weights spread by the window along both axes.
__device__ __forceinline__ void store_tile(const Workspace& work, const float* __restrict__ taps, float* tile) {
    __syncthreads();
    for (int i = threadIdx.x; i < TILE_PIXELS; i += 32 * WARPS) tile[i] = work.sums[i / TILE_SIDE * PITCH + i % TILE_SIDE];
    __syncthreads();
    for (int i = threadIdx.x; i < WEIGHT_SIDE * TILE_SIDE; i += 32 * WARPS) {
        const int y = i / TILE_SIDE, x = i % TILE_SIDE;
        float sum = 0;
        for (int k = 0; k < SIDE; ++k)
            if (x >= k && x - k < WEIGHT_SIDE) sum = fmaf(__ldg(taps + k), work.weights[y * PITCH + x - k], sum);
        work.sums[y * PITCH + x] = sum;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < TILE_PIXELS; i += 32 * WARPS) {
        const int y = i / TILE_SIDE, x = i % TILE_SIDE;
        float sum = 0;
        for (int k = 0; k < SIDE; ++k)
            if (y >= k && y - k < WEIGHT_SIDE) sum = fmaf(__ldg(taps + k), work.sums[(y - k) * PITCH + x], sum);
        tile[TILE_PIXELS + i] = sum;
    }
}

// Tiles of references, numbered by plane, row from `first_tile_row` on and column; `lists` begin with the first of them.
// `shifts`: dy << 16 | (dx & 0xffff) by number. `white`: the noise's variance by plane, near which weights are kept.
extern "C" __global__ void __launch_bounds__(32 * WARPS, FILTER_BLOCKS)
    bm3d_filter(const float* __restrict__ image, const float* __restrict__ guide, const float* __restrict__ local,
                const float* __restrict__ correlation, int correlation_reach, const float* __restrict__ white,
                const float* __restrict__ taps, const int* __restrict__ shifts, const unsigned* __restrict__ lists,
                float* __restrict__ tiles, long long height, long long width, int first_tile_row,
                int tile_rows, int tile_columns, int tile_count, float strength, float adaptive,
                float excess, float share) {
    SHARED_MEMORY(memory);
    const Workspace work(memory);
    const Images images = {image, guide, local, correlation, correlation_reach, height, width};
    const Strengths strengths = {strength, adaptive, excess, share};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const Axis ys(height), xs(width);
    int* const positions = work.positions + warp * GROUP;
    float* const variances = work.variances + warp * GROUP;
    float* const exchange = work.exchange + warp * EXCHANGE;
    for (int number = blockIdx.x; number < tile_count; number += gridDim.x) {
        const int tile_column = number % tile_columns, tile_row = number / tile_columns % tile_rows;
        const int plane = number / tile_columns / tile_rows;
        const int first_y = (first_tile_row + tile_row) * PER_SIDE, first_x = tile_column * PER_SIDE;
        const int top = ys.position(first_y) - REACH, left = xs.position(first_x) - REACH;
        __syncthreads();
        for (int i = threadIdx.x; i < (TILE_SIDE + WEIGHT_SIDE) * PITCH; i += 32 * WARPS) work.sums[i] = 0;
        __syncthreads();
        for (int batch = 0; batch < PER_SIDE * PER_SIDE; batch += WARPS) {
            const int y = first_y + (batch + warp) / PER_SIDE, x = first_x + (batch + warp) % PER_SIDE;
            Group group = {0, 0, positions, variances};
            Coefficients c;
            if (batch + warp < PER_SIDE * PER_SIDE && y < ys.count && x < xs.count) {
                const long long reference = (long long)(y - first_tile_row * PER_SIDE) * xs.count + x;
                group.read(lists + reference * GROUP, shifts, ys.position(y) - top, xs.position(x) - left, lane);
                if (lane < group.size) {
                    const long long row = top + (positions[lane] >> 16), column = left + (positions[lane] & 0xffff);
                    const long long at = (plane * (height - SIDE + 1) + row) * (width - SIDE + 1) + column;
                    variances[lane] = LOCAL ? __ldg(local + at) : white[plane];
                }
                __syncwarp();
                const float unit = white[plane] > 0 ? white[plane] : 1;
                const float weight =
                    filter_slots<SLOTS>(c, group, images, top * width + left, plane, taps, strengths, unit, exchange);
                if (lane == 0) work.group_weights[warp] = weight;
            }
            if (lane == 0) work.sizes[warp] = group.size;
#pragma unroll
            for (int slot = 0; slot < SLOTS; slot += 2) {
#pragma unroll
                for (int j = slot; j < slot + 2; ++j)
                    if (j < group.slots) c.hand_over(j, exchange);
                __syncthreads();
                int largest = 0;
                for (int k = 0; k < WARPS; ++k) largest = work.sizes[k] < largest ? largest : work.sizes[k];
                if (threadIdx.x < ADDERS) add_patches(work, slot);
                __syncthreads();
                if (largest <= 4 * (slot + 2)) break;
            }
        }
        store_tile(work, taps, tiles + (long long)number * 2 * TILE_PIXELS);
    }
}

// The mean of all patches at every pixel of rows row_start .. row_stop - 1. Rows below `carried_until` have sums of the tiles before
// these in `carry_in`, rows from `final_until` on leave theirs in `carry_out` for the tiles to come.
extern "C" __global__ void __launch_bounds__(256)
    bm3d_join(const float* __restrict__ tiles, const float* __restrict__ carry_in, float* __restrict__ carry_out,
              float* __restrict__ dst, long long planes, long long height, long long width, int first_tile_row, int tile_rows,
              int tile_columns, int row_start, int row_stop, int carried_until, int final_until) {
    constexpr int PACE = PER_SIDE * STEP;
    const Axis ys(height), xs(width);
    const long long rows = row_stop - row_start, carry_plane = TILE_SIDE * width;
    for (long long line = blockIdx.y; line < planes * rows; line += gridDim.y)
        for (long long x = (long long)blockIdx.x * blockDim.x + threadIdx.x; x < width; x += (long long)gridDim.x * blockDim.x) {
            const long long plane = line / rows;
            const int y = row_start + int(line % rows);
            float sum = 0, weight = 0;
            if (y < carried_until) {
                const float* const carried = carry_in + plane * 2 * carry_plane + (y - row_start) * width + x;
                sum = carried[0];
                weight = carried[carry_plane];
            }
            // Tiles begin PACE apart, but for the last one.
            int low = (y + REACH - TILE_SIDE) / PACE - first_tile_row, left = (int(x) + REACH - TILE_SIDE) / PACE;
            low = low < 0 ? 0 : low;
            left = left < 0 ? 0 : left;
            for (int i = low; i < tile_rows && i <= (y + REACH) / PACE + 1 - first_tile_row; ++i) {
                const int row = y + REACH - ys.position((first_tile_row + i) * PER_SIDE);
                for (int j = left; j < tile_columns && j <= (int(x) + REACH) / PACE + 1; ++j) {
                    const int column = int(x) + REACH - xs.position(j * PER_SIDE);
                    if (row < 0 || row >= TILE_SIDE || column < 0 || column >= TILE_SIDE) continue;
                    const float* const tile = tiles + ((plane * tile_rows + i) * tile_columns + j) * 2 * TILE_PIXELS;
                    sum += tile[row * TILE_SIDE + column];
                    weight += tile[TILE_PIXELS + row * TILE_SIDE + column];
                }
            }
            if (y < final_until) {
                dst[(plane * height + y) * width + x] = sum / weight;
            } else {
                float* const carried = carry_out + plane * 2 * carry_plane + (y - final_until) * width + x;
                carried[0] = sum;
                carried[carry_plane] = weight;
            }
        }
}
