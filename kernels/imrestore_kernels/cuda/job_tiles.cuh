// Samples of a batch in tiles of TILE x TILE pixels: a block takes one tile after the other, of one sample after the other.
//
// A thread has the pixels (row, column), (row + ROWS, column), .. of its tile, as far as they are in the sample.
#pragma once

#define PIXELS (TILE / ROWS)  // of one thread

struct Tiles {
    long long height, width;
    unsigned across, count;
    __device__ __forceinline__ Tiles(const long long* job) : height(job[JOB_HEIGHT]), width(job[JOB_WIDTH]) {
        across = unsigned((width + TILE - 1) / TILE);
        count = across * unsigned((height + TILE - 1) / TILE);
    }
    __device__ __forceinline__ long long top(unsigned tile) const { return (long long)(tile / across) * TILE; }
    __device__ __forceinline__ long long left(unsigned tile) const { return (long long)(tile % across) * TILE; }
};
