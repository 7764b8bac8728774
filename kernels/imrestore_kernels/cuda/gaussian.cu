// Gaussian (any symmetric or asymmetric odd FIR) by weights made in Python. Integers and float64 are summed in double,
// float32 and float16 in float.
//
// Macros: T element, ACC float or double, WHERE 0/1 (pixels may be left out: normalised convolution); for the single
// launch FUSED, CHANNELS, TILE_Y, PITCH, SIZE_Y, SIZE_X (lengths of the weights: loops unroll, taps stay in registers).
#include "rounding.cuh"
#include "separable.cuh"

#define UNROLLED 33  // longest window that is unrolled: 65 taps would need more registers than there are

struct GaussianSum {
    Acc value;
#if WHERE
    Acc weight;
#endif
};

struct Gaussian {
    typedef GaussianSum Sum;

    __device__ __forceinline__ Sum sample(T v, bool valid) const {
        Sum s;
        s.value = valid ? Acc(Type<T>::widen(v)) : Acc(0);  // chosen, not multiplied: 0 * NaN is NaN
#if WHERE
        s.weight = valid ? Acc(1) : Acc(0);
#endif
        return s;
    }

    __device__ __forceinline__ Sum pad(T cval, bool valid, double factor) const {
        Sum s = sample(cval, valid);
        if (valid) s.value *= Acc(factor);
#if WHERE
        s.weight *= Acc(factor);
#endif
        return s;
    }

    __device__ __forceinline__ void add(Sum& to, Acc weight, const Sum& s) const {
        to.value += weight * s.value;
#if WHERE
        to.weight += weight * s.weight;
#endif
    }

    // Every sample is loaded once and added to all of the G windows that hold it. Short windows are unrolled: weights in
    // registers, no tests left. In long ones the weights move along with the samples, one load for G of them.
    template <int G, int SIZE, class Load>
    __device__ __forceinline__ void window(Load load, Axis axis, Sum (&out)[G]) const {
#pragma unroll
        for (int g = 0; g < G; ++g) {
            out[g].value = Acc(0);
#if WHERE
            out[g].weight = Acc(0);
#endif
        }
        if (SIZE && SIZE <= UNROLLED) {
#pragma unroll
            for (int i = 0; i < SIZE + G - 1; ++i) {
                const Sum s = load(i);
#pragma unroll
                for (int g = 0; g < G; ++g)
                    if (i - g >= 0 && i - g < SIZE) add(out[g], __ldg(axis.weights + i - g), s);
            }
            return;
        }
        const long long size = axis.size;
        if (size < G) {
            for (int i = 0; i < int(size) + G - 1; ++i) {
                const Sum s = load(i);
#pragma unroll
                for (int g = 0; g < G; ++g)
                    if (i - g >= 0 && i - g < size) add(out[g], __ldg(axis.weights + i - g), s);
            }
            return;
        }
        Acc weights[G];  // of the current sample in each window
#pragma unroll
        for (int g = 0; g < G; ++g) weights[g] = Acc(0);
#pragma unroll
        for (int i = 0; i < G - 1; ++i) {  // the first windows only
            const Sum s = load(i);
#pragma unroll
            for (int g = G - 1; g > 0; --g) weights[g] = weights[g - 1];
            weights[0] = __ldg(axis.weights + i);
#pragma unroll
            for (int g = 0; g <= i; ++g) add(out[g], weights[g], s);
        }
#pragma unroll 8
        for (long long i = G - 1; i < size; ++i) {
            const Sum s = load(i);
#pragma unroll
            for (int g = G - 1; g > 0; --g) weights[g] = weights[g - 1];
            weights[0] = __ldg(axis.weights + i);
#pragma unroll
            for (int g = 0; g < G; ++g) add(out[g], weights[g], s);
        }
#pragma unroll
        for (int i = 0; i < G - 1; ++i) {  // the last windows only
            const Sum s = load(size + i);
#pragma unroll
            for (int g = G - 1; g > 0; --g) weights[g] = weights[g - 1];
#pragma unroll
            for (int g = i + 1; g < G; ++g) add(out[g], weights[g], s);
        }
    }

    __device__ __forceinline__ T finish(const Sum& s) const {
        T t;
#if WHERE
        if (!(s.weight > Acc(0))) return Type<T>::nothing();
        store(t, s.value / s.weight);
#else
        store(t, s.value);
#endif
        return t;
    }

    __device__ __forceinline__ bool is_suspicious(const Sum&) const { return false; }
};

#ifdef FUSED
extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
    gaussian_fused(const T* __restrict__ src, T* __restrict__ dst, const unsigned char* __restrict__ where,
                   const Acc* __restrict__ weights_y, const Acc* __restrict__ weights_x, long long outer,
                   long long height, long long width, long long inner, int mode, unsigned long long cval,
                   int pad_counts) {
    const Picture picture = {outer, height, width, inner, mode, from_bits<T>(cval), pad_counts != 0};
    fused_tile(Gaussian(), src, dst, where, picture, Axis{SIZE_Y, weights_y}, Axis{SIZE_X, weights_x},
               [](long long, long long, long long, long long) {});
}
#else
// Elements in, sums out, or the other way round, or both: `sums_in` and `sums_out` are null where elements are meant.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    gaussian_line(const T* __restrict__ src, T* __restrict__ dst, const unsigned char* __restrict__ where,
                  const GaussianSum* __restrict__ sums_in, GaussianSum* __restrict__ sums_out,
                  const Acc* __restrict__ weights, long long outer, long long length, long long inner,
                  long long size, double before, int mode, unsigned long long cval, int pad_counts) {
    const Gaussian filter;
    filter_line(
        filter, outer, length, inner, Axis{size, weights}, mode, filter.pad(from_bits<T>(cval), pad_counts, before),
        [&](long long at) { return sums_in ? sums_in[at] : filter.sample(src[at], !WHERE || where[at]); },
        [&](long long at, const GaussianSum& sum) {
            if (sums_out)
                sums_out[at] = sum;
            else
                dst[at] = filter.finish(sum);
        });
}
#endif
