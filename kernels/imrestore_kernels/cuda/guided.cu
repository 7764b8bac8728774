// Guided filter (He, Sun and Tang, PAMI 2013), two launches: fits in all windows, then their means.
//
// A block makes a row of TILE outputs. Its threads first go down the columns that the row needs, over all leading axes of the
// window, and leave what they find in shared memory; then every thread goes along its own window. Deviations are taken from
// the mean of the column and then of the window, in double: nothing is lost on a pedestal, and the order of all sums depends
// on the window alone. The guide and the image go on beyond their border, so there are fits of windows outside the image.
//
// Macros: T element of the image, G of the guide, CHANNELS of the guide, SEPARATE 0/1 (the guide is another image), WHERE 0/1
// (pixels may be left out), SCRATCH 0/1 (columns are left in global memory: the window is too wide for shared).
#include "borders.cuh"
#include "dtypes.cuh"
#include "rounding.cuh"

#define TILE 128
#define SUMS (CHANNELS + SEPARATE)
#define GUIDE_PAIRS (CHANNELS * (CHANNELS + 1) / 2)
#define PAIRS (GUIDE_PAIRS + SEPARATE * CHANNELS)
#define SETS (WHERE + SUMS + PAIRS)
#define OUTPUTS (SEPARATE ? 1 : CHANNELS)
#define FACTORS (OUTPUTS * CHANNELS)
// Factors, offsets, and where pixels are left out the means of the image and whether there was a pixel.
#define FITS (FACTORS + OUTPUTS + WHERE * (OUTPUTS + 1))

// The filtered axes, one to three in front of the last; a missing one has length 1 and radius 0.
struct Shape {
    long long outer, length[4], radius[4];
    long long inner;  // channels of the image, of which those that guide themselves are filtered at once
    int mode;
    bool pad_counts;

    __device__ __forceinline__ long long pictures() const { return outer * (SEPARATE ? inner : 1); }
    __device__ __forceinline__ long long rows(int border) const {
        long long n = pictures();
        for (int a = 0; a < 3; ++a) n *= length[a] + 2 * border * radius[a];
        return n;
    }
};

// A row of outputs: its picture, channel and place along the leading axes, which may be outside.
struct Row {
    long long picture, channel, at[3];

    __device__ __forceinline__ Row(const Shape& s, long long number, int border) {
        for (int a = 2; a >= 0; --a) {
            long long i;
            number = floor_divide(number, s.length[a] + 2 * border * s.radius[a], i);
            at[a] = i - border * s.radius[a];
        }
        picture = number;
        channel = 0;
        if (SEPARATE) picture = floor_divide(number, s.inner, channel);
    }
};

// NaN for infinities: they count as such.
template <class V>
__device__ __forceinline__ double or_nan(V v) {
    const double wide = double(Type<V>::widen(v));
    return wide * 0.0 + wide;
}

struct Sample {
    double value[SUMS];
    bool valid;
};

struct Pictures {
    const T* src;
    const G* guide;
    const unsigned char* where;
    double cval, guide_cval;

    // The sample at the offset of a pixel, in pixels; -1 is outside.
    __device__ __forceinline__ Sample load(long long pixel, const Shape& s, long long channel) const {
        Sample sample;
        if (pixel < 0) {
            sample.valid = !WHERE || s.pad_counts;
            for (int c = 0; c < CHANNELS; ++c) sample.value[c] = or_nan(SEPARATE ? guide_cval : cval);
            if (SEPARATE) sample.value[SUMS - 1] = or_nan(cval);
            return sample;
        }
        const long long at = pixel * s.inner + channel;
        sample.valid = !WHERE || where[at];
        for (int c = 0; c < CHANNELS; ++c)
            sample.value[c] = SEPARATE ? or_nan(guide[pixel * CHANNELS + c]) : or_nan(src[at + c]);
        if (SEPARATE) sample.value[SUMS - 1] = or_nan(src[at]);
        return sample;
    }
};

