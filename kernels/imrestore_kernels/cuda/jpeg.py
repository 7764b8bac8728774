"""What a JPEG encoder and decoder make of samples, on CUDA: one launch through the transforms, one back to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels import jpeg_tables as tables
from imrestore_kernels.cuda._job_tiles import THREADS, launch_rows, launch_tiles
from imrestore_kernels.cuda._launch import empty
from imrestore_kernels.samples import Size

_SIDE = 8
#: Of the steps, and of the blocks that the threads have.
_SHARED_BYTES = 4 * (2 * _SIDE * _SIDE + THREADS // _SIDE * _SIDE * (_SIDE + 1))

_COLOURS = {
    **{"COLOUR_BITS": tables.COLOUR_BITS, "COLOUR_HALF": tables.COLOUR_HALF},
    **{"RED_OF_CR": tables.RED_OF_CR, "GREEN_OF_CB": tables.GREEN_OF_CB},
    **{"GREEN_OF_CR": tables.GREEN_OF_CR, "BLUE_OF_CB": tables.BLUE_OF_CB},
}
_CODE: dict[str, Any] = {
    **{"COLOUR_BITS": tables.COLOUR_BITS, "COLOUR_HALF": tables.COLOUR_HALF},
    **{"LUMINANCE": ", ".join(map(str, tables.LUMINANCE)), "CHROMINANCE": ", ".join(map(str, tables.CHROMINANCE))},
    **{"CONSTANT_BITS": tables.CONSTANT_BITS, "PASS_BITS": tables.PASS_BITS, "ODD_ALL": tables.ODD_ALL},
    **{"EVEN_BOTH": tables.EVEN_BOTH, "EVEN_PLUS": tables.EVEN_PLUS, "EVEN_MINUS": tables.EVEN_MINUS},
    **dict(zip(("ODD_AD", "ODD_BC", "ODD_AC", "ODD_BD"), tables.ODD_PAIRS, strict=True)),
    **dict(zip(("ODD_A", "ODD_B", "ODD_C", "ODD_D"), tables.ODD_SINGLES, strict=True)),
    **{
        f"{plane}_OF_{colour}": factor
        for plane, factors in (("Y", tables.TO_Y), ("CB", tables.TO_CB), ("CR", tables.TO_CR))
        for colour, factor in zip(("RED", "GREEN", "BLUE"), factors, strict=True)
    },
}


def jpeg(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Baseline JPEG there and back; what the jobs say is described in ``cpu/jpeg.py``."""
    room = size.channels * size.height * size.width
    levels = empty((size.jobs * room,), np.uint8)
    arrays, extra = (src, dst, jobs, numbers, table), (levels, np.int64(room))
    launch_rows("jpeg", "jpeg_code", arrays, size, *extra, shared_bytes=_SHARED_BYTES, **_CODE)
    launch_tiles("jpeg", "jpeg_pixels", arrays, size, *extra, **_COLOURS)


def pillow(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """There is no encoder on CUDA, and no image leaves its device unasked."""
    raise ValueError("encoder is 'pillow' and the image on a CUDA device; it must be 'model', whose levels are the same")
