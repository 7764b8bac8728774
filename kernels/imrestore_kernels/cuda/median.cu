// Median and every other rank: exact on all types, equal to sorting.
//
// median_strip   boxes up to 7x7 in pictures: exchange networks in registers
// median_gather  footprints and small boxes of any rank of array: one network per pixel, in registers
// median_bitset  large boxes in pictures: local ranks, one bit set per warp, O(k) a pixel
// median_select  everything else: a search between the window's extremes by counting, no memory
//
// Macros: KERNEL picks one of them by its number, T element, WHERE 0/1 (pixels may be left out).
#include "borders.cuh"
#include "dtypes.cuh"

#define STRIP 1
#define GATHER 2
#define BITSET 3
#define SELECT 4
#define THREADS 256

typedef Type<T>::wide Wide;
typedef Type<T>::key_type Key;

// The networks' two operations. fminf and the integer comparisons are one instruction.
template <class V>
__device__ __forceinline__ V lower(V a, V b) { return a < b ? a : b; }
template <class V>
__device__ __forceinline__ V higher(V a, V b) { return a < b ? b : a; }
#ifdef __CUDA_ARCH__
__device__ __forceinline__ float lower(float a, float b) { return fminf(a, b); }
__device__ __forceinline__ float higher(float a, float b) { return fmaxf(a, b); }
#endif

// Rank of the result among `count` valid samples, as the contract has it.
__device__ __forceinline__ unsigned rank_of(unsigned count, double percentile) {
    const unsigned rank = unsigned(count * percentile / 100.0);
    return rank < count ? rank : count - 1;
}

#if KERNEL == STRIP
// Macros: SIZE_Y, SIZE_X, OUTPUTS and NETWORK(v, out), made by networks.strip_network.
//
// A thread makes OUTPUTS pixels of one column: it sorts SIZE_Y + OUTPUTS - 1 rows of SIZE_X samples once and merges
// them for all its windows. Lanes run along the row, so every load is one coalesced line and what neighbours share
// comes from L1; all loads are issued before the network starts.
constexpr int BLOCK_X = 64, BLOCK_Y = THREADS / BLOCK_X;
constexpr int ROWS = SIZE_Y + OUTPUTS - 1;

extern "C" __global__ void __launch_bounds__(THREADS)
    median_strip(const T* __restrict__ src, T* __restrict__ dst, long long outer, long long height, long long width,
                 long long inner, int mode, unsigned long long cval_bits) {
    const T cval = from_bits<T>(cval_bits);
    const long long line = width * inner, strips = (height + OUTPUTS - 1) / OUTPUTS;
    for (long long z = blockIdx.z; z < outer; z += gridDim.z)
        for (long long strip = (long long)blockIdx.y * BLOCK_Y + threadIdx.y; strip < strips;
             strip += (long long)gridDim.y * BLOCK_Y)
            for (long long f = (long long)blockIdx.x * BLOCK_X + threadIdx.x; f < line;
                 f += (long long)gridDim.x * BLOCK_X) {
                const long long x = inner == 1 ? f : f / inner;
                const long long top = strip * OUTPUTS - SIZE_Y / 2, left = x - SIZE_X / 2, plane = z * height * line;
                T raw[ROWS * SIZE_X];
                if (top >= 0 && top + ROWS <= height && left >= 0 && left + SIZE_X <= width) {
                    const T* const corner = src + plane + top * line + f - (SIZE_X / 2) * inner;
#pragma unroll
                    for (int i = 0; i < ROWS; ++i)
#pragma unroll
                        for (int j = 0; j < SIZE_X; ++j) raw[i * SIZE_X + j] = corner[i * line + j * inner];
                } else {
                    const long long channel = f - x * inner;
#pragma unroll
                    for (int j = 0; j < SIZE_X; ++j) {
                        const long long column = border_index(left + j, width, mode);
#pragma unroll
                        for (int i = 0; i < ROWS; ++i) {
                            const long long row = border_index(top + i, height, mode);
                            const bool outside = (row | column) < 0;
                            raw[i * SIZE_X + j] =
                                outside ? cval : src[plane + row * line + column * inner + channel];
                        }
                    }
                }
                unsigned spoiled = 0;  // rows with a NaN: comparisons would misplace it silently
                Wide v[ROWS * SIZE_X], out[OUTPUTS];
#pragma unroll
                for (int i = 0; i < ROWS; ++i)
#pragma unroll
                    for (int j = 0; j < SIZE_X; ++j) {
                        if (Type<T>::is_nan(raw[i * SIZE_X + j])) spoiled |= 1u << i;
                        v[i * SIZE_X + j] = Type<T>::widen(raw[i * SIZE_X + j]);
                    }
                NETWORK(v, out)
                const long long y = strip * OUTPUTS;
#pragma unroll
                for (int o = 0; o < OUTPUTS; ++o)
                    if (y + o < height)
                        dst[plane + (y + o) * line + f] = spoiled >> o & ((1u << SIZE_Y) - 1) ? Type<T>::nothing()
                                                                                            : Type<T>::narrow(out[o]);
            }
}
#endif

#if KERNEL == GATHER || KERNEL == SELECT
// An array (outer, lengths[0..3], inner) and the box its window lies in.
struct Volume {
    long long outer, lengths[4], inner;
    int sizes[4];
    int mode;
};