// Calls visit(pixel) for the pixels of a column of the window around `row`, one after the other.
template <class Visit>
__device__ __forceinline__ void down_the_column(const Shape& s, const Row& row, long long x, Visit visit) {
    const long long column = border_index(x, s.length[3], s.mode);
    for (long long i = row.at[0] - s.radius[0]; i <= row.at[0] + s.radius[0]; ++i) {
        const long long i0 = border_index(i, s.length[0], s.mode);
        for (long long j = row.at[1] - s.radius[1]; j <= row.at[1] + s.radius[1]; ++j) {
            const long long j0 = border_index(j, s.length[1], s.mode);
            for (long long k = row.at[2] - s.radius[2]; k <= row.at[2] + s.radius[2]; ++k) {
                const long long k0 = border_index(k, s.length[2], s.mode);
                const bool outside = (i0 | j0 | k0 | column) < 0;
                visit(outside ? -1
                              : (((row.picture * s.length[0] + i0) * s.length[1] + j0) * s.length[2] + k0) * s.length[3] + column);
            }
        }
    }
}

// Number of samples, means and sums of products of deviations of a column, to every `pitch`-th place of `column`.
__device__ void moments_of_column(const Shape& s, const Pictures& p, const Row& row, long long x, double* column, int pitch) {
    double count = 0, mean[SUMS] = {}, product[PAIRS] = {};
    down_the_column(s, row, x, [&](long long pixel) {
        const Sample sample = p.load(pixel, s, row.channel);
        if (!sample.valid) return;
        count += 1;
        for (int c = 0; c < SUMS; ++c) mean[c] += sample.value[c];
    });
    for (int c = 0; c < SUMS; ++c) mean[c] = count > 0 ? mean[c] / count : 0;
    down_the_column(s, row, x, [&](long long pixel) {
        const Sample sample = p.load(pixel, s, row.channel);
        if (!sample.valid) return;
        int pair = 0;
        for (int a = 0; a < CHANNELS; ++a)
            for (int b = a; b < CHANNELS; ++b) product[pair++] += (sample.value[a] - mean[a]) * (sample.value[b] - mean[b]);
        if (SEPARATE)
            for (int a = 0; a < CHANNELS; ++a)
                product[pair++] += (sample.value[a] - mean[a]) * (sample.value[SUMS - 1] - mean[SUMS - 1]);
    });
    if (WHERE) column[0] = count;
    for (int c = 0; c < SUMS; ++c) column[(WHERE + c) * pitch] = mean[c];
    for (int c = 0; c < PAIRS; ++c) column[(WHERE + SUMS + c) * pitch] = product[c];
}

struct Window {
    double count, mean[SUMS], product[PAIRS];
};

// The same for a window, from its columns.
__device__ Window moments_of_window(const double* column, int pitch, int columns, double samples_of_column) {
    Window w = {};
    for (int e = 0; e < columns; ++e) {
        const double n = WHERE ? column[e] : samples_of_column;
        w.count += n;
        for (int c = 0; c < SUMS; ++c) w.mean[c] += n * column[(WHERE + c) * pitch + e];
    }
    const double share = w.count > 0 ? 1 / w.count : 0;
    for (int c = 0; c < SUMS; ++c) w.mean[c] *= share;
    for (int e = 0; e < columns; ++e) {
        const double n = WHERE ? column[e] : samples_of_column;
        double apart[SUMS];
        for (int c = 0; c < SUMS; ++c) apart[c] = column[(WHERE + c) * pitch + e] - w.mean[c];
        int pair = 0;
        for (int a = 0; a < CHANNELS; ++a)
            for (int b = a; b < CHANNELS; ++b, ++pair)
                w.product[pair] += column[(WHERE + SUMS + pair) * pitch + e] + n * apart[a] * apart[b];
        if (SEPARATE)
            for (int a = 0; a < CHANNELS; ++a, ++pair)
                w.product[pair] += column[(WHERE + SUMS + pair) * pitch + e] + n * apart[a] * apart[SUMS - 1];
    }
    return w;
}

// Row of the product of two channels, a <= b; the image comes after the guide's.
__device__ __forceinline__ constexpr int place(int a, int b) {
    return b == CHANNELS ? GUIDE_PAIRS + a : a * CHANNELS - a * (a - 1) / 2 + b - a;
}

