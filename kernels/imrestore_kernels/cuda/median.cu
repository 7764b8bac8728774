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

// The networks' two operations: PTX minima and maxima, one instruction each for up to 32 bits, that the compiler takes as
// they are instead of reasoning about hundreds of nested selections.
template <class V>
__device__ __forceinline__ V lower(V a, V b) { return a < b ? a : b; }
template <class V>
__device__ __forceinline__ V higher(V a, V b) { return a < b ? b : a; }
#ifdef __CUDA_ARCH__
#define EXCHANGE(V, suffix, constraint)                                                                \
    __device__ __forceinline__ V lower(V a, V b) {                                                     \
        V r;                                                                                           \
        asm("min." suffix " %0, %1, %2;" : "=" constraint(r) : constraint(a), constraint(b));          \
        return r;                                                                                      \
    }                                                                                                  \
    __device__ __forceinline__ V higher(V a, V b) {                                                    \
        V r;                                                                                           \
        asm("max." suffix " %0, %1, %2;" : "=" constraint(r) : constraint(a), constraint(b));          \
        return r;                                                                                      \
    }
EXCHANGE(int, "s32", "r")
EXCHANGE(unsigned, "u32", "r")
EXCHANGE(long long, "s64", "l")
EXCHANGE(unsigned long long, "u64", "l")
EXCHANGE(float, "f32", "f")
EXCHANGE(double, "f64", "d")
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
// comes from L1; all loads are issued before the network starts. UNIT 1 says inner is 1: loads of a row then differ by
// a constant and need no addresses of their own.
//
// Blocks at the border look their rows and columns up in shared memory: 60 copies of the border formula, one per
// sample, took NVRTC minutes.
constexpr int BLOCK_X = 64, BLOCK_Y = THREADS / BLOCK_X;
constexpr int ROWS = SIZE_Y + OUTPUTS - 1, BLOCK_ROWS = BLOCK_Y * OUTPUTS;

__device__ __forceinline__ long long pixel_of(long long flat, long long inner) {
    long long channel;
    return UNIT ? flat : floor_divide(flat, inner, channel);
}

