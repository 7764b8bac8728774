"""Exchange networks as explicit vector instructions.

A 9x9 network written as scalar Python takes LLVM 57 s to vectorise, written as vector code 0.3 s to compile, and runs as
fast. So a whole rank program becomes LLVM text: a small function per distinct network that walks along a row 64 bytes at a time,
and straight-line calls of those. It needs no optimising, so it is compiled without Numba: 15x15 in 0.4 s, 31x31 in REPLACE.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from imrestore_kernels.networks import Network
from imrestore_kernels.rank_program import Program

#: Bytes of one vector. Machines with narrower registers get two or four instructions for one.
VECTOR_BYTES = 64

_INT = ir.IntType(64)
_I32 = ir.IntType(32)
_BYTE_POINTER = ir.IntType(8).as_pointer()
_Spans = tuple[tuple[int, int], ...]


def lanes(dtype: np.dtype[Any]) -> int:
    """Values of a dtype in one vector."""
    return VECTOR_BYTES // dtype.itemsize


@intrinsic
def data_address(_typing: Any, array: Any) -> Any:
    """Address of an array's first element; the caller keeps the array alive."""

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        value = context.make_array(array)(context, builder, args[0])
        return builder.ptrtoint(value.data, _INT)

    return types.intp(array), generate


@intrinsic
def copy_bytes(_typing: Any, target: Any, source: Any, count: Any) -> Any:
    """memcpy between two addresses."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        to, start = (builder.inttoptr(a, _BYTE_POINTER) for a in args[:2])
        cgutils.raw_memcpy(builder, to, start, args[2], 1)
        return ir.Constant(_INT, 0)

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def maybe_nan(_typing: Any, array: Any, at: Any, count: Any) -> Any:
    """Whether there is a NaN in ``array[at : at + count]``, the last vector rounded up: the array must go on that far."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind = signature.args[0].dtype
        element = ir.FloatType() if kind == types.float32 else ir.DoubleType()
        width = VECTOR_BYTES * 8 // kind.bitwidth
        vector = ir.VectorType(element, width)
        flags = ir.VectorType(ir.IntType(1), width)
        base = builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]])
        found = cgutils.alloca_once_value(builder, ir.Constant(flags, None))
        with cgutils.for_range_slice(builder, ir.Constant(_INT, 0), args[2], ir.Constant(_INT, width), _INT) as (x, _):
            loaded = builder.load(builder.bitcast(builder.gep(base, [x]), vector.as_pointer()))
            loaded.align = 1
            builder.store(builder.or_(builder.load(found), builder.fcmp_unordered("uno", loaded, loaded)), found)
        bits = builder.bitcast(builder.load(found), ir.IntType(width))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(width), 0))

    return types.boolean(array, types.intp, types.intp), generate


def splat(builder: ir.IRBuilder, value: Any, count: int) -> Any:
    """A number in all lanes of a vector."""
    undefined = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, count), [0] * count))


def fetch_line(builder: ir.IRBuilder, address: Any, write: bool = False) -> None:
    """Ask for the cache line at an address, which need not exist."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, _I32, _I32, _I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    numbers = (ir.Constant(_I32, number) for number in (int(write), 3, 1))
    builder.call(function, [builder.inttoptr(address, _BYTE_POINTER), *numbers])


def _fetcher(name: str, write: bool) -> Any:
    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        line = ir.Constant(_INT, VECTOR_BYTES)
        with cgutils.for_range_slice(builder, ir.Constant(_INT, 0), args[1], line, _INT) as (at, _):
            fetch_line(builder, builder.add(args[0], at), write)
        return ir.Constant(_INT, 0)

    def fetch(_typing: Any, address: Any, count: Any) -> Any:
        return types.intp(types.intp, types.intp), generate

    fetch.__name__ = fetch.__qualname__ = name
    return intrinsic(fetch)


#: Ask for the cache lines of ``count`` bytes at an address, which need not exist: to read them, or to write them soon.
fetch_bytes = _fetcher("fetch_bytes", write=False)
fetch_bytes_to_write = _fetcher("fetch_bytes_to_write", write=True)


def element(dtype: np.dtype[Any]) -> ir.Type:
    """LLVM type of a dtype's values."""
    if dtype.kind == "f":
        return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return ir.IntType(8 * dtype.itemsize)


