// Two ways to run a separable filter, shared by mean.cu and gaussian.cu.
//
// fused_tile: both axes of a picture in one launch. A block makes TILE_Y rows of 128 samples: it filters columns
// straight from global memory (coalesced, eight outputs per thread from one sliding set of registers), keeps the sums
// in shared memory, and filters those along the rows. DRAM sees every pixel once in and once out; the overlap of
// neighbouring tiles is served by L2.
//
// filter_line: one axis of an array of any rank per launch, for large windows and for volumes; between the launches the
// sums stay in scratch, so nothing is rounded on the way.
//
// A filter F gives
//   F::Sum                    what a window adds up (one number, or a number and a weight where pixels are left out)
//   F::sample(v, valid)       one sample as a Sum
//   F::pad(cval, valid, f)    the Sum of a line that lies wholly outside, f being what the earlier axes add up to
//   F::window<G, SIZE>(load, axis, out)   Sums of G neighbouring windows; load(i) is sample i of the first one and on
//   F::finish(sum)            the pixel
//   F::is_suspicious(sum)     whether the pixel has to be made again in another way
// SIZE is the window's length if the compiler knows it, else 0.
#pragma once

#include "borders.cuh"
#include "dtypes.cuh"

#define THREADS 256
#define COLUMN_OUTPUTS 8
#define ROW_OUTPUTS 4
#define LINE_OUTPUTS 8

typedef ACC Acc;  // what sums are kept in

// One axis of one picture or volume.
struct Axis {
    long long size;      // of the window
    const Acc* weights;  // null for the mean
};

#ifdef FUSED
// A warp makes one row of the tile at a time: 32 / CHANNELS groups of four neighbouring pixels.
constexpr int QUADS = 32 / CHANNELS;
constexpr int PIXELS = QUADS * ROW_OUTPUTS;

// Each lane reads its four pixels' samples one after another, so lanes would stride by four and meet in the same
// banks. Sample e is therefore kept at (e % 4) * (PITCH / 4) + e / 4: lanes read consecutive words, and with PITCH / 4
// an odd multiple of 8 the column pass writes without conflicts too. Several channels need no such care.
__device__ __forceinline__ int shuffled(int e) { return CHANNELS == 1 ? (e & 3) * (PITCH / 4) + (e >> 2) : e; }

struct Picture {
    long long outer, height, width, inner;
    int mode;
    T cval;
    bool pad_counts;
};

template <class F>
__device__ void fused_columns(const F& filter, const T* src, const unsigned char* where, const Picture& p, Axis y_axis,
                              Axis x_axis, long long plane, long long x0, long long channel, const long long* rows,
                              typename F::Sum* sums) {
    const int columns = int(PIXELS + (SIZE_X ? SIZE_X : x_axis.size) - 1) * CHANNELS;
    const int chunks = (columns + 31) / 32, lane = threadIdx.x % 32;
    for (int unit = threadIdx.x / 32; unit < chunks * (TILE_Y / COLUMN_OUTPUTS); unit += THREADS / 32) {
        const int group = unit / chunks, e = (unit - group * chunks) * 32 + lane;
        const bool used = e < columns && channel + e % CHANNELS < p.inner;
        if (!used) continue;
        const long long x = border_index(x0 - x_axis.size / 2 + e / CHANNELS, p.width, p.mode);
        const long long column = x < 0 ? -1 : x * p.inner + channel + e % CHANNELS;
        typename F::Sum out[COLUMN_OUTPUTS];
        filter.template window<COLUMN_OUTPUTS, SIZE_Y>(
            [&](int i) {
                const long long row = rows[group * COLUMN_OUTPUTS + i];
                if ((row | column) < 0) return filter.sample(p.cval, p.pad_counts);
                const long long at = plane + row + column;
                return filter.sample(src[at], !WHERE || where[at]);
            },
            y_axis, out);
#pragma unroll
        for (int g = 0; g < COLUMN_OUTPUTS; ++g) sums[(group * COLUMN_OUTPUTS + g) * PITCH + shuffled(e)] = out[g];
    }
}

struct alignas(ROW_OUTPUTS * sizeof(T)) Quad {
    T values[ROW_OUTPUTS];
};

