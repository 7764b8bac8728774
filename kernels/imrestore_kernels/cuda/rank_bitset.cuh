// Ranks of large boxes, O(k) a pixel for a k x k box and any type.
//
// A block sorts the samples of its tile (halo included) once and replaces each by its rank there. The window of a pixel
// then is a set of small distinct integers: one bit each, with a counter for every 1024 bits. A warp slides its own set
// over its rows, to and fro, flipping k bits out and k bits in per step (the lanes share them), and finds the wanted
// rank by two prefix sums over the lanes and a search inside one word. After J. Suomela, "Median filtering is
// equivalent to sorting", arXiv 1406.1717.
//
// Sorting is paid for by the block: tiles should be several times larger than the box. Up to 4096 samples lie in shared
// memory; above that (GLOBAL 1) samples and ranks lie in scratch and only the sets are shared.
#pragma once

#include "borders.cuh"
#include "dtypes.cuh"

#define WARP 32
#define ALL_LANES 0xffffffffu
#define WORD_BITS 32
#define COUNTER_WORDS 32  // words of the set under one counter: as many as lanes

template <int BYTES>
struct ItemOf {
    typedef unsigned long long type;  // key above, position in the tile below
};
template <>
struct ItemOf<8> {
    typedef unsigned __int128 type;
};
typedef ItemOf<sizeof(Key)>::type Item;

#if GLOBAL
typedef unsigned Rank;
#else
typedef unsigned short Rank;
#endif
#define NO_RANK Rank(~Rank(0))
#define NO_ITEM (~Item(0))

struct Tile {
    long long y, x, plane, channel;  // of the first output
    int outputs_y, outputs_x;        // made by this tile
    int height, width;               // samples it looks at
};

struct Bitset {
    unsigned* bits;
    int* counters;
    const Rank* ranks;
    int lane;

    __device__ __forceinline__ void flip(int position, int sign) const {
        const Rank rank = ranks[position];
        if (rank == NO_RANK) return;
        atomicXor(bits + rank / WORD_BITS, 1u << rank % WORD_BITS);
        atomicAdd(counters + rank / (WORD_BITS * COUNTER_WORDS), sign);
    }

    // Take `count` samples from `out` on out of the set and put those from `in` on into it.
    __device__ __forceinline__ void slide(int out, int in, int stride, int count) const {
        for (int j = lane; j < 2 * count; j += WARP) {
            if (j < count)
                flip(out + j * stride, -1);
            else
                flip(in + (j - count) * stride, 1);
        }
        __syncwarp();
    }

    __device__ __forceinline__ unsigned prefix_sum(unsigned value) const {
        for (int step = 1; step < WARP; step *= 2) {
            const unsigned other = __shfl_up_sync(ALL_LANES, value, step);
            if (lane >= step) value += other;
        }
        return value;
    }

    __device__ __forceinline__ unsigned size(int count) const {
        unsigned sum = 0;
        for (int i = lane; i < count; i += WARP) sum += unsigned(counters[i]);
        return __shfl_sync(ALL_LANES, prefix_sum(sum), WARP - 1);
    }

    __device__ __forceinline__ bool any_from(int first, int last) const {
        bool found = false;
        for (int i = first / WORD_BITS + lane; i <= last / WORD_BITS; i += WARP) {
            const unsigned mask = i == first / WORD_BITS ? ~0u << first % WORD_BITS : ~0u;
            found = found || (bits[i] & mask);
        }
        return __any_sync(ALL_LANES, found);
    }

