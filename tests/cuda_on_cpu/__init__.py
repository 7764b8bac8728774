"""The CUDA kernels on the CPU: the same text, compiled by g++ against a header that plays the GPU; see `emulator`."""
