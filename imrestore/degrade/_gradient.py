"""Gradients through a plan, for torch: the operations' transposes in the opposite order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch  # noqa: TID253  loaded with the first tensor that requires grad
from imrestore_kernels.samples import Work

from imrestore import _dispatch
from imrestore.degrade import _run
from imrestore.degrade._run import Part, compute_type, forward
from imrestore.degrade._torch_memory import own_memory

Array = np.ndarray[Any, Any]


class _Carried(torch.autograd.Function):  # type: ignore[misc]
    """A plan that is carried out once forward, and once back."""

    @staticmethod
    def forward(ctx: Any, image: Any, part: Part, work: Sequence[Work], table: Array, shape: tuple[int, int, int, int]) -> Any:
        ctx.kept = {}
        ctx.part, ctx.work, ctx.table = part, work, table
        return forward(part, work, table, shape, ctx.kept)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Any) -> Any:
        part: Part = ctx.part
        given = part.given.detach()
        with _dispatch.on_device(given, part.kind, part.device), own_memory(part.kind, part.device):
            source = _dispatch.as_array(gradient.detach(), part.kind, part.device, "gradient")
            made, target = _dispatch.new_array(given, part.kind, part.device, part.array.shape, np.dtype(part.array.dtype))
            axes, compute = part.axes, compute_type(np.dtype(part.array.dtype))
            _run.ring(part.device).run_back(axes.samples(source), axes.samples(target), ctx.work, ctx.table, compute, ctx.kept)
        return made, None, None, None, None


def differentiable(part: Part, work: Sequence[Work], table: Array, shape: tuple[int, int, int, int]) -> Any:
    """The result as a tensor that knows the way back."""
    if any(one.crosses for one in work):
        raise ValueError(f"{part.role} requires grad and a step mixes samples, which has no gradient; pass {part.role}.detach()")
    return _Carried.apply(part.given, part, work, table, shape)
