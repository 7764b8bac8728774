// Weighted means whose weights are powers of the differences between samples, shared by nl_means.cu and bilateral.cu.
//
// Two ways to run such a filter:
//   *_tile    pictures without a mask: the samples around a block lie in shared memory, all shifts in one launch
//   *_gather  everything else (masks, volumes, windows that do not fit): in double, straight from global memory
// Both gather, so that there are no atomics, and add in an order that does not depend on where a pixel lies: a picture cut
// into tiles gives the same bits.
//
// Means are taken of differences to the pixel itself: the weighted mean of u(q) - u(p), added to u(p) at the end, loses
// nothing on a pedestal.
#pragma once

#include "borders.cuh"
#include "rounding.cuh"

#define LOG2_E 1.4426950408889634

// 2^x for x <= 0, within 2^-22 of itself (the PTX manual's bound for ex2.approx); below 2^-126 it is 0.
__device__ __forceinline__ float exp2_of(float x) {
    float w;
#ifdef __CUDA_ARCH__
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(w) : "f"(x));
#else
    w = cuda_on_cpu_exp2(x);
#endif
    return w;
}

// As accurate, down to 2^-1022: the whole part of x becomes the exponent, the instruction makes the rest.
__device__ __forceinline__ double exp2_of(double x) {
    const double held = fmax(x, -1022.0), whole = rint(held);
    const double w = double(exp2_of(float(held - whole))) * __longlong_as_double(((long long)whole + 1023) << 52);
    return x >= -1022 ? w : 0;
}

