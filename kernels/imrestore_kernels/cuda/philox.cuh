// Philox 4x32-10: blocks of words, and the uniform and normal numbers of a field; as imrestore_kernels/philox.py has it.
#pragma once
#include "elementary.cuh"

struct Philox {
    unsigned key[2], stream, index[2];

    __device__ __forceinline__ Philox(long long seed, long long sample, long long first)
        : key{unsigned(seed), unsigned((unsigned long long)seed >> 32)},
          stream(unsigned(first)),
          index{unsigned(sample), unsigned((unsigned long long)sample >> 32)} {}

    __device__ __forceinline__ void words(unsigned block, unsigned (&x)[4]) const {
        x[0] = block, x[1] = stream, x[2] = index[0], x[3] = index[1];
        unsigned k0 = key[0], k1 = key[1];
#pragma unroll
        for (int turn = 0; turn < 10; ++turn, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            const unsigned long long first = 0xD2511F53ull * x[0], second = 0xCD9E8D57ull * x[2];
            x[0] = unsigned(second >> 32) ^ x[1] ^ k0;
            x[1] = unsigned(second);
            x[2] = unsigned(first >> 32) ^ x[3] ^ k1;
            x[3] = unsigned(first);
        }
    }

    // The block of a field that holds value p, and which of its words that is.
    static __device__ __forceinline__ unsigned block_of(long long p) { return unsigned(p >> 6) * 16 + unsigned(p & 15); }
    static __device__ __forceinline__ int place_of(long long p) { return int(p >> 4) & 3; }

    // One word of a field. A thread that needs all four of a block takes words().
    __device__ __forceinline__ unsigned word(long long p) const {
        unsigned x[4];
        words(block_of(p), x);
        return chosen(x, place_of(p));
    }

    template <class V>
    static __device__ __forceinline__ V chosen(const V (&x)[4], int place) {
        return place < 2 ? (place ? x[1] : x[0]) : (place == 2 ? x[2] : x[3]);
    }

    template <class V>
    static __device__ __forceinline__ V uniform(unsigned word) {
        return mul(V(word), V(0x1p-32)) + V(0x1p-33);
    }

    // Box and Muller (1958) on one pair of words.
    static __device__ __forceinline__ void normal_pair(unsigned first, unsigned second, float& a, float& b) {
        const float radius = sqrtf(mul(-2.0f, joined_log(LogParts<float>(uniform<float>(first)))));
        float sine, cosine;
        own_sincos(uniform<float>(second), sine, cosine);
        a = mul(radius, cosine);
        b = mul(radius, sine);
    }

    static __device__ __forceinline__ void normals(const unsigned (&x)[4], float (&n)[4]) {
        normal_pair(x[0], x[1], n[0], n[1]);
        normal_pair(x[2], x[3], n[2], n[3]);
    }

    // One normal number of a field.
    __device__ __forceinline__ float normal(long long p) const {
        unsigned x[4];
        words(block_of(p), x);
        const int place = place_of(p);
        float a, b;
        normal_pair(place < 2 ? x[0] : x[2], place < 2 ? x[1] : x[3], a, b);
        return place & 1 ? b : a;
    }
};
