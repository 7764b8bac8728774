// Geometry of samples: whole-pixel moves, homographies and elastic displacements, and their transposes.
//
// The operations are those of cpu/_warp_block.py, cpu/_splines.py and cpu/_place_rows.py in their order.
#include "borders.cuh"
#include "dtypes.cuh"
#include "elementary.cuh"
#include "fused.cuh"

#define FARTHEST 1073741824.0
#define MAX_TAPS 4
#define PARTS 16  // in which the largest value of a channel is looked for
#define NEVER (1ll << 62)
enum { BY_NEAREST, BILINEAR, BICUBIC };

// The pixels of an image: a block takes one tile after the other, a thread every ROWS-th row of a column.
struct Pixels {
    long long height, width, top, left, rows;
    unsigned tile, across, count;
    __device__ __forceinline__ Pixels(long long height, long long width) : height(height), width(width), tile(blockIdx.x) {
        across = unsigned((width + TILE - 1) / TILE);
        count = across * unsigned((height + TILE - 1) / TILE);
    }
    __device__ __forceinline__ bool left_over() const { return tile < count; }
    __device__ __forceinline__ void next() { tile += gridDim.x; }
    __device__ __forceinline__ long long x() const { return (long long)(tile % across) * TILE + threadIdx.x; }
    __device__ __forceinline__ long long y() const { return (long long)(tile / across) * TILE + threadIdx.y; }
    __device__ __forceinline__ long long end() const {
        const long long stop = (long long)(tile / across + 1) * TILE;
        return x() >= width ? 0 : stop < height ? stop : height;
    }
};

struct Job {
    const long long* const columns;
    const double* const numbers;
    const long long channels, height, width, out_height, out_width, plane, out_plane;
    __device__ __forceinline__ Job(const long long* jobs, const double* numbers, long long j)
        : columns(jobs + j * JOB_COLUMNS), numbers(numbers + j * JOB_COLUMNS), channels(columns[JOB_CHANNELS]),
          height(columns[JOB_HEIGHT]), width(columns[JOB_WIDTH]), out_height(columns[JOB_OUT_HEIGHT]),
          out_width(columns[JOB_OUT_WIDTH]), plane(height * width), out_plane(out_height * out_width) {}
};

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    place(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const long long* const n = job.columns;
        const int mode = int(job.numbers[0]);
        const T outside = T(job.numbers[1]);
        for (Pixels p(job.out_height, job.out_width); p.left_over(); p.next()) {
            const long long x = p.x();
            for (long long y = p.y(); y < p.end(); y += ROWS) {
                const long long row = border_index(n[JOB_A] + n[JOB_B] * y + n[JOB_C] * x, job.height, mode);
                const long long column = border_index(n[JOB_D] + n[JOB_E] * y + n[JOB_F] * x, job.width, mode);
                const T* const from = src + n[JOB_SRC] + row * job.width + column;
                T* const to = dst + n[JOB_DST] + y * job.out_width + x;
                for (long long c = 0; c < job.channels; ++c)
                    to[c * job.out_plane] = row < 0 || column < 0 ? outside : from[c * job.plane];
            }
        }
    }
}

