// Convolution with a window of each sample's own, and its transpose: cpu/blurring.py says what is computed, to the bit.
//
// A block makes tiles of TILE_Y x TILE_X results. Samples lie in shared memory, as many rows as fit, and a thread has LINES rows of
// GROUP neighbouring results: every sample it reads takes part in GROUP results of each row, every weight in GROUP of one. Where
// the window is an outer product the sums along its first axis are what lies in shared memory.
//
// Macros: T float or double, JOB_* the columns of a job, LINES, SHARED_VALUES the elements of shared memory.
#include "borders.cuh"
#include "dtypes.cuh"
#include "fused.cuh"

#define GROUP 8
#define ACROSS 8  // threads along x
#define DOWN 8
#define TILE_X (ACROSS * GROUP)
#define TILE_Y (DOWN * LINES)
#define THREADS (ACROSS * DOWN)

// Where column x of a row lies: one element is left out after every eighth, and rows are 2 modulo 8 elements long. The 8 x 4
// threads of a warp then read from different banks.
__device__ __forceinline__ int skewed(int x) { return x + (x >> 3); }
__device__ __forceinline__ int pitch_for(int columns) {
    const int length = skewed(columns - 1) + 1;
    return length + ((10 - length % 8) % 8);
}

// A plane of samples and what lies around it.
struct Plane {
    const T* at;
    long long height, width;
    int mode;
    T cval;

    __device__ __forceinline__ T sample(long long y, long long x) const {
        y = border_index(y, height, mode);
        x = border_index(x, width, mode);
        return y < 0 || x < 0 ? cval : at[y * width + x];
    }
};

// The taps of a job in the order they are added, in reverse for the transpose.
template <bool REVERSED>
struct Taps {
    const T* at;
    int count;
    __device__ __forceinline__ T operator[](int k) const { return __ldg(at + (REVERSED ? count - 1 - k : k)); }
};

enum { PLAIN, VERTICAL, HORIZONTAL };  // what lies in shared memory: samples, or sums of them along an axis

template <bool ADJOINT>
struct Window {
    Plane plane;
    Taps<ADJOINT> taps;
    int fill, length;  // kind of what is in shared memory, taps of its sums
    int first, height, width;  // of the taps that are left
    long long top, left;

    __device__ __forceinline__ Window(const T* src, const long long* job, T cval, const T* table, long long channel) {
        const int kh = int(job[JOB_B]), kw = int(job[JOB_C]);
        const bool separable = job[JOB_E] != 0;
        const long long start = job[ADJOINT ? JOB_DST : JOB_SRC];
        plane.height = job[JOB_HEIGHT];
        plane.width = job[JOB_WIDTH];
        plane.at = src + start + channel * plane.height * plane.width;
        plane.mode = ADJOINT ? int(CONSTANT) : int(job[JOB_D]);
        plane.cval = ADJOINT ? T(0) : cval;
        taps.at = table + job[JOB_A];
        taps.count = separable ? kh + kw : kh * kw;
        fill = !separable ? PLAIN : ADJOINT ? HORIZONTAL : VERTICAL;
        length = !separable ? 0 : ADJOINT ? kw : kh;
        first = length;
        height = fill == VERTICAL ? 1 : kh;
        width = fill == HORIZONTAL ? 1 : kw;
        top = ADJOINT ? kh - 1 : kh / 2;
        left = ADJOINT ? kw - 1 : kw / 2;
    }

    // GROUP neighbouring sums along an axis, from (y, x) of the extended plane on. Weights move along with the samples.
    __device__ __forceinline__ void sums(long long y, long long x, T (&out)[GROUP]) const {
        T weights[GROUP];
#pragma unroll
        for (int g = 0; g < GROUP; ++g) weights[g] = out[g] = T(0);
        for (int s = 0; s < length + GROUP - 1; ++s) {
            const T value = fill == VERTICAL ? plane.sample(y + s - top, x - left) : plane.sample(y - top, x + s - left);
#pragma unroll
            for (int g = GROUP - 1; g > 0; --g) weights[g] = weights[g - 1];
            weights[0] = s < length ? taps[s] : T(0);
#pragma unroll
            for (int g = 0; g < GROUP; ++g)
                if (unsigned(s - g) < unsigned(length)) out[g] = fused(weights[g], value, out[g]);
        }
    }

