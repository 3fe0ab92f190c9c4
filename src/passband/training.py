"""The training loop: one function to read from top to bottom.

Everything random is a function of the seed and a sample's number, and a checkpoint holds the whole state, so a run
that was stopped or killed goes on to the same losses as one that was not.
"""

import csv
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from passband.checkpoint import load_config, load_state, load_weights, save_weights
from passband.config import OptimConfig, Recipe, parse_recipe
from passband.data.restoration import NumberedSampler
from passband.io.files import write_whole
from passband.io.image import write_image
from passband.models import build_model
from passband.provenance import environment
from passband.tasks import TASKS

MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16"}


class TrainingError(RuntimeError):
    """A run that cannot start or go on, with the reason and what to do."""


@dataclass
class Progress:
    """Where a run is; saved with every checkpoint."""

    step: int = 0
    best_score: float = -math.inf
    seconds: float = 0.0
    """Time spent in the loop, over all sessions."""
    figures: dict[str, float] = field(default_factory=dict)
    """Of the last validation."""

    def state_dict(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class StepReport:
    """What a step did, for whoever shows it."""

    step: int
    steps: int
    loss: float
    figures: dict[str, float]
    images_per_second: float
    seconds_left: float


def train(
    recipe: Recipe,
    output: Path,
    *,
    data: Path,
    validation_data: Path | None = None,
    weights: str | Path | None = None,
    resume: bool = False,
    max_minutes: float | None = None,
    device: str = "auto",
    report: Callable[[StepReport], None] = lambda report: None,
) -> Progress:
    """Train a network, or go on training it.

    Writes into `output`: run.json (recipe, versions, seed, commit, final figures), log.csv (every step),
    validation.csv, TensorBoard events, validation/*.png (degraded | restored | clean), weights/best and weights/last
    (to be named as weights anywhere), checkpoints/ (to resume from).

    Args:
        recipe: settings of the run.
        output: the run's folder; new, or with `resume` one that was begun.
        data: what to train on, as `recipe.data.source` says.
        validation_data: what to score on; None holds nothing out and scores on `data`.
        weights: weights to start from (fine-tuning); the network is then the one that they are for.
        resume: go on from the last checkpoint in `output`.
        max_minutes: stop cleanly, with a checkpoint, after this long.
        device: `"auto"` or `"cpu"`.
        report: called after every step.

    Returns:
        Where the run stands, with the figures of the last validation.

    Raises:
        TrainingError: if `output` holds a run and `resume` is off, or the reverse, or the loss is not finite.
        CheckpointError: for `weights` that cannot be used.
        ValueError: for a recipe whose network or degradations are unknown.
    """
    checkpoints = output / "checkpoints"
    latest = latest_checkpoint(output)
    if resume and latest is None:
        raise TrainingError(f"nothing to resume in {output}: it holds no checkpoint")
    if not resume and (output / "run.json").exists():
        raise TrainingError(f"{output} holds a run already: go on with --resume, or choose another folder")

    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=MIXED_PRECISION[recipe.precision])
    set_seed(recipe.seed)
    task = TASKS[recipe.task](recipe)
    network = {"model": recipe.model.name, **recipe.model.numbers}
    if weights is not None:
        network = load_config(weights)
    model = build_model(**{"name" if key == "model" else key: value for key, value in network.items()})
    if weights is not None:
        load_state(model, load_weights(weights), source=weights)

    dataset = task.training_data(data)
    global_batch = recipe.data.batch * accelerator.num_processes
    steps_per_epoch = max(1, len(dataset) // global_batch)  # type: ignore[arg-type]
    steps = recipe.optim.length(steps_per_epoch)
    warmup = recipe.optim.warmup(steps_per_epoch)
    progress = Progress()
    model, optimizer = accelerator.prepare(model, _optimizer(recipe.optim, model))
    averaged = AveragedModel(
        accelerator.unwrap_model(model), multi_avg_fn=_moving_average(recipe.optim.ema), use_buffers=True
    )
    accelerator.register_for_checkpointing(averaged, progress)
    if latest is not None:
        accelerator.load_state(str(latest))

    samples = NumberedSampler(progress.step * global_batch, steps * global_batch)
    loader = accelerator.prepare(_loader(dataset, recipe, sampler=samples))
    validation_loader = _loader(task.validation_data(validation_data or data), recipe)
    # the one folder in which a run's record lies, kept by the first process alone
    log = RunLog(output, accelerator.is_main_process, progress.step)
    log.describe(recipe, network, data, validation_data, weights, progress, status="running")

    started, seconds_before = time.monotonic(), progress.seconds
    recent = _Rate(global_batch)
    stopped = False
    for batch in loader:
        if max_minutes is not None and time.monotonic() - started >= max_minutes * 60:
            stopped = True
            break

        model.train()
        rate = learning_rate(progress.step, steps, warmup, recipe.optim)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with accelerator.autocast():
            loss, figures = task.loss(model, batch)
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        if recipe.optim.clip_norm is not None:
            accelerator.clip_grad_norm_(model.parameters(), recipe.optim.clip_norm)
        optimizer.step()
        averaged.update_parameters(accelerator.unwrap_model(model))
        progress.step += 1
        progress.seconds = seconds_before + time.monotonic() - started

        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at step {progress.step}: lower optim.learning_rate or optim.clip_norm, look for "
                f"broken pictures in {data}, and resume from the last checkpoint in {checkpoints}"
            )
        watched = {name: figure.item() for name, figure in figures.items()}
        log.step(progress.step, {"loss": value, **watched, "learning_rate": rate})
        speed = recent.tick()
        report(StepReport(progress.step, steps, value, watched, speed, (steps - progress.step) * global_batch / speed))

        last = progress.step == steps
        if progress.step % recipe.validation.every == 0 or last:
            network_to_score = averaged.module.to(accelerator.device)
            with accelerator.autocast():
                result = task.validate(network_to_score, _on(accelerator.device, validation_loader))
            progress.figures = result.figures
            log.validation(progress.step, result.figures, result.picture)
            log.weights("last", network_to_score, network)
            if result.score > progress.best_score:
                progress.best_score = result.score
                log.weights("best", network_to_score, network)
        if progress.step % recipe.checkpoint_every == 0 or last:
            save_checkpoint(accelerator, checkpoints, progress.step)

    if stopped and progress.step:
        save_checkpoint(accelerator, checkpoints, progress.step)
        log.weights("last", averaged.module, network)
    status = "stopped" if stopped else "finished"
    log.describe(recipe, network, data, validation_data, weights, progress, status=status)
    log.close()
    accelerator.end_training()
    return progress