// The positions from least to most that the border rule takes to r: two progressions, from first[0] and first[1] to last.
struct Sources {
    long long first[2], last, step;
    __device__ __forceinline__ Sources(long long r, long long length, int mode, long long least, long long most)
        : first{NEVER, NEVER}, last(most), step(NEVER) {
        long long rest;
        if (mode == CONSTANT || (mode == NEAREST && r > 0 && r < length - 1)) {
            first[0] = r >= least ? r : NEVER;
        } else if (mode == NEAREST) {
            first[0] = r == 0 || least > r ? least : r;
            last = r == length - 1 ? most : most < 0 ? most : 0;
            step = 1;
        } else if (mode == REFLECT || (mode == MIRROR && length > 1)) {
            step = mode == REFLECT ? 2 * length : 2 * length - 2;
            floor_divide(r - least, step, rest);
            first[0] = least + rest;
            floor_divide((mode == REFLECT ? step - 1 - r : step - r) - least, step, rest);
            if (mode == REFLECT || (r > 0 && r < length - 1)) first[1] = least + rest;
        } else {
            step = length;
            floor_divide(r - least, step, rest);
            first[0] = least + rest;
        }
    }
};

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    place_adjoint(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const long long* const n = job.columns;
        const int mode = int(job.numbers[0]);
        const bool turned = n[JOB_C] != 0;
        const long long row_sign = turned ? n[JOB_C] : n[JOB_B], column_sign = turned ? n[JOB_E] : n[JOB_F];
        const long long row_end = n[JOB_A] + row_sign * ((turned ? job.out_width : job.out_height) - 1);
        const long long column_end = n[JOB_D] + column_sign * ((turned ? job.out_height : job.out_width) - 1);
        const long long row_step = row_sign * (turned ? 1 : job.out_width);
        const long long column_step = column_sign * (turned ? job.out_width : 1);
        for (Pixels p(job.height, job.width); p.left_over(); p.next()) {
            const long long x = p.x();
            for (long long y = p.y(); y < p.end(); y += ROWS) {
                const Sources up(y, job.height, mode, row_end < n[JOB_A] ? row_end : n[JOB_A], row_end > n[JOB_A] ? row_end : n[JOB_A]);
                const Sources across(x, job.width, mode, column_end < n[JOB_D] ? column_end : n[JOB_D],
                                     column_end > n[JOB_D] ? column_end : n[JOB_D]);
                for (long long c = 0; c < job.channels; ++c) {
                    const T* const from = src + n[JOB_DST] + c * job.out_plane - n[JOB_A] * row_step - n[JOB_D] * column_step;
                    T total = 0;
                    for (int i = 0; i < 2; ++i)
                        for (long long t = up.first[i]; t <= up.last; t += up.step)
                            for (int k = 0; k < 2; ++k)
                                for (long long s = across.first[k]; s <= across.last; s += across.step)
                                    total += from[t * row_step + s * column_step];
                    dst[n[JOB_SRC] + c * job.plane + y * job.width + x] = total;
                }
            }
        }
    }
}

// Where a sample lies among the knots of a cubic B-spline: the first of the four around it, and their weights.
struct Knots {
    long long first;
    T weights[4];
    __device__ __forceinline__ Knots(long long i, long long length, long long count) {
        const double scale = length > 1 ? double(count - 3) / double(length - 1) : 0.0, place = mul(double(i), scale);
        first = (long long)floor(place);
        if (first > count - 4) first = count - 4;
        const T f = T(place - double(first)), g = T(1) - f, sixth = T(1.0 / 6.0), two_thirds = T(2.0 / 3.0);
        weights[0] = mul(mul(mul(g, g), g), sixth);
        weights[1] = fused(mul(f, f), fused(f, T(0.5), T(-1)), two_thirds);
        weights[2] = fused(mul(g, g), fused(g, T(0.5), T(-1)), two_thirds);
        weights[3] = mul(mul(mul(f, f), f), sixth);
    }
    __device__ __forceinline__ T sum(const T* at, long long step) const {
        T total = mul(weights[0], at[0]);
        for (int k = 1; k < 4; ++k) total = fused(weights[k], at[k * step], total);
        return total;
    }
};

// The whole numbers below the source coordinates of a pixel, and the weights of the neighbours there: of two the second one's.
struct Point {
    long long column, row;
    T along[MAX_TAPS], down[MAX_TAPS];

    __device__ __forceinline__ Point(const Job& job, const T* table, long long y, long long x) {
        const double* const h = job.numbers;
        double u = fused(h[0], double(x), fused(h[1], double(y), h[2]));
        double v = fused(h[3], double(x), fused(h[4], double(y), h[5]));
        if (h[6] != 0 || h[7] != 0 || h[8] != 1) {
            const double w = fused(h[6], double(x), fused(h[7], double(y), h[8])), inverse = 1.0 / w;
            u = w > 0 ? mul(u, inverse) : -FARTHEST;
            v = w > 0 ? mul(v, inverse) : -FARTHEST;
        }
        if (job.columns[JOB_A] >= 0) {
            const Knots below(y, job.out_height, job.columns[JOB_B]), beside(x, job.out_width, job.columns[JOB_C]);
            const long long pitch = 2 * job.columns[JOB_C];
            const T* const knots = table + job.columns[JOB_A] + below.first * pitch + 2 * beside.first;
            T sums[2][4];
            for (int k = 0; k < 4; ++k) {
                sums[0][k] = below.sum(knots + 2 * k, pitch);
                sums[1][k] = below.sum(knots + 2 * k + 1, pitch);
            }
            v += double(beside.sum(sums[0], 1));
            u += double(beside.sum(sums[1], 1));
        }
        const int interpolation = int(job.columns[JOB_D]);
        column = split(u, along, interpolation);
        row = split(v, down, interpolation);
    }

