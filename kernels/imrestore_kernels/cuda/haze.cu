// Haze by the depth of the scene: a block takes one row of a sample after the other.
#include "dtypes.cuh"
#include "elementary.cuh"
#include "philox.cuh"

// Where a pixel lies among the knots of a cubic B-spline: the first of the four around it, and their weights.
struct Knots {
    long long first;
    T weights[4];
    __device__ __forceinline__ Knots(long long i, long long length, long long count) {
        const T v = mul((T(i) + T(0.5)) / T(length), T(count - 3));
        first = (long long)v;
        if (first > count - 4) first = count - 4;
        const T f = v - T(first), g = T(1) - f, sixth = T(1.0 / 6.0), two_thirds = T(2.0 / 3.0);
        weights[0] = mul(mul(mul(g, g), g), sixth);
        weights[1] = two_thirds - mul(mul(f, f), T(1) - mul(T(0.5), f));
        weights[2] = two_thirds - mul(mul(g, g), T(1) - mul(T(0.5), g));
        weights[3] = mul(mul(mul(f, f), f), sixth);
    }
    __device__ __forceinline__ T sum(const T (&k)[4]) const {
        return mul(weights[0], k[0]) + mul(weights[1], k[1]) + mul(weights[2], k[2]) + mul(weights[3], k[3]);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS)
    haze(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    SHARED_MEMORY(memory);
    T* const line = reinterpret_cast<T*>(memory);  // knots of one row
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const double* const own = numbers + j * JOB_COLUMNS;
        const long long height = job[JOB_HEIGHT], width = job[JOB_WIDTH], given = job[JOB_A], across = job[JOB_C];
        const long long come = job[ADJOINT ? JOB_DST : JOB_SRC], go = job[ADJOINT ? JOB_SRC : JOB_DST];
        const T density = -T(own[0]), rough = T(own[8]);
        const bool noisy = given < 0 && rough != T(0);
        const Philox philox(job[JOB_SEED], job[JOB_INDEX], job[JOB_STREAM]);
        for (long long y = blockIdx.x; y < height; y += gridDim.x) {
            if (noisy) {
                const Knots down(y, height, job[JOB_B]);
                __syncthreads();
                for (int k = threadIdx.x; k < across; k += THREADS) {
                    T column[4];
                    for (int i = 0; i < 4; ++i)
                        column[i] = mul(T(2), Philox::uniform<T>(philox.word((down.first + i) * across + k))) - T(1);
                    line[k] = down.sum(column);
                }
                __syncthreads();
            }
            const T start = T(own[5]) + mul(T(own[6]), T(y) / T(height));
            for (long long x = threadIdx.x; x < width; x += THREADS) {
                T depth;
                if (given >= 0) {
                    depth = table[given + y * width + x];
                } else {
                    depth = start + mul(T(own[7]), T(x) / T(width));
                    if (noisy) {
                        const Knots along(x, width, across);
                        const T* const k = line + along.first;
                        depth += mul(rough, along.sum({k[0], k[1], k[2], k[3]}));
                    }
                    depth = depth < T(0) ? T(0) : depth;
                }
                const T t = own_exp(mul(density, depth));
                for (long long c = 0; c < job[JOB_CHANNELS]; ++c) {
                    const long long at = (c * height + y) * width + x;
                    const T air = T(own[1 + (c < 4 ? c : 0)]), clear = mul(t, src[come + at]);
                    dst[go + at] = ADJOINT ? clear : clear + mul(T(1) - t, air);
                }
            }
        }
    }
}