struct StripTables {
    long long rows[BLOCK_ROWS + SIZE_Y - 1];  // offsets of the source rows; -1: outside
    long long columns[SIZE_X][BLOCK_X];       // and of every lane's source columns
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    median_strip(const T* __restrict__ src, T* __restrict__ dst, long long outer, long long height, long long width,
                 long long inner, int mode, unsigned long long cval_bits) {
    SHARED_MEMORY(memory);
    StripTables& tables = *reinterpret_cast<StripTables*>(memory);
    const T cval = from_bits<T>(cval_bits);
    const int lane = threadIdx.x % BLOCK_X, strip = threadIdx.x / BLOCK_X;
    const long long line = width * inner;
    for (long long z = blockIdx.z; z < outer; z += gridDim.z)
        for (long long y0 = (long long)blockIdx.y * BLOCK_ROWS; y0 < height; y0 += (long long)gridDim.y * BLOCK_ROWS)
            for (long long f0 = (long long)blockIdx.x * BLOCK_X; f0 < line; f0 += (long long)gridDim.x * BLOCK_X) {
                const long long f = f0 + lane, y = y0 + strip * OUTPUTS;
                const long long first = pixel_of(f0, inner) - SIZE_X / 2, top = y0 - SIZE_Y / 2;
                const T* const plane = src + z * height * line;
                const bool inside = top >= 0 && top + BLOCK_ROWS + SIZE_Y - 1 <= height && first >= 0 &&
                                    pixel_of(f0 + BLOCK_X - 1, inner) - SIZE_X / 2 + SIZE_X <= width;
                T raw[ROWS * SIZE_X];
                if (inside) {
                    const T* const corner = plane + (y - SIZE_Y / 2) * line + f - (UNIT ? SIZE_X / 2 : SIZE_X / 2 * inner);
#pragma unroll
                    for (int i = 0; i < ROWS; ++i)
#pragma unroll
                        for (int j = 0; j < SIZE_X; ++j) raw[i * SIZE_X + j] = corner[i * line + (UNIT ? j : j * inner)];
                } else {
                    __syncthreads();  // whoever still reads the tables of the block's last tile
                    for (int i = threadIdx.x; i < BLOCK_ROWS + SIZE_Y - 1; i += THREADS) {
                        const long long row = border_index(top + i, height, mode);
                        tables.rows[i] = row < 0 ? -1 : row * line;
                    }
                    const long long x = pixel_of(f, inner);
                    for (int j = strip; j < SIZE_X; j += BLOCK_Y) {
                        const long long column = border_index(x - SIZE_X / 2 + j, width, mode);
                        tables.columns[j][lane] = column < 0 ? -1 : (UNIT ? column : column * inner + f - x * inner);
                    }
                    __syncthreads();
#pragma unroll
                    for (int i = 0; i < ROWS; ++i)
#pragma unroll
                        for (int j = 0; j < SIZE_X; ++j) {
                            const long long row = tables.rows[strip * OUTPUTS + i], column = tables.columns[j][lane];
                            const bool outside = (row | column) < 0;
                            const T sample = plane[outside ? 0 : row + column];  // no branch: 60 of them would grow
                            raw[i * SIZE_X + j] = outside ? cval : sample;
                        }
                }
                unsigned spoiled = 0;  // rows with a NaN: comparisons would misplace it silently
                Wide v[ROWS * SIZE_X], out[OUTPUTS];
#pragma unroll
                for (int i = 0; i < ROWS; ++i)
#pragma unroll
                    for (int j = 0; j < SIZE_X; ++j) {
                        spoiled |= unsigned(Type<T>::is_nan(raw[i * SIZE_X + j])) << i;
                        v[i * SIZE_X + j] = Type<T>::widen(raw[i * SIZE_X + j]);
                    }
                NETWORK(v, out)
                if (f >= line) continue;
                T* const target = dst + (z * height + y) * line + f;
#pragma unroll
                for (int o = 0; o < OUTPUTS; ++o)
                    if (y + o < height)
                        target[o * line] = spoiled >> o & ((1u << SIZE_Y) - 1) ? Type<T>::nothing()
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
        long long rest = floor_divide(index, v.inner, base);
        for (int a = 3; a >= 0; --a) {
            const long long next = floor_divide(rest, v.lengths[a], first[a]);
            first[a] -= v.sizes[a] / 2;
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
extern "C" __global__ void __launch_bounds__(THREADS, 1) median_gather(VOLUME_ARGUMENTS) {
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
struct Samples {
    const T* src;
    const unsigned char* where;
    T cval;
    int count;
    bool pad_counts;

    // Calls use(sample) for every valid one.
    template <class Use>
    __device__ __forceinline__ void visit(const Window& window, Use use) const {
        for (int i = 0; i < count; ++i) {
            const long long at = window.sample(i);
            if (WHERE && (at < 0 ? !pad_counts : !where[at])) continue;
            use(at < 0 ? cval : src[at]);
        }
    }
};

// Between the smallest and the largest key of the window: count what is not larger than the middle and go on with the
// half that holds the rank. Both ends always are keys of samples, so few distinct values take few rounds; at most one
// round per bit.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    median_select(VOLUME_ARGUMENTS, int rank, double percentile, int pad_counts) {
    const Volume volume = VOLUME;
    const Samples samples = {src, where, from_bits<T>(cval_bits), count, pad_counts != 0};
    const long long total = outer * length_0 * length_1 * length_2 * length_3 * inner;
    for (long long index = (long long)blockIdx.x * THREADS + threadIdx.x; index < total;
         index += (long long)gridDim.x * THREADS) {
        const Window window(volume, cells, steps, index);
        Key low = ~Key(0), high = 0;
        unsigned valid = 0;
        bool spoiled = false;
        samples.visit(window, [&](T sample) {
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
            samples.visit(window, [&](T sample) {
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