    // Position of set bit number `target`, which has to exist.
    __device__ __forceinline__ unsigned find(unsigned target) const {
        int counter = 0;
        for (int first = 0;; first += WARP) {
            const unsigned here = unsigned(counters[first + lane]);  // counters are padded to whole warps
            const unsigned upto = prefix_sum(here);
            const unsigned reached = __ballot_sync(ALL_LANES, upto > target);
            const int source = reached ? __ffs(int(reached)) - 1 : WARP - 1;
            const unsigned before = __shfl_sync(ALL_LANES, upto, source) - (reached ? __shfl_sync(ALL_LANES, here, source) : 0);
            target -= before;
            if (reached) {
                counter = first + source;
                break;
            }
        }
        unsigned word = bits[counter * COUNTER_WORDS + lane];
        const unsigned here = unsigned(__popc(word)), upto = prefix_sum(here);
        const int source = __ffs(int(__ballot_sync(ALL_LANES, upto > target))) - 1;
        target -= __shfl_sync(ALL_LANES, upto - here, source);
        word = __shfl_sync(ALL_LANES, word, source);
        unsigned position = 0;
#pragma unroll
        for (int half = WORD_BITS / 2; half; half /= 2) {
            const unsigned low = unsigned(__popc(word & ((1u << half) - 1)));
            if (target >= low) {
                target -= low;
                word >>= half;
                position += half;
            }
        }
        return unsigned(counter * COUNTER_WORDS + source) * WORD_BITS + position;
    }
};

// Ascending bitonic sort of a power of two of items by the whole block.
__device__ inline void sort_items(Item* items, int count) {
    for (int size = 2; size <= count; size *= 2)
        for (int stride = size / 2; stride; stride /= 2) {
            for (int i = threadIdx.x; i < count / 2; i += blockDim.x) {
                const int a = 2 * i - (i & (stride - 1)), b = a + stride;
                const Item first = items[a], second = items[b];
                if ((first > second) == !(a & size)) {
                    items[a] = second;
                    items[b] = first;
                }
            }
            __syncthreads();
        }
}

struct Box {
    int size_y, size_x, pitch, rank;
    double percentile;
};

// Rows `first` to `last` of the tile's outputs, by one warp.
__device__ inline void slide_rows(const Bitset& set, const Box& box, const Tile& tile, const Item* items, T* dst,
                                  long long width, long long inner, int counters, int ordinary, int spoiled, int first,
                                  int last) {
    int x = 0, step = 1;
    for (int j = set.lane; j < box.size_y * box.size_x; j += WARP)
        set.flip((first + j / box.size_x) * box.pitch + j % box.size_x, 1);
    __syncwarp();
    for (int y = first; y < last; ++y) {
        for (;;) {
            T value = Type<T>::nothing();
            const unsigned valid = WHERE ? set.size(counters) : 1;
            if (valid && !(spoiled && set.any_from(ordinary, ordinary + spoiled - 1)))
                value = Type<T>::from_key(
                    Key(items[set.find(WHERE ? rank_of(valid, box.percentile) : unsigned(box.rank))] >> 32));
            if (set.lane == 0)
                dst[tile.plane + ((tile.y + y) * width + tile.x + x) * inner + tile.channel] = value;
            if (x + step < 0 || x + step >= tile.outputs_x) break;
            __syncwarp();  // the set may change only when all lanes have read it; shuffles order no memory
            const int out = step > 0 ? x : x + box.size_x - 1, in = step > 0 ? x + box.size_x : x - 1;
            set.slide(y * box.pitch + out, y * box.pitch + in, box.pitch, box.size_y);
            x += step;
        }
        step = -step;
        __syncwarp();
        if (y + 1 < last) set.slide(y * box.pitch + x, (y + box.size_y) * box.pitch + x, 1, box.size_x);
    }
}

// Fill items and sort them into ranks. `meta` counts the ordinary samples and the NaNs.
__device__ inline void rank_tile(const T* src, const unsigned char* where, const Box& box, const Tile& tile, Item* items,
                                 Rank* ranks, int* meta, int capacity, long long height, long long width,
                                 long long inner, int mode, T cval, bool pad_counts) {
    const int samples = tile.height * tile.width;
    int padded = 2;
    while (padded < samples) padded *= 2;
    int ordinary = 0, spoiled = 0;
    for (int n = threadIdx.x; n < padded; n += blockDim.x) {
        Item item = NO_ITEM;
        if (n < samples) {
            const int i = n / tile.width, j = n - i * tile.width;
            const long long row = border_index(tile.y - box.size_y / 2 + i, height, mode);
            const long long column = border_index(tile.x - box.size_x / 2 + j, width, mode);
            const bool outside = (row | column) < 0;
            const long long at = tile.plane + (row * width + column) * inner + tile.channel;
            ranks[i * box.pitch + j] = NO_RANK;
            if (!WHERE || (outside ? pad_counts : where[at] != 0)) {
                const T sample = outside ? cval : src[at];
                const bool nan = Type<T>::is_nan(sample);  // sorted behind everything
                item = Item(nan ? Key(~Key(0)) : Type<T>::key(sample)) << 32 | unsigned(i * box.pitch + j);
                nan ? ++spoiled : ++ordinary;
            }
        }
        items[n] = item;
    }
    atomicAdd(meta, ordinary);
    atomicAdd(meta + 1, spoiled);
    __syncthreads();
    sort_items(items, padded);
    for (int r = threadIdx.x; r < padded; r += blockDim.x)
        if (items[r] != NO_ITEM) ranks[unsigned(items[r])] = Rank(r);
    __syncthreads();
}