    // rows x columns of the extended plane, from (y, x) on.
    __device__ void load(T* tile, int pitch, long long y, long long x, int rows, int columns) const {
        const int thread = threadIdx.y * ACROSS + threadIdx.x;
        if (fill == PLAIN) {
            for (int r = thread / 32; r < rows; r += THREADS / 32)
                for (int c = thread % 32; c < columns; c += 32) tile[r * pitch + skewed(c)] = plane.sample(y + r - top, x + c - left);
            return;
        }
        const int across = fill == VERTICAL ? columns : (columns + GROUP - 1) / GROUP;
        const int down = fill == VERTICAL ? (rows + GROUP - 1) / GROUP : rows;
        for (int i = thread; i < across * down; i += THREADS) {
            const int r = i / across * (fill == VERTICAL ? GROUP : 1), c = i % across * (fill == VERTICAL ? 1 : GROUP);
            T out[GROUP];
            sums(y + r, x + c, out);
#pragma unroll
            for (int g = 0; g < GROUP; ++g) {
                const int row = fill == VERTICAL ? r + g : r, column = fill == VERTICAL ? c : c + g;
                if (row < rows && column < columns) tile[row * pitch + skewed(column)] = out[g];
            }
        }
    }
};

// Adds to the sums of a row GROUP taps, or those that are left.
template <bool WHOLE, class Weights>
__device__ __forceinline__ void add_taps(T (&sums)[GROUP], const T (&values)[2 * GROUP], Weights taps, int at, int left) {
#pragma unroll
    for (int t = 0; t < GROUP; ++t) {
        if (!WHOLE && t >= left) return;
        const T weight = taps[at + t];
#pragma unroll
        for (int g = 0; g < GROUP; ++g) sums[g] = fused(weight, values[t + g], sums[g]);
    }
}

// Adds `count` rows of taps, from `first` on; the tile begins with the samples of the first of them.
template <class Weights>
__device__ __forceinline__ void add_rows(T (&sums)[LINES][GROUP], const T* tile, int pitch, Weights taps, int first, int count,
                                         int width) {
    const T* row = tile + threadIdx.y * LINES * pitch + threadIdx.x * (GROUP + 1);
    for (int s = 0; s < count + LINES - 1; ++s, row += pitch) {
        T values[2 * GROUP];
#pragma unroll
        for (int g = 0; g < GROUP; ++g) values[g] = row[g];
        for (int j = 0; j < width; j += GROUP) {
            const T* const next = row + skewed(j + GROUP);
#pragma unroll
            for (int g = 0; g < GROUP; ++g) values[GROUP + g] = next[g];
#pragma unroll
            for (int r = 0; r < LINES; ++r) {
                if (unsigned(s - r) >= unsigned(count)) continue;
                const int at = first + (s - r) * width + j;
                if (j + GROUP <= width)
                    add_taps<true>(sums[r], values, taps, at, GROUP);
                else
                    add_taps<false>(sums[r], values, taps, at, width - j);
            }
#pragma unroll
            for (int g = 0; g < GROUP; ++g) values[g] = values[GROUP + g];
        }
    }
}

