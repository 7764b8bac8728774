"""The border rule and copies of rows of any length, as LLVM text."""

from __future__ import annotations

from imrestore_kernels.borders import CONSTANT, MIRROR, NEAREST, REFLECT, WRAP
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: ``border(i, n, mode)``: the formula of `borders.border_index`; the tests compare the two sample by sample.
BORDER = f"""
define internal i64 @border(i64 %i, i64 %n, i64 %mode) nounwind {{
entry:
  %inside = icmp ult i64 %i, %n
  br i1 %inside, label %same, label %outside
same:
  ret i64 %i
outside:
  %before = icmp slt i64 %i, 0
  %last = sub i64 %n, 1
  %near = select i1 %before, i64 0, i64 %last
  %wrap = icmp eq i64 %mode, {WRAP}
  %mirror = icmp eq i64 %mode, {MIRROR}
  %double = shl i64 %n, 1
  %less = sub i64 %double, 2
  %mirrored = select i1 %mirror, i64 %less, i64 %double
  %length = select i1 %wrap, i64 %n, i64 %mirrored
  %none = icmp eq i64 %length, 0
  %period = select i1 %none, i64 1, i64 %length ; mirror of a single sample
  %rest = srem i64 %i, %period
  %negative = icmp slt i64 %rest, 0
  %raised = add i64 %rest, %period
  %m = select i1 %negative, i64 %raised, i64 %rest
  %first = icmp slt i64 %m, %n
  %reflect = icmp eq i64 %mode, {REFLECT}
  %once = zext i1 %reflect to i64
  %top = sub i64 %period, %once
  %back = sub i64 %top, %m
  %periodic = select i1 %first, i64 %m, i64 %back
  %nearest = icmp eq i64 %mode, {NEAREST}
  %index = select i1 %nearest, i64 %near, i64 %periodic
  %constant = icmp eq i64 %mode, {CONSTANT}
  %result = select i1 %constant, i64 -1, i64 %index
  ret i64 %result
}}
"""


def border(text: VectorText, i: Number, n: Number, mode: Number) -> Number:
    """Sample that ``i`` takes its value from, -1 for the constant; `BORDER` has to be in the text."""
    return text.number(f"call i64 @border(i64 {i}, i64 {n}, i64 {mode})")


class Rows:
    """Pieces of a text for rows of samples, whose last vector may go beyond the end and must not be touched there."""

    def __init__(self, text: VectorText) -> None:
        self.text = text
        self.size = text.bytes // text.lanes
        self._kind = f"v{text.lanes}{'f64' if text.double else 'f32'}.p0"

    def declarations(self) -> str:
        t = self.text
        return (
            f"\ndeclare void @llvm.masked.store.{self._kind}({t.vector}, ptr, i32, {t.flags})"
            f"\ndeclare {t.vector} @llvm.masked.load.{self._kind}(ptr, i32, {t.flags}, {t.vector})\n"
        )

    def mask(self, left: Number, skip: int = 0) -> str:
        """Flags of the lanes before ``left``, of a vector whose first lane is number ``skip``."""
        t = self.text
        short = t.value(f"trunc i64 {left} to i32")
        kind = f"<{t.lanes} x i32>"
        first = t.value(f"insertelement {kind} poison, i32 {short}, i64 0")
        every = t.value(f"shufflevector {kind} {first}, {kind} poison, {kind} zeroinitializer")
        own = ", ".join(f"i32 {skip + lane}" for lane in range(t.lanes))
        return t.value(f"icmp slt {kind} <{own}>, {every}")

    def masked_store(self, value: str, pointer: str, mask: str) -> None:
        t = self.text
        t.add(f"  call void @llvm.masked.store.{self._kind}({t.vector} {value}, ptr {pointer}, i32 {self.size}, {t.flags} {mask})")

    def masked_load(self, pointer: str, mask: str) -> str:
        t = self.text
        given = f"ptr {pointer}, i32 {self.size}, {t.flags} {mask}, {t.vector} zeroinitializer"
        return t.value(f"call {t.vector} @llvm.masked.load.{self._kind}({given})")

    def element(self, pointer: str, index: Number | int) -> str:
        return self.text.value(f"getelementptr {self.text.scalar}, ptr {pointer}, i64 {index}")

    def one(self, pointer: str, index: Number | int) -> str:
        """A single number."""
        return self.text.value(f"load {self.text.scalar}, ptr {self.element(pointer, index)}, align {self.size}")

    def put(self, value: str, pointer: str, index: Number | int) -> None:
        self.text.add(f"  store {self.text.scalar} {value}, ptr {self.element(pointer, index)}, align {self.size}")

    def fill(self, to: str, value: str, count: Number) -> None:
        """``count`` numbers alike."""
        t = self.text
        every = t.everywhere(value)
        whole = count // t.lanes
        with t.loop(0, whole) as i:
            t.store(every, t.where(to, i * t.bytes), anywhere=True)
        left = count - whole * t.lanes
        with t.only_if(Number(t, "0") < left):
            self.masked_store(every, t.where(to, whole * t.bytes), self.mask(left))

    def copy(self, to: str, source: str, count: Number) -> None:
        """``count`` neighbouring numbers."""
        t = self.text
        whole = count // t.lanes
        with t.loop(0, whole) as i:
            t.store(t.load(source, str(i * t.bytes), anywhere=True), to, str(i * t.bytes), anywhere=True)
        left = count - whole * t.lanes
        with t.only_if(Number(t, "0") < left):
            at, mask = whole * t.bytes, self.mask(left)
            self.masked_store(self.masked_load(t.where(source, at), mask), t.where(to, at), mask)
