// Mosaics of a camera's colour filters and the way back.
#include "borders.cuh"
#include "elementary.cuh"
#include "job_tiles.cuh"

#define REACH 2  // of a filter of Malvar, He and Cutler

// Row y of a pattern (RGGB, BGGR, GRBG, GBRG: 0 to 3): its colour, 0 or 2, and whether that is in even or odd columns.
__device__ __forceinline__ int colour_of(long long pattern, long long y) { return (y ^ pattern) & 1 ? 2 : 0; }
__device__ __forceinline__ int phase_of(long long pattern, long long y) { return int((pattern >> 1 ^ y) & 1); }

#ifdef MOSAIC
extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    mosaic(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const Tiles tiles(job);
        const long long come = job[ADJOINT ? JOB_DST : JOB_SRC], go = job[ADJOINT ? JOB_SRC : JOB_DST];
        const long long plane = tiles.height * tiles.width;
        for (unsigned tile = blockIdx.x; tile < tiles.count; tile += gridDim.x) {
            const long long x = tiles.left(tile) + threadIdx.x;
            if (x >= tiles.width) continue;
            for (int i = 0; i < PIXELS; ++i) {
                const long long y = tiles.top(tile) + threadIdx.y + i * ROWS, at = y * tiles.width + x;
                if (y >= tiles.height) continue;
                const int open = (x & 1) == phase_of(job[JOB_A], y) ? colour_of(job[JOB_A], y) : 1;
                const bool one = job[JOB_B];  // the mosaic is a single plane
                const T value = src[come + at + (ADJOINT && one ? 0 : open * plane)];
                if (!ADJOINT && one) {
                    dst[go + at] = value;
                } else {
                    for (int c = 0; c < 3; ++c) dst[go + c * plane + at] = c == open ? value : T(0);
                }
            }
        }
    }
}
#endif

#ifdef DEMOSAIC
// The 5 x 5 samples around a pixel, and sums of those at a distance.
struct Around {
    T near[2 * REACH + 1][2 * REACH + 1];
    __device__ __forceinline__ T here() const { return near[2][2]; }
    __device__ __forceinline__ T over() const { return near[1][2] + near[3][2]; }
    __device__ __forceinline__ T beside() const { return near[2][1] + near[2][3]; }
    __device__ __forceinline__ T above() const { return near[0][2] + near[4][2]; }
    __device__ __forceinline__ T aside() const { return near[2][0] + near[2][4]; }
    __device__ __forceinline__ T corners() const { return (near[1][1] + near[1][3]) + (near[3][1] + near[3][3]); }
};

__device__ __forceinline__ T by(double factor, T value) { return mul(T(factor), value); }
#endif

#if defined DEMOSAIC && !ADJOINT
extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    demosaic(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const Tiles tiles(job);
        const T* const from = src + job[JOB_SRC];
        const long long plane = tiles.height * tiles.width;
        for (unsigned tile = blockIdx.x; tile < tiles.count; tile += gridDim.x) {
            const long long x = tiles.left(tile) + threadIdx.x;
            if (x >= tiles.width) continue;
            long long columns[2 * REACH + 1];
            for (int d = 0; d <= 2 * REACH; ++d) columns[d] = border_index(x + d - REACH, tiles.width, MIRROR);
            for (int i = 0; i < PIXELS; ++i) {
                const long long y = tiles.top(tile) + threadIdx.y + i * ROWS;
                if (y >= tiles.height) continue;
                Around a;
#pragma unroll
                for (int d = 0; d <= 2 * REACH; ++d) {
                    const T* const row = from + border_index(y + d - REACH, tiles.height, MIRROR) * tiles.width;
#pragma unroll
                    for (int e = 0; e <= 2 * REACH; ++e) a.near[d][e] = row[columns[e]];
                }
                const int colour = colour_of(job[JOB_A], y);
                const bool coloured = (x & 1) == phase_of(job[JOB_A], y);
                T own = a.here(), green = own, other;
                if (job[JOB_B] == 0) {
                    if (coloured) green = by(0.25, a.over() + a.beside());
                    else own = by(0.5, a.beside());
                    other = coloured ? by(0.25, a.corners()) : by(0.5, a.over());
                } else if (coloured) {
                    green = by(0.5, a.here()) + by(0.25, a.over() + a.beside()) - by(0.125, a.above() + a.aside());
                    other = by(0.75, a.here()) + by(0.25, a.corners()) - by(0.1875, a.above() + a.aside());
                } else {
                    own = by(0.625, a.here()) + by(0.5, a.beside()) - by(0.125, a.corners() + a.aside()) + by(0.0625, a.above());
                    other = by(0.625, a.here()) + by(0.5, a.over()) - by(0.125, a.corners() + a.above()) + by(0.0625, a.aside());
                }
                T* const to = dst + job[JOB_DST] + y * tiles.width + x;
                to[colour * plane] = own;
                to[plane] = green;
                to[(2 - colour) * plane] = other;
            }
        }
    }
}
#endif

