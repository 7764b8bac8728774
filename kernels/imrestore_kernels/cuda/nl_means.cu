// Non-local means (Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005): the mean of the pixels
// around, weighted by how alike the patches around them are, exp(-max(D - 2 sigma^2, 0) / h^2).
//
// Macros: T element; either TILE and those of similarity.cuh, SIZE_Y, SIZE_X of the patch, BOX_Y, BOX_X (see Patch), or
// GATHER and WHERE 0/1 (pixels may be left out).
#ifdef TILE
#define WHERE 0
#endif
#include "similarity.cuh"

#ifdef TILE
// A warp makes ROWS rows of the picture. A lane owns COLUMNS columns side by side: for every shift it squares the
// differences in each of them over ROWS + SIZE_Y - 1 rows, adds them up to ROWS sums a column, and takes the sums of the
// columns its patches reach beyond its own from the lanes next to it. The first and last lanes only serve those.
constexpr int BEFORE_Y = SIZE_Y / 2, BEFORE_X = SIZE_X / 2, AFTER_X = SIZE_X - 1 - BEFORE_X;
constexpr int LEFT = (BEFORE_X + COLUMNS - 1) / COLUMNS, RIGHT = (AFTER_X + COLUMNS - 1) / COLUMNS;
constexpr int TILE_Y = WARPS * ROWS, TILE_X = (32 - LEFT - RIGHT) * COLUMNS;
constexpr int SPAN = ROWS + SIZE_Y - 1;

// Sums of SIZE neighbours by doubling (7 = 1 + 2 + 4), all made in the same order: a sum depends on nothing but its own
// samples. One that runs along would carry its rounding errors with it.
template <int SIZE, int COUNT>
__device__ __forceinline__ void box_sums(const Real* v, Real* sums) {
    constexpr int LENGTH = COUNT + SIZE - 1;
    Real level[LENGTH];  // sums of 1, 2, 4 ... neighbours; what nobody needs is never made
#pragma unroll
    for (int i = 0; i < LENGTH; ++i) level[i] = v[i];
#pragma unroll
    for (int width = 1; width <= SIZE; width *= 2) {
        const int before = SIZE & (width - 1);
#pragma unroll
        for (int i = 0; i < COUNT; ++i)
            if (SIZE & width) sums[i] = before ? sums[i] + level[i + before] : level[i];
#pragma unroll
        for (int i = 0; i + width < LENGTH; ++i) level[i] += level[i + width];
    }
}

// How one axis of the patch is summed: as a box of BOX samples of boxes (1: a plain box; 3 of 5: weights 1 2 3 3 3 2 1), or
// with BOX 0 by weights from a table, in registers.
template <int SIZE, int BOX>
struct Patch {
    static constexpr int DIVISOR = BOX ? BOX * (SIZE + 1 - BOX) : 1;
    Real weights[BOX ? 1 : SIZE];

    __device__ __forceinline__ explicit Patch(const double* table) {
#pragma unroll
        for (int k = 0; k < (BOX ? 0 : SIZE); ++k) weights[k] = Real(table[k]);
    }

    template <int COUNT>
    __device__ __forceinline__ void sums(const Real* v, Real* result) const {
        if constexpr (BOX > 2 && SIZE < 10) {  // fewer additions than boxes of boxes take for so few sums
#pragma unroll
            for (int i = 0; i < COUNT; ++i) {
                result[i] = v[i] + v[i + SIZE - 1];
#pragma unroll
                for (int k = 1; k < BOX - 1; ++k) result[i] = fused(Real(k + 1), v[i + k] + v[i + SIZE - 1 - k], result[i]);
                Real flat = v[i + BOX - 1];
#pragma unroll
                for (int k = BOX; k <= SIZE - BOX; ++k) flat += v[i + k];
                result[i] = fused(Real(BOX), flat, result[i]);
            }
        } else if constexpr (BOX > 0) {
            Real boxes[COUNT + BOX - 1];
            box_sums<SIZE + 1 - BOX, COUNT + BOX - 1>(v, boxes);
            box_sums<BOX, COUNT>(boxes, result);
        } else {
#pragma unroll
            for (int i = 0; i < COUNT; ++i) {
                result[i] = product(weights[0], v[i]);
#pragma unroll
                for (int k = 1; k < SIZE; ++k) result[i] = fused(weights[k], v[i + k], result[i]);
            }
        }
    }
};
typedef Patch<SIZE_Y, BOX_Y> PatchY;
typedef Patch<SIZE_X, BOX_X> PatchX;

// The samples that a thread compares all others with: in registers where there are few.
struct OwnSamples {
    static constexpr int COUNT = CHANNELS * COLUMNS * SPAN;
    static constexpr bool KEPT = COUNT * sizeof(Real) <= 64 * 4;
    const Real* tile;
    int first, plane;
    Real kept[KEPT ? COUNT : 1];

