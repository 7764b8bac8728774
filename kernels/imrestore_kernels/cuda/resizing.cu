// Resampling to another size, one axis after the other, and the transpose: cpu/resizing.py and cpu/_resampling_weights.py say what is
// computed, to the bit.
//
// Weights are made where they are used. A block first makes those of the results of its tile, in shared memory, then the sums.
//
// Macros: T float or double, JOB_* the columns of a job, OUTS the most results along the axis in a tile, CHUNK weights of each that are
// in shared memory at a time.
#include "borders.cuh"
#include "dtypes.cuh"
#include "elementary.cuh"
#include "fused.cuh"

#define THREADS 256
#define VALUES 4  // results of a thread

enum { NEAREST_SAMPLE, BILINEAR, BICUBIC, LANCZOS3, AREA, LANCZOS2 };

__device__ __forceinline__ double snapped(double x) {
    const double near = floor(x + 0.5), distance = x - near;
    return -1e-9 < distance && distance < 1e-9 ? near : x;
}

// Weight at a distance, in units of the kernel.
__device__ __forceinline__ double kernel_at(double d, int method, double slope) {
    const double t = d < 0 ? -d : d;
    if (method == BILINEAR) return t < 1 ? 1 - t : 0;
    if (method == BICUBIC) {
        if (t <= 1) return mul(mul(mul(slope + 2, t) - (slope + 3), t), t) + 1;
        return t < 2 ? mul(slope, mul(mul(t - 5, t) + 8, t) - 4) : 0;
    }
    const double lobes = method == LANCZOS3 ? 3 : 2;
    if (t == 0) return 1;
    if (!(t < lobes)) return 0;
    double wave, window, cosine;
    own_sincos(mul(0.5, t), wave, cosine);
    own_sincos(t / mul(2.0, lobes), window, cosine);
    return mul(mul(lobes, wave), window) / mul(9.869604401089358, mul(t, t));
}

// One axis of a job: samples, results and the kernel between them.
struct Axis {
    long long length, out;
    double scale, slope, stretch, radius;
    int method, mode;

    __device__ __forceinline__ Axis(const long long* job, const double* numbers, bool down) {
        length = job[down ? JOB_HEIGHT : JOB_WIDTH];
        out = job[down ? JOB_OUT_HEIGHT : JOB_OUT_WIDTH];
        scale = numbers[down ? 0 : 1];
        slope = numbers[2];
        method = int(job[JOB_A]);
        mode = int(job[JOB_C]);
        stretch = job[JOB_B] != 0 && scale < 1 ? 1 / scale : 1;
        const int half = method == BILINEAR ? 1 : method == BICUBIC || method == LANCZOS2 ? 2 : method == LANCZOS3 ? 3 : 0;
        radius = mul(double(half), stretch);
    }

    __device__ __forceinline__ long long first(long long x) const {
        const double at = double(x);
        if (method == NEAREST_SAMPLE) return (long long)floor(at / scale + 1e-9);
        if (method == AREA) return (long long)floor(snapped(at / scale));
        return (long long)(floor((at + 0.5) / scale - 0.5 - radius) + 1);
    }

    __device__ __forceinline__ long long taps(long long x) const {
        if (method == NEAREST_SAMPLE) return 1;
        if (method == AREA) return (long long)(-floor(-snapped((double(x) + 1) / scale)) - floor(snapped(double(x) / scale)));
        return (long long)-floor(1e-9 - mul(2.0, radius));
    }

    // Of sample v in result x, before they are divided by their sum.
    __device__ __forceinline__ double weight(long long v, long long x) const {
        const double at = double(x), sample = double(v);
        if (method == NEAREST_SAMPLE) return 1;
        if (method == AREA) {
            const double from = snapped(at / scale), to = snapped((at + 1) / scale);
            const double begin = sample > from ? sample : from, end = sample + 1 < to ? sample + 1 : to;
            return end > begin ? end - begin : 0;
        }
        return kernel_at((sample - ((at + 0.5) / scale - 0.5)) / stretch, method, slope);
    }

    __device__ __forceinline__ T share(long long v, long long x, const double* totals) const { return T(weight(v, x) / totals[x]); }