class _NetworkFunctions:
    """Functions ``net(bytes, clamp, out_0, .., in_0, ..)`` of one LLVM module, one for each distinct network."""

    def __init__(self, module: ir.Module, dtype: np.dtype[Any], stride: int, keys: bool) -> None:
        self._module = module
        self._dtype = dtype
        self._keys = keys
        self._stride = stride  # bytes between buffer rows
        self._vector = ir.VectorType(element(dtype), lanes(dtype))
        self._made: dict[tuple[Network, _Spans, _Spans, bool], ir.Function] = {}

    def get(self, network: Network, lengths: _Spans, targets: _Spans, final: bool) -> ir.Function:
        """The function for a network whose inputs and outputs are runs of rows (their lengths and spacings); ``final`` if
        those are results."""
        key = (network, lengths, targets, final and self._keys)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _rows(self, pointers: Any, lengths: _Spans) -> list[tuple[Any, int]]:
        return [
            (pointer, row * every * self._stride)
            for pointer, (length, every) in zip(pointers, lengths, strict=True)
            for row in range(length)
        ]

    def _make(self, network: Network, lengths: _Spans, targets: _Spans, from_keys: bool) -> ir.Function:
        kind = ir.FunctionType(ir.VoidType(), [_INT, _INT] + [_BYTE_POINTER] * (len(targets) + len(lengths)))
        function = ir.Function(self._module, kind, self._module.get_unique_name("imrestore.network"))
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        count, clamp, *pointers = function.args
        outs = self._rows(pointers[: len(targets)], targets)
        ins = self._rows(pointers[len(targets) :], lengths)
        step = ir.Constant(_INT, VECTOR_BYTES)
        with cgutils.for_range_slice(builder, ir.Constant(_INT, 0), count, step, _INT) as (x, _):
            # The last block of a result row is shifted back to end with the row; clamp is its start.
            at = builder.select(builder.icmp_signed("<", x, clamp), x, clamp)
            self._emit(builder, network, ins, outs, at, from_keys)
        builder.ret_void()
        return function

    def _emit(
        self, builder: ir.IRBuilder, network: Network, ins: list[Any], outs: list[Any], at: Any, from_keys: bool
    ) -> None:
        values: dict[int, Any] = {}

        def value(number: int) -> Any:
            if number not in values:  # inputs are loaded where they are first needed
                values[number] = self._load(builder, ins[number], at)
            return values[number]

        def store(number: int) -> None:
            result = value(number)
            if from_keys:  # as `key_of` in _rank_networks
                sign = builder.ashr(result, splat(builder, ir.Constant(_I32, 31), VECTOR_BYTES // 4))
                result = builder.xor(result, builder.and_(sign, splat(builder, ir.Constant(_I32, 0x7FFFFFFF), VECTOR_BYTES // 4)))
            self._store(builder, result, outs[rows[number]], at)

        compare = self._compare(builder)
        rows = {number: row for row, number in enumerate(network.outputs)}
        for number in network.outputs:
            if number < network.inputs:  # a value that is passed on as it is
                store(number)
        for i, (name, a, b) in enumerate(network.ops, start=network.inputs):
            left, right = value(a), value(b)
            less = compare(left, right)
            values[i] = builder.select(less, left, right) if name == "min" else builder.select(less, right, left)
            if i in rows:
                store(i)

    def _compare(self, builder: ir.IRBuilder) -> Any:
        if self._dtype.kind == "f":
            return lambda a, b: builder.fcmp_ordered("<", a, b)
        if self._dtype.kind == "i":
            return lambda a, b: builder.icmp_signed("<", a, b)
        return lambda a, b: builder.icmp_unsigned("<", a, b)

    def _address(self, builder: ir.IRBuilder, place: tuple[Any, int], at: Any) -> Any:
        pointer, offset = place
        moved = builder.gep(pointer, [builder.add(at, ir.Constant(_INT, offset))])
        return builder.bitcast(moved, self._vector.as_pointer())

    def _load(self, builder: ir.IRBuilder, place: tuple[Any, int], at: Any) -> Any:
        loaded = builder.load(self._address(builder, place, at))
        loaded.align = 1
        return loaded

    def _store(self, builder: ir.IRBuilder, value: Any, place: tuple[Any, int], at: Any) -> None:
        builder.store(value, self._address(builder, place, at)).align = 1


class _Run(NamedTuple):
    """Buffers ``first, first + every, ..`` read or written at the same dx; rows and outputs come one by one."""

    kind: str
    first: int
    dx: int
    length: int
    every: int


def _runs(sources: Sequence[tuple[str, int, int]]) -> list[_Run]:
    runs: list[_Run] = []
    for kind, number, dx in sources:
        if runs and kind == "buffer" and runs[-1].kind == kind and runs[-1].dx == dx:
            last = runs[-1]
            every = last.every if last.length > 1 else number - last.first
            if every > 0 and last.first + last.length * every == number:
                runs[-1] = last._replace(length=last.length + 1, every=every)
                continue
        runs.append(_Run(kind, number, dx, 1, 1))
    return runs


def program_text(program: Program, dtype: np.dtype[Any], stride: int, keys: bool = False) -> str:
    """LLVM text of ``run(buffers, rows, outs, n, inner)``, which applies a program to one group of rows.

    ``buffers`` is the address of the program's buffers, ``stride`` values each; ``rows`` and ``outs`` those of the addresses of the
    source rows (padded, from the first sample of the first window on) and of the result rows; ``n`` is the number of values per
    result row, at least one vector, and ``inner`` the distance of neighbours in a row. With ``keys`` the values are keys of
    float32 (`_rank_networks.key_of`), which the results are turned back from.
    """
    size = dtype.itemsize
    module = ir.Module("program")
    kind = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, _INT.as_pointer(), _INT.as_pointer(), _INT, _INT])
    run = ir.Function(module, kind, "run")
    builder = ir.IRBuilder(run.append_basic_block("entry"))
    buffers, rows, outs, n, inner = run.args
    functions = _NetworkFunctions(module, dtype, stride * size, keys)
    width = builder.mul(n, ir.Constant(_INT, size))
    unit = builder.mul(inner, ir.Constant(_INT, size))
    last = builder.sub(width, ir.Constant(_INT, VECTOR_BYTES))
    never = ir.Constant(_INT, 1 << 62)

    def entry(table: Any, index: int) -> Any:
        return builder.inttoptr(builder.load(builder.gep(table, [ir.Constant(_INT, index)])), _BYTE_POINTER)

    def buffer(number: int) -> Any:
        return builder.gep(buffers, [ir.Constant(_INT, number * stride * size)])

    for step in program.steps:
        sources = _runs(step.inputs)
        targets = _runs([(where, number, 0) for where, number in step.targets])
        pointers = []
        for where, number, dx, *_ in [*targets, *sources]:
            base = buffer(number) if where == "buffer" else entry(rows if where == "row" else outs, number)
            pointers.append(builder.gep(base, [builder.mul(unit, ir.Constant(_INT, dx))]))
        count = builder.add(width, builder.mul(unit, ir.Constant(_INT, step.reach)))
        clamp = last if step.targets[0][0] == "out" else never
        lengths, spans = (tuple((one.length, one.every) for one in runs) for runs in (sources, targets))
        function = functions.get(step.network, lengths, spans, step.targets[0][0] == "out")
        builder.call(function, [count, clamp, *pointers])
    builder.ret_void()
    return str(module)


@intrinsic
def call_program(_typing: Any, run: Any, buffers: Any, rows: Any, outs: Any, n: Any, inner: Any) -> Any:
    """Call the ``run`` of `program_text` at an address; all arguments are numbers."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        pointers = [_BYTE_POINTER, _INT.as_pointer(), _INT.as_pointer()]
        kind = ir.FunctionType(ir.VoidType(), [*pointers, _INT, _INT])
        function = builder.inttoptr(args[0], kind.as_pointer())
        given = [builder.inttoptr(value, pointer) for value, pointer in zip(args[1:4], pointers, strict=True)]
        builder.call(function, [*given, *args[4:]])
        return ir.Constant(_INT, 0)

    return types.intp(*[types.intp] * 6), generate


@intrinsic
def number_at(_typing: Any, address: Any, index: Any) -> Any:
    """Number ``index`` of the int64 numbers at an address."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(builder.inttoptr(args[0], _INT.as_pointer()), [args[1]]))

    return types.intp(types.intp, types.intp), generate


@intrinsic
def bits_of(_typing: Any, array: Any) -> Any:
    """A float32 array's bits as int32. Numba's ``view`` does the same and takes 0.3 s to compile."""
    result = array.copy(dtype=types.int32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, args[0])
        bits = context.make_array(signature.return_type)(context, builder)
        for field in ("meminfo", "parent", "nitems", "itemsize", "shape", "strides"):
            setattr(bits, field, getattr(values, field))
        bits.data = builder.bitcast(values.data, bits.data.type)
        return impl_ret_borrowed(context, builder, signature.return_type, bits._getvalue())

    return result(array), generate
