"""Exchange networks as explicit vector instructions.

A 9x9 network written as scalar Python takes LLVM 57 s to vectorise, written as vector code 0.3 s to compile, and runs as
fast. So a whole rank program becomes LLVM text: a small function per distinct network that walks along a row 64 bytes at a time,
and straight-line calls of those. It needs no optimising, so it is compiled without Numba: 15x15 in 0.2 s, 31x31 in 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic
from numba.np.arrayobj import _empty_nd_impl
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._jit import intrinsic_of
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


def allocator(dtype: Any) -> Any:
    """Intrinsic ``f(n)``: an uninitialised row of ``n`` values.

    Kernels take this and the two below instead of ``np.empty``, ``min`` and ``max``: those are functions that Numba compiles on
    their own, for every type again, which is a quarter of a second of a first median.
    """
    kind = types.Array(from_dtype(np.dtype(dtype)), 1, "C")

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        made = _empty_nd_impl(context, builder, kind, [args[0]])
        return impl_ret_new_ref(context, builder, kind, made._getvalue())

    return intrinsic_of(["n"], lambda _: kind(types.intp), generate)


def _choice(comparison: str) -> Any:
    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed(comparison, *args), *args)

    return intrinsic_of(["a", "b"], lambda *_: types.intp(types.intp, types.intp), generate)


smaller = _choice("<")
larger = _choice(">")
new_numbers = allocator(np.int64)


@intrinsic
def nearest(_typing: Any, value: Any) -> Any:
    """A float64 rounded half to even."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        double = ir.DoubleType()
        kind = ir.FunctionType(double, [double])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.rint.f64"), args)

    return types.float64(types.float64), generate


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


def _text_type(dtype: np.dtype[Any]) -> str:
    scalar = {"f4": "float", "f8": "double"}.get(dtype.str[1:], f"i{8 * dtype.itemsize}")
    return f"<{lanes(dtype)} x {scalar}>"