// Share of a variance that its rest is known to, when what other channels explain is taken off: KNOWN["f8"] of cpu/_moments.py.
#define KNOWN (1.0 / (1ull << 49))

// (M + ridge) a = m by L D L^T. No pivot of a matrix that adds `ridge` to one without negative eigenvalues is below it, nor is one
// known better than to some roundings of what it is left of: channels that follow from others then add nothing, not noise.
__device__ void solve(const Window& w, double ridge, double (&fit)[FITS]) {
    double lower[CHANNELS][CHANNELS], pivot[CHANNELS];
#pragma unroll
    for (int j = 0; j < CHANNELS; ++j) {
        const double whole = w.product[place(j, j)] + ridge;
        const double least = j > 0 && whole * KNOWN > ridge ? whole * KNOWN : ridge;
        double d = whole;
        for (int k = 0; k < j; ++k) d -= lower[j][k] * lower[j][k] * pivot[k];
        pivot[j] = d < least ? least : d;
        for (int i = j + 1; i < CHANNELS; ++i) {
            double rest = w.product[place(j, i)];
            for (int k = 0; k < j; ++k) rest -= lower[i][k] * lower[j][k] * pivot[k];
            lower[i][j] = rest / pivot[j];
        }
    }
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) {
        const int image = SEPARATE ? CHANNELS : o;
        double y[CHANNELS], offset = w.mean[image];
        for (int i = 0; i < CHANNELS; ++i) {
            y[i] = w.product[i <= image ? place(i, image) : place(image, i)];
            for (int k = 0; k < i; ++k) y[i] -= lower[i][k] * y[k];
        }
        for (int i = CHANNELS - 1; i >= 0; --i) {
            y[i] /= pivot[i];
            for (int k = i + 1; k < CHANNELS; ++k) y[i] -= lower[k][i] * y[k];
            offset -= y[i] * w.mean[i];
            fit[o * CHANNELS + i] = y[i];
        }
        fit[FACTORS + o] = offset;
        if (WHERE) fit[FACTORS + OUTPUTS + o] = w.mean[image] + 0.0 * offset;  // NaN as well where only the guide is
    }
    if (WHERE) fit[FITS - 1] = 1;
}

// Columns of the block: in shared memory, or where the window is too wide in a piece of `scratch` of its own.
__device__ __forceinline__ double* columns_of_block(double* scratch, long long bytes) {
#if SCRATCH
    return scratch + ((long long)blockIdx.y * gridDim.x + blockIdx.x) * (bytes / 8);
#else
    SHARED_MEMORY(memory);
    return reinterpret_cast<double*>(memory);
#endif
}

// `fits` has FITS planes, one behind the other, of all windows that hold a pixel of the image.
extern "C" __global__ void __launch_bounds__(TILE, 1)
    guided_fit(const T* __restrict__ src, const G* __restrict__ guide, const unsigned char* __restrict__ where,
               double* __restrict__ fits, double* scratch, long long column_bytes, long long outer, long long n0, long long n1,
               long long n2, long long n3, long long inner, long long r0, long long r1, long long r2, long long r3, double eps,
               int mode, double cval, double guide_cval, int pad_counts) {
    const Shape s = {outer, {n0, n1, n2, n3}, {r0, r1, r2, r3}, inner, mode, pad_counts != 0};
    const Pictures p = {src, guide, where, cval, guide_cval};
    double* const columns = columns_of_block(scratch, column_bytes);
    const int pitch = int(TILE + 2 * r3), side = int(2 * r3 + 1);
    const long long width = n3 + 2 * r3, rows = s.rows(1), plane = rows * width;
    const double samples_of_column = double(2 * r0 + 1) * double(2 * r1 + 1) * double(2 * r2 + 1);
    for (long long number = blockIdx.y; number < rows; number += gridDim.y) {
        const Row row(s, number, 1);
        for (long long x0 = (long long)blockIdx.x * TILE; x0 < width; x0 += (long long)gridDim.x * TILE) {
            for (int e = threadIdx.x; e < pitch; e += TILE) moments_of_column(s, p, row, x0 - 2 * r3 + e, columns + e, pitch);
            __syncthreads();
            const long long x = x0 + threadIdx.x;
            if (x < width) {
                const Window w = moments_of_window(columns + threadIdx.x, pitch, side, samples_of_column);
                double fit[FITS] = {};
                if (w.count > 0) solve(w, w.count * eps, fit);
                for (int f = 0; f < FITS; ++f) fits[f * plane + number * width + x] = fit[f];
            }
            __syncthreads();
        }
    }
}