    // The first result whose samples end behind v, or begin behind v.
    __device__ __forceinline__ long long result_behind(long long v, bool end) const {
        long long low = 0, high = out;
        while (low < high) {
            const long long middle = (low + high) >> 1;
            if (first(middle) + (end ? taps(middle) : 0) > v)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }
};

// Sums of the weights of all results, along y and then along x, `slot` for each job and axis.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    resample_totals(const long long* jobs, const double* numbers, long long count, double* totals, long long slot) {
    for (long long j = blockIdx.y; j < 2 * count; j += gridDim.y) {
        const Axis axis(jobs + j / 2 * JOB_COLUMNS, numbers + j / 2 * JOB_COLUMNS, j % 2 == 0);
        for (long long x = (long long)blockIdx.x * THREADS + threadIdx.x; x < axis.out; x += (long long)gridDim.x * THREADS) {
            const long long first = axis.first(x), taps = axis.taps(x);
            double total = 0;
            for (long long k = 0; k < taps; ++k) total += axis.weight(first + k, x);
            totals[j * slot + x] = total;
        }
    }
}

// Of the results of a tile: the first sample, the number of taps, some of the weights.
struct Tile {
    long long begins[OUTS];
    T weights[OUTS][CHUNK];
    int counts[OUTS];
};

// One pass over one plane.
template <bool ADJOINT>
struct Pass {
    Axis axis;
    const double* totals;
    bool down;
    const T* from;
    T* to;
    long long height, width, out_height, out_width;
    T cval;

    __device__ __forceinline__ T input(long long line, long long i) const { return from[down ? i * width + line : line * width + i]; }

    __device__ __forceinline__ T sample(long long line, long long v) const {
        const long long i = border_index(v, axis.length, axis.mode);
        return i < 0 ? cval : input(line, i);
    }

    // What the samples beyond the border that are taken from sample i add to its gradient.
    __device__ void add_outside(T& value, long long line, long long i) const {
        const long long low = axis.first(0), high = axis.first(axis.out - 1) + axis.taps(axis.out - 1);
        const long long before = low < 0 ? -low : 0, after = high > axis.length ? high - axis.length : 0;
        const long long reach = before > after ? before : after;
        if (reach == 0 || (i > reach && i < axis.length - 1 - reach)) return;
        for (long long n = 0; n < before + after; ++n) {
            const long long v = n < before ? n - before : n - before + axis.length;
            if (border_index(v, axis.length, axis.mode) != i) continue;
            const long long begin = axis.result_behind(v, true), end = axis.result_behind(v, false);
            T part = T(0);
            for (long long x = begin; x < end; ++x) part = fused(axis.share(v, x, totals), input(line, x), part);
            value += part;
        }
    }

    // A tile of `outs` results along the axis and `lines` lines.
    __device__ void tile(long long first_out, long long first_line, int outs, int lines) const {
        SHARED_MEMORY(memory);
        Tile& shared = *reinterpret_cast<Tile*>(memory);
        long long(&begins)[OUTS] = shared.begins;
        T(&weights)[OUTS][CHUNK] = shared.weights;
        int(&counts)[OUTS] = shared.counts;
        const long long length = down ? out_height : out_width, across = down ? out_width : out_height;
        __syncthreads();
        if (int(threadIdx.x) < outs) {
            const long long o = first_out + threadIdx.x;
            long long begin = 0, end = 0;
            if (o < length) {
                begin = ADJOINT ? axis.result_behind(o, true) : axis.first(o);
                end = ADJOINT ? axis.result_behind(o, false) : begin + axis.taps(o);
            }
            begins[threadIdx.x] = begin;
            counts[threadIdx.x] = end > begin ? int(end - begin) : 0;
        }
        __syncthreads();
        int most = 0;
        for (int o = 0; o < outs; ++o) most = counts[o] > most ? counts[o] : most;
        T sums[VALUES];
#pragma unroll
        for (int q = 0; q < VALUES; ++q) sums[q] = T(0);
        for (int k0 = 0; k0 < most; k0 += CHUNK) {
            __syncthreads();
            for (int i = threadIdx.x; i < outs * CHUNK; i += THREADS) {
                const int o = i / CHUNK, k = k0 + i % CHUNK;
                if (k >= counts[o]) continue;
                const long long other = begins[o] + k, own = first_out + o;
                weights[o][i % CHUNK] = ADJOINT ? axis.share(own, other, totals) : axis.share(other, own, totals);
            }
            __syncthreads();
#pragma unroll
            for (int q = 0; q < VALUES; ++q) {
                const int place = threadIdx.x + q * THREADS, o = down ? place / lines : place % outs;
                const long long line = first_line + (down ? place % lines : place / outs);
                if (line >= across) continue;
                const int count = counts[o] - k0 < CHUNK ? counts[o] - k0 : CHUNK;
                const long long begin = begins[o] + k0;
                if (ADJOINT || (begin >= 0 && begin + count <= axis.length)) {
                    const T* at = from + (down ? begin * width + line : line * width + begin);
                    for (int k = 0; k < count; ++k, at += down ? width : 1) sums[q] = fused(weights[o][k], *at, sums[q]);
                } else {
                    for (int k = 0; k < count; ++k) sums[q] = fused(weights[o][k], sample(line, begin + k), sums[q]);
                }
            }
        }
#pragma unroll
        for (int q = 0; q < VALUES; ++q) {
            const int place = threadIdx.x + q * THREADS;
            const long long o = first_out + (down ? place / lines : place % outs);
            const long long line = first_line + (down ? place % lines : place / outs);
            if (line >= across || o >= length) continue;
            if (ADJOINT) add_outside(sums[q], line, o);
            to[down ? o * out_width + line : line * out_width + o] = sums[q];
        }
    }