template <class F, class Again>
__device__ void fused_rows(const F& filter, T* dst, const Picture& p, Axis x_axis, long long plane, long long y0,
                           long long x0, long long channel, const typename F::Sum* sums, Again again) {
    const int lane = threadIdx.x % 32, quad = lane / CHANNELS, c = lane % CHANNELS;
    if (quad >= QUADS || channel + c >= p.inner) return;
    const long long x = x0 + quad * ROW_OUTPUTS;
    // One wide store where the row allows it: four scalar ones at a stride of four would cost four times the writes.
    const bool wide = CHANNELS == 1 && x + ROW_OUTPUTS <= p.width && p.width % ROW_OUTPUTS == 0 && p.inner == 1 &&
                      (unsigned long long)dst % sizeof(Quad) == 0;
    unsigned suspicious = 0;  // a bit per pixel of this thread, made again at the end: no call in the hot loop
    int turn = 0;
    for (int row = threadIdx.x / 32; row < TILE_Y && y0 + row < p.height; row += THREADS / 32, turn += ROW_OUTPUTS) {
        typename F::Sum out[ROW_OUTPUTS];
        filter.template window<ROW_OUTPUTS, SIZE_X>(
            [&](int i) { return sums[row * PITCH + shuffled((quad * ROW_OUTPUTS + i) * CHANNELS + c)]; }, x_axis, out);
        T* const line = dst + plane + (y0 + row) * p.width * p.inner + channel + c;
        Quad four;
#pragma unroll
        for (int g = 0; g < ROW_OUTPUTS; ++g) {
            four.values[g] = filter.finish(out[g]);
            suspicious |= unsigned(filter.is_suspicious(out[g])) << (turn + g);
        }
        if (wide) {
            *reinterpret_cast<Quad*>(line + x) = four;
            continue;
        }
#pragma unroll
        for (int g = 0; g < ROW_OUTPUTS; ++g)
            if (x + g < p.width) line[(x + g) * p.inner] = four.values[g];
    }
    for (int bit = 0; suspicious >> bit; ++bit)
        if (suspicious >> bit & 1 && x + bit % ROW_OUTPUTS < p.width)
            again(plane, y0 + threadIdx.x / 32 + bit / ROW_OUTPUTS * (THREADS / 32), x + bit % ROW_OUTPUTS, channel + c);
}

// Shared memory: TILE_Y rows of PITCH sums, then the offset of every source row (-1: outside).
template <class F, class Again>
__device__ void fused_tile(const F& filter, const T* src, T* dst, const unsigned char* where, const Picture& p,
                           Axis y_axis, Axis x_axis, Again again) {
    SHARED_MEMORY(memory);
    typename F::Sum* const sums = reinterpret_cast<typename F::Sum*>(memory);
    long long* const rows = reinterpret_cast<long long*>(memory + TILE_Y * PITCH * sizeof(typename F::Sum));
    const long long chunks = (p.inner + CHANNELS - 1) / CHANNELS, tiles_y = (p.height + TILE_Y - 1) / TILE_Y;
    for (long long z = blockIdx.z; z < p.outer * chunks; z += gridDim.z) {
        long long chunk;
        const long long picture = floor_divide(z, chunks, chunk), channel = chunk * CHANNELS;
        const long long plane = picture * p.height * p.width * p.inner;
        for (long long tile_y = blockIdx.y; tile_y < tiles_y; tile_y += gridDim.y) {
            const long long y0 = tile_y * TILE_Y;
            for (long long x0 = (long long)blockIdx.x * PIXELS; x0 < p.width; x0 += (long long)gridDim.x * PIXELS) {
                for (int i = threadIdx.x; i < TILE_Y + y_axis.size - 1; i += THREADS) {
                    const long long y = border_index(y0 - y_axis.size / 2 + i, p.height, p.mode);
                    rows[i] = y < 0 ? -1 : y * p.width * p.inner;
                }
                __syncthreads();
                fused_columns(filter, src, where, p, y_axis, x_axis, plane, x0, channel, rows, sums);
                __syncthreads();
                fused_rows(filter, dst, p, x_axis, plane, y0, x0, channel, sums, again);
                // The next tile changes rows, which nobody reads any more, and waits before it changes sums.
            }
        }
    }
}
#endif

// Eight neighbouring outputs of one line per thread; `load(at)` reads the Sum at an offset, `store(at, sum)` writes.
template <class F, class Load, class Store>
__device__ void filter_line(const F& filter, long long outer, long long length, long long inner, Axis axis, int mode,
                            typename F::Sum pad, Load load, Store store) {
    const long long groups = (length + LINE_OUTPUTS - 1) / LINE_OUTPUTS;
    for (long long item = (long long)blockIdx.x * blockDim.x + threadIdx.x; item < outer * groups * inner;
         item += (long long)gridDim.x * blockDim.x) {
        long long column, group;
        const long long line = floor_divide(item, inner, column), o = floor_divide(line, groups, group);
        const long long first = group * LINE_OUTPUTS;
        const long long base = o * length * inner + column;
        typename F::Sum out[LINE_OUTPUTS];
        filter.template window<LINE_OUTPUTS, 0>(
            [&](long long i) {
                const long long at = border_index(first - axis.size / 2 + i, length, mode);
                return at < 0 ? pad : load(base + at * inner);
            },
            axis, out);
        for (int g = 0; g < LINE_OUTPUTS; ++g)
            if (first + g < length) store(base + (first + g) * inner, out[g]);
    }
}
