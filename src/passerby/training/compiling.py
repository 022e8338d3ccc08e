"""torch.compile for the backbone, tried out before it is relied on."""

from __future__ import annotations

import logging
import textwrap
import time

import torch
from torch import Tensor

from passerby.models.model import ReIDModel

log = logging.getLogger("passerby")

BACKEND = "inductor"
RECOMPUTES_SINCE = (2, 10)
"""The first torch seen to count images once in compiled batch norm where activations are recomputed (2.8: twice)."""


def compile_backbone(model: ReIDModel, images: Tensor, *, precision: torch.dtype, recompute: bool = False) -> bool:
    """Compile `model.backbone` in place, or leave it as it is and log why that does not work here.

    Compilers differ in what they need (a C++ compiler on the CPU, Triton on a GPU) and say so only when they meet the
    first images: so one forward and backward pass runs here. Parameters keep their names; copies are not compiled.

    Args:
        model: in training mode; its gradients are cleared and its running statistics stay as they are.
        images: of the size that training will see.
        precision: arithmetic of the backbone.
        recompute: the model recomputes its activations.

    Returns:
        Whether the backbone is compiled now.
    """
    if recompute and _torch_version() < RECOMPUTES_SINCE:
        needed = ".".join(map(str, RECOMPUTES_SINCE))
        log.warning(
            "run.compile: goes on without, because together with run.recompute it needs torch %s or later, found %s",
            needed,
            torch.__version__,
        )
        return False
    started = time.monotonic()
    before = [buffer.clone() for buffer in model.backbone.buffers()]
    # dynamic shapes cost speed; an image size that comes later is compiled when it comes
    model.backbone.compile(backend=BACKEND, dynamic=False)
    try:
        with torch.autocast(images.device.type, precision, enabled=precision != torch.float32):
            maps = model.backbone(images)
        if maps.requires_grad:
            maps.float().mean().backward()
    except (RuntimeError, ImportError, OSError) as error:  # dynamo's and the backends' errors are RuntimeErrors
        model.backbone._compiled_call_impl = None
        log.warning(
            "run.compile: goes on without, because torch.compile fails here: %s",
            textwrap.shorten(f"{type(error).__name__}: {error}", 200),
        )
        return False
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, value in zip(model.backbone.buffers(), before, strict=True):
                buffer.copy_(value)
    log.info("backbone compiled in %.0f s", time.monotonic() - started)
    return True


def _torch_version() -> tuple[int, ...]:
    return tuple(int(number) for number in torch.__version__.split(".")[:2])
