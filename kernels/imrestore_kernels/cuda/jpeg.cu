// What a JPEG encoder and decoder make of samples, in whole numbers: cpu/jpeg.py, level by level.
//
// jpeg_code makes levels of pixels and takes blocks of 8x8 through both transforms: 8 threads have one block, a row or a column each,
// in registers, and exchange them through shared memory. jpeg_pixels, with TILE, mixes the levels of three planes to pixels again.
#include "dtypes.cuh"
#include "elementary.cuh"

#define COLOURS 3
enum { FULL, HALF_X, HALF_XY };

// Sizes of a sample's planes. Their levels are bytes, `area` apart.
struct Planes {
    long long area;
    int height, width, chroma_height, chroma_width, subsampling, channels;
    bool colour;
    __device__ __forceinline__ Planes(const long long* job)
        : area(job[JOB_HEIGHT] * job[JOB_WIDTH]), height(int(job[JOB_HEIGHT])), width(int(job[JOB_WIDTH])),
          subsampling(int(job[JOB_A])), channels(int(job[JOB_CHANNELS])) {
        colour = channels == COLOURS;
        chroma_height = subsampling == HALF_XY ? (height + 1) / 2 : height;
        chroma_width = subsampling != FULL ? (width + 1) / 2 : width;
    }
};

__device__ __forceinline__ int least(int a, int b) { return a < b ? a : b; }

#ifdef TILE
#include "fused.cuh"
#include "job_tiles.cuh"

// Value of a level in two parts, so that of white 1 a pixel is level / 255 to the last bit.
__device__ __forceinline__ void level_value(double white, float& value, float& rest) {
    const double exact = white * (1.0 / 255.0);
    value = float(exact);
    rest = float(exact - double(value));
}
__device__ __forceinline__ void level_value(double white, double& value, double& rest) {
    value = white * (1.0 / 255.0);
    rest = fma(value, -255.0, white) * (1.0 / 255.0);
}

__device__ __forceinline__ int clipped(int level) { return level < 0 ? 0 : level > 255 ? 255 : level; }

// Chroma at a pixel, less 128: three quarters of the nearest sample and one of the next, along each halved axis.
__device__ __forceinline__ int chroma(const unsigned char* plane, const Planes& p, int y, int x) {
    if (p.subsampling == FULL) return int(plane[(long long)y * p.width + x]) - 128;
    const bool both = p.subsampling == HALF_XY, odd = x & 1;
    const int near = both ? y >> 1 : y, at = x >> 1;
    const unsigned char* const row = plane + (long long)near * p.chroma_width;
    if (p.chroma_width < 3) return int(row[at]) - 128;
    const int next = odd ? least(at + 1, p.chroma_width - 1) : at > 0 ? at - 1 : 0;
    int far = near;
    if (both) far = y & 1 ? least(near + 1, p.chroma_height - 1) : near > 0 ? near - 1 : 0;
    const unsigned char* const other = plane + (long long)far * p.chroma_width;
    const int here = 3 * int(row[at]) + int(other[at]), there = 3 * int(row[next]) + int(other[next]);
    const int half = both ? (odd ? 7 : 8) : (odd ? 8 : 4);
    return ((3 * here + there + half) >> 4) - 128;
}

extern "C" __global__ void __launch_bounds__(TILE * ROWS)
    jpeg_pixels(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
                const unsigned char* levels, long long room) {
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const Tiles tiles(job);
        const Planes p(job);
        const unsigned char* const own = levels + j * room;
        T* const result = dst + job[JOB_DST];
        T value, rest;
        level_value(numbers[j * JOB_COLUMNS + 1], value, rest);
        const auto put = [&](long long at, int level) {
            const T v = T(level);
            result[at] = fused(v, value, mul(v, rest));
        };
        for (unsigned tile = blockIdx.x; tile < tiles.count; tile += gridDim.x) {
            const int x = int(tiles.left(tile)) + threadIdx.x;
            if (x >= p.width) continue;
            for (int i = 0; i < PIXELS; ++i) {
                const int y = int(tiles.top(tile)) + threadIdx.y + i * ROWS;
                const long long at = (long long)y * p.width + x;
                if (y >= p.height) break;
                if (!p.colour) {
                    for (int c = 0; c < p.channels; ++c) put(c * p.area + at, own[c * p.area + at]);
                    continue;
                }
                const int luma = own[at], cb = chroma(own + p.area, p, y, x), cr = chroma(own + 2 * p.area, p, y, x);
                put(at, clipped(luma + ((RED_OF_CR * cr + COLOUR_HALF) >> COLOUR_BITS)));
                put(p.area + at, clipped(luma + ((GREEN_OF_CB * cb + GREEN_OF_CR * cr + COLOUR_HALF) >> COLOUR_BITS)));
                put(2 * p.area + at, clipped(luma + ((BLUE_OF_CB * cb + COLOUR_HALF) >> COLOUR_BITS)));
            }
        }
    }
}
#else
#define SIDE 8
#define BLOCKS (THREADS / SIDE)
#define PITCH (SIDE + 1)  // apart in memory, so that columns are read without conflicts

