"""Compiled kernels behind imrestore. The contract is in ``kernels/README.md``; users call :mod:`imrestore`."""
