// Tone curves, value by value: the operations of cpu/_curves.py in their order.
#include "elementary.cuh"

__device__ __forceinline__ T signed_as(T size, T value) { return value < T(0) ? -size : size; }

__device__ __forceinline__ T clipped(T value) {
    value = value < T(0) ? T(0) : value;
    return value > T(1) ? T(1) : value;
}

__device__ __forceinline__ T inside(T slope, T value) {
    slope = value < T(0) ? T(0) : slope;
    return value > T(1) ? T(0) : slope;
}

// Inverts 3 v^2 - 2 v^3 from 0 to 1.
__device__ __forceinline__ T inverse_tone(T tone) {
    const T start[] = {START};
    const bool lower = tone <= T(0.5);
    const T r = Real<T>::root(lower ? tone : T(1) - tone);
    T q = start[5];
#pragma unroll
    for (int i = 4; i >= 0; --i) q = start[i] + mul(r, q);
#pragma unroll
    for (int step = 0; step < STEPS; ++step) {
        const T v = mul(r, q), wrong = mul(mul(q, q), T(3) - mul(T(2), v)) - T(1);
        q = q - wrong / mul(mul(T(6), q), T(1) - v);
    }
    const T v = mul(r, q);
    return lower ? v : T(1) - v;
}

__device__ __forceinline__ T curved(T v, long long kind, T exponent) {
    const T x = fabs(v);
    if (kind == CURVE_POWER) return signed_as(own_power(x, exponent), v);
    if (kind == CURVE_ENCODE)
        return signed_as(x <= T(ENCODED_STEP) ? mul(T(12.92), x) : mul(T(1.055), own_power(x, T(1 / 2.4))) - T(0.055), v);
    if (kind == CURVE_DECODE)
        return signed_as(x <= T(DECODED_STEP) ? mul(T(1 / 12.92), x) : own_power(mul(x + T(0.055), T(1 / 1.055)), T(2.4)), v);
    const T c = clipped(v);
    return kind == CURVE_TONE ? mul(mul(c, c), T(3) - mul(T(2), c)) : inverse_tone(c);
}

__device__ __forceinline__ T slope_of(T v, long long kind, T exponent) {
    const T x = fabs(v);
    if (kind == CURVE_POWER) return mul(exponent, own_power(x < T(LEAST_VALUE) ? T(LEAST_VALUE) : x, exponent - T(1)));
    if (kind == CURVE_ENCODE) return x <= T(ENCODED_STEP) ? T(12.92) : mul(T(1.055 / 2.4), own_power(x, T(1 / 2.4 - 1)));
    if (kind == CURVE_DECODE)
        return x <= T(DECODED_STEP) ? T(1 / 12.92) : mul(T(2.4 / 1.055), own_power(mul(x + T(0.055), T(1 / 1.055)), T(1.4)));
    if (kind == CURVE_TONE) return inside(mul(mul(T(6), v), T(1) - v), v);
    const T before = inverse_tone(inside(v, v)), below = mul(mul(T(6), before), T(1) - before);
    return inside(T(1) / (below < T(LEAST_SLOPE) ? T(LEAST_SLOPE) : below), v);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    curve(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const long long values = job[JOB_CHANNELS] * job[JOB_HEIGHT] * job[JOB_WIDTH];
        const T white = T(numbers[j * JOB_COLUMNS]), exponent = T(numbers[j * JOB_COLUMNS + 1]);
        for (long long i = blockIdx.x * (long long)THREADS + threadIdx.x; i < values; i += gridDim.x * (long long)THREADS)
            dst[job[JOB_DST] + i] = mul(curved(src[job[JOB_SRC] + i] / white, job[JOB_A], exponent), white);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    curve_gradient(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
                   const T* image) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const long long values = job[JOB_CHANNELS] * job[JOB_HEIGHT] * job[JOB_WIDTH];
        const T white = T(numbers[j * JOB_COLUMNS]), exponent = T(numbers[j * JOB_COLUMNS + 1]);
        for (long long i = blockIdx.x * (long long)THREADS + threadIdx.x; i < values; i += gridDim.x * (long long)THREADS)
            dst[job[JOB_SRC] + i] =
                mul(slope_of(image[job[JOB_SRC] + i] / white, job[JOB_A], exponent), src[job[JOB_DST] + i]);
    }
}