#if defined DEMOSAIC && ADJOINT
// A pixel gathers from the channels that were made of it; those beyond the border are zero.
__device__ __forceinline__ Around around(const T* from, long long height, long long width, long long y, long long x) {
    Around a;
#pragma unroll
    for (int d = 0; d <= 2 * REACH; ++d)
#pragma unroll
        for (int e = 0; e <= 2 * REACH; ++e) {
            const long long row = y + d - REACH, column = x + e - REACH;
            const bool inside = row >= 0 && row < height && column >= 0 && column < width;
            a.near[d][e] = inside ? from[row * width + column] : T(0);
        }
    return a;
}

// Of pixel (y, x) of the mirrored plane, from the three channels one after the other.
__device__ T gathered(const T* from, long long height, long long width, long long y, long long x, long long pattern, bool malvar) {
    const long long plane = height * width;
    const int colour = colour_of(pattern, y);
    const bool coloured = (x & 1) == phase_of(pattern, y);
    T sum = 0;
    if (coloured || malvar) {
        const Around a = around(from + colour * plane, height, width, y, x);
        if (coloured) sum = a.here() + by(0.5, a.over() + a.beside()) + by(0.25, a.corners());
        else sum = by(0.625, a.here()) - by(0.125, a.corners() + a.aside()) + by(0.0625, a.above());
    }
    if (!coloured || malvar) {
        const Around a = around(from + plane, height, width, y, x);
        if (coloured) sum = sum + (by(0.5, a.here()) - by(0.125, a.above() + a.aside()));
        else sum = sum + (a.here() + by(0.25, a.over() + a.beside()));
    }
    if (malvar) {
        const Around a = around(from + (2 - colour) * plane, height, width, y, x);
        if (coloured) sum = sum + (by(0.75, a.here()) - by(0.1875, a.above() + a.aside()));
        else sum = sum + (by(0.625, a.here()) - by(0.125, a.corners() + a.above()) + by(0.0625, a.aside()));
    }
    return sum;
}

// The k-th place, from the first to the last, that may mirror place i of n: two before the border, i itself, two behind it.
__device__ __forceinline__ long long mirror_of(int k, long long i, long long n) {
    return k < REACH ? k - REACH : k == REACH ? i : n + k - REACH - 1;
}

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    demosaic_adjoint(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const Tiles tiles(job);
        const T* const from = src + job[JOB_DST];
        for (unsigned tile = blockIdx.x; tile < tiles.count; tile += gridDim.x) {
            const long long x = tiles.left(tile) + threadIdx.x;
            if (x >= tiles.width) continue;
            for (int i = 0; i < PIXELS; ++i) {
                const long long y = tiles.top(tile) + threadIdx.y + i * ROWS;
                if (y >= tiles.height) continue;
                T value = 0;
                for (int e = 0; e <= 2 * REACH; ++e) {
                    const long long column = mirror_of(e, x, tiles.width);
                    if (border_index(column, tiles.width, MIRROR) != x) continue;
                    T total = 0;
                    for (int d = 0; d <= 2 * REACH; ++d) {
                        const long long row = mirror_of(d, y, tiles.height);
                        if (border_index(row, tiles.height, MIRROR) == y)
                            total += gathered(from, tiles.height, tiles.width, row, column, job[JOB_A], job[JOB_B] != 0);
                    }
                    value += total;
                }
                dst[job[JOB_SRC] + y * tiles.width + x] = value;
            }
        }
    }
}
#endif
