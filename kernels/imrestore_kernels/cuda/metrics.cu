// Sums of squared differences and the structural similarity of two images (Wang et al. 2004).
//
// No atomics: every block leaves the sum of each of its chunks or tiles in an array, a second launch adds those up. Which
// block made a sum does not matter, so the bits do not depend on the grid. Everything is summed in double or in integers.
//
// Macros: SUM double or unsigned long long; T element; SQUARES for the differences; SSIM for the similarity, with SIZE_Z, SIZE_Y
// and SIZE_X (of the window), TILE_X and TILE_Y (of a tile of windows), LUMINANCE 0/1.
#include "dtypes.cuh"

#define THREADS 256

typedef SUM Sum;

// The sum over all threads of a block, halves first; thread 0 gets it. `shared` holds a number per thread.
template <class S>
__device__ __forceinline__ S block_sum(S value, S* shared) {
    const int thread = threadIdx.x;
    __syncthreads();  // what lay there before has been read
    shared[thread] = value;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) shared[thread] += shared[thread + half];
    }
    return shared[0];  // written by thread 0
}

// Sums of `lists` runs of `count` numbers each.
extern "C" __global__ void __launch_bounds__(THREADS)
    add_runs(const Sum* __restrict__ runs, Sum* __restrict__ dst, long long lists, long long count) {
    SHARED_MEMORY(memory);
    for (long long list = blockIdx.x; list < lists; list += gridDim.x) {
        Sum sum = 0;
        for (long long i = threadIdx.x; i < count; i += THREADS) sum += runs[list * count + i];
        const Sum total = block_sum(sum, reinterpret_cast<Sum*>(memory));
        if (threadIdx.x == 0) dst[list] = total;
    }
}

#ifdef SQUARES
#define CHUNK 16384  // values of one sum: those of 16 bits add up to less than 2^46
#define LIMBS 4      // 32-bit digits of a sum of integers

// Distance of two integers without overflow, and the digits of its square h h 2^64 + 2 h l 2^32 + l l.
template <class V>
__device__ __forceinline__ void add_square(V x, V y, unsigned long long (&digits)[LIMBS]) {
    const unsigned long long low = 0xffffffffull, a = (unsigned long long)(x), b = (unsigned long long)(y);
    const unsigned long long distance = x > y ? a - b : b - a;
    if (sizeof(V) <= 2) {  // carried at the end
        digits[0] += distance * distance;
        return;
    }
    const unsigned long long h = distance >> 32, l = distance & low;
    const unsigned long long ll = l * l, hl = h * l, hh = h * h;
    digits[0] += ll & low;
    digits[1] += (ll >> 32) + 2 * (hl & low);
    digits[2] += 2 * (hl >> 32) + (hh & low);
    digits[3] += hh >> 32;
}

template <class V>
__device__ __forceinline__ void add_square(V x, V y, double (&sum)[1]) {
    const double difference = double(Type<V>::widen(x)) - double(Type<V>::widen(y));
    sum[0] += difference * difference;
}

// One run per digit: digit d of chunk c at d * chunks + c.
extern "C" __global__ void __launch_bounds__(THREADS)
    squared_error(const T* __restrict__ a, const T* __restrict__ b, Sum* __restrict__ sums, long long n) {
    SHARED_MEMORY(memory);
    constexpr int digits = Type<T>::IS_FLOAT ? 1 : LIMBS;
    const long long chunks = (n + CHUNK - 1) / CHUNK;
    for (long long chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
        const long long stop = chunk * CHUNK + CHUNK < n ? chunk * CHUNK + CHUNK : n;
        Sum sum[digits] = {};
        for (long long i = chunk * CHUNK + threadIdx.x; i < stop; i += THREADS) add_square(a[i], b[i], sum);
        Sum carry = 0;
#pragma unroll
        for (int d = 0; d < digits; ++d) {
            Sum total = block_sum(sum[d], reinterpret_cast<Sum*>(memory)) + carry;
            if (!Type<T>::IS_FLOAT && d < digits - 1) {
                carry = Sum((unsigned long long)(total) >> 32);
                total = Sum((unsigned long long)(total) & 0xffffffffull);
            }
            if (threadIdx.x == 0) sums[d * chunks + chunk] = total;
        }
    }
}

#endif

#ifdef SSIM
#define PRODUCTS 4     // the weighted sums of a window: a, b, a a + b b, a b
#define ROW_OUTPUTS 4  // neighbouring windows that share the samples a thread loads
#define UNROLLED 33    // longest window whose loop is unrolled

// A product on its own: fused into a sum it would not be rounded, and of two equal images the sum of squares not exactly
// twice the product, nor their similarity exactly one.
__device__ __forceinline__ double rounded_product(double a, double b) {
#ifdef __CUDA_ARCH__
    return __dmul_rn(a, b);
#else
    return a * b;
#endif
}

struct Numbers {  // x = (a - shift) scale; offset = shift scale; constants for a range of one
    double shift, scale, offset, c1, c2;
};

