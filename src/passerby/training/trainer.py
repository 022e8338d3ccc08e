"""`train(config, data) -> Run`: the whole loop, in the order in which things happen."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from passerby import distributed
from passerby.config import Config
from passerby.config.evaluation import OF_THE_TEST
from passerby.data.augment import Augmenter
from passerby.data.dataset_of_config import HOW_TO_NAME, load_configured, split_held_out, with_absolute_paths
from passerby.data.loader import TrainLoader
from passerby.data.records import ReIDDataset, labels_of
from passerby.data.sampling.hard_identity import HardIdentitySampler
from passerby.data.sampling.sampler import make_sampler
from passerby.embedding.embed import embed_together
from passerby.errors import ConfigError, DataError, UsageError
from passerby.evaluation.closed_set.protocols import check_settings
from passerby.files import replace_file
from passerby.images.cache import ImageStore
from passerby.models.engines.torch_engine import cpu_threads
from passerby.models.hub import file_of_model
from passerby.models.model import ReIDModel, build_model
from passerby.models.weights.checkpoints import load_weights
from passerby.progress import duration
from passerby.training.allocator import freed_memory_kept
from passerby.training.batch_requirements import warn_of_copies, warn_of_idle_terms
from passerby.training.checkpoint import (
    FILE_NAME,
    fitted_as_before,
    load_checkpoint,
    refuse_other_settings,
    save_checkpoint,
)
from passerby.training.collapse import warn_of_collapse
from passerby.training.devices import choose_device, choose_precision
from passerby.training.display import training_display
from passerby.training.distillation import read_teacher
from passerby.training.epoch_losses import EpochLosses
from passerby.training.fitting import check_files, check_fitting, check_full_size_steps, describe_split, fit_to_data
from passerby.training.growing import estimate_statistics, image_size, is_switch
from passerby.training.interruption import Interruption
from passerby.training.journal import Journal
from passerby.training.judging import Judge, check_engine
from passerby.training.objective import Objective
from passerby.training.objective_terms import check_terms
from passerby.training.optim import (
    AveragedWeights,
    build_optimizer,
    learning_rate_factor,
    parameter_groups,
    set_learning_rate,
)
from passerby.training.run import CONFIG_FILE, Run
from passerby.training.sharded_state import drop_shares, load_share, save_share
from passerby.training.snapshot import provenance_of, snapshot
from passerby.training.step import Step
from passerby.training.trial import check_shapes

log = logging.getLogger("passerby")

FROM_RANDOM = (
    "no model.weights: training starts from random ones, which takes far more images and epochs than pretrained weights"
)


def train(
    config: Config,
    data: ReIDDataset | None = None,
    *,
    out: str | os.PathLike[str],
    begin: Callable[[Objective], None] | None = None,
) -> Run:
    """Train a model, or go on with a training that was interrupted.

    Run again with the same `config` and `out`, it resumes; on CPU the final weights equal those of an uninterrupted
    run to the last bit. Started by torchrun, every process calls this and the losses see the global batch.

    Args:
        config: a recipe (`load_recipe`), changed or not.
        data: the dataset; default: what `config.data` names.
        out: folder of the run.
        begin: called with the new losses before the first step (not when the run resumes), to start what they keep.

    Returns:
        The run, with its encoder.

    Raises:
        UsageError: no data are given or named.
        ConfigError: settings that cannot work, or another run's folder.
        WeightsError: there is no file `model.weights`.
        DataError: a dataset that cannot be trained on.
        TrainingError: a loss became NaN or Inf, or another process was lost; the last good checkpoint is kept.
        StorageError: the disk is full; the previous checkpoint is kept.
    """
    check_terms(config.objective, config.sampler)
    check_fitting(config)
    if data is None and not config.data.named:
        raise UsageError(f"train on what? The recipe {config.name} names no data: {HOW_TO_NAME}")
    check_files(config, resumes=(Path(out) / FILE_NAME).exists())
    device = choose_device(config.run.device)
    folder = Path(out)
    run = folder if (folder / CONFIG_FILE).exists() else None
    config = config.model_copy(update={"data": with_absolute_paths(config.data, run=run)})
    # the signal handlers stay while an error unwinds: a launcher ends the others at once when a process fails
    with (
        Interruption() as stopped,
        cpu_threads(config.run.threads),
        freed_memory_kept() if device.type == "cpu" else nullcontext(),
        distributed.processes(device, timeout_minutes=config.run.timeout_minutes),
        _log_of_the_first_process(),
    ):
        return _train(config, data, folder, device, stopped, begin)


@contextmanager
def _log_of_the_first_process() -> Iterator[None]:
    """While it lasts, the other processes log warnings alone."""
    before = log.level
    if distributed.rank() != 0:
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


def _train(
    config: Config,
    data: ReIDDataset | None,
    folder: Path,
    device: torch.device,
    stopped: Interruption,
    begin: Callable[[Objective], None] | None,
) -> Run:
    # ---- 1. What is already there ------------------------------------------------------------------------------
    main = distributed.rank() == 0
    saved = load_checkpoint(folder, config)
    if not distributed.alike(*((saved["epoch"], saved["step"]) if saved is not None else (-1, -1))):
        raise ConfigError(
            f"{folder}: not every process finds the same checkpoint there; choose a folder that all share"
        )
    if saved is not None and saved["finished"]:
        log.info("%s is finished; nothing to do", folder)
        return Run(folder, fitted_as_before(config, saved))

    # ---- 2. Data -----------------------------------------------------------------------------------------------
    if data is None:
        data = load_configured(config.data)
    if not data.train:
        raise DataError(
            f"{data.name}: has no training images; expected at least {config.sampler.identities} identities"
        )
    given, config = config, fit_to_data(config, data)
    if saved is not None:
        refuse_other_settings(folder, saved, config)
    run = Run(folder, config)
    log.info("%s", describe_split(given, config, data))
    training, validation = split_held_out(config.data, data)
    check_settings(config.evaluation, config.evaluation.protocol or validation.protocol)
    check_engine(config.evaluation, device)
    if config.evaluation.camera_statistics not in (None, OF_THE_TEST):
        raise ConfigError(
            f"evaluation.camera_statistics: {config.evaluation.camera_statistics} belongs to one encoder, and a "
            f'training makes others; expected "{OF_THE_TEST}" or none'
        )
    labels, pids = labels_of(training.train)
    camids = [s.camid for s in training.train]
    sampler = make_sampler(
        config.sampler,
        labels,
        camids,
        seed=config.run.seed,
        rank=distributed.rank(),
        world_size=distributed.world_size(),
    )
    steps = [sampler.steps(epoch) for epoch in range(config.schedule.epochs)]
    small = sum(steps[: config.schedule.small_epochs])
    check_full_size_steps(config, small, sum(steps) - small)
    if main:
        warn_of_copies(labels, config.sampler)
    teacher = None
    if config.distillation.vectors is not None:
        teacher = read_teacher(config.distillation.vectors, training.train, config.augment, device)

    # ---- 3. Model, objective, optimiser ------------------------------------------------------------------------
    torch.manual_seed(config.run.seed)
    model = build_model(config.model)
    check_shapes(model, config, processes=distributed.world_size())
    if saved is None:
        log.info(
            "%s",
            FROM_RANDOM if config.model.weights is None else load_weights(model, file_of_model(config.model.weights)),
        )
    model.to(device)
    if config.run.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs
    objective = Objective(
        config.objective,
        num_ids=len(pids),
        dim=model.widths,
        teacher_dim=0 if teacher is None else teacher.dim,
        teacher_weight=config.distillation.weight,
    ).to(device)
    if begin is not None and saved is None:
        begin(objective)
    optimizer = build_optimizer(parameter_groups(model, objective, config.optimizer), config.optimizer)
    average = AveragedWeights(model, config.optimizer.ema_decay) if config.optimizer.ema_decay else None
    precision = choose_precision(config.run.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    backpropagate = Step(model, objective, scaler, config.run, device=device, precision=precision)

    # ---- 4. Go on where the last run stopped: position, weights, optimiser, sampler, losses of this epoch -------
    first_epoch, first_step = 0, 0
    seen_before: dict[str, Tensor] | None = None
    if saved is not None:
        model.load_state_dict(saved["model"])
        own = load_share(folder, saved, objective, optimizer) if objective.sharded else saved
        objective.load_state_dict(own["objective"])
        optimizer.load_state_dict(own["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        sampler.load_state_dict(saved["sampler"])
        if average is not None:
            average.load_state_dict(saved["average"])
        first_epoch, first_step = saved["epoch"], saved["step"]
        seen_before = saved["losses"] if first_step else None
        log.info("resuming %s at epoch %d, step %d", folder, first_epoch + 1, first_step)
    if main:  # only now: what was refused above has written no folder
        with replace_file(folder / CONFIG_FILE) as temporary:
            temporary.write_text(config.to_toml(), "utf-8")
    journal = Journal(folder, first_epoch if saved is not None else -1) if main else None
    judge = Judge(folder, validation, config.evaluation, journal)
    if saved is not None:
        judge.load_state_dict(saved)
    may_collapse = "feature" in objective.reads.values()  # what lies before a neck has no scale otherwise
    provenance = provenance_of(config, data, training.train)

    def save(epoch: int, step: int, losses: EpochLosses | None, *, finished: bool = False) -> None:
        if objective.sharded:
            share = {"objective": objective.state_dict(), "optimizer": optimizer.state_dict()}
            if not main:
                save_share(folder, epoch, step, share)
            distributed.wait()
        if main:
            state = {
                "epoch": epoch,
                "step": step,
                **judge.state_dict(),
                "finished": finished,
                "model": model.state_dict(),
                "objective": objective.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "sampler": sampler.state_dict(),
                "average": average.state_dict() if average is not None else {},
                "losses": losses.state_dict() if losses is not None else {},
            }
            save_checkpoint(folder, state, config)
            drop_shares(folder, but=(epoch, step))
        distributed.wait()  # no process ends before it is written: a launcher would end the one that writes

    # ---- 5. Epochs ---------------------------------------------------------------------------------------------
    epochs = config.schedule.epochs
    loader: TrainLoader | None = None
    # Processes save and stop together. On a GPU asking waits for the device; on a CPU twenty steps may take longer than
    # a launcher waits for those whom it asked to stop.
    agree_every = 20 if distributed.world_size() > 1 and device.type != "cpu" else 1
    stopped.remember(patience=2.0 if distributed.world_size() > 1 else 0.0)
    if saved is None and config.model.weights is not None and judge.can_judge:
        judge.judge(snapshot(model, average, config, provenance | {"epochs": 0}), 0)
    with training_display(config, steps, epoch=first_epoch, step=first_step, quiet=not main) as display:
        for epoch in range(first_epoch, epochs):
            height, width = image_size(config, epoch)
            size = config.input.model_copy(update={"height": height, "width": width})
            if loader is None or loader.augmenter.input != size:
                augmenter = Augmenter(config.augment, size)
                paths = [s.path for s in training.train]
                views = None
                if teacher is not None and teacher.views is not None:
                    views = [teacher.views.draw(paths, view, size) for view in range(teacher.views.count)]
                loader = TrainLoader(
                    ImageStore(
                        paths,
                        *augmenter.source,
                        cache=size.cache,
                        cache_dir=size.cache_dir,
                        progress=main,
                        bits=size.bits,
                    ),
                    labels,
                    camids,
                    sampler,
                    augmenter,
                    views=views,
                    seed=config.run.seed,
                    rank=distributed.rank(),
                    world_size=distributed.world_size(),
                    device=device,
                )
            if isinstance(sampler, HardIdentitySampler) and first_step == 0 and sampler.needs_search(epoch):
                encoder = snapshot(model, average, config, {})
                features = embed_together(encoder, training.train, flip=False, progress=main).vectors
                if main:
                    sampler.update(features, labels)
                sampler.load_state_dict(distributed.of_first(sampler.state_dict()))
            frozen = config.schedule.freeze_backbone_epochs
            freeze_backbone(model, frozen=epoch < frozen)
            if epoch in (first_epoch, frozen):  # what is replicated is what learns
                backpropagate.replicate()
            if is_switch(config, epoch) and first_step == 0:
                batches = (batch.images for batch in loader.epoch(epoch))
                estimate_statistics(model, batches, precision, micro_batch=config.run.micro_batch)
                if average is not None:
                    average.take_statistics(model)
            names = (*objective.names, "spread")
            losses = EpochLosses(names, sampler.steps(epoch), device, epoch=epoch, start=first_step)
            if seen_before is not None:
                losses.load_state_dict(seen_before)
                seen_before = None
            started, last_save = time.monotonic(), time.monotonic()
            rate = 0.0
            display.epoch(epoch)
            for batch in loader.epoch(epoch, start_step=first_step):
                step = losses.steps
                rate = set_learning_rate(
                    optimizer,
                    config.optimizer.lr,
                    learning_rate_factor(config.schedule, epoch + step / sampler.steps(epoch)),
                )
                # Dropout is seeded at every step: it is the same after a resume.
                seed = (config.run.seed, epoch, step, distributed.rank())
                taught = None if teacher is None else teacher.of(epoch, batch.indices)
                losses.record(backpropagate(batch.images, batch.labels, taught, seed=seed))
                if config.optimizer.clip_norm:
                    scaler.unscale_(optimizer)
                    # a share of class weights differs by process, and so would its norm: it is not clipped
                    whole = [*model.parameters(), *objective.whole_parameters()]
                    nn.utils.clip_grad_norm_(whole, config.optimizer.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                if average is not None:
                    average.update(model)
                display.step(losses.recent)
                if losses.steps % agree_every:
                    continue
                late = time.monotonic() - last_save > 60 * config.run.checkpoint_minutes
                stop = distributed.any_process(stopped.requested)
                if stop or distributed.any_process(late):
                    losses.check()
                    save(epoch, losses.steps, losses)
                    last_save = time.monotonic()
                    if stop:
                        log.info("stopped at epoch %d, step %d; the same command goes on", epoch + 1, losses.steps)
                        raise KeyboardInterrupt
            losses.check()
            seconds = time.monotonic() - started
            if journal is not None:
                images_seen = (losses.steps - first_step) * config.sampler.batch_size
                means = losses.means()
                spread = means.pop("spread")
                display.epoch_done(means)
                if epoch == 0:
                    warn_of_idle_terms(means, config.sampler, epoch=epoch)
                if may_collapse and warn_of_collapse(spread, epoch=epoch):
                    may_collapse = False  # said once
                journal.epoch(
                    epoch,
                    means,
                    spread=spread,
                    lr=rate,
                    seconds=seconds,
                    images_per_second=images_seen / max(seconds, 1e-9),
                    waiting=loader.waiting,
                )
            first_step = 0

            # ---- the best checkpoint is chosen on held-out training identities, never on the test set
            if judge.can_judge and _is_due(epoch, config):
                judge.judge(snapshot(model, average, config, provenance | {"epochs": epoch + 1}), epoch + 1)
            save(epoch + 1, 0, None)

    # ---- 6. The encoder ----------------------------------------------------------------------------------------
    if not judge.can_judge:
        encoder = snapshot(model, average, config, provenance | {"epochs": epochs})
        if main:
            encoder.save(folder / "encoder")
    save(epochs, 0, None, finished=True)
    if journal is not None:
        journal.close()
        rows = [row for row in run.metrics if row["kind"] == "epoch"]
        spent, loss = sum(row["seconds"] for row in rows), rows[-1]["losses"]["total"]
        length = f"{epochs} epoch{'s' if epochs > 1 else ''} in {duration(spent)}"
        log.info("trained %s: loss %.3f; %s", length, loss, judge.conclude())
    return run


def freeze_backbone(model: ReIDModel, *, frozen: bool) -> None:
    """Put the model in training mode, with or without its backbone (and the backbone's batch-norm statistics)."""
    model.train()
    model.backbone.requires_grad_(not frozen)
    if frozen:
        model.backbone.eval()


def _is_due(epoch: int, config: Config) -> bool:
    last = epoch + 1 == config.schedule.epochs
    every = config.run.evaluate_epochs
    return last or (every > 0 and (epoch + 1) % every == 0)