    __device__ void all_tiles(long long channels) {
        const int outs = down ? 8 : OUTS, lines = THREADS * VALUES / outs;
        const long long length = down ? out_height : out_width, across = down ? out_width : out_height;
        const unsigned along = unsigned((length + outs - 1) / outs), beside = unsigned((across + lines - 1) / lines);
        const T* const planes = from;
        T* const results = to;
        for (unsigned i = blockIdx.x; i < along * beside * unsigned(channels); i += gridDim.x) {
            const long long channel = i / (along * beside);
            const unsigned place = i % (along * beside);
            from = planes + channel * height * width;
            to = results + channel * out_height * out_width;
            tile((long long)(place / beside) * outs, (long long)(place % beside) * lines, outs, lines);
        }
    }
};

// The first or second pass of all jobs; `slot` and `between_slot` elements of totals and of what lies between for each.
template <bool ADJOINT>
__device__ __forceinline__ void one_pass(const T* src, T* dst, T* between, const double* totals, const long long* jobs,
                                         const double* numbers, long long count, long long slot, long long between_slot, int second) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const double* const given = numbers + j * JOB_COLUMNS;
        const bool down_first = given[0] <= given[1], down = ((second != 0) != down_first) != ADJOINT;
        const long long middle_height = job[down_first ? JOB_OUT_HEIGHT : JOB_HEIGHT];
        const long long middle_width = job[down_first ? JOB_WIDTH : JOB_OUT_WIDTH];
        T* const own = between + j * between_slot;
        const bool to_middle = second == 0;
        Pass<ADJOINT> pass{Axis(job, given, down), totals + (2 * j + (down ? 0 : 1)) * slot, down};
        pass.from = to_middle ? src + job[ADJOINT ? JOB_DST : JOB_SRC] : own;
        pass.to = to_middle ? own : dst + job[ADJOINT ? JOB_SRC : JOB_DST];
        pass.height = to_middle ? job[ADJOINT ? JOB_OUT_HEIGHT : JOB_HEIGHT] : middle_height;
        pass.width = to_middle ? job[ADJOINT ? JOB_OUT_WIDTH : JOB_WIDTH] : middle_width;
        pass.out_height = to_middle ? middle_height : job[ADJOINT ? JOB_HEIGHT : JOB_OUT_HEIGHT];
        pass.out_width = to_middle ? middle_width : job[ADJOINT ? JOB_WIDTH : JOB_OUT_WIDTH];
        pass.cval = T(given[3]);
        pass.all_tiles(job[JOB_CHANNELS]);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    resample(const T* src, T* dst, T* between, const double* totals, const long long* jobs, const double* numbers, long long count,
             long long slot, long long between_slot, int second) {
    one_pass<false>(src, dst, between, totals, jobs, numbers, count, slot, between_slot, second);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    resample_adjoint(const T* src, T* dst, T* between, const double* totals, const long long* jobs, const double* numbers,
                     long long count, long long slot, long long between_slot, int second) {
    one_pass<true>(src, dst, between, totals, jobs, numbers, count, slot, between_slot, second);
}