__device__ const unsigned char base[2][SIDE * SIDE] = {{LUMINANCE}, {CHROMINANCE}};

// A pixel's level; NaN is 0.
__device__ __forceinline__ int level(T v, T scale) {
    v = mul(v, scale);
    v = v > T(0) ? v : T(0);
    v = v < T(255) ? v : T(255);
    return int(Real<T>::nearest(v));
}

// Levels of planes 0 .. channels of a sample.
struct Levels {
    const T* pixels;
    T scale;
    Planes p;

    __device__ __forceinline__ int mixed(int plane, int y, int x) const {
        const T* const at = pixels + (long long)y * p.width + x;
        const int r = level(at[0], scale), g = level(at[p.area], scale), b = level(at[2 * p.area], scale);
        if (plane == 0) return (Y_OF_RED * r + Y_OF_GREEN * g + Y_OF_BLUE * b + COLOUR_HALF) >> COLOUR_BITS;
        const int shifted = (128 << COLOUR_BITS) + COLOUR_HALF - 1;
        if (plane == 1) return (CB_OF_RED * r + CB_OF_GREEN * g + CB_OF_BLUE * b + shifted) >> COLOUR_BITS;
        return (CR_OF_RED * r + CR_OF_GREEN * g + CR_OF_BLUE * b + shifted) >> COLOUR_BITS;
    }

    // Beyond its end a plane repeats its last row and column; means are repeated, not those of repeated rows.
    __device__ __forceinline__ int operator()(int plane, int y, int x) const {
        if (!p.colour)
            return level(pixels[plane * p.area + (long long)least(y, p.height - 1) * p.width + least(x, p.width - 1)], scale);
        if (plane == 0 || p.subsampling == FULL) return mixed(plane, least(y, p.height - 1), least(x, p.width - 1));
        const int left = least(2 * x, p.width - 1), right = least(2 * x + 1, p.width - 1);
        const int turn = int(x & 1);  // halves go down and up by turns
        if (p.subsampling == HALF_X) {
            y = least(y, p.height - 1);
            return (mixed(plane, y, left) + mixed(plane, y, right) + turn) >> 1;
        }
        const int top = 2 * least(y, p.chroma_height - 1), bottom = least(top + 1, p.height - 1);
        const int upper = mixed(plane, top, left) + mixed(plane, top, right);
        return (upper + mixed(plane, bottom, left) + mixed(plane, bottom, right) + 1 + turn) >> 2;
    }
};

// The rotations of Loeffler, Ligtenberg and Moschytz, as cpu/_jpeg_blocks.py has them.
__device__ __forceinline__ void odd(int& a, int& b, int& c, int& d) {
    int ad = a + d, bc = b + c, ac = a + c, bd = b + d;
    const int every = (ac + bd) * ODD_ALL;
    ad *= -ODD_AD, bc *= -ODD_BC;
    ac = ac * -ODD_AC + every, bd = bd * -ODD_BD + every;
    a = a * ODD_A + ad + ac;
    b = b * ODD_B + bc + bd;
    c = c * ODD_C + bc + ac;
    d = d * ODD_D + ad + bd;
}

__device__ __forceinline__ int rounded(int v, int bits) { return (v + (1 << (bits - 1))) >> bits; }

template <bool FIRST>
__device__ __forceinline__ void forward(int (&v)[SIDE]) {
    int s0 = v[0] + v[7], s1 = v[1] + v[6], s2 = v[2] + v[5], s3 = v[3] + v[4];
    int t0 = v[0] - v[7], t1 = v[1] - v[6], t2 = v[2] - v[5], t3 = v[3] - v[4];
    const int e = s0 + s3, h = s0 - s3, f = s1 + s2, g = s1 - s2, both = (g + h) * EVEN_BOTH;
    constexpr int BITS = CONSTANT_BITS + (FIRST ? -PASS_BITS : PASS_BITS);
    v[0] = FIRST ? (e + f) * (1 << PASS_BITS) : rounded(e + f, PASS_BITS);
    v[4] = FIRST ? (e - f) * (1 << PASS_BITS) : rounded(e - f, PASS_BITS);
    v[2] = rounded(both + h * EVEN_PLUS, BITS);
    v[6] = rounded(both - g * EVEN_MINUS, BITS);
    odd(t3, t2, t1, t0);
    v[7] = rounded(t3, BITS), v[5] = rounded(t2, BITS), v[3] = rounded(t1, BITS), v[1] = rounded(t0, BITS);
}