__device__ __forceinline__ float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return fma(a, b, c); }
// Never fused with an addition: the compiler may fuse in one copy of unrolled code and not in another, and then a result
// would depend on where its pixel lies.
__device__ __forceinline__ float product(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double product(double a, double b) { return __dmul_rn(a, b); }
__device__ __forceinline__ float smaller(float a, float b) { return fminf(a, b); }
__device__ __forceinline__ double smaller(double a, double b) { return fmin(a, b); }
__device__ __forceinline__ float larger(float a, float b) { return fmaxf(a, b); }
__device__ __forceinline__ double larger(double a, double b) { return fmax(a, b); }

template <class V>
__device__ __forceinline__ bool is_finite(V v) {
    return v - v == 0;
}

// Weighted mean of the values it is given, each with the logarithm of its weight (to base 2), as a base and distances from
// it. With masks a pixel may have no sample of its own: then the heaviest value is the base, and its weight the unit.
struct WeightedMean {
    double base, top, weight, sum;

    __device__ __forceinline__ void start(double value) {
        base = value;
        top = weight = sum = 0;
    }

    __device__ __forceinline__ void add(double value, double exponent) {
#if WHERE
        if (!(weight > 0)) {
            base = value;
            top = exponent;
        } else if (exponent > top) {
            const double less = exp2_of(top - exponent);
            sum = less > 0 ? fma(weight, base - value, sum) * less : 0;
            weight *= less;
            base = value;
            top = exponent;
        }
#endif
        const double w = exp2_of(exponent - top);
        weight += w;
        if (w > 0) sum = fma(w, value - base, sum);  // 0 times a difference that overflows would be NaN
    }

    __device__ __forceinline__ T result() const {
        if (WHERE && !(weight > 0)) return Type<T>::nothing();
        T t;
        store(t, base + sum / weight);
        return t;
    }
};

#ifdef GATHER
#define CHUNK 4  // channels whose means are made together; further ones compare all channels anew

// An array (outer, lengths[0..2], channels), extended by its border.
struct Volume {
    const T* src;
    const unsigned char* where;
    long long outer, lengths[3];
    int channels, mode;
    T cval;
    bool pad_counts;

    // Offset of a row's first sample from the start of its volume; -1: outside.
    __device__ __forceinline__ long long row(long long z, long long y) const {
        z = border_index(z, lengths[0], mode);
        y = border_index(y, lengths[1], mode);
        return (z | y) < 0 ? -1 : (z * lengths[1] + y) * lengths[2] * channels;
    }

    // Offset of the first channel of sample x of that row; -1: outside.
    __device__ __forceinline__ long long pixel(long long row, long long x) const {
        x = border_index(x, lengths[2], mode);
        return (row | x) < 0 ? -1 : row + x * channels;
    }

    __device__ __forceinline__ bool valid(long long volume, long long pixel, int channel) const {
        return !WHERE || (pixel < 0 ? pad_counts : where[volume + pixel + channel] != 0);
    }

    __device__ __forceinline__ double value(long long volume, long long pixel, int channel) const {
        return double(Type<T>::widen(pixel < 0 ? cval : src[volume + pixel + channel]));
    }
};

// One pixel of a volume.
struct Position {
    long long volume, z, y, x;

    __device__ __forceinline__ Position(const Volume& v, long long index) {
        index = floor_divide(index, v.lengths[2], x);
        index = floor_divide(index, v.lengths[1], y);
        index = floor_divide(index, v.lengths[0], z);
        volume = index * v.lengths[0] * v.lengths[1] * v.lengths[2] * v.channels;
    }
};

// Whether a pixel looks at a sample that counts and is not finite: such a sample spoils whoever may look at it.
__device__ inline bool is_spoiled(const Volume& v, const Position& p, const int (&before)[3], const int (&after)[3]) {
    if (!Type<T>::IS_FLOAT) return false;
    for (long long z = p.z - before[0]; z <= p.z + after[0]; ++z)
        for (long long y = p.y - before[1]; y <= p.y + after[1]; ++y) {
            const long long row = v.row(z, y);
            for (long long x = p.x - before[2]; x <= p.x + after[2]; ++x) {
                const long long at = v.pixel(row, x);
                for (int channel = 0; channel < v.channels; ++channel)
                    if (v.valid(p.volume, at, channel) && !is_finite(v.value(p.volume, at, channel))) return true;
            }
        }
    return false;
}

// Means of up to CHUNK channels of one pixel.
struct ChunkMeans {
    WeightedMean means[CHUNK];
    int first, count;

    __device__ __forceinline__ ChunkMeans(const Volume& v, const Position& p, int first_channel) : first(first_channel) {
        count = v.channels - first < CHUNK ? v.channels - first : CHUNK;
        const long long own = v.pixel(v.row(p.z, p.y), p.x);
#pragma unroll
        for (int c = 0; c < CHUNK; ++c)
            if (c < count) means[c].start(v.value(p.volume, own, first + c));
    }

    __device__ __forceinline__ void add(const Volume& v, const Position& p, long long pixel, double exponent) {
#pragma unroll
        for (int c = 0; c < CHUNK; ++c)
            if (c < count && v.valid(p.volume, pixel, first + c)) means[c].add(v.value(p.volume, pixel, first + c), exponent);
    }

    __device__ __forceinline__ void store_to(T* dst, bool spoiled) const {
#pragma unroll
        for (int c = 0; c < CHUNK; ++c)
            if (c < count) dst[first + c] = spoiled ? Type<T>::nothing() : means[c].result();
    }
};

#define VOLUME_ARGUMENTS                                                                                        \
    const T *__restrict__ src, T *__restrict__ dst, const unsigned char *__restrict__ where, long long outer,  \
        long long length_z, long long length_y, long long length_x, int channels, int mode,                   \
        unsigned long long cval_bits, int pad_counts
#define VOLUME                                                                                              \
    {src, where, outer, {length_z, length_y, length_x}, channels, mode, from_bits<T>(cval_bits), pad_counts != 0}

// Calls make(position, first channel) for every chunk of every pixel; a thread makes one after another.
template <class Make>
__device__ __forceinline__ void for_every_chunk(const Volume& v, Make make) {
    const long long pixels = v.outer * v.lengths[0] * v.lengths[1] * v.lengths[2];
    const long long items = pixels * ((v.channels + CHUNK - 1) / CHUNK);
    for (long long item = (long long)blockIdx.x * blockDim.x + threadIdx.x; item < items;
         item += (long long)gridDim.x * blockDim.x) {
        long long index;
        const long long chunk = floor_divide(item, pixels, index);
        make(Position(v, index), index * v.channels, int(chunk) * CHUNK);
    }
}
#endif

#ifdef TILE
// Macros: REAL float or double, CHANNELS, COLUMNS of the picture that a lane owns side by side, WARPS, ROWS that a thread
// makes, PITCH numbers in a row of shared memory.
typedef REAL Real;

struct Picture {
    long long outer, height, width;
    int mode;
    T cval;
};

// Where a tile lies in the picture, and its size.
struct TileBox {
    long long y, x;
    int rows, columns;

    __device__ __forceinline__ int plane() const { return rows * PITCH; }
};

// Lanes own neighbouring columns and read the same one of theirs at a time. Column c is therefore kept at
// c % COLUMNS * (PITCH / COLUMNS) + c / COLUMNS: lanes read consecutive words at any shift, and with PITCH / COLUMNS an
// odd multiple of 32 / COLUMNS words they write without bank conflicts, too.
__device__ __forceinline__ int slot(int column) { return column % COLUMNS * (PITCH / COLUMNS) + column / COLUMNS; }

template <class Use>
__device__ __forceinline__ void for_my_samples(const TileBox& box, Use use) {
    for (int row = threadIdx.x / 32; row < box.rows; row += WARPS)
        for (int column = threadIdx.x % 32; column < box.columns; column += 32)
            use(row, column, row * PITCH + slot(column));
}

__device__ __forceinline__ int exponent_of(double v) {
    return int(__double_as_longlong(v) >> 52 & 2047) - 1023;
}
__device__ __forceinline__ double power_of_two(int exponent) {
    return __longlong_as_double((long long)(exponent + 1023) << 52);
}

// A power of two that the samples of a tile are multiplied by, so that neither their squares nor what matters of their
// differences leave the range of Real. It follows from the largest sample of the tile; multiplying by it changes no
// rounding, so that the pixels of different tiles keep the bits they would have in one.
struct Scale {
    int exponent;

    // The largest sample becomes 2^40: thousands of squares of that are finite, and samples of 2^-160 of it are not lost.
    // `strength` is what differences are divided by (h, sigma_color): those of its size must have squares that are normal
    // numbers. Where it is too far from the largest sample, squares of that may overflow: to a weight of 0.
    __device__ __forceinline__ Scale(double largest, double strength) {
        constexpr bool single = sizeof(Real) == 4;
        const int size = exponent_of(largest) < -900 ? -900 : exponent_of(largest);
        exponent = 40 - size;
        const int least = (single ? -50 : -400) - exponent_of(strength), most = (single ? 125 : 1000) - size;
        if (exponent < least) exponent = least < most ? least : most;
        if (exponent > 1000) exponent = 1000;
    }

    // What a sum of squares is multiplied by to become an exponent of two: log2(e) / (strength^2 divisor), scaled.
    __device__ __forceinline__ Real per_square(double strength, double divisor) const {
        const double scaled = strength * power_of_two(exponent);
        return Real(fmin(LOG2_E / (scaled * scaled * divisor), sizeof(Real) == 4 ? 1e38 : 1e300));
    }
};

// Shared memory behind the planes of a tile: what the warps found in it.
struct TileVote {
    Real largest;
    int spoiled;
};

// Copies the samples of a picture that a block looks at, border and all, to shared memory, and scales them. What is not
// finite becomes 0 and is reported.
__device__ __forceinline__ Scale load_tile(const T* picture_of, const Picture& p, const TileBox& box, double strength,
                                           Real* tile, TileVote* votes, bool& spoiled) {
    Real largest = 0;
    bool found = false;
    for_my_samples(box, [&](int row, int column, int at) {
        const long long y = border_index(box.y + row, p.height, p.mode), x = border_index(box.x + column, p.width, p.mode);
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
            const bool outside = (y | x) < 0;
            Real v = Real(Type<T>::widen(outside ? p.cval : picture_of[(y * p.width + x) * CHANNELS + c]));
            if (Type<T>::IS_FLOAT && !is_finite(v)) {
                found = true;
                v = 0;
            }
            largest = larger(largest, v < 0 ? -v : v);
            tile[c * box.plane() + at] = v;
        }
    });
    const int lane = threadIdx.x % 32;
    for (int step = 16; step; step /= 2) largest = larger(largest, __shfl_sync(0xffffffffu, largest, lane ^ step));
    found = __any_sync(0xffffffffu, found);
    if (lane == 0) votes[threadIdx.x / 32] = {largest, found};
    __syncthreads();
    spoiled = false;
    for (int warp = 0; warp < WARPS; ++warp) {
        largest = larger(largest, votes[warp].largest);
        spoiled = spoiled || votes[warp].spoiled;
    }
    const Scale scale(largest, strength);
    const double factor = power_of_two(scale.exponent);
    for_my_samples(box, [&](int, int, int at) {
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
            Real& v = tile[c * box.plane() + at];
            v = Real(double(v) * factor);
        }
    });
    __syncthreads();
    return scale;
}

