// Poisson numbers of one word each: the operations of imrestore_kernels/poisson.py.
#pragma once
#include "philox.cuh"

// The normal number below which the probability is (w + 1/2) 2^-32.
__device__ __forceinline__ float normal_quantile(unsigned word) {
    const float numerator[] = {3.221115341762905f, 9.33967120576974f, 2.6397950589091246f, 0.0974728818795716f};
    const float denominator[] = {1.0f, 5.635860931625876f, 4.66516674322077f, 0.7260953956928795f, 0.015875162494754298f};
    const bool below = word < 0x80000000u;
    const float beyond = Philox::uniform<float>(below ? word : ~word);
    const float r = sqrtf(mul(-2.0f, joined_log(LogParts<float>(beyond))));
    const float z = r - horner(numerator, r) / horner(denominator, r);
    return below ? -z : z;
}

template <class V>
__device__ __forceinline__ V searched_count(V given, unsigned word) {
    const double mean = given, uniform = Philox::uniform<double>(word);
    double part = own_exp(-mean), total = part, count = 0.0;
    while (uniform > total) {
        count += 1.0;
        part = mul(mul(part, mean), 1.0 / count);
        total = total + part;
    }
    return V(count);
}

template <class V>
__device__ __forceinline__ V expanded_count(V mean, unsigned word) {
    const V first[] = {V(1.0 / 3), V(1.0 / 6)}, second[] = {V(-1.0 / 36), V(-1.0 / 72)};
    const V third[] = {V(-8.0 / 405), V(7.0 / 810), V(1.0 / 270)};
    const V fourth[] = {V(671.0 / 38880), V(-137.0 / 38880), V(-23.0 / 17280)};
    const V z = V(normal_quantile(word)), root = Real<V>::root(mean);
    const V small = V(1) / root, square = mul(z, z);
    V rest = horner(third, square) + mul(small, mul(z, horner(fourth, square)));
    rest = horner(first, square) + mul(small, mul(z, horner(second, square)) + mul(small, rest));
    const V value = Real<V>::below(mean + (mul(root, z) + rest));
    return value < V(0) ? V(0) : value;
}

template <class V>
__device__ __forceinline__ V poisson_count(V mean, unsigned word) {
    return mean < V(16) ? searched_count(mean, word) : expanded_count(mean, word);
}