// Where the samples of one pixel's window are. `cells` has four positions inside the box per sample.
struct Window {
    const Volume& volume;
    const int* cells;
    const long long* steps;  // the same as offsets from the pixel
    long long at, first[4], base;
    bool inside;

    __device__ __forceinline__ Window(const Volume& v, const int* c, const long long* s, long long index)
        : volume(v), cells(c), steps(s), at(index), inside(true) {
        long long rest = index / v.inner;
        base = index - rest * v.inner;
        for (int a = 3; a >= 0; --a) {
            const long long next = rest / v.lengths[a];
            first[a] = rest - next * v.lengths[a] - v.sizes[a] / 2;
            inside = inside && first[a] >= 0 && first[a] + v.sizes[a] <= v.lengths[a];
            rest = next;
        }
        base += rest * v.lengths[0] * v.lengths[1] * v.lengths[2] * v.lengths[3] * v.inner;
    }

    // Offset of sample i, or -1: outside.
    __device__ __forceinline__ long long sample(int i) const {
        if (inside) return at + steps[i];
        long long offset = 0;
        for (int a = 0; a < 4; ++a) {
            const long long n = border_index(first[a] + cells[4 * i + a], volume.lengths[a], volume.mode);
            if (n < 0) return -1;
            offset = offset * volume.lengths[a] + n;
        }
        return base + offset * volume.inner;
    }
};

#define VOLUME_ARGUMENTS                                                                                              \
    const T *__restrict__ src, T *__restrict__ dst, const unsigned char *__restrict__ where,                         \
        const int *__restrict__ cells, const long long *__restrict__ steps, long long outer, long long length_0,     \
        long long length_1, long long length_2, long long length_3, long long inner, int size_0, int size_1,         \
        int size_2, int size_3, int count, int mode, unsigned long long cval_bits
#define VOLUME {outer, {length_0, length_1, length_2, length_3}, inner, {size_0, size_1, size_2, size_3}, mode}
#endif

#if KERNEL == GATHER
// Macros: COUNT and NETWORK(v, out), made by networks.strip_network(COUNT, 1, rank).
extern "C" __global__ void __launch_bounds__(THREADS) median_gather(VOLUME_ARGUMENTS) {
    const Volume volume = VOLUME;
    const T cval = from_bits<T>(cval_bits);
    const long long total = outer * length_0 * length_1 * length_2 * length_3 * inner;
    for (long long index = (long long)blockIdx.x * THREADS + threadIdx.x; index < total;
         index += (long long)gridDim.x * THREADS) {
        const Window window(volume, cells, steps, index);
        bool spoiled = false;
        Wide v[COUNT], out[1];
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            const long long at = window.sample(i);
            const T sample = at < 0 ? cval : src[at];
            spoiled = spoiled || Type<T>::is_nan(sample);
            v[i] = Type<T>::widen(sample);
        }
        NETWORK(v, out)
        dst[index] = spoiled ? Type<T>::nothing() : Type<T>::narrow(out[0]);
    }
}
#endif

#if KERNEL == SELECT
// Between the smallest and the largest key of the window: count what is not larger than the middle and go on with the
// half that holds the rank. Both ends always are keys of samples, so few distinct values take few rounds; at most one
// round per bit.
extern "C" __global__ void __launch_bounds__(THREADS)
    median_select(VOLUME_ARGUMENTS, int rank, double percentile, int pad_counts) {
    const Volume volume = VOLUME;
    const T cval = from_bits<T>(cval_bits);
    const long long total = outer * length_0 * length_1 * length_2 * length_3 * inner;
    for (long long index = (long long)blockIdx.x * THREADS + threadIdx.x; index < total;
         index += (long long)gridDim.x * THREADS) {
        const Window window(volume, cells, steps, index);
        auto visit = [&](auto use) {  // every valid sample
            for (int i = 0; i < count; ++i) {
                const long long at = window.sample(i);
                if (at >= 0 ? WHERE && !where[at] : WHERE && !pad_counts) continue;
                use(at < 0 ? cval : src[at]);
            }
        };
        Key low = ~Key(0), high = 0;
        unsigned valid = 0;
        bool spoiled = false;
        visit([&](T sample) {
            spoiled = spoiled || Type<T>::is_nan(sample);
            const Key key = Type<T>::key(sample);
            low = lower(low, key);
            high = higher(high, key);
            ++valid;
        });
        if (spoiled || !valid) {
            dst[index] = Type<T>::nothing();
            continue;
        }
        const unsigned target = WHERE ? rank_of(valid, percentile) : unsigned(rank);
        while (low < high) {
            const Key middle = low + (high - low) / 2;
            Key below = low, above = high;  // the samples next to the middle on either side
            unsigned not_above = 0;
            visit([&](T sample) {
                const Key key = Type<T>::key(sample);
                if (key <= middle) {
                    ++not_above;
                    below = higher(below, key);
                } else {
                    above = lower(above, key);
                }
            });
            if (not_above > target)
                high = below;
            else
                low = above;
        }
        dst[index] = Type<T>::from_key(low);
    }
}
#endif

#if KERNEL == BITSET
#include "rank_bitset.cuh"
#endif
