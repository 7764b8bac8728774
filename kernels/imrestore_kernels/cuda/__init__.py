"""CUDA kernels: one ``x.cu`` and one launcher ``x.py`` per algorithm; see ``kernels/README.md`` for the contract."""
