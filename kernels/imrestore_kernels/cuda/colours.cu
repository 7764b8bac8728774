// Colours of samples: matrices over the channels, and contrast about the mean. Threads take pixels, or values, as they come.
#include "dtypes.cuh"
#include "elementary.cuh"
#include "fused.cuh"
#include "plane_sums.cuh"

struct Job {
    const long long* const columns;
    const double* const numbers;
    const long long channels, plane, come, go;
    // Of an adjoint the result's gradient, at DST, is what comes in.
    __device__ __forceinline__ Job(const long long* jobs, const double* numbers, long long j)
        : columns(jobs + j * JOB_COLUMNS), numbers(numbers + j * JOB_COLUMNS), channels(columns[JOB_CHANNELS]),
          plane(columns[JOB_HEIGHT] * columns[JOB_WIDTH]), come(columns[ADJOINT ? JOB_DST : JOB_SRC]),
          go(columns[ADJOINT ? JOB_SRC : JOB_DST]) {}
};

// All channels of a pixel are read before one is written: up to four stay in registers, more go to memory of the thread's own.
extern "C" __global__ void __launch_bounds__(THREADS)
    matrix(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count, T* memory) {
    const long long threads = (long long)gridDim.x * gridDim.y * THREADS;
    T* const kept = memory + ((long long)blockIdx.y * gridDim.x + blockIdx.x) * THREADS + threadIdx.x;
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const long long channels = job.channels;
        const T* const m = table + job.columns[JOB_A];
        for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < job.plane; i += (long long)gridDim.x * THREADS) {
#if CHANNELS <= 4
            T own[CHANNELS];
#pragma unroll
            for (int k = 0; k < CHANNELS; ++k) own[k] = k < channels ? src[job.come + k * job.plane + i] : T(0);
#else
            for (long long k = 0; k < channels; ++k) kept[k * threads] = src[job.come + k * job.plane + i];
#endif
            for (long long c = 0; c < channels; ++c) {
                T total = ADJOINT ? T(0) : m[c * (channels + 1) + channels];
#if CHANNELS <= 4
#pragma unroll
                for (int k = 0; k < CHANNELS; ++k) {
                    const T weight = k < channels ? ADJOINT ? m[k * (channels + 1) + c] : m[c * (channels + 1) + k] : T(0);
                    if (weight != T(0)) total = fused(weight, own[k], total);
                }
#else
                for (long long k = 0; k < channels; ++k) {
                    const T weight = ADJOINT ? m[k * (channels + 1) + c] : m[c * (channels + 1) + k];
                    if (weight != T(0)) total = fused(weight, kept[k * threads], total);
                }
#endif
                dst[job.go + c * job.plane + i] = total;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    contrast_sums(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count, double* sums,
                  long long channels, long long room) {
    SHARED_MEMORY(memory);
    double* const lanes = reinterpret_cast<double*>(memory);
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        for (long long part = blockIdx.x; part < channels * room; part += gridDim.x) {
            const long long c = part / room, block = part % room;
            if (c >= job.channels || block * LANES * RUN >= job.plane) continue;
            const T* const from = src + job.come + c * job.plane;
            const double sum = block_sum(block, job.plane, lanes, [&](long long at) { return double(from[at]); });
            if (threadIdx.x == 0) sums[(j * channels + c) * room + block] = sum;
        }
    }
}

// What a value counts for in the mean grey.
__device__ __forceinline__ double share(long long c, const Job& job) {
    const double weight = job.channels == 3 ? (c == 0 ? GREY_RED : c == 1 ? GREY_GREEN : GREY_BLUE) : 1.0 / double(job.channels);
    return weight / double(job.plane);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    contrast(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count, const double* sums,
             long long channels, long long room) {
    SHARED_MEMORY(memory);
    double* const lanes = reinterpret_cast<double*>(memory);
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const long long blocks = (job.plane + LANES * RUN - 1) / (LANES * RUN);
        const double factor = job.numbers[0];
        double total = 0;
        for (long long c = 0; c < job.channels; ++c)
            total += mul(sum_of_blocks(sums + (j * channels + c) * room, blocks, lanes), ADJOINT ? 1.0 : share(c, job));
        const T f = T(factor);
        for (long long c = 0; c < job.channels; ++c) {
            const T pivot = ADJOINT ? T(mul(mul(total, 1.0 - factor), share(c, job))) : T(total);
            for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < job.plane; i += (long long)gridDim.x * THREADS) {
                const T x = src[job.come + c * job.plane + i];
                dst[job.go + c * job.plane + i] = ADJOINT ? mul(f, x) + pivot : pivot + mul(f, x - pivot);
            }
        }
    }
}