class _NetworkFunctions:
    """Text of functions ``net(bytes, clamp, out_0, .., in_0, ..)``, one for each distinct network."""

    def __init__(self, dtype: np.dtype[Any], stride: int, keys: bool) -> None:
        self._dtype = dtype
        self._keys = keys
        self._stride = stride  # bytes between buffer rows
        self._vector = _text_type(dtype)
        self._names: dict[tuple[Network, _Spans, _Spans, bool], str] = {}
        self.text: list[str] = []

    def get(self, network: Network, lengths: _Spans, targets: _Spans, final: bool) -> str:
        """Name of the function for a network whose inputs and outputs are runs of rows (their lengths and spacings); ``final``
        if those are results."""
        key = (network, lengths, targets, final and self._keys)
        if key not in self._names:
            self._names[key] = f"@net{len(self._names)}"
            self.text.append(self._function(self._names[key], *key))
        return self._names[key]

    def _rows(self, pointer: str, spans: _Spans) -> list[tuple[str, int]]:
        return [(f"{pointer}{i}", row * every * self._stride) for i, (length, every) in enumerate(spans) for row in range(length)]

    def _function(self, name: str, network: Network, lengths: _Spans, targets: _Spans, from_keys: bool) -> str:
        pointers = [f"%out{i}" for i in range(len(targets))] + [f"%in{i}" for i in range(len(lengths))]
        lines = [
            f"define internal void {name}(i64 %bytes, i64 %clamp, {', '.join(f'ptr {p}' for p in pointers)}) noinline nounwind {{",
            "entry:",
            "  %any = icmp sgt i64 %bytes, 0",
            "  br i1 %any, label %block, label %done",
            "block:",
            "  %x = phi i64 [ 0, %entry ], [ %x.next, %block ]",
            # The last block of a result row is shifted back to end with the row; clamp is its start.
            "  %inside = icmp slt i64 %x, %clamp",
            "  %at = select i1 %inside, i64 %x, i64 %clamp",
            *(f"  {p}.at = getelementptr i8, ptr {p}, i64 %at" for p in pointers),
            *self._body(network, self._rows("%in", lengths), self._rows("%out", targets), from_keys),
            f"  %x.next = add i64 %x, {VECTOR_BYTES}",
            "  %more = icmp slt i64 %x.next, %bytes",
            "  br i1 %more, label %block, label %done",
            "done:",
            "  ret void",
            "}",
        ]
        return "\n".join(lines)

    def _body(
        self, network: Network, ins: list[tuple[str, int]], outs: list[tuple[str, int]], from_keys: bool
    ) -> list[str]:
        vector = self._vector
        lines: list[str] = []
        loaded: set[int] = set()
        places = {number: row for row, number in enumerate(network.outputs)}

        def value(number: int) -> str:
            if number < network.inputs and number not in loaded:  # inputs are loaded where they are first needed
                loaded.add(number)
                pointer, offset = ins[number]
                lines.append(f"  %p{number} = getelementptr i8, ptr {pointer}.at, i64 {offset}")
                lines.append(f"  %v{number} = load {vector}, ptr %p{number}, align 1")
            return f"%v{number}"

        def store(number: int) -> None:
            result = value(number)
            pointer, offset = outs[places[number]]
            if from_keys:  # as `key_of` in _rank_networks
                lines.append(f"  %s{number} = ashr {vector} {result}, splat (i32 31)")
                lines.append(f"  %f{number} = and {vector} %s{number}, splat (i32 {0x7FFFFFFF})")
                lines.append(f"  %r{number} = xor {vector} {result}, %f{number}")
                result = f"%r{number}"
            lines.append(f"  %q{number} = getelementptr i8, ptr {pointer}.at, i64 {offset}")
            lines.append(f"  store {vector} {result}, ptr %q{number}, align 1")

        for number in network.outputs:
            if number < network.inputs:  # a value that is passed on as it is
                store(number)
        for i, (name, a, b) in enumerate(network.ops, start=network.inputs):
            lines += self._exchange(f"%v{i}", name, value(a), value(b))
            if i in places:
                store(i)
        return lines

    def _exchange(self, target: str, name: str, a: str, b: str) -> list[str]:
        vector = self._vector
        if self._dtype.kind == "f":  # a NaN may go either way: where there is one the result is NaN anyway
            less = f"{target}.less"
            first, second = (a, b) if name == "min" else (b, a)
            flags = f"<{lanes(self._dtype)} x i1>"
            return [
                f"  {less} = fcmp olt {vector} {a}, {b}",
                f"  {target} = select {flags} {less}, {vector} {first}, {vector} {second}",
            ]
        return [f"  {target} = call {vector} @llvm.{self._intrinsic(name)}({vector} {a}, {vector} {b})"]

    def _intrinsic(self, name: str) -> str:
        bits = 8 * self._dtype.itemsize
        return f"{'s' if self._dtype.kind == 'i' else 'u'}{name}.v{lanes(self._dtype)}i{bits}"

    def declarations(self) -> list[str]:
        if self._dtype.kind == "f":
            return []
        vector = self._vector
        return [f"declare {vector} @llvm.{self._intrinsic(name)}({vector}, {vector})" for name in ("min", "max")]


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
    functions = _NetworkFunctions(dtype, stride * size, keys)
    lines = [
        "define void @run(ptr %buffers, ptr %rows, ptr %outs, i64 %n, i64 %inner) {",
        f"  %width = mul i64 %n, {size}",
        f"  %unit = mul i64 %inner, {size}",
        f"  %last = sub i64 %width, {VECTOR_BYTES}",
    ]
    for i, step in enumerate(program.steps):
        sources = _runs(step.inputs)
        targets = _runs([(where, number, 0) for where, number in step.targets])
        given = [f"i64 %count{i}", "i64 %last" if step.targets[0][0] == "out" else f"i64 {1 << 62}"]
        for j, (where, number, dx, *_) in enumerate([*targets, *sources]):
            name = f"%s{i}.{j}"
            if where == "buffer":
                lines.append(f"  {name}.base = getelementptr i8, ptr %buffers, i64 {number * stride * size}")
            else:
                lines.append(f"  {name}.entry = getelementptr i64, ptr %{where}s, i64 {number}")
                lines.append(f"  {name}.base = load ptr, ptr {name}.entry")
            lines.append(f"  {name}.dx = mul i64 %unit, {dx}")
            lines.append(f"  {name} = getelementptr i8, ptr {name}.base, i64 {name}.dx")
            given.append(f"ptr {name}")
        lines.append(f"  %reach{i} = mul i64 %unit, {step.reach}")
        lines.append(f"  %count{i} = add i64 %width, %reach{i}")
        lengths, spans = (tuple((one.length, one.every) for one in runs) for runs in (sources, targets))
        function = functions.get(step.network, lengths, spans, step.targets[0][0] == "out")
        lines.append(f"  call void {function}({', '.join(given)})")
    return "\n".join([*functions.declarations(), *functions.text, *lines, "  ret void", "}"])


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
def as_it_is(_typing: Any, value: Any) -> Any:
    """Its argument: what takes the place of `bits_of` for other dtypes."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return impl_ret_borrowed(context, builder, signature.return_type, args[0])

    return value(value), generate


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