    __device__ __forceinline__ OwnSamples(const Real* t, int f, int p) : tile(t), first(f), plane(p) {
        if (KEPT)
#pragma unroll
            for (int k = 0; k < COUNT; ++k) kept[k] = load(k / SPAN / COLUMNS, k / SPAN % COLUMNS, k % SPAN);
    }
    __device__ __forceinline__ Real load(int channel, int column, int row) const {
        return tile[channel * plane + first + column * (PITCH / COLUMNS) + row * PITCH];
    }
    __device__ __forceinline__ Real operator()(int channel, int column, int row) const {
        return KEPT ? kept[(channel * COLUMNS + column) * SPAN + row] : load(channel, column, row);
    }
};

// Weighted sums of the differences u(p) - u(q) for the ROWS x COLUMNS pixels of a thread, in runs: hundreds of float32
// additions of like numbers to one sum would go beyond the contract's 2e-6.
struct Sums {
    Real weights[COLUMNS][ROWS], values[CHANNELS][COLUMNS][ROWS];

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j)
#pragma unroll
            for (int r = 0; r < ROWS; ++r) {
                weights[j][r] = 0;
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) values[c][j][r] = 0;
            }
    }

    __device__ __forceinline__ void take(Sums& run) {
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j)
#pragma unroll
            for (int r = 0; r < ROWS; ++r) {
                weights[j][r] += run.weights[j][r];
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) values[c][j][r] += run.values[c][j][r];
            }
        run.clear();
    }
};

struct Comparison {
    const OwnSamples& own;
    const PatchY& vertical;
    const PatchX& horizontal;
    Real per_square, free;  // the exponent of two is min(free - per_square * sum of squares, 0)

    __device__ __forceinline__ Real difference(int channel, int column, int row, int other) const {
        return own(channel, column, row) - own.tile[channel * own.plane + other + row * PITCH];
    }

    // All pixels of the thread and the ones that lie at the same shift from them: column j of those is at others[j].
    __device__ __forceinline__ void add_to(Sums& run, const int (&others)[COLUMNS]) const {
        const int lane = threadIdx.x % 32;
        Real columns[COLUMNS][ROWS], centres[COLUMNS][ROWS];
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) {
            Real squares[SPAN];
#pragma unroll
            for (int i = 0; i < SPAN; ++i)
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) {
                    const Real d = difference(c, j, i, others[j]);
                    squares[i] = c ? fused(d, d, squares[i]) : product(d, d);
                    if (CHANNELS == 1 && i >= BEFORE_Y && i < BEFORE_Y + ROWS) centres[j][i - BEFORE_Y] = d;
                }
            vertical.template sums<ROWS>(squares, columns[j]);
        }
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            Real line[COLUMNS + SIZE_X - 1], patches[COLUMNS];
#pragma unroll
            for (int k = 0; k < COLUMNS + SIZE_X - 1; ++k) {
                const int from = k - BEFORE_X + LEFT * COLUMNS, lanes_on = from / COLUMNS - LEFT;
                const Real mine = columns[from % COLUMNS][r];
                line[k] = lanes_on ? __shfl_sync(0xffffffffu, mine, (lane + lanes_on) & 31) : mine;
            }
            horizontal.template sums<COLUMNS>(line, patches);
#pragma unroll
            for (int j = 0; j < COLUMNS; ++j) {
                const Real w = exp2_of(smaller(fused(-per_square, patches[j], free), Real(0)));
                run.weights[j][r] += w;
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) {
                    const Real d = CHANNELS == 1 ? centres[j][r] : difference(c, j, r + BEFORE_Y, others[j]);
                    run.values[c][j][r] = fused(w, d, run.values[c][j][r]);
                }
            }
        }
    }
};