// Sums along a row and over the planes of a volume, of ROW_OUTPUTS windows that begin at column x and plane and row `at`.
__device__ __forceinline__ void row_sums(const T* a, const T* b, long long at, long long plane, long long x, long long width,
                                         const double* weights_z, const double* weights_x, const Numbers& n,
                                         double (&sums)[PRODUCTS][ROW_OUTPUTS]) {
    for (int z = 0; z < SIZE_Z; ++z) {
        const T *first = a + at + z * plane, *second = b + at + z * plane;
        const double deep = weights_z[z];
#pragma unroll(SIZE_X <= UNROLLED ? SIZE_X + ROW_OUTPUTS - 1 : 1)
        for (int i = 0; i < SIZE_X + ROW_OUTPUTS - 1; ++i) {
            const long long column = x + i < width ? x + i : width - 1;  // beyond the last window nothing counts
            const double v = (double(Type<T>::widen(first[column])) - n.shift) * n.scale;
            const double w = (double(Type<T>::widen(second[column])) - n.shift) * n.scale;
            const double squares = rounded_product(v, v) + rounded_product(w, w), product = rounded_product(v, w);
#pragma unroll
            for (int g = 0; g < ROW_OUTPUTS; ++g) {
                if (i - g < 0 || i - g >= SIZE_X) continue;
                const double weight = deep * weights_x[i - g];
                sums[0][g] += weight * v;
                sums[1][g] += weight * w;
                sums[2][g] += weight * squares;
                sums[3][g] += weight * product;
            }
        }
    }
}

// Equation 13 of Wang et al. (2004), or without LUMINANCE the product of contrast and structure. The means are of shifted
// values, which the variances do not notice.
__device__ __forceinline__ double similarity_of(double mean_a, double mean_b, double squares, double product, const Numbers& n) {
    const double both = rounded_product(mean_a, mean_a) + rounded_product(mean_b, mean_b);
    const double above = 2 * (product - rounded_product(mean_a, mean_b)) + n.c2, below = squares - both + n.c2;
#if LUMINANCE
    const double a = mean_a + n.offset, b = mean_b + n.offset;
    const double bright = rounded_product(a, a) + rounded_product(b, b);
    return above * (2 * rounded_product(a, b) + n.c1) / (below * (bright + n.c1));
#else
    return above / below;
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS)
    ssim_tiles(const T* __restrict__ a, const T* __restrict__ b, double* __restrict__ sums, double* __restrict__ similarity,
               const double* __restrict__ weights_z, const double* __restrict__ weights_y,
               const double* __restrict__ weights_x, long long planes, long long depth, long long height, long long width,
               double shift, double scale, double c1, double c2) {
    SHARED_MEMORY(memory);
    double* const rows = reinterpret_cast<double*>(memory);  // PRODUCTS x ROWS x TILE_X
    constexpr int ROWS = TILE_Y + SIZE_Y - 1;
    const Numbers numbers = {shift, scale, shift * scale, c1, c2};
    const long long out_depth = depth - SIZE_Z + 1, out_height = height - SIZE_Y + 1, out_width = width - SIZE_X + 1;
    const long long across = (out_width + TILE_X - 1) / TILE_X, down = (out_height + TILE_Y - 1) / TILE_Y;
    const long long tiles = planes * out_depth * down * across;
    for (long long tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const long long x0 = tile % across * TILE_X, y0 = tile / across % down * TILE_Y;
        const long long image = tile / across / down;  // a plane of windows
        const long long top = (image / out_depth * depth + image % out_depth) * height;
        __syncthreads();  // the sums of the last tile have been read
        for (int unit = threadIdx.x; unit < ROWS * TILE_X / ROW_OUTPUTS; unit += THREADS) {
            const int row = unit / (TILE_X / ROW_OUTPUTS), x = unit % (TILE_X / ROW_OUTPUTS) * ROW_OUTPUTS;
            if (y0 + row >= height) continue;
            double out[PRODUCTS][ROW_OUTPUTS] = {};
            row_sums(a, b, (top + y0 + row) * width, height * width, x0 + x, width, weights_z, weights_x, numbers, out);
#pragma unroll
            for (int q = 0; q < PRODUCTS; ++q)
#pragma unroll
                for (int g = 0; g < ROW_OUTPUTS; ++g) rows[(q * ROWS + row) * TILE_X + x + g] = out[q][g];
        }
        __syncthreads();
        double sum = 0;
        for (int unit = threadIdx.x; unit < TILE_Y * TILE_X; unit += THREADS) {
            const int y = unit / TILE_X, x = unit % TILE_X;
            if (y0 + y >= out_height || x0 + x >= out_width) continue;
            double window[PRODUCTS] = {};
            for (int t = 0; t < SIZE_Y; ++t) {
                const double weight = weights_y[t];
#pragma unroll
                for (int q = 0; q < PRODUCTS; ++q) window[q] += weight * rows[(q * ROWS + y + t) * TILE_X + x];
            }
            const double value = similarity_of(window[0], window[1], window[2], window[3], numbers);
            if (similarity) similarity[(image * out_height + y0 + y) * out_width + x0 + x] = value;
            sum += value;
        }
        const double total = block_sum(sum, rows);
        if (threadIdx.x == 0) sums[tile] = total;
    }
}
#endif
