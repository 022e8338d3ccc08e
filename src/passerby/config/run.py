"""Seed, device, precision, checkpoints: everything else about a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from passerby.config.settings_group import NonNegative, Settings


class RunConfig(Settings):
    """Everything else about a run."""

    seed: NonNegative = 0
    """The one seed of every random choice."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto: bfloat16 on a GPU that has it, float32 elsewhere."""
    channels_last: bool = True
    """Memory layout that convolutions like."""
    micro_batch: NonNegative = 0
    """Most images that pass through the backbone at once, in each process; the losses still see the whole batch.
    0: all of them. Saves memory and costs up to one more forward pass."""
    recompute: bool = False
    """Compute the backbone's activations again in the backward pass instead of keeping them (gradient checkpointing).
    Saves memory and costs about one more forward pass; the numbers stay the same."""
    compile: bool = False
    """Compile the backbone with torch.compile; goes on without where that does not work."""
    cuda_graphs: bool = True
    """On one GPU, record the backbone's kernels once and repeat them (CUDA graphs), so that small networks do not wait
    for Python; goes on without where that does not work, and where compile, recompute or micro_batch are set."""
    threads: NonNegative = 0
    """CPU threads of torch; 0 leaves torch's choice."""
    checkpoint_minutes: float = Field(5.0, gt=0.0)
    """Besides at every epoch's end, save at least this often."""
    timeout_minutes: float = Field(10.0, gt=0.0)
    """Several processes: how long a process waits for the others before it fails."""
    evaluate_epochs: NonNegative = 5
    """Evaluate on the held-out identities every so many epochs; 0: only at the end."""