// Whether a pixel of a tile with something not finite in it looks at that.
__device__ inline bool is_spoiled(const T* picture_of, const Picture& p, long long y, long long x, const int (&before)[2],
                                  const int (&after)[2]) {
    for (long long i = y - before[0]; i <= y + after[0]; ++i) {
        const long long row = border_index(i, p.height, p.mode);
        for (long long j = x - before[1]; j <= x + after[1]; ++j) {
            const long long column = border_index(j, p.width, p.mode);
            for (int c = 0; c < CHANNELS; ++c) {
                const T v = (row | column) < 0 ? p.cval : picture_of[(row * p.width + column) * CHANNELS + c];
                if (!is_finite(Type<T>::widen(v))) return true;
            }
        }
    }
    return false;
}

// Calls make(picture, y, x) for the corner of every block of TILE_Y x TILE_X pixels; a block makes one after another.
template <int TILE_Y, int TILE_X, class Make>
__device__ __forceinline__ void for_every_tile(const Picture& p, Make make) {
    for (long long z = blockIdx.z; z < p.outer; z += gridDim.z)
        for (long long y = (long long)blockIdx.y * TILE_Y; y < p.height; y += (long long)gridDim.y * TILE_Y)
            for (long long x = (long long)blockIdx.x * TILE_X; x < p.width; x += (long long)gridDim.x * TILE_X) {
                make(z * p.height * p.width * CHANNELS, y, x);
                __syncthreads();  // the next tile overwrites this one
            }
}

// A pixel's own value less the weighted mean of its scaled distances to the others.
__device__ __forceinline__ T pixel_of(T own, Real sum, Real weight, double unscale) {
    T t;
    store(t, fma(-(double(sum) / double(weight)), unscale, double(Type<T>::widen(own))));
    return t;
}
#endif
