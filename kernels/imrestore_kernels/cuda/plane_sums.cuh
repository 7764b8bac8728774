// Sums over planes in the order of cpu/_plane_sums.py: blocks of LANES runs, a lane to each thread, then halves of the lanes; the
// sums of the blocks in the same way.
#pragma once

#define LANES THREADS
#define RUN 64

// The sum of all lanes, in every thread.
__device__ __forceinline__ double fold(double own, double* lanes) {
    __syncthreads();
    lanes[threadIdx.x] = own;
    for (int half = LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) lanes[threadIdx.x] += lanes[threadIdx.x + half];
    }
    __syncthreads();
    return lanes[0];
}

// The sum of one block's values; `value` tells the number at a place.
template <class F>
__device__ __forceinline__ double block_sum(long long block, long long count, double* lanes, F value) {
    double own = 0;
    for (int k = 0; k < RUN; ++k) {
        const long long at = (block * RUN + k) * LANES + threadIdx.x;
        if (at < count) own += value(at);
    }
    return fold(own, lanes);
}

__device__ __forceinline__ double sum_of_blocks(const double* sums, long long blocks, double* lanes) {
    double own = 0;
    for (long long at = threadIdx.x; at < blocks; at += LANES) own += sums[at];
    return fold(own, lanes);
}