def learning_rate(step: int, steps: int, warmup: int, optim: OptimConfig) -> float:
    """The rate at a step: linear warm-up to the peak, then a cosine to the final rate.

    Args:
        step: steps done, from 0.
        steps: steps of the whole run.
        warmup: steps of the warm-up.
        optim: peak and final rate.
    """
    if step < warmup:
        return optim.learning_rate * (step + 1) / warmup
    part = min(1.0, (step - warmup) / max(1, steps - warmup))
    swing = optim.learning_rate - optim.final_learning_rate
    return optim.final_learning_rate + swing * (1 + math.cos(math.pi * part)) / 2


def latest_checkpoint(output: Path) -> Path | None:
    """The newest checkpoint of a run; half-written ones have another name and do not count."""
    return max((output / "checkpoints").glob("step-*"), default=None)


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write the whole state under a temporary name, rename it, then remove the older ones."""
    final, temporary = folder / f"step-{step:09d}", folder / ".partial"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if final.exists():
            shutil.rmtree(temporary)
        else:
            temporary.rename(final)
        for older in folder.glob("step-*"):
            if older != final:
                shutil.rmtree(older)


def read_run(output: Path) -> dict[str, Any]:
    """What run.json says, with `recipe` parsed.

    Raises:
        TrainingError: if the folder holds no run.
    """
    path = output / "run.json"
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TrainingError(f"{output} holds no run: there is no {path.name} in it") from error
    except ValueError as error:
        raise TrainingError(f"{path} is damaged: {error}") from error
    return {**run, "recipe": parse_recipe(run["recipe"], path)}


class RunLog:
    """The record of a run in its folder.

    Args:
        output: the folder.
        active: whether this process writes; the others of a parallel run do not.
        step: where the run stands; what an earlier session logged after it is dropped.
    """

    def __init__(self, output: Path, active: bool, step: int):
        self.output, self.active = output, active
        if active:
            from torch.utils.tensorboard import SummaryWriter

            output.mkdir(parents=True, exist_ok=True)
            for name in ("log.csv", "validation.csv"):
                _drop_rows_after(output / name, step)
            self.board = SummaryWriter(str(output / "tensorboard"), purge_step=step + 1)

    def step(self, step: int, figures: dict[str, float]) -> None:
        """Log a step's figures, exactly."""
        self._row("log.csv", step, figures)
        if self.active:
            for name, value in figures.items():
                self.board.add_scalar(f"train/{name}", value, step)

    def validation(self, step: int, figures: dict[str, float], picture: Tensor) -> None:
        """Log a validation's figures and picture."""
        self._row("validation.csv", step, figures)
        if self.active:
            for name, value in figures.items():
                self.board.add_scalar(f"validation/{name}", value, step)
            self.board.add_image("validation", picture.cpu(), step)
            write_image(self.output / "validation" / f"step-{step:09d}.png", picture.cpu())

    def weights(self, name: str, model: nn.Module, network: dict[str, Any]) -> None:
        """Save a network under weights/`name`."""
        if self.active:
            save_weights(model, self.output / "weights" / name, network)

    def describe(
        self,
        recipe: Recipe,
        network: dict[str, Any],
        data: Path,
        validation_data: Path | None,
        weights: str | Path | None,
        progress: Progress,
        status: str,
    ) -> None:
        """Write run.json."""
        if not self.active:
            return
        content = {
            "status": status,
            "recipe": recipe.model_dump(),
            "network": network,
            "data": str(Path(data).resolve()),
            "validation_data": str(Path(validation_data).resolve()) if validation_data else None,
            "weights": str(weights) if weights else None,
            "seed": recipe.seed,
            "step": progress.step,
            "seconds": round(progress.seconds, 1),
            "best_score": progress.best_score if math.isfinite(progress.best_score) else None,
            "figures": progress.figures,
            **environment(),
        }
        with write_whole(self.output / "run.json") as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Flush what is buffered."""
        if self.active:
            self.board.close()

    def _row(self, name: str, step: int, figures: dict[str, float]) -> None:
        """Append a row to a CSV file, with a header where it is new."""
        if not self.active:
            return
        path = self.output / name
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(["step", *figures])
            writer.writerow([step, *(repr(value) for value in figures.values())])


class _Rate:
    """Images per second over the last steps."""

    def __init__(self, batch: int, span: int = 20):
        self.batch, self.span, self.times = batch, span, [time.monotonic()]

    def tick(self) -> float:
        """Count a step."""
        self.times = [*self.times[-self.span :], time.monotonic()]
        return (len(self.times) - 1) * self.batch / max(1e-9, self.times[-1] - self.times[0])


def _optimizer(optim: OptimConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer; its rate is set at every step."""
    if optim.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), optim.learning_rate, optim.betas, weight_decay=optim.weight_decay)
    return torch.optim.Adam(model.parameters(), optim.learning_rate, optim.betas)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average that starts fast, so that a short run is not an average of its beginning."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Any) -> None:
        now = min(decay, (1 + int(count)) / (10 + int(count))) if decay else 0.0
        for old, new in zip(averaged, current, strict=True):
            old.lerp_(new, 1 - now) if old.is_floating_point() else old.copy_(new)

    return update


def _loader(dataset: Any, recipe: Recipe, sampler: NumberedSampler | None = None) -> DataLoader[Any]:
    """Batches of samples: training ones by number, validation ones in order."""
    training = sampler is not None
    return DataLoader(
        dataset,
        recipe.data.batch if training else 1,
        sampler=sampler,
        drop_last=training,
        num_workers=recipe.data.workers if training else 0,
    )


def _on(device: torch.device, batches: Any) -> Any:
    """Batches with their tensors on a device."""
    for batch in batches:
        yield {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}


def _drop_rows_after(path: Path, step: int) -> None:
    """Keep the header and the rows up to a step."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = rows[:1] + [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= step]
    with write_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(kept)