extern "C" __global__ void __launch_bounds__(32 * WARPS, 1)
    nl_means_tile(const T* __restrict__ src, T* __restrict__ dst, const double* __restrict__ patch_y,
                  const double* __restrict__ patch_x, long long outer, long long height, long long width, double sigma,
                  double h, int distance_y, int distance_x, int run_length, int mode, unsigned long long cval_bits) {
    SHARED_MEMORY(memory);
    Real* const tile = reinterpret_cast<Real*>(memory);
    const Picture picture = {outer, height, width, mode, from_bits<T>(cval_bits)};
    const PatchY vertical(patch_y);
    const PatchX horizontal(patch_x);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int margin = (distance_x + COLUMNS - 1) / COLUMNS;  // in lanes: a lane's own columns begin at a multiple of COLUMNS
    for_every_tile<TILE_Y, TILE_X>(picture, [&](long long plane, long long y0, long long x0) {
        const TileBox box = {y0 - BEFORE_Y - distance_y, x0 - (LEFT + margin) * COLUMNS,
                             TILE_Y + SIZE_Y - 1 + 2 * distance_y, (32 + 2 * margin) * COLUMNS};
        TileVote* const votes = reinterpret_cast<TileVote*>(tile + (CHANNELS * box.plane() + 1) / 2 * 2);
        bool spoiled;
        const Scale scale = load_tile(src + plane, picture, box, h, tile, votes, spoiled);
        const long long top = y0 + warp * ROWS, left = x0 + (lane - LEFT) * COLUMNS;
        if (top >= height) return;
        const int row = warp * ROWS * PITCH + lane;
        const OwnSamples own(tile, row + distance_y * PITCH + margin, box.plane());
        const Comparison comparison = {own, vertical, horizontal,
                                       scale.per_square(h, PatchY::DIVISOR * PatchX::DIVISOR * CHANNELS),
                                       Real(2 * LOG2_E * (sigma / h) * (sigma / h))};
        Sums total, run;
        total.clear();
        run.clear();
        int left_in_run = run_length;
        for (int x = margin * COLUMNS - distance_x; x <= margin * COLUMNS + distance_x; ++x) {
            int others[COLUMNS];
#pragma unroll
            for (int j = 0; j < COLUMNS; ++j) others[j] = row + slot(x + j);
            for (int y = 0; y <= 2 * distance_y; ++y) {
                comparison.add_to(run, others);
#pragma unroll
                for (int j = 0; j < COLUMNS; ++j) others[j] += PITCH;
                if (--left_in_run) continue;
                total.take(run);
                left_in_run = run_length;
            }
        }
        total.take(run);
        if (lane < LEFT || lane >= 32 - RIGHT) return;
        const int before[] = {BEFORE_Y + distance_y, BEFORE_X + distance_x};
        const int after[] = {SIZE_Y - 1 - BEFORE_Y + distance_y, AFTER_X + distance_x};
        const double unscale = power_of_two(-scale.exponent);
        unsigned nothing = 0;  // a bit per pixel: is_spoiled is compiled once
        if (spoiled)
#pragma unroll 1
            for (int k = 0; k < ROWS * COLUMNS; ++k)
                nothing |= unsigned(is_spoiled(src + plane, picture, top + k / COLUMNS, left + k % COLUMNS, before, after)) << k;
#pragma unroll
        for (int r = 0; r < ROWS; ++r)
#pragma unroll
            for (int j = 0; j < COLUMNS; ++j) {
                if (top + r >= height || left + j >= width) continue;
                const long long at = plane + ((top + r) * width + left + j) * CHANNELS;
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c)
                    dst[at + c] = nothing >> (r * COLUMNS + j) & 1
                                      ? Type<T>::nothing()
                                      : pixel_of(src[at + c], total.values[c][j][r], total.weights[j][r], unscale);
            }
    });
}
#endif

#ifdef GATHER
extern "C" __global__ void __launch_bounds__(256, 1)
    nl_means_gather(VOLUME_ARGUMENTS, const double* __restrict__ patches, int size_z, int size_y, int size_x,
                    int distance_z, int distance_y, int distance_x, double unit, double free, double per_square) {
    const Volume volume = VOLUME;
    const int low_z = size_z / 2, low_y = size_y / 2, low_x = size_x / 2;  // samples of the patch before its pixel
    const int before[3] = {low_z + distance_z, low_y + distance_y, low_x + distance_x};
    const int after[3] = {size_z - 1 - low_z + distance_z, size_y - 1 - low_y + distance_y,
                          size_x - 1 - low_x + distance_x};
    const double *const patch_z = patches, *const patch_y = patch_z + size_z, *const patch_x = patch_y + size_y;
    for_every_chunk(volume, [&](const Position& p, long long at, int first_channel) {
        const bool spoiled = is_spoiled(volume, p, before, after);
        ChunkMeans means(volume, p, first_channel);
        // Adds q = p + (s, t, u), compared over the pairs of samples that both count.
        const auto add = [&](int s, int t, int u) {
            double squares = 0, total = 0;
            for (int i = 0; i < size_z; ++i)
                for (int j = 0; j < size_y; ++j) {
                    const long long z = p.z + i - low_z, y = p.y + j - low_y;
                    const long long own_row = volume.row(z, y), other_row = volume.row(z + s, y + t);
                    for (int k = 0; k < size_x; ++k) {
                        const double g = patch_z[i] * patch_y[j] * patch_x[k];
                        if (!(g > 0)) continue;
                        const long long x = p.x + k - low_x;
                        const long long own = volume.pixel(own_row, x), other = volume.pixel(other_row, x + u);
                        for (int c = 0; c < volume.channels; ++c) {
                            if (!volume.valid(p.volume, own, c) || !volume.valid(p.volume, other, c)) continue;
                            const double d = (volume.value(p.volume, own, c) - volume.value(p.volume, other, c)) * unit;
                            squares = fma(g * d, d, squares);
                            total += g;
                        }
                    }
                }
            if (!(total > 0)) return;
            const double loss = fmax(fma(squares / total, per_square, -free), 0.0);
            means.add(volume, p, volume.pixel(volume.row(p.z + s, p.y + t), p.x + u), -fmin(loss, 1e300));
        };
        if (!spoiled)
            for (int s = -distance_z; s <= distance_z; ++s)
                for (int t = -distance_y; t <= distance_y; ++t)
                    for (int u = -distance_x; u <= distance_x; ++u) add(s, t, u);
        means.store_to(dst + at, spoiled);
    });
}
#endif
