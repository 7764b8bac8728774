// Samples mixed with others, or covered: a block takes one row of a sample, in all channels, after the other.
#include "dtypes.cuh"
#include "elementary.cuh"
#include "plane_sums.cuh"

// A row or column, kept within 0 .. length.
__device__ __forceinline__ long long cut(double value, long long length) {
    value = value > 0 ? value : 0;
    return value < length ? (long long)value : length;
}

struct Job {
    const long long* const columns;
    const double* const numbers;
    const long long channels, height, width, plane, come, go;
    // Of an adjoint the result's gradient, at DST, is what comes in.
    __device__ __forceinline__ Job(const long long* jobs, const double* numbers, long long j)
        : columns(jobs + j * JOB_COLUMNS), numbers(numbers + j * JOB_COLUMNS), channels(columns[JOB_CHANNELS]),
          height(columns[JOB_HEIGHT]), width(columns[JOB_WIDTH]), plane(height * width), come(columns[ADJOINT ? JOB_DST : JOB_SRC]),
          go(columns[ADJOINT ? JOB_SRC : JOB_DST]) {}
};

extern "C" __global__ void __launch_bounds__(THREADS)
    blend(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const T own = T(job.numbers[0]), rest = T(1.0 - job.numbers[0]);
        const T* const partner = src + job.columns[JOB_A];
        for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < job.channels * job.plane; i += (long long)gridDim.x * THREADS) {
            const T part = mul(own, src[job.come + i]);
            dst[job.go + i] = ADJOINT ? part : part + mul(rest, partner[i]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    paste(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const long long top = cut(job.numbers[0], job.height), bottom = cut(job.numbers[1], job.height);
        const long long left = cut(job.numbers[2], job.width), right = cut(job.numbers[3], job.width);
        const T* const partner = src + job.columns[JOB_A];
        for (long long y = blockIdx.x; y < job.height; y += gridDim.x)
            for (long long x = threadIdx.x; x < job.width; x += THREADS) {
                const bool inside = y >= top && y < bottom && x >= left && x < right;
                for (long long at = y * job.width + x; at < job.channels * job.plane; at += job.plane)
                    dst[job.go + at] = !inside ? src[job.come + at] : ADJOINT ? T(0) : partner[at];
            }
    }
}

__device__ __forceinline__ bool covered(const Job& job, const T* table, long long y, long long x) {
    const T* box = table + job.columns[JOB_A];
    bool inside = false;
    for (long long k = 0; k < job.columns[JOB_B]; ++k, box += 4)
        inside = inside || (y >= cut(box[0], job.height) && y < cut(box[1], job.height) && x >= cut(box[2], job.width) &&
                            x < cut(box[3], job.width));
    return inside;
}

// Sums of the blocks of every plane, of an adjoint's only in the rectangles; for samples that become their mean.
extern "C" __global__ void __launch_bounds__(THREADS)
    erase_sums(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count, double* sums,
               long long channels, long long room) {
    SHARED_MEMORY(memory);
    double* const lanes = reinterpret_cast<double*>(memory);
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        if (job.columns[JOB_C] != 1) continue;
        for (long long part = blockIdx.x; part < channels * room; part += gridDim.x) {
            const long long c = part / room, block = part % room;
            if (c >= job.channels || block * LANES * RUN >= job.plane) continue;
            const T* const from = src + job.come + c * job.plane;
            const double sum = block_sum(block, job.plane, lanes, [&](long long at) {
                return !ADJOINT || covered(job, table, at / job.width, at % job.width) ? double(from[at]) : 0.0;
            });
            if (threadIdx.x == 0) sums[(j * channels + c) * room + block] = sum;
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    erase(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count, const double* sums,
          long long channels, long long room) {
    SHARED_MEMORY(memory);
    double* const lanes = reinterpret_cast<double*>(memory);
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        for (long long c = 0; c < job.channels; ++c) {
            T value = ADJOINT ? T(0) : T(job.numbers[0]);
            if (job.columns[JOB_C] == 1) {
                const long long blocks = (job.plane + LANES * RUN - 1) / (LANES * RUN);
                value = T(sum_of_blocks(sums + (j * channels + c) * room, blocks, lanes) / double(job.plane));
            }
            for (long long y = blockIdx.x; y < job.height; y += gridDim.x)
                for (long long x = threadIdx.x; x < job.width; x += THREADS) {
                    const long long at = c * job.plane + y * job.width + x;
                    const bool inside = covered(job, table, y, x);
                    dst[job.go + at] = ADJOINT ? (inside ? T(0) : src[job.come + at]) + value : inside ? value : src[job.come + at];
                }
        }
    }
}