    static __device__ __forceinline__ long long split(double point, T (&weights)[MAX_TAPS], int interpolation) {
        point = point > -FARTHEST ? point : -FARTHEST;  // NaN counts as far outside
        point = point < FARTHEST ? point : FARTHEST;
        if (interpolation == BY_NEAREST) point += 0.5;
        const double below = floor(point);
        const T f = T(point - below);
        weights[0] = f;
        if (interpolation == BICUBIC) {  // Keys (1981), equation 15
            const T square = mul(f, f);
            weights[0] = mul(f, fused(f, fused(f, T(-0.5), T(1)), T(-0.5)));
            weights[1] = fused(square, fused(f, T(1.5), T(-2.5)), T(1));
            weights[2] = mul(f, fused(f, fused(f, T(-1.5), T(2)), T(0.5)));
            weights[3] = mul(square, fused(f, T(0.5), T(-0.5)));
        }
        return (long long)below;
    }
};

template <int TAPS>
__device__ __forceinline__ T between(const T* weights, const T* values) {
    if (TAPS == 1) return values[0];
    if (TAPS == 2) return fused(weights[0], values[1] - values[0], values[0]);
    T total = mul(weights[0], values[0]);
    for (int k = 1; k < TAPS; ++k) total = fused(weights[k], values[k], total);
    return total;
}

// The places of the neighbours along an axis; -1 is the constant.
template <int TAPS>
__device__ __forceinline__ void neighbours(long long below, long long length, int mode, long long (&found)[TAPS]) {
    for (int k = 0; k < TAPS; ++k) found[k] = border_index(below - (TAPS == 4) + k, length, mode);
}

template <int TAPS>
__device__ __forceinline__ void look_up(const T* src, T* dst, const Job& job, const Point& point) {
    const int mode = int(job.columns[JOB_E]);
    const T outside = T(job.numbers[9]);
    long long columns[TAPS], rows[TAPS];
    neighbours<TAPS>(point.column, job.width, mode, columns);
    neighbours<TAPS>(point.row, job.height, mode, rows);
    for (long long c = 0; c < job.channels; ++c) {
        const T* const from = src + c * job.plane;
        T across[TAPS];
        for (int i = 0; i < TAPS; ++i) {
            T values[TAPS];
            for (int k = 0; k < TAPS; ++k)
                values[k] = rows[k] < 0 || columns[i] < 0 ? outside : from[rows[k] * job.width + columns[i]];
            across[i] = between<TAPS>(point.down, values);
        }
        dst[c * job.out_plane] = between<TAPS>(point.along, across);
    }
}

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    warp(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const int interpolation = int(job.columns[JOB_D]);
        for (Pixels p(job.out_height, job.out_width); p.left_over(); p.next()) {
            const long long x = p.x();
            for (long long y = p.y(); y < p.end(); y += ROWS) {
                const Point point(job, table, y, x);
                const T* const from = src + job.columns[JOB_SRC];
                T* const to = dst + job.columns[JOB_DST] + y * job.out_width + x;
                if (interpolation == BY_NEAREST) look_up<1>(from, to, job, point);
                else if (interpolation == BILINEAR) look_up<2>(from, to, job, point);
                else look_up<4>(from, to, job, point);
            }
        }
    }
}

// The transpose of warp in three steps: the largest absolute value of every channel, in parts, and sums of 0; then all values to
// where they came from, as whole numbers; then those as floats.

__device__ __forceinline__ unsigned long long bits_of(T value) {
    return (unsigned long long)__double_as_longlong(double(value)) & ~(1ull << 63);
}

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    warp_adjoint_begin(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
                      unsigned long long* sums, unsigned long long* largest, long long channels, long long room) {
    SHARED_MEMORY(memory);
    unsigned long long* const most = reinterpret_cast<unsigned long long*>(memory);
    const int thread = threadIdx.y * TILE + threadIdx.x;
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        for (long long part = blockIdx.x; part < channels * PARTS; part += gridDim.x) {
            const long long c = part / PARTS, first = part % PARTS * (TILE * ROWS) + thread;
            unsigned long long found = 0;
            if (c < job.channels) {
                const T* const from = src + job.columns[JOB_DST] + c * job.out_plane;
                for (long long i = first; i < job.out_plane; i += PARTS * TILE * ROWS) {
                    const unsigned long long bits = bits_of(from[i]);
                    found = bits > found ? bits : found;
                }
                unsigned long long* const to = sums + (j * channels + c) * room;
                for (long long i = first; i < job.plane; i += PARTS * TILE * ROWS) to[i] = 0;
            }
            __syncthreads();
            most[thread] = found;
            for (int half = TILE * ROWS / 2; half > 0; half /= 2) {
                __syncthreads();
                if (thread < half && most[thread + half] > most[thread]) most[thread] = most[thread + half];
            }
            if (thread == 0) largest[(j * channels + c) * PARTS + part % PARTS] = most[0];
        }
    }
}

