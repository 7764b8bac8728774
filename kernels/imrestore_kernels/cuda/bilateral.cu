// Bilateral filter (Tomasi, Manduchi, "Bilateral filtering for gray and color images", ICCV 1998): the mean of the pixels
// around, weighted by how near they are and how alike.
//
// Macros: T element; either TILE and those of similarity.cuh with COLUMNS 1, or GATHER and WHERE 0/1 (pixels may be left
// out).
#ifdef TILE
#define WHERE 0
#endif
#include "similarity.cuh"

#ifdef TILE
#define RUN 32  // hundreds of float32 additions of like numbers to one sum would go beyond the contract's 2e-6

// Weighted sums of the differences u(p) - u(q) for the ROWS pixels of a thread.
struct Sums {
    Real weights[ROWS], values[CHANNELS][ROWS];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            weights[r] = 0;
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) values[c][r] = 0;
        }
    }

    __device__ __forceinline__ void take(Sums& run) {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            weights[r] += run.weights[r];
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) values[c][r] += run.values[c][r];
        }
        run.clear();
    }
};

// A thread makes ROWS pixels of one column, all of them from the same shift at a time: both parts of the exponent become
// the argument of one exponential.
extern "C" __global__ void __launch_bounds__(32 * WARPS, 1)
    bilateral_tile(const T* __restrict__ src, T* __restrict__ dst, long long outer, long long height, long long width,
                   double sigma_color, double space_y, double space_x, int radius_y, int radius_x, int mode,
                   unsigned long long cval_bits) {
    SHARED_MEMORY(memory);
    Real* const tile = reinterpret_cast<Real*>(memory);
    const Picture picture = {outer, height, width, mode, from_bits<T>(cval_bits)};
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for_every_tile<WARPS * ROWS, 32>(picture, [&](long long plane, long long y0, long long x0) {
        const TileBox box = {y0 - radius_y, x0 - radius_x, WARPS * ROWS + 2 * radius_y, 32 + 2 * radius_x};
        TileVote* const votes = reinterpret_cast<TileVote*>(tile + (CHANNELS * box.plane() + 1) / 2 * 2);
        bool spoiled;
        const Scale scale = load_tile(src + plane, picture, box, sigma_color, tile, votes, spoiled);
        const long long top = y0 + warp * ROWS, x = x0 + lane;
        if (top >= height || x >= width) return;
        const Real per_square = scale.per_square(sigma_color, 2);
        const Real per_step_y = Real(space_y), per_step_x = Real(space_x);
        const Real* const corner = tile + warp * ROWS * PITCH + lane;
        Real own[CHANNELS][ROWS];
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c)
#pragma unroll
            for (int r = 0; r < ROWS; ++r) own[c][r] = corner[c * box.plane() + (r + radius_y) * PITCH + radius_x];
        const int columns = 2 * radius_x + 1;
        Sums total, run;
        total.clear();
        run.clear();
        for (int i = 0; i <= 2 * radius_y; ++i) {
            const Real step_y = Real(i - radius_y), far_y = -(step_y * step_y * per_step_y);
            Real step_x = Real(-radius_x);
            for (int first = 0; first < columns; first += RUN) {
                const int last = first + RUN < columns ? first + RUN : columns;
#pragma unroll 4
                for (int j = first; j < last; ++j) {
                    const Real far = fused(-(step_x * step_x), per_step_x, far_y);
                    step_x += 1;
#pragma unroll
                    for (int r = 0; r < ROWS; ++r) {
                        Real squares, d[CHANNELS];
#pragma unroll
                        for (int c = 0; c < CHANNELS; ++c) {
                            d[c] = own[c][r] - corner[c * box.plane() + (i + r) * PITCH + j];
                            squares = c ? fused(d[c], d[c], squares) : product(d[c], d[c]);
                        }
                        const Real w = exp2_of(fused(-per_square, squares, far));
                        run.weights[r] += w;
#pragma unroll
                        for (int c = 0; c < CHANNELS; ++c) run.values[c][r] = fused(w, d[c], run.values[c][r]);
                    }
                }
                total.take(run);
            }
        }
        const int reach[] = {radius_y, radius_x};
        const double unscale = power_of_two(-scale.exponent);
        unsigned nothing = 0;  // a bit per pixel: is_spoiled is compiled once
        if (spoiled)
#pragma unroll 1
            for (int r = 0; r < ROWS; ++r)
                nothing |= unsigned(is_spoiled(src + plane, picture, top + r, x, reach, reach)) << r;
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            if (top + r >= height) continue;
            const long long at = plane + ((top + r) * width + x) * CHANNELS;
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c)
                dst[at + c] =
                    nothing >> r & 1 ? Type<T>::nothing() : pixel_of(src[at + c], total.values[c][r], total.weights[r], unscale);
        }
    });
}
#endif

#ifdef GATHER
extern "C" __global__ void __launch_bounds__(256, 1)
    bilateral_gather(VOLUME_ARGUMENTS, int radius_z, int radius_y, int radius_x, double space_z, double space_y,
                     double space_x, double unit, double per_square) {
    const Volume volume = VOLUME;
    const int reach[3] = {radius_z, radius_y, radius_x};
    for_every_chunk(volume, [&](const Position& p, long long at, int first_channel) {
        const bool spoiled = is_spoiled(volume, p, reach, reach);
        ChunkMeans means(volume, p, first_channel);
        const long long own = volume.pixel(volume.row(p.z, p.y), p.x);
        const auto add = [&](int s, int t, int u) {
            const long long other = volume.pixel(volume.row(p.z + s, p.y + t), p.x + u);
            double squares = 0;
            for (int c = 0; c < volume.channels; ++c) {
                if (!volume.valid(p.volume, own, c) || !volume.valid(p.volume, other, c)) continue;
                const double d = (volume.value(p.volume, own, c) - volume.value(p.volume, other, c)) * unit;
                squares = fma(d, d, squares);
            }
            const double far = double(s) * s * space_z + double(t) * t * space_y + double(u) * u * space_x;
            means.add(volume, p, other, -fmin(fma(squares, per_square, far), 1e300));
        };
        if (!spoiled)
            for (int s = -radius_z; s <= radius_z; ++s)
                for (int t = -radius_y; t <= radius_y; ++t)
                    for (int u = -radius_x; u <= radius_x; ++u) add(s, t, u);
        means.store_to(dst + at, spoiled);
    });
}
#endif
