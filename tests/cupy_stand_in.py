"""A module that behaves as CuPy where it differs from NumPy, to see that code written for both stays within both.

Its arrays do not turn into NumPy's by themselves, do not mix with them, and know only functions that CuPy has.
"""

from __future__ import annotations

import contextlib
import operator
from types import ModuleType
from typing import Any

import numpy as np


class Device(contextlib.nullcontext):
    id = 0


def _unwrapped(value: Any) -> Any:
    if isinstance(value, Array):
        return value._host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, tuple | list):
        return type(value)(_unwrapped(item) for item in value)
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_wrapped, value))
    return Array(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


class Array:
    """An array that a program can only look at through `Namespace`, operators, methods and `get`."""

    device = Device()

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def __array__(self, *args: Any, **keywords: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._host, name)
        if name in ("shape", "strides"):
            return value
        if callable(value) and not isinstance(value, np.ndarray):
            return lambda *args, **keywords: _wrapped(value(*_unwrapped(args), **{k: _unwrapped(v) for k, v in keywords.items()}))
        return _wrapped(value)

    def get(self) -> np.ndarray:
        return self._host.copy()

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(self._host[_unwrapped(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_unwrapped(index)] = _unwrapped(value)

    def __iter__(self) -> Any:
        return map(_wrapped, self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __int__(self) -> int:
        return int(self._host)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._host.__array_interface__


def _operator(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Array, *others: Any) -> Any:
        return _wrapped(function(self._host, *_unwrapped(others)))

    return method


def _reflected(name: str) -> Any:
    function = getattr(operator, name)
    return lambda self, other: _wrapped(function(_unwrapped(other), self._host))


def _in_place(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Array, other: Any) -> Array:
        self._host = function(self._host, _unwrapped(other))
        return self

    return method


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
for _name in ("add", "sub", "mul", "truediv", "matmul", *_COMPARISONS, "and_", "or_", "invert", "neg", "pow", "abs"):
    setattr(Array, f"__{_name.strip('_')}__", _operator(_name))
for _name in ("add", "sub", "mul", "truediv", "and_"):
    setattr(Array, f"__r{_name.strip('_')}__", _reflected(_name))
for _name in ("iadd", "isub", "imul", "itruediv", "iand"):
    setattr(Array, f"__{_name}__", _in_place(_name))
Array.__module__ = "cupy"


class Namespace:
    """What ``import cupy`` gives: NumPy's functions, of those CuPy has, on `Array`; the names used are kept."""

    ndarray = Array

    def __init__(self, module: ModuleType = np) -> None:
        self._module = module
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        value = getattr(self._module, name)
        if isinstance(value, ModuleType):
            return Namespace(value)
        if isinstance(value, type):
            return value
        return lambda *args, **keywords: self._call(name, value, args, keywords)

    def _call(self, name: str, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if name == "asarray" and isinstance(args[0], np.ndarray):  # the one way in
            return Array(np.array(args[0], *args[1:], **keywords))
        result = function(*_unwrapped(args), **{k: _unwrapped(v) for k, v in keywords.items()})
        return keywords["out"] if "out" in keywords else _wrapped(result)