// Shared memory: the items and ranks of a tile (unless GLOBAL), then per warp its set and counters, then two numbers.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    median_bitset(const T* __restrict__ src, T* __restrict__ dst, const unsigned char* __restrict__ where,
                  unsigned char* __restrict__ scratch, long long scratch_stride, long long outer, long long height,
                  long long width, long long inner, int size_y, int size_x, int tile_y, int tile_x, int pitch,
                  int capacity, int rank, double percentile, int mode, unsigned long long cval_bits, int pad_counts) {
    SHARED_MEMORY(memory);
    const Box box = {size_y, size_x, pitch, rank, percentile};
    const int warps = blockDim.x / WARP, warp = threadIdx.x / WARP, words = capacity / WORD_BITS;
    const int counters = (words / COUNTER_WORDS + WARP - 1) / WARP * WARP;
    const long long item_bytes = capacity * (long long)sizeof(Item);
    const long long rank_bytes = ((tile_y + size_y - 1) * (long long)pitch * sizeof(Rank) + 15) / 16 * 16;
    unsigned char* const tile_memory = GLOBAL ? scratch + blockIdx.x * scratch_stride : memory;
    Item* const items = reinterpret_cast<Item*>(tile_memory);
    Rank* const ranks = reinterpret_cast<Rank*>(tile_memory + item_bytes);
    unsigned* const sets = reinterpret_cast<unsigned*>(GLOBAL ? memory : memory + item_bytes + rank_bytes);
    unsigned* const own = sets + warp * (words + counters);
    int* const meta = reinterpret_cast<int*>(sets + warps * (words + counters));
    const Bitset set = {own, reinterpret_cast<int*>(own + words), ranks, int(threadIdx.x % WARP)};

    const long long tiles_x = (width + tile_x - 1) / tile_x, tiles_y = (height + tile_y - 1) / tile_y;
    for (long long n = blockIdx.x; n < outer * inner * tiles_y * tiles_x; n += gridDim.x) {
        Tile tile;
        long long column, row;
        const long long picture = floor_divide(floor_divide(n, tiles_x, column), tiles_y, row);
        tile.y = row * tile_y;
        tile.x = column * tile_x;
        tile.plane = floor_divide(picture, inner, tile.channel) * height * width * inner;
        tile.outputs_y = int(height - tile.y < tile_y ? height - tile.y : tile_y);
        tile.outputs_x = int(width - tile.x < tile_x ? width - tile.x : tile_x);
        tile.height = tile.outputs_y + size_y - 1;
        tile.width = tile.outputs_x + size_x - 1;
        for (int i = threadIdx.x; i < warps * (words + counters) + 2; i += blockDim.x) sets[i] = 0;  // meta, too
        __syncthreads();
        rank_tile(src, where, box, tile, items, ranks, meta, capacity, height, width, inner, mode,
                  from_bits<T>(cval_bits), pad_counts != 0);
        const int rows = (tile.outputs_y + warps - 1) / warps, first = warp * rows;
        const int last = first + rows < tile.outputs_y ? first + rows : tile.outputs_y;
        if (first < last)
            slide_rows(set, box, tile, items, dst, width, inner, counters, meta[0], meta[1], first, last);
        __syncthreads();  // the next tile overwrites the ranks
    }
}