// The power of two that values are multiplied by before they are rounded; false where one is not finite.
__device__ __forceinline__ bool unit_exponent(const unsigned long long* largest, long long pixels, int& exponent) {
    unsigned long long bits = 0;
    for (int k = 0; k < PARTS; ++k) bits = largest[k] > bits ? largest[k] : bits;
    const int biased = int(bits >> 52);
    exponent = BITS - (biased - 1022);
    for (; pixels > 0; pixels >>= 1) --exponent;
    if (exponent > LARGEST_EXPONENT) exponent = LARGEST_EXPONENT;
    return biased != 0x7FF;
}

__device__ __forceinline__ double power_of_two(int exponent) { return __longlong_as_double((long long)(1023 + exponent) << 52); }

template <int TAPS>
__device__ __forceinline__ void weigh(const T (&weights)[MAX_TAPS], double (&shares)[TAPS]) {
    for (int k = 0; k < TAPS; ++k) shares[k] = TAPS == 1 ? 1.0 : double(weights[TAPS == 2 ? 0 : k]);
    if (TAPS == 2) shares[0] = 1.0 - shares[0];
}

template <int TAPS>
__device__ __forceinline__ void share_out(const T* src, unsigned long long* sums, const unsigned long long* largest, const Job& job,
                                          const Point& point, long long room) {
    const int mode = int(job.columns[JOB_E]);
    long long columns[TAPS], rows[TAPS];
    neighbours<TAPS>(point.column, job.width, mode, columns);
    neighbours<TAPS>(point.row, job.height, mode, rows);
    double along[TAPS], down[TAPS];
    weigh<TAPS>(point.along, along);
    weigh<TAPS>(point.down, down);
    for (long long c = 0; c < job.channels; ++c) {
        int exponent;
        if (!unit_exponent(largest + c * PARTS, job.out_plane, exponent)) continue;
        const double value = mul(double(src[c * job.out_plane]), power_of_two(exponent));
        for (int n = 0; n < TAPS; ++n)
            for (int k = 0; k < TAPS; ++k)
                if (rows[n] >= 0 && columns[k] >= 0)
                    atomicAdd(sums + c * room + rows[n] * job.width + columns[k],
                              (unsigned long long)(long long)rint(mul(mul(down[n], along[k]), value)));
    }
}

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    warp_adjoint_add(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
                      unsigned long long* sums, unsigned long long* largest, long long channels, long long room) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        const int interpolation = int(job.columns[JOB_D]);
        for (Pixels p(job.out_height, job.out_width); p.left_over(); p.next()) {
            const long long x = p.x();
            for (long long y = p.y(); y < p.end(); y += ROWS) {
                const Point point(job, table, y, x);
                const T* const from = src + job.columns[JOB_DST] + y * job.out_width + x;
                unsigned long long* const to = sums + j * channels * room;
                const unsigned long long* const most = largest + j * channels * PARTS;
                if (interpolation == BY_NEAREST) share_out<1>(from, to, most, job, point, room);
                else if (interpolation == BILINEAR) share_out<2>(from, to, most, job, point, room);
                else share_out<4>(from, to, most, job, point, room);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(TILE* ROWS)
    warp_adjoint_end(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
                      unsigned long long* sums, unsigned long long* largest, long long channels, long long room) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const Job job(jobs, numbers, j);
        for (long long c = 0; c < job.channels; ++c) {
            int exponent;
            const bool finite = unit_exponent(largest + (j * channels + c) * PARTS, job.out_plane, exponent);
            const double unit = power_of_two(-exponent);
            for (Pixels p(job.height, job.width); p.left_over(); p.next()) {
                for (long long y = p.y(); y < p.end(); y += ROWS) {
                    const long long at = y * job.width + p.x();
                    const double value = mul(double((long long)sums[(j * channels + c) * room + at]), unit);
                    dst[job.columns[JOB_SRC] + c * job.plane + at] = finite ? T(value) : T(__longlong_as_double(0x7FF8000000000000ll));
                }
            }
        }
    }
}