extern "C" __global__ void __launch_bounds__(TILE, 1)
    guided_apply(const T* __restrict__ src, T* __restrict__ dst, const G* __restrict__ guide,
                 const unsigned char* __restrict__ where, const double* __restrict__ fits, double* scratch,
                 long long column_bytes, long long outer, long long n0, long long n1, long long n2, long long n3, long long inner,
                 long long r0, long long r1, long long r2, long long r3) {
    const Shape s = {outer, {n0, n1, n2, n3}, {r0, r1, r2, r3}, inner, 0, false};
    double* const columns = columns_of_block(scratch, column_bytes);
    const int pitch = int(TILE + 2 * r3), side = int(2 * r3 + 1);
    const long long width = n3 + 2 * r3, rows = s.rows(0), plane = s.rows(1) * width;
    const double share = 1 / (double(2 * r0 + 1) * double(2 * r1 + 1) * double(2 * r2 + 1) * double(side));
    for (long long number = blockIdx.y; number < rows; number += gridDim.y) {
        const Row row(s, number, 0);
        const long long picture = SEPARATE ? row.picture * inner + row.channel : row.picture;
        for (long long x0 = (long long)blockIdx.x * TILE; x0 < n3; x0 += (long long)gridDim.x * TILE) {
            for (int e = threadIdx.x; e < pitch && x0 + e < width; e += TILE) {
#pragma unroll 1
                for (int f = 0; f < FITS; ++f) {  // one plane at a time: all at once do not fit the registers
                    const double* const plane_of_fit = fits + f * plane + x0 + e;
                    double sum = 0;
                    for (long long i = row.at[0]; i <= row.at[0] + 2 * r0; ++i)
                        for (long long j = row.at[1]; j <= row.at[1] + 2 * r1; ++j) {
                            const long long line = ((picture * (n0 + 2 * r0) + i) * (n1 + 2 * r1) + j) * (n2 + 2 * r2) + row.at[2];
                            for (long long k = 0; k <= 2 * r2; ++k) sum += plane_of_fit[(line + k) * width];
                        }
                    columns[f * pitch + e] = sum;
                }
            }
            __syncthreads();
            const long long x = x0 + threadIdx.x;
            if (x < n3) {
                const auto along = [&](int f) {
                    double sum = 0;
                    for (int e = 0; e < side; ++e) sum += columns[f * pitch + threadIdx.x + e];
                    return sum;
                };
                const long long pixel =
                    (((row.picture * n0 + row.at[0]) * n1 + row.at[1]) * n2 + row.at[2]) * n3 + x;
                const long long at = pixel * inner + row.channel;
                double value[CHANNELS];
                bool known = true;
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) {
                    value[c] = SEPARATE ? or_nan(guide[pixel * CHANNELS + c]) : or_nan(src[at + c]);
                    // A pixel that takes no part has no sample of its own, unless a guide beside the image has one.
                    if (WHERE && !where[at] && (!SEPARATE || value[c] != value[c])) known = false;
                }
                const double part = WHERE ? 1 / along(FITS - 1) : share;  // infinite, so that 0 becomes NaN, without any pixel
#pragma unroll 1
                for (int o = 0; o < OUTPUTS; ++o) {
                    double result = 0;
                    if (known) {
                        result = along(FACTORS + o);
#pragma unroll
                        for (int c = 0; c < CHANNELS; ++c) result += along(o * CHANNELS + c) * value[c];
                    } else {
                        result = along(FACTORS + WHERE * OUTPUTS + o);
                    }
                    result *= part;
                    if (!Type<T>::IS_FLOAT && result != result) result = 0;
                    store(dst[at + o], result);
                }
            }
            __syncthreads();
        }
    }
}
