"""Trains networks: one loop, which can be read from top to bottom.

All random numbers depend on the seed and the number of a sample or a step only, and a checkpoint holds the whole state.
A run that was stopped or killed therefore continues with the same losses as an uninterrupted run. Several processes
split each batch, and have the same losses as one process.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from signal import Signals

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from passband.checkpoints import how_to_continue, save_checkpoint, sound_checkpoint
from passband.config import Recipe, load_recipe, recipe_on, recipe_scored_on
from passband.config.common import check_warmup
from passband.data.datasets.loaders import batch_loader, on_device
from passband.data.datasets.order import NumberedBatches, scored_batches
from passband.hardware import resolved_precision
from passband.io.files import results_folder
from passband.io.shards import data_folder
from passband.mixed_precision import MIXED_PRECISION, fast_layers, memory_format
from passband.models import build_from, pick_device
from passband.models.base import without_initial_weights
from passband.optimizers import build_optimizer, learning_rate, moving_average
from passband.processes import (
    StopSignals,
    any_of,
    count,
    from_first,
    lost_process,
    means,
    rank,
    shared_noise,
    summed_counts,
    synchronize,
)
from passband.processes.start import started_accelerator
from passband.runs import DivergedError, Progress, RunError, RunLog, check_free, read_run
from passband.tasks import TASKS, Task
from passband.weights_io import load_config, load_state, load_weights

TIME_OVER = 1000
"""Number that stands for the end of `max_minutes`, above the numbers of all signals."""


@dataclass(frozen=True)
class StepReport:
    """Result of a training step, for displays of progress."""

    step: int
    """Number of steps done, from 1."""
    steps: int
    """Number of steps of the whole run."""
    loss: float
    """Loss of the step."""
    figures: dict[str, float]
    """Further numbers of the step by name, such as parts of the loss."""
    images_per_second: float
    """Images per second over the last steps."""
    seconds_left: float
    """Estimated time to the end of the run in seconds, without validations."""


def train(
    recipe: Recipe | str | Path,
    output: str | Path,
    *,
    data: str | Path,
    validation_data: str | Path | None = None,
    weights: str | Path | None = None,
    resume: bool = False,
    max_minutes: float | None = None,
    device: str = "auto",
    task: Task | None = None,
    report: Callable[[StepReport], None] = lambda report: None,
    validated: Callable[[int, dict[str, float]], str | None] = lambda step, figures: None,
) -> Progress:
    """Train a network, or continue a run.

    The folder `output` receives run.json (recipe, versions, seed, commit, last scores), log.csv (every step),
    validation.csv, validation/*.png (example images, such as degraded | restored | clean), the weights weights/best and
    weights/last, checkpoints/ to resume from, and TensorBoard events if tensorboard is installed.

    Args:
        recipe: recipe, name of a shipped recipe, or path of a TOML file.
        output: folder of the run. It must not hold a run, unless `resume` is set.
        data: folder to train on, with the content that `recipe.data` describes.
        validation_data: folder to score on; nothing of `data` is then held out, except pairs of `recipe.data.sources`.
            None scores on the part of `data` that `recipe.data.held_out` holds out, or on all of `data` if nothing is
            held out.
        weights: weights to start from (fine-tuning), in place of random ones. They also decide the network, and they
            stay the best weights until a validation scores higher. None for random ones, or those that a resumed run
            started from.
        resume: whether to continue from the last checkpoint in `output`.
        max_minutes: time in minutes after which the run stops, with a checkpoint. None trains to the end.
        device: device to train on, see `models.pick_device`. On a CUDA device the settings of the table `cuda` of the
            recipe replace others.
        task: task to train for, built from this recipe. None builds the task of the recipe.
        report: function that is called after every step, in the first process.
        validated: function that is called after every validation during the run, in the first process, with the number
            of steps and the figures. If it returns a text, the run ends early, for this reason.

    Returns:
        Progress of the run: its last step, the scores of the last validation, and the reason if it ended early.

    Raises:
        RecipeError: if the recipe does not exist or cannot be used.
        RunError: if `output` holds a run and `resume` is off, if `resume` is on and there is no checkpoint.
        ProcessError: if several processes cannot share a batch, see `processes.start`.
        DivergedError: if the loss or the weights are not finite. This is a kind of `RunError`.
        CheckpointError: if `weights` cannot be used.
        ValueError: if the device does not exist, `max_minutes` is negative, the network is unknown, the warm-up is
            longer than the run, or the data do not suit the recipe.
        FileNotFoundError: if the data do not exist.
        OSError: if the data cannot be read, or the folder cannot be written to.
    """
    if max_minutes is not None and not (isinstance(max_minutes, Real) and max_minutes >= 0):
        raise ValueError(f"max_minutes is a number of minutes from 0, or None; got {max_minutes!r}")
    torch_device = pick_device(device)
    recipe = recipe_on(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), torch_device.type)
    recipe = recipe_scored_on(recipe, validation_data)
    precision = resolved_precision(recipe.precision, torch_device, recipe.task)
    recipe = recipe.model_copy(update={"precision": precision})
    accelerator = started_accelerator(torch_device, MIXED_PRECISION[recipe.precision], recipe.data.batch)
    is_first = accelerator.is_main_process  # only the first process of a parallel run writes
    output, data = results_folder(output), data_folder(data)
    validation_data = None if validation_data is None else data_folder(validation_data)
    checkpoints = output / "checkpoints"
    with RunLog(output, is_first) as log:  # from here on, no other process trains this run
        latest = from_first(sound_checkpoint(output) if resume and is_first else None)
        if resume and latest is None:
            raise RunError(f"nothing to resume: {output} holds no checkpoint. Start again in another folder.")
        if not resume:
            check_free(output, (data, validation_data))

        set_seed(recipe.seed)
        task = task or TASKS[recipe.task](recipe)
        begun = read_run(output) if resume else None
        network = begun["network"] if begun else task.network_config(data, load_config(weights) if weights else None)
        # run.json keeps the weights that a resumed run started from, which need not be given again
        origin = weights if begun is None or weights is not None else begun.get("weights")
        # a checkpoint or weights will replace the weights that a new network would load, so they are not loaded
        model = build_from(without_initial_weights(network) if resume or weights is not None else network)
        if weights is not None:
            load_state(model, load_weights(weights), source=weights)
        task.check(model, weights or recipe.model.name)
        model = model.to(memory_format=memory_format(torch_device.type, recipe.precision))

        dataset, lesson = task.training_data(data, network), task.lesson(data, network)
        batch_size = recipe.data.batch  # over all processes
        steps_per_epoch = max(1, len(dataset) // batch_size)  # type: ignore[arg-type]
        steps = recipe.optim.length(steps_per_epoch)
        warmup = recipe.optim.warmup(steps_per_epoch)
        check_warmup(warmup, steps, "steps")
        progress = Progress()
        if count() > 1 and recipe.optim.batch_norm == "synchronized":
            synchronize(model, accelerator.device)
        model, optimizer = accelerator.prepare(model, build_optimizer(recipe.optim, model))
        averaged = AveragedModel(
            accelerator.unwrap_model(model), multi_avg_fn=moving_average(recipe.optim.ema), use_buffers=True
        )
        accelerator.register_for_checkpointing(averaged, progress, *task.state(lesson))
        if latest is not None:
            accelerator.load_state(str(latest))
        if progress.step > steps:
            raise RunError(
                f"{output} is already at step {progress.step}, which is beyond the {steps} steps of this run: set more "
                "steps"
            )
        progress.steps, progress.reason, progress.is_stopped, progress.signal = steps, None, False, 0

        batches = NumberedBatches(progress.step, steps, batch_size, rank(), count())
        loader = batch_loader(dataset, batches, task.collate, workers=recipe.data.workers, device=accelerator.device)
        validation_set = task.validation_data(data, validation_data, network)
        batches = scored_batches(len(validation_set), recipe.validation.batch, rank(), count())  # type: ignore[arg-type]
        validation_loader = batch_loader(validation_set, batches, task.collate, device=accelerator.device)
        log.begin(progress.step)

        def describe(status: str, reason: str | None = None) -> None:
            log.describe(recipe, network, data, validation_data, origin, progress, status, reason)

        def diverged(what: str) -> DivergedError:
            return DivergedError(
                f"{what} at step {progress.step}: lower optim.learning_rate or optim.clip_norm, look for broken images "
                f"in {data}, and {how_to_continue(output)}"
            )

        def validate() -> None:
            scored = averaged.module.to(accelerator.device)
            with accelerator.autocast(), summed_counts(scored):
                result = task.validate(scored, on_device(validation_loader, accelerator.device), validation_set)
            # weights may be finite, and the values that they give not
            if math.isnan(result.figures.get("loss", 0.0)) or not _all_finite(result.picture):
                raise diverged("the outputs of the network are not finite")
            progress.figures, progress.remark = result.figures, result.remark
            progress.stale += 1
            log.validation(progress.step, result.figures, result.picture)
            log.weights("last", scored, network)
            if result.score > progress.best_score:
                progress.best_score, progress.stale = result.score, 0
                log.weights("best", scored, network)

        def stop_number() -> int:
            """Return a number that the processes agree on: 0, the number of a signal, or TIME_OVER."""
            is_over = max_minutes is not None and time.monotonic() - started >= max_minutes * 60
            return any_of(signals.received or (TIME_OVER if is_over else 0))

        started, seconds_before = time.monotonic(), progress.seconds
        speedometer = _Speed(batch_size)
        patience = recipe.validation.patience
        status, reason = "finished", None
        with StopSignals() as signals, _recorded_failure(output, describe):
            describe("running")
            if weights is not None and latest is None:
                validate()  # a later validation is better only if it beats the original weights
            for batch in on_device(loader, accelerator.device):
                if number := stop_number():
                    progress.signal = number % TIME_OVER
                    status = "stopped"
                    signal_name = Signals(progress.signal).name if progress.signal else ""
                    reason = f"by the signal {signal_name}" if signal_name else f"after {max_minutes:g} minutes"
                    break
                if patience is not None and progress.stale >= patience:
                    reason = f"the last {patience} validations did not improve the score"
                    break

                model.train()
                if recipe.optim.keep_statistics:
                    _freeze_batch_norm(model)
                rate = learning_rate(progress.step, steps, warmup, recipe.optim)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                # the noise of a step is the same after a stop, and on any number of processes
                noise = shared_noise(recipe.seed * 1_000_003 + progress.step * batch_size)
                with accelerator.autocast(), fast_layers(torch_device.type, recipe.precision), noise:
                    loss, figures = task.loss(model, batch, progress.step / steps, lesson)
                optimizer.zero_grad(set_to_none=True)
                accelerator.backward(loss)
                if recipe.optim.clip_norm is not None:
                    accelerator.clip_grad_norm_(model.parameters(), recipe.optim.clip_norm)
                optimizer.step()
                averaged.update_parameters(accelerator.unwrap_model(model))
                progress.step += 1
                progress.seconds = seconds_before + time.monotonic() - started

                watched = means({"loss": loss, **figures})
                value = watched.pop("loss")
                if not math.isfinite(value):
                    raise diverged(f"the loss is {value}")
                log.step(progress.step, {"loss": value, **watched, "learning_rate": rate})
                speed = speedometer.tick()
                left = (steps - progress.step) * batch_size / speed
                if is_first:
                    report(StepReport(progress.step, steps, value, watched, speed, left))

                last = progress.step == steps
                is_due = progress.step % recipe.validation.every == 0 or last
                is_kept = progress.step % recipe.checkpoint_every == 0 or last
                # the loss is that of the weights before this step
                if (is_due or is_kept) and not _all_finite(*averaged.parameters()):
                    raise diverged("the weights are not finite")
                if is_due:
                    validate()
                    ending = from_first(validated(progress.step, progress.figures) if is_first else None)
                    reason = None if last else ending
                if is_kept:
                    save_checkpoint(accelerator, checkpoints, progress.step, recipe.checkpoints_kept)
                if reason is not None:
                    break

            progress.reason, progress.is_stopped = reason, status == "stopped"
            if reason is not None and progress.step:  # the run ended early
                save_checkpoint(accelerator, checkpoints, progress.step, recipe.checkpoints_kept)
                log.weights("last", averaged.module, network)
        describe(status, reason)
        return progress


@contextmanager
def _recorded_failure(output: Path, describe: Callable[[str, str], None]) -> Iterator[None]:
    """Write the reason into the record of a run if the block fails."""
    try:
        yield
    except BaseException as error:
        lost = lost_process(error)
        reason = lost or str(error) or type(error).__name__
        if lost:
            reason = f"{reason}. Then {how_to_continue(output)}"
        with suppress(OSError):  # a full disk must not hide the reason
            describe("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", reason)
        if lost:
            raise RunError(reason) from error
        raise


class _Speed:
    """Measures images per second over the last steps."""

    span = 20
    """Largest number of steps that count."""

    def __init__(self, batch: int):
        self.batch, self.times = batch, [time.monotonic()]

    def tick(self) -> float:
        """Count a step, and return the images per second over the last `span` steps."""
        self.times = [*self.times[-self.span :], time.monotonic()]
        return (len(self.times) - 1) * self.batch / max(1e-9, self.times[-1] - self.times[0])


def _all_finite(*values: Tensor) -> bool:
    """Tell whether all values of tensors are finite."""
    return bool(torch.stack([value.isfinite().all() for value in values]).all())


def _freeze_batch_norm(model: nn.Module) -> None:
    """Make batch normalization use its running statistics and leave them unchanged, while the network trains."""
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
