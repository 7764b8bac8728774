"""The bad-input matrix: what the filters are given, and the child process that gives it to them.

``python -m tests.bad_input FILTERS KINDS START`` runs the cases of some filters and array kinds from number START on and
says on standard output, as JSON lines, which case begins and how it ended. A crash or a hang is therefore the case that
began last; the parent notes it and starts again behind it. `tests.test_bad_input` is the parent.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.calls import fitting, quick_bm3d

ADDRESS_SPACE = 16 << 30  # bytes: an absurd size has to end in an error, not in the machine's memory

NAN, INF = float("nan"), float("inf")


def picture(shape: tuple[int, ...] = (24, 24), dtype: Any = "uint8") -> np.ndarray:
    rng = np.random.default_rng(7)
    dtype = np.dtype(dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
    return rng.normal(50, 20, shape).astype(dtype)


class Subclass(np.ndarray):
    """An ndarray with a name of its own and nothing else."""


def unaligned(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def with_values(*values: float) -> Callable[[], np.ndarray]:
    def make() -> np.ndarray:
        image = picture(dtype="float32")
        image[3:20:4, 5] = np.resize(np.array(values, np.float32), 5)
        return image

    return make


def structured() -> np.ndarray:
    return np.zeros((5, 5), [("r", "u1"), ("g", "u1")])


# Kind of input -> (its maker, what has to happen). "equal": the result is that of a plain copy, in the input's own
# dtype; "refused": a TypeError or ValueError about `image`.
LAYOUTS: dict[str, tuple[Callable[[], Any], str]] = {
    "negative stride": (lambda: picture(dtype="float32")[::-1], "equal"),
    "negative strides": (lambda: picture()[::-1, ::-1], "equal"),
    "Fortran order": (lambda: np.asfortranarray(picture(dtype="uint16")), "equal"),
    "sliced": (lambda: picture((48, 50), "float64")[::2, 1:49:2], "equal"),
    "transposed": (lambda: picture((20, 30), "int32").T, "equal"),
    "unaligned": (lambda: unaligned(picture(dtype="float64")), "equal"),
    "read-only": (lambda: read_only(picture()), "equal"),
    "subclass": (lambda: picture(dtype="float32").view(Subclass), "equal"),
    "matrix": (lambda: picture().view(np.matrix), "refused"),
    "big-endian": (lambda: picture(dtype="float32").astype(">f4"), "equal"),
    "list": (lambda: picture().tolist(), "equal"),
    "masked array": (lambda: np.ma.masked_greater(picture(), 50), "refused"),
}
SHAPES: dict[str, tuple[Callable[[], Any], str]] = {
    "shape (0,)": (lambda: picture((0,)), "refused"),
    "shape (0, 5)": (lambda: picture((0, 5)), "refused"),
    "shape (5, 0)": (lambda: picture((5, 0), "float32"), "refused"),
    "shape (3, 0, 4)": (lambda: picture((3, 0, 4)), "refused"),
    "shape ()": (lambda: picture(()), "refused"),
    "shape (1,)": (lambda: picture((1,), "float32"), "equal"),
    "shape (1, 1)": (lambda: picture((1, 1)), "equal"),
    "shape (1, 40)": (lambda: picture((1, 40)), "equal"),
    "shape (40, 1)": (lambda: picture((40, 1), "uint16"), "equal"),
    "shape (2, 2)": (lambda: picture((2, 2)), "equal"),
    "4-d": (lambda: picture((3, 4, 5, 6)), "four axes"),
    "5-d": (lambda: picture((2, 2, 2, 2, 2)), "refused"),
    "5 channels": (lambda: picture((12, 10, 5), "float32"), "equal"),
    "stride 0": (lambda: np.broadcast_to(picture((24,)), (24, 24)), "equal"),
}
DTYPES: dict[str, tuple[Callable[[], Any], str]] = {
    "bool": (lambda: picture(dtype="bool"), "rank only"),
    **{
        name: (lambda name=name: picture(dtype=name), "equal")
        for name in ("int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64")
    },
    "longdouble": (lambda: picture(dtype=np.longdouble), "refused"),
    "complex64": (lambda: picture(dtype="complex64"), "refused"),
    "complex128": (lambda: picture(dtype="complex128"), "refused"),
}
NOT_PIXELS: dict[str, tuple[Callable[[], Any], str]] = {
    "objects": (lambda: picture().astype(object), "refused"),
    "strings": (lambda: picture().astype(str), "refused"),
    "structs": (structured, "refused"),
    "dates": (lambda: picture().astype("datetime64[s]"), "refused"),
    "None": (lambda: None, "refused"),
    # more than the matrix asks for
    "durations": (lambda: picture().astype("timedelta64[s]"), "refused"),
    "bytes": (lambda: b"not an image", "refused"),
    "string": (lambda: "image.png", "refused"),
    "number": (lambda: 5, "refused"),
    "dict": (lambda: {"image": 1}, "refused"),
    "set": (lambda: {1, 2, 3}, "refused"),
    "generator": (lambda: (row for row in picture()), "refused"),
    "ragged list": (lambda: [[1, 2, 3], [4, 5]], "refused"),
    "empty list": (lambda: [], "refused"),
    "type": (lambda: np.ndarray, "refused"),
}
VALUES: dict[str, tuple[Callable[[], Any], str]] = {
    "only NaN": (lambda: np.full((24, 24), NAN, np.float32), "equal"),
    "some NaN": (with_values(NAN), "equal"),
    "inf": (with_values(INF), "equal"),
    "both inf": (with_values(INF, -INF), "equal"),
    "huge": (with_values(3e38, -3e38, 1e-38), "equal"),
    "subnormal": (lambda: (picture(dtype="float32") * 1e-44).astype("float32"), "equal"),
    "zeros": (lambda: np.zeros((24, 24), np.uint8), "equal"),
    "negative zeros": (lambda: np.full((24, 24), -0.0, np.float64), "equal"),
    "constant": (lambda: np.full((24, 24), 200, np.uint8), "equal"),
}
INPUT_KINDS = LAYOUTS | SHAPES | DTYPES | NOT_PIXELS | VALUES

NOT_A_NUMBER_OF_ANY_KIND = ("3", b"3", 1j, {}, object(), [[1, 1]], int)
HUGE = 2**40  # far beyond any picture: a window as large has to be refused before it is allocated or walked
BEYOND_REPR = 10**5000  # repr() of it raises a ValueError of its own
RAGGED = [[1], [1, 1]]

BAD_VALUES: dict[str, list[Any]] = {
    "size": [0, -1, -3, 3.5, NAN, INF, None, (), (3,), (3, 3, 3), (3, 0), (3, -1), (3, 2.5), (3, "3"), (3, None),
             32768, HUGE,
             2**64, -(2**64), BEYOND_REPR, True, np.bool_(True), np.array([3, 3, 3]), RAGGED,
             *NOT_A_NUMBER_OF_ANY_KIND],
    "sigma": [-1, -1e-9, NAN, INF, -INF, None, (), (1,), (1, 1, 1), (1, -1), (1, NAN), (1, "1"), (1, None), 1e30,
              10**400, BEYOND_REPR, RAGGED, True, np.array([1.0, -1.0]),
              *NOT_A_NUMBER_OF_ANY_KIND],
    "truncate": [0, -1, -1e-9, NAN, INF, -INF, None, (), (4, 4), [4], RAGGED, 10**400, BEYOND_REPR, True,
                 *NOT_A_NUMBER_OF_ANY_KIND],
    "radius": [-1, 1.5, NAN, INF, (), (1,), (1, 2, 3), (1, -1), (1, 1.5), (1, "1"), (1, None),
               16384, HUGE, 2**64, BEYOND_REPR, RAGGED, True,
               *NOT_A_NUMBER_OF_ANY_KIND],
    "guide": [np.zeros((24, 23)), np.zeros((23, 24)), np.zeros((24, 1)), np.zeros(24), np.zeros((1, 24, 24)), np.zeros((0, 24)),
              np.zeros((24, 24, 1, 1)), np.zeros(()), np.zeros((24, 24), bool), np.zeros((24, 24), complex),
              np.zeros((24, 24), object), np.zeros((24, 24), np.longdouble), np.ma.zeros((24, 24)),
              np.zeros((24, 24)).view(np.matrix), [[0] * 23] * 24, RAGGED, "guide", b"guide", 0, 4, 1.5, NAN, True, 1j, {}, set(),
              object(), np.ndarray, [None] * 24],
    "eps": [0, -1, -1e-9, NAN, INF, -INF, None, (), (1,), [1.0], (1, 1), RAGGED, 10**400, BEYOND_REPR, True, np.bool_(True),
            np.array([1.0]), *NOT_A_NUMBER_OF_ANY_KIND],
    "mode": ["", "Reflect", "symmetric", "edge", "reflect ", None, 0, 1.5, NAN, True, b"reflect", ["reflect"],
             ("reflect", "wrap"), object(), str, {}],
    "cval": [True, False, "0", b"0", None, 1j, NAN, INF, -INF, 256, -1, 0.5, 1e30, 10**400, BEYOND_REPR, [0], (1, 2),
             RAGGED, np.array([1]), object(), {}, int],
    "axes": [2, -3, (0, 0), (0, -2), (), 1.5, "0", (0, 5), (0, "1"), (0, None), NAN, [[0]], object(), (0, 1, 1), 2**64,
             BEYOND_REPR, RAGGED, True, {}, 1j],
    "channel_axis": [2, -3, 1.5, "1", (0,), [], NAN, INF, object(), 10**9, 2**64, BEYOND_REPR, 1j, True, {}],
    "out": [np.zeros((24, 23), np.uint8), np.zeros((24, 24, 1), np.uint8), np.zeros((24, 24), np.float32),
            np.zeros((24, 24), np.int8), np.zeros((24, 24), bool), [[0] * 24] * 24, "out", 0, object(), {}, (),
            read_only(np.zeros((24, 24), np.uint8)), np.broadcast_to(np.zeros(24, np.uint8), (24, 24)),
            np.ma.zeros((24, 24), np.uint8), np.zeros((24, 24), np.uint8).view(np.matrix), b"out", np.ndarray],
    "where": [np.ones((24, 24), int), np.ones((24, 24)), np.ones((24, 24), np.uint8), np.ones((24, 23), bool),
              np.ones((2, 24, 24), bool), np.ones((0, 24), bool), "mask", 1, 0.5, NAN, object(), {},
              np.ma.ones((24, 24), bool), np.ones((24, 24), bool).view(np.matrix), np.ones((24, 24), complex),
              np.ones((24, 24), object), [[1] * 24] * 24, b"mask"],
    "nan_policy": ["", "Omit", "ignore", "propagate ", None, 0, 1, True, NAN, ["omit"], b"omit", object(), str, {}],
    "footprint": [[], [[]], np.zeros((3, 3), bool), np.ones(3, bool), np.ones((3, 3, 3), bool), True, 3, "cross", b"1",
                  object(), {}, [[1], [1, 1]], [["a", "b"]], np.full((3, 3), NAN), np.ones((3, 3), complex),
                  np.array([[None, 1]], object), np.ma.masked_equal([[0, 1, 2]] * 3, 2)],
    "rank": [9, -10, 1.5, NAN, INF, (1,), [], RAGGED, HUGE, 2**64, BEYOND_REPR, True, *NOT_A_NUMBER_OF_ANY_KIND],
    "h": [0, -0.0, -1, NAN, INF, -INF, (), (1,), (1, 1), [1.0], 10**400, BEYOND_REPR, RAGGED, True, np.array([1.0]),
          *NOT_A_NUMBER_OF_ANY_KIND],
    "patch_size": [0, -1, -3, 3.5, NAN, INF, None, (), (3,), (3, 3, 3), (3, 0), (3, -1), (3, 2.5), (3, "3"), 65, (3, 65), HUGE,
                   2**64, BEYOND_REPR, True, np.array([3, 3, 3]), RAGGED, *NOT_A_NUMBER_OF_ANY_KIND],
    "patch_distance": [-1, -2, 3.5, NAN, INF, None, (), (3,), (3, 3, 3), (3, -1), (3, 2.5), (3, "3"), 1025, (3, 1025), HUGE,
                       2**64, BEYOND_REPR, True, np.array([3, 3, 3]), RAGGED, *NOT_A_NUMBER_OF_ANY_KIND],
    "patch_weights": ["", "Uniform", "gauss", "gaussian ", None, 0, 1, True, NAN, ["uniform"], b"uniform", object(), str, {}],
    "sigma_color": [0, -0.0, -1, NAN, INF, -INF, None, (), (1,), (1, 1), [1.0], 10**400, BEYOND_REPR, RAGGED, True,
                    np.array([1.0]), *NOT_A_NUMBER_OF_ANY_KIND],
    "sigma_space": [-1, -1e-9, NAN, INF, -INF, None, (), (1,), (1, 1, 1), (1, -1), (1, NAN), (1, "1"), (1, None), 600, 1e30,
                    10**400, BEYOND_REPR, RAGGED, True, np.array([1.0, -1.0]), *NOT_A_NUMBER_OF_ANY_KIND],
    "profile": ["", "Normal", "normal ", "slow", None, 0, 1, True, NAN, ["normal"], b"normal", object(), str, {},
                quick_bm3d(5).hard, tuple(quick_bm3d(5)), quick_bm3d(5)._replace(hard=quick_bm3d(5).wiener),
                quick_bm3d(5)._replace(wiener=None), quick_bm3d(5)._replace(hard=quick_bm3d(5).hard._replace(step=0))],
    "stages": [0, 3, -1, 1.5, NAN, INF, None, True, (), (1,), [2], RAGGED, HUGE, 10**400, BEYOND_REPR, np.array([1]),
               *NOT_A_NUMBER_OF_ANY_KIND],
    "psd": [[], [[]], [1.0], [[[1.0]]], np.zeros((3, 3)), -np.ones((3, 3)), np.full((3, 3), NAN), [[INF]], np.ones((3, 3), complex),
            np.ones((3, 3), object), np.ma.ones((3, 3)), 1, 1.5, True, "white", b"white", RAGGED, {}, object(), np.ndarray],
    "kernel": [[], [[]], [1.0], [[[1.0]]], np.zeros((3, 3)), [[NAN]], [[1, INF]], [[1.7e308] * 2], np.ones((3, 3), complex),
               np.ones((3, 3), object), np.ma.ones((3, 3)), 1, 1.5, True, "gauss", b"gauss", RAGGED, {}, object(), np.ndarray],
    "return_basic": [0, 1, 2, 1.0, "yes", "", b"1", None, NAN, (), [True], np.array([True]), np.array(1), {}, object(), bool],
    "callback": [0, 1, True, NAN, "print", b"print", (), [print], {}, object(), 1j],
    "percentile": [101, 100.0001, -101, NAN, INF, -INF, (50,), [50, 50], RAGGED, 1e30, 10**400, BEYOND_REPR, True,
                   *NOT_A_NUMBER_OF_ANY_KIND],
}  # fmt: skip

# Names of two filters that mean different things.
BAD_VALUES_OF: dict[tuple[str, str], list[Any]] = {
    ("nl_means", "sigma"): [-1, -1e-9, NAN, INF, -INF, (), (1,), (1, 1), [1.0], 10**400, BEYOND_REPR, RAGGED, True,
                            np.array([1.0]), *NOT_A_NUMBER_OF_ANY_KIND],
    ("bm3d", "sigma"): [-1, -1e-9, NAN, INF, -INF, (), (1,), (1, 1), [1.0], 10**400, BEYOND_REPR, RAGGED, True, np.array([1.0]),
                        np.ones((24, 23)), np.ones((24, 1)), np.ones((1, 24, 24)), -np.ones((24, 24)), np.full((24, 24), NAN),
                        np.full((24, 24), INF), np.ones((24, 24), complex), np.ones((24, 24), bool), np.ones((24, 24), object),
                        np.ma.ones((24, 24)), np.ones((24, 24)).view(np.matrix), *NOT_A_NUMBER_OF_ANY_KIND],
    ("bm3d", "axes"): [0, 1, (0,), [1], *BAD_VALUES["axes"]],
    ("bilateral", "radius"): [-1, 1.5, NAN, INF, (), (1,), (1, 2, 3), (1, -1), (1, "1"), 1025, (0, 1025), HUGE, 2**64,
                              BEYOND_REPR, RAGGED, True, *NOT_A_NUMBER_OF_ANY_KIND],
}  # fmt: skip

COMMON = ("mode", "cval", "axes", "channel_axis", "out", "where", "nan_policy")
PARAMETERS = {
    "mean": ("size", *COMMON),
    "median": ("size", "footprint", "rank", "percentile", *COMMON),
    "gaussian": ("sigma", "truncate", "radius", *COMMON),
    "nl_means": ("sigma", "h", "patch_size", "patch_distance", "patch_weights", *COMMON),
    "guided": ("guide", "radius", "eps", *COMMON),
    "bilateral": ("sigma_color", "sigma_space", "truncate", "radius", *COMMON),
    "bm3d": ("sigma", "profile", "stages", "psd", "kernel", "axes", "channel_axis", "out", "where", "nan_policy", "return_basic",
             "callback"),
}  # fmt: skip
UP_TO_THREE_AXES = ("nl_means", "bilateral", "bm3d")
# What a filter is given beside: arguments without a default, and less work for the oracle.
GIVEN: dict[str, dict[str, Any]] = {
    "nl_means": {"sigma": 10.0, "h": 30.0, "patch_size": 3, "patch_distance": 2},
    "guided": {"radius": 2, "eps": 50.0},
    "bilateral": {"sigma_color": 30.0, "sigma_space": 1.0},
    "bm3d": {"sigma": 24.844, "profile": quick_bm3d(5), "stages": 1},
}
# Values that are wrong together: the message has to begin with one of the names.
BAD_COMBINATIONS: dict[str, list[dict[str, Any]]] = {
    "mean": [{"axes": (0, 1), "channel_axis": 1}, {"axes": (0,), "size": (3, 3)}, {"channel_axis": 0, "size": (3, 3)}],
    "median": [
        {"axes": (0, 1), "channel_axis": 1},
        {"axes": (0,), "size": (3, 3)},
        {"rank": 1, "percentile": 50},
        {"footprint": np.ones((3, 3), bool), "axes": (0,)},
        {"footprint": np.ones((2, 2), bool), "rank": 4},
        {"size": 1, "rank": 1},
        {"rank": 1, "where": np.ones((24, 24), bool)},
    ],
    "gaussian": [
        {"axes": (0, 1), "channel_axis": 1},
        {"axes": (0,), "sigma": (1, 1)},
        {"axes": (0,), "radius": (1, 1)},
        {"sigma": 1e5, "truncate": 1e8},
        {"sigma": 1.0, "truncate": 1e30},
    ],
    "nl_means": [
        {"axes": (0, 1), "channel_axis": 1},
        {"axes": (0,), "patch_size": (3, 3)},
        {"axes": (0,), "patch_distance": (3, 3)},
        {"channel_axis": 0, "patch_size": (3, 3)},
    ],
    "guided": [
        {"axes": (0, 1), "channel_axis": 1},
        {"axes": (0,), "radius": (1, 1)},
        {"guide": np.zeros((24, 24, 3))},
        {"guide": np.zeros((24, 24, 3)), "channel_axis": 3},
        {"guide": np.zeros((24, 24, 3)), "channel_axis": 1},
        {"guide": np.zeros((24, 24, 3)), "channel_axis": "2"},
        {"guide": np.zeros((24, 24, 5)), "channel_axis": 2},
        {"guide": np.zeros((24, 24, 0)), "channel_axis": 2},
        {"guide": np.full((24, 24), NAN), "nan_policy": "raise"},
        {"guide": np.zeros((24, 24), np.int8), "mode": "constant", "cval": 200},
    ],
    "bilateral": [
        {"axes": (0, 1), "channel_axis": 1},
        {"axes": (0,), "sigma_space": (1, 1)},
        {"axes": (0,), "radius": (1, 1)},
        {"sigma_space": 1e5, "truncate": 1e8},
        {"sigma_space": 1.0, "truncate": 1e30},
    ],
    "bm3d": [
        {"axes": (0, 1), "channel_axis": 1},
        {"psd": np.ones((3, 3)), "kernel": np.ones((3, 3))},
        {"axes": (0, 1), "sigma": (1.0, 2.0)},
        {"sigma": None, "kernel": [[1.7e308] * 2]},
        {"out": np.zeros((24, 24), np.float32), "return_basic": True},
        {"sigma": 0, "profile": "slow"},
        {"sigma": 0, "stages": 3},
    ],
}
UNKNOWN_NAMES = ("sizes", "Size", "image2", "output", "origin", "order", "ksize", "border", "dtype", "workers", "mask")

Cases = Iterator[tuple[str, Callable[[], Any], dict[str, Any], tuple[str, ...], str]]


def cases(filter_name: str, kind: str) -> Cases:
    """Name, image maker, keywords, arguments an error may name, and what has to happen."""
    if kind == "input":
        for name, (make, must) in INPUT_KINDS.items():
            if filter_name == "bm3d" and name in ("shape (1,)", "5 channels"):
                must = "refused"  # one axis or three
            if must == "four axes":
                must = "refused" if filter_name in UP_TO_THREE_AXES else "equal"
            if must == "rank only":
                must = "equal" if filter_name == "median" else "refused"
            yield name, make, {}, ("image",), must
        return
    for parameter in PARAMETERS[filter_name]:
        for value in BAD_VALUES_OF.get((filter_name, parameter), BAD_VALUES[parameter]):
            keywords = {parameter: value} | ({"mode": "constant"} if parameter == "cval" else {})
            yield f"{parameter}={describe(value)}", picture, keywords, (parameter,), "refused"
    for keywords in BAD_COMBINATIONS[filter_name]:
        yield f"{describe(keywords)}", picture, keywords, tuple(keywords), "refused"
    for name in UNKNOWN_NAMES:
        yield f"unknown {name}", picture, {name: 1}, (name,), "unknown"


def describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value.dtype}{value.shape}"
    return "10**5000" if value is BEYOND_REPR else repr(value)[:60]


def outcome(
    filter_name: str, kind: str, make: Callable[[], Any], keywords: dict[str, Any], must: str
) -> dict[str, Any]:
    """How one call ended, as JSON: "ok", or what was wrong with it."""
    import imrestore
    from tests import oracles

    function, given = getattr(imrestore, filter_name), GIVEN.get(filter_name, {})
    image = make()
    if kind == "torch":
        import torch

        image = torch.from_numpy(image)
        keywords = {k: torch.from_numpy(v.copy()) if as_tensor(k, v) else v for k, v in keywords.items()}
    try:
        result = function(image, **given | keywords)
    except Exception as error:  # noqa: BLE001  any other kind of error is the finding
        return {"raised": type(error).__name__, "message": str(error)}
    if must == "equal":
        plain = np.array(image)
        oracles.of(filter_name)(plain.astype(plain.dtype.newbyteorder("=")), **given).assert_matches(
            np.asarray(result).astype(plain.dtype.newbyteorder("="))
        )
        if result.dtype != plain.dtype:
            return {"returned": f"dtype {result.dtype} for {plain.dtype}"}
        return {"ok": True}
    return {"returned": describe(result)}


def prime(filter_name: str) -> None:
    """Calls that are right, so that what a filter remembers of them is there to be taken for the wrong ones."""
    import imrestore

    function = getattr(imrestore, filter_name)
    given = GIVEN.get(filter_name, {})
    for keywords in fitting(filter_name, {}, {"mode": "constant"}, {"mode": "constant", "cval": 1}):
        function(picture(), **given | keywords)
    if not given:
        function(picture(), 1)


def as_tensor(name: str, value: Any) -> bool:
    plain = type(value) is np.ndarray and value.flags.writeable and value.dtype != object
    return plain and name in ("out", "where")


def main(filters: str, kinds: str, start: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    number = -1
    for filter_name in filters.split(","):
        prime(filter_name)
        for kind in kinds.split(","):
            for name, make, keywords, arguments, must in cases(filter_name, kind):
                number += 1
                if number >= int(start):
                    say(number, begins=f"{filter_name} of {kind}, {name}", arguments=arguments, must=must)
                    say(number, **outcome(filter_name, kind, make, keywords, must))
    say(-1)


def say(number: int, **what: Any) -> None:
    print(json.dumps({"case": number, **what}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