template <bool ADJOINT>
__device__ void make_tile(const Window<ADJOINT>& w, T* tile, T* to, long long height, long long width, long long y0, long long x0) {
    const int columns = TILE_X + w.width - 1, pitch = pitch_for(TILE_X + (w.width + GROUP - 1) / GROUP * GROUP);
    const int room = SHARED_VALUES / pitch - TILE_Y + 1;
    T sums[LINES][GROUP];
#pragma unroll
    for (int r = 0; r < LINES; ++r)
#pragma unroll
        for (int g = 0; g < GROUP; ++g) sums[r][g] = T(0);
    for (int i = 0; i < w.height; i += room) {
        const int count = w.height - i < room ? w.height - i : room;
        __syncthreads();
        w.load(tile, pitch, y0 + i, x0, TILE_Y + count - 1, columns);
        __syncthreads();
        add_rows(sums, tile, pitch, w.taps, w.first + i * w.width, count, w.width);
    }
    const long long x = x0 + threadIdx.x * GROUP, y = y0 + threadIdx.y * LINES;
#pragma unroll
    for (int r = 0; r < LINES; ++r)
#pragma unroll
        for (int g = 0; g < GROUP; ++g)
            if (y + r < height && x + g < width) to[(y + r) * width + x + g] = sums[r][g];
}

template <bool ADJOINT>
__device__ __forceinline__ void all_tiles(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table,
                                          long long count, long long slot) {
    SHARED_MEMORY(memory);
    T* const tile = reinterpret_cast<T*>(memory);
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const long long height = job[JOB_HEIGHT] + (ADJOINT ? job[JOB_B] - 1 : 0), width = job[JOB_WIDTH] + (ADJOINT ? job[JOB_C] - 1 : 0);
        const unsigned across = unsigned((width + TILE_X - 1) / TILE_X), down = unsigned((height + TILE_Y - 1) / TILE_Y);
        T* const result = ADJOINT ? dst + j * slot : dst + job[JOB_DST];
        for (unsigned i = blockIdx.x; i < across * down * unsigned(job[JOB_CHANNELS]); i += gridDim.x) {
            const long long channel = i / (across * down);
            const unsigned place = i % (across * down);
            const Window<ADJOINT> window(src, job, T(numbers[j * JOB_COLUMNS]), table, channel);
            make_tile(window, tile, result + channel * height * width, height, width, (long long)(place / across) * TILE_Y,
                      (long long)(place % across) * TILE_X);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    convolve(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count) {
    all_tiles<false>(src, dst, jobs, numbers, table, count, 0);
}

// The gradients of the extended planes: `slot` elements of dst for every job.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    convolve_extended(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
                      long long slot) {
    all_tiles<true>(src, dst, jobs, numbers, table, count, slot);
}

// A row of extended gradients at one column of the image, with those beyond the border that belong to it.
__device__ __forceinline__ T along_row(const T* row, long long x, long long width, int left, int beyond, int mode) {
    T total = row[left + x];
    if (x > left && x < width - 1 - left) return total;
    for (int j = 0; j < beyond; ++j) {
        const long long place = j < left ? j : j + width;
        if (border_index(place - left, width, mode) == x) total += row[place];
    }
    return total;
}

extern "C" __global__ void __launch_bounds__(256, 1)
    convolve_fold(const T* src, T* dst, const long long* jobs, long long count, long long slot) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const long long height = job[JOB_HEIGHT], width = job[JOB_WIDTH];
        const int kh = int(job[JOB_B]), kw = int(job[JOB_C]), mode = int(job[JOB_D]), top = kh / 2, left = kw / 2;
        const long long pitch = width + kw - 1, total = job[JOB_CHANNELS] * height * width;
        for (long long p = (long long)blockIdx.x * blockDim.x + threadIdx.x; p < total; p += (long long)gridDim.x * blockDim.x) {
            long long x, y;
            const long long channel = floor_divide(floor_divide(p, width, x), height, y);
            const T* const plane = src + j * slot + channel * (height + kh - 1) * pitch;
            T value = along_row(plane + (top + y) * pitch, x, width, left, kw - 1, mode);
            if (y <= top || y >= height - 1 - top)
                for (int i = 0; i < kh - 1; ++i) {
                    const long long place = i < top ? i : i + height;
                    if (border_index(place - top, height, mode) == y)
                        value += along_row(plane + place * pitch, x, width, left, kw - 1, mode);
                }
            dst[job[JOB_SRC] + p] = value;
        }
    }
}
