// Box mean. Sums are exact for integers (ACC is as wide as the window needs, up to 128 bits) and never subtractive, so
// that a NaN or an infinity stays inside its own windows.
//
// Macros: T element, ACC sum of elements, WHERE 0/1 (pixels may be left out); for the single launch FUSED, CHANNELS,
// TILE_Y, PITCH, SIZE_Y, SIZE_X (lengths below 8, else 0).
#include "separable.cuh"

typedef COUNT Count;

struct MeanSum {
    Acc value;
#if WHERE
    Count count;
#endif
};

__device__ __forceinline__ MeanSum operator+(MeanSum a, const MeanSum& b) {
    a.value += b.value;
#if WHERE
    a.count += b.count;
#endif
    return a;
}

// Division of exact sums, rounded half to even.
template <class V>
__device__ __forceinline__ V divide(V sum, V count) {
    V rest;
    const V quotient = floor_divide(sum, count, rest), other = count - rest;
    return quotient + (rest > other || (rest == other && (quotient & 1)) ? 1 : 0);
}
__device__ __forceinline__ float divide(float sum, float count) { return sum / count; }
__device__ __forceinline__ double divide(double sum, double count) { return sum / count; }

struct Mean {
    typedef MeanSum Sum;
    long long total;  // samples of a window

    __device__ __forceinline__ Sum sample(T v, bool valid) const {
        Sum s;
        s.value = valid ? Acc(Type<T>::widen(v)) : Acc(0);
#if WHERE
        s.count = valid;
#endif
        return s;
    }

    __device__ __forceinline__ Sum pad(T cval, bool valid, long long factor) const {
        Sum s = sample(cval, valid);
        s.value *= Acc(factor);
#if WHERE
        s.count *= Count(factor);
#endif
        return s;
    }

    // Neighbouring windows share all but G - 1 samples: that core is added once, each window adds what is left of it
    // and right of it. About SIZE / G + 2 additions per output. The core is added in runs of eight: a short chain
    // keeps float32 within the contract's 1e-6 (65 samples: 8 + 9 roundings at most).
    template <int G, int SIZE, class Load>
    __device__ __forceinline__ void window(Load load, Axis axis, Sum (&out)[G]) const {
        if (SIZE) {
            Sum v[G + (SIZE ? SIZE : 1) - 1];
#pragma unroll
            for (int i = 0; i < G + SIZE - 1; ++i) v[i] = load(i);
#pragma unroll
            for (int g = 0; g < G; ++g) {
                out[g] = v[g];
#pragma unroll
                for (int j = 1; j < SIZE; ++j) out[g] = out[g] + v[g + j];
            }
            return;
        }
        const long long size = axis.size;
        Sum none;
        none.value = Acc(0);
#if WHERE
        none.count = 0;
#endif
        if (size < G) {  // no sample is in all windows
#pragma unroll
            for (int g = 0; g < G; ++g) out[g] = none;
            for (int i = 0; i < int(size) + G - 1; ++i) {
                const Sum s = load(i);
#pragma unroll
                for (int g = 0; g < G; ++g)
                    if (i >= g && i - g < int(size)) out[g] = out[g] + s;
            }
            return;
        }
        out[G - 1] = none;
#pragma unroll
        for (int g = G - 2; g >= 0; --g) out[g] = out[g + 1] + load(g);
        Sum core = none;
        for (long long i = G - 1; i < size; i += 8) {
            Sum run = load(i);
            for (long long j = i + 1; j < i + 8 && j < size; ++j) run = run + load(j);
            core = core + run;
        }
        out[0] = out[0] + core;
        Sum right = none;
#pragma unroll
        for (int g = 1; g < G; ++g) {
            right = right + load(size + g - 1);
            out[g] = out[g] + (core + right);
        }
    }

    __device__ __forceinline__ T finish(const Sum& s) const {
#if WHERE
        if (!s.count) return Type<T>::nothing();
        return Type<T>::narrow(divide(s.value, Acc(s.count)));
#else
        return Type<T>::narrow(divide(s.value, Acc(total)));
#endif
    }

    // A float32 sum may overflow where the mean does not: such pixels are made again, in double.
    __device__ __forceinline__ bool is_suspicious(const Sum& s) const {
#if REFINE
        return !(fabsf(s.value) <= 3.4028234e38f);
#else
        return false;
#endif
    }
};

#ifdef FUSED
#if REFINE
__device__ inline T mean_in_double(const T* src, const unsigned char* where, const Picture& p, long long plane,
                                   long long y, long long x, long long c, long long size_y, long long size_x) {
    double sum = 0;
    long long count = 0;
    for (long long i = 0; i < size_y; ++i) {
        const long long row = border_index(y - size_y / 2 + i, p.height, p.mode);
        for (long long j = 0; j < size_x; ++j) {
            const long long column = border_index(x - size_x / 2 + j, p.width, p.mode);
            const bool outside = (row | column) < 0;
            const long long at = plane + (row * p.width + column) * p.inner + c;
            if (WHERE && (outside ? !p.pad_counts : !where[at])) continue;
            const T v = outside ? p.cval : src[at];
            if (v != v) return v;  // most of these pixels: next to a NaN
            sum += v;
            ++count;
        }
    }
    return T(sum / double(count));
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
    mean_fused(const T* __restrict__ src, T* __restrict__ dst, const unsigned char* __restrict__ where, long long outer,
               long long height, long long width, long long inner, long long size_y, long long size_x, int mode,
               unsigned long long cval, int pad_counts) {
    const Picture picture = {outer, height, width, inner, mode, from_bits<T>(cval), pad_counts != 0};
    const Mean filter = {size_y * size_x};
    const auto again = [&](long long plane, long long y, long long x, long long c) {
#if REFINE
        dst[plane + (y * width + x) * inner + c] = mean_in_double(src, where, picture, plane, y, x, c, size_y, size_x);
#endif
    };
    fused_tile(filter, src, dst, where, picture, Axis{size_y, nullptr}, Axis{size_x, nullptr}, again);
}
#else
// Elements in, sums out, or the other way round, or both: `sums_in` and `sums_out` are null where elements are meant.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    mean_line(const T* __restrict__ src, T* __restrict__ dst, const unsigned char* __restrict__ where,
              const MeanSum* __restrict__ sums_in, MeanSum* __restrict__ sums_out, long long outer, long long length,
              long long inner, long long size, long long before, int mode, unsigned long long cval, int pad_counts) {
    const Mean filter = {before * size};
    filter_line(
        filter, outer, length, inner, Axis{size, nullptr}, mode, filter.pad(from_bits<T>(cval), pad_counts, before),
        [&](long long at) { return sums_in ? sums_in[at] : filter.sample(src[at], !WHERE || where[at]); },
        [&](long long at, const MeanSum& sum) {
            if (sums_out)
                sums_out[at] = sum;
            else
                dst[at] = filter.finish(sum);
        });
}
#endif
