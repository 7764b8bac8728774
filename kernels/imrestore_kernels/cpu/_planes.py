"""What every kernel over planes of rows needs: addresses of rows beyond the border, and the border of a row buffer."""

from __future__ import annotations

from typing import Any

from imrestore_kernels.borders import border_index
from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._vector import copy_bytes

#: The border formula for kernels.
inside_index = inline(border_index)


@inline
def row_address(base: int, row_bytes: int, i: int, height: int, mode: int, constant: int) -> int:
    """Address of row ``i`` of the image at ``base``; ``constant`` is that of a row of cval."""
    if 0 <= i < height:
        return base + i * row_bytes
    j = inside_index(i, height, mode)
    return constant if j < 0 else base + j * row_bytes


@inline
def widened(address: int, row_bytes: int, narrow: int) -> int:
    """A row shorter than a vector, copied to ``narrow`` so that a whole vector may be read; 0 leaves it where it is."""
    if narrow == 0:
        return address
    copy_bytes(narrow, address, row_bytes)
    return narrow


@inline
def border_columns(width: int, left: int, right: int, inner: int, mode: int, edges: Any) -> int:
    """Samples of a row buffer outside the image: two numbers for each, where it is and which column it is like (-1: cval).

    Positions count from the first sample of the first window. Returns how many there are. The divisions are done here,
    once per call: with them in the loop over rows a 64x64 mean took 7.3 us instead of 1.9.
    """
    pixels = width // inner
    count = 0
    for i in range((left + right) * inner):
        p = i // inner
        x = p - left if p < left else p - left + pixels
        j = inside_index(x, pixels, mode)
        edges[2 * count] = (x + left) * inner + i % inner
        edges[2 * count + 1] = -1 if j < 0 else (j + left) * inner + i % inner
        count += 1
    return count


@inline
def fill_border(buffer: Any, at: int, edges: Any, outside: Any) -> None:
    """Border of a row buffer whose first window starts at ``at``, from the row itself."""
    for e in range(0, edges.size, 2):
        j = edges[e + 1]
        buffer[at + edges[e]] = outside if j < 0 else buffer[at + j]