template <int BITS>
__device__ __forceinline__ void inverse(int (&v)[SIDE]) {
    const int both = (v[2] + v[6]) * EVEN_BOTH, less = both - v[6] * EVEN_MINUS, more = both + v[2] * EVEN_PLUS;
    const int e = (v[0] + v[4]) * (1 << CONSTANT_BITS), f = (v[0] - v[4]) * (1 << CONSTANT_BITS);
    const int evens[] = {e + more, f + less, f - less, e - more};
    int o3 = v[7], o2 = v[5], o1 = v[3], o0 = v[1];
    odd(o3, o2, o1, o0);
    const int odds[] = {o0, o1, o2, o3};
#pragma unroll
    for (int i = 0; i < SIDE / 2; ++i) {
        v[i] = rounded(evens[i] + odds[i], BITS);
        v[SIDE - 1 - i] = rounded(evens[i] - odds[i], BITS);
    }
}

// The nearest multiple of the step, halves away from zero, of a coefficient that is 8 times too large: quantisation() of
// cpu/_jpeg_blocks.py says why it is exact, whatever the last bits of the share are.
__device__ __forceinline__ int quantised(int coefficient, float step) {
    const float share = __fdividef(0.125f * (1.0f + 0x1p-15f), step);
    return int(rintf(__fmul_rn(float(coefficient), share)) * step);
}

// Without a number of blocks ptxas spills for the sake of an occupancy that nobody asked for.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    jpeg_code(const T* src, T* dst, const long long* jobs, const double* numbers, const T* table, long long count,
              unsigned char* levels, long long room) {
    SHARED_MEMORY(memory);
    float* const steps = reinterpret_cast<float*>(memory);  // two tables
    const int row = threadIdx.x % SIDE;
    int* const block = reinterpret_cast<int*>(steps + 2 * SIDE * SIDE) + threadIdx.x / SIDE * (SIDE * PITCH);
    for (long long j = blockIdx.y; j < count; j += gridDim.y) {
        const long long* const job = jobs + j * JOB_COLUMNS;
        const Planes p(job);
        const Levels read = {src + job[JOB_SRC], T(255.0 / numbers[j * JOB_COLUMNS + 1]), p};
        const int quality = int(numbers[j * JOB_COLUMNS]), percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
        // Nobody reads the last job's steps any more: all have passed a barrier behind that.
        for (int i = threadIdx.x; i < 2 * SIDE * SIDE; i += THREADS) {
            const int step = (base[i / (SIDE * SIDE)][i % (SIDE * SIDE)] * percent + 50) / 100;
            steps[i] = float(step < 1 ? 1 : step > 255 ? 255 : step);
        }
        __syncthreads();
        const unsigned across = unsigned(p.width + 7) / 8, luma = across * (unsigned(p.height + 7) / 8);
        const unsigned chroma_across = unsigned(p.chroma_width + 7) / 8;
        const unsigned chroma = chroma_across * (unsigned(p.chroma_height + 7) / 8);
        const unsigned blocks = p.colour ? luma + 2 * chroma : p.channels * luma;
        for (unsigned first = blockIdx.x * BLOCKS; first < blocks; first += gridDim.x * BLOCKS) {
            const bool mine = first + threadIdx.x / SIDE < blocks;
            unsigned number = mine ? first + threadIdx.x / SIDE : blocks - 1;  // those left over do the last block again
            const bool thin = p.colour && number >= luma;
            const unsigned before = thin ? luma : 0, in_plane = thin ? chroma : luma, in_row = thin ? chroma_across : across;
            number -= before;
            const unsigned quotient = number / in_plane;
            number -= quotient * in_plane;
            const unsigned above = number / in_row;
            const int plane = int(quotient) + (thin ? 1 : 0), y = int(above) * SIDE, x = int(number - above * in_row) * SIDE;
            int v[SIDE];
#pragma unroll
            for (int i = 0; i < SIDE; ++i) v[i] = read(plane, y + row, x + i) - 128;
            forward<true>(v);
#pragma unroll
            for (int i = 0; i < SIDE; ++i) block[row * PITCH + i] = v[i];
            __syncthreads();
#pragma unroll
            for (int i = 0; i < SIDE; ++i) v[i] = block[i * PITCH + row];
            forward<false>(v);
#pragma unroll
            for (int i = 0; i < SIDE; ++i) v[i] = quantised(v[i], steps[(thin ? SIDE * SIDE : 0) + i * SIDE + row]);
            inverse<CONSTANT_BITS - PASS_BITS>(v);
#pragma unroll
            for (int i = 0; i < SIDE; ++i) block[i * PITCH + row] = v[i];
            __syncthreads();
#pragma unroll
            for (int i = 0; i < SIDE; ++i) v[i] = block[row * PITCH + i];
            inverse<CONSTANT_BITS + PASS_BITS + 3>(v);
            const int width = thin ? p.chroma_width : p.width, height = thin ? p.chroma_height : p.height;
            unsigned char* const to = levels + j * room + plane * p.area + (long long)(y + row) * width + x;
#pragma unroll
            for (int i = 0; i < SIDE; ++i) {
                const int whole = v[i] + 128;
                if (mine && y + row < height && x + i < width)
                    to[i] = (unsigned char)(whole < 0 ? 0 : whole > 255 ? 255 : whole);
            }
        }
    }
}
#endif
