"""Fine-tuning from weights and a folder of pairs to better weights and the proof."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from passband.config import Recipe, RestorationRecipe, changed_recipe, load_recipe, refuse_changes_of_network
from passband.data.datasets.crops import read_pair
from passband.data.pairs import Pair, find_pairs
from passband.data.scenes import shared_scenes
from passband.data.selection import evenly
from passband.data.splits import split_pairs
from passband.evaluation.pair_scores import PairScore
from passband.finetuning.report import conclude, score
from passband.finetuning.settings import (
    CROPS,
    HELD_OUT,
    LEAST_STEPS,
    PROBE_CROPS,
    PROBE_STEPS,
    SCORED,
    SHARE_SCORED,
    VALIDATIONS,
    RunPlan,
    fit_time,
    fitting_crop,
    recipe_for_pairs,
    training_precision,
)
from passband.io.files import results_folder
from passband.io.shards import data_folder
from passband.models import load_model
from passband.models.inputs import input_views
from passband.models.network_task import network_name
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.naming import counted, with_article
from passband.run_length import time_steps
from passband.runs import RunError, check_free, read_run
from passband.training import StepReport, train

CHECKED = 50
"""Pairs of each side that are read before anything begins; the others are checked when they are used."""
SMALLEST = 16
"""Smallest side of an image, in pixels; SSIM's window has 11."""


def finetune(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    validation_data: str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    minutes: float = 10.0,
    steps: int | None = None,
    crop: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    device: str = "auto",
    announce: Callable[[str], None] = lambda text: None,
    report: Callable[[StepReport], None] = lambda report: None,
) -> dict[str, Any]:
    """Fine-tune weights on a folder of pairs, and score held-out pairs before and after.

    Writes a run as `training.train` does, whose weights/best are the weights of the best validation (the first
    validation is that of the given weights), and finetune.json, finetune.csv and before_after.png (degraded | before |
    after | clean).

    Args:
        weights: weights to start from: a shipped name, a folder, a published pickle, or a hub id.
        data: folder of pairs, see `data.pairs.find_pairs`.
        output: new folder for the run.
        validation_data: folder of pairs to score on; None holds out a fifth of `data`, see `data.splits.split_pairs`.
        recipe: settings of the run, the name of a shipped recipe, or a TOML file; None chooses the settings by the
            arguments from `minutes` to `seed`. A recipe without a number of views gets that of the weights.
        changes: changes of single settings, see `config.changed_recipe`; None for no changes.
        minutes: time for the whole fine-tuning with its scoring, in minutes. A few steps are timed to find the number
            of steps that fit; if time is short, crops become smaller and validations fewer. The number is kept in the
            run's recipe, so that a resumed run is the same run. A run that turns out slower stops when the time is
            over, and can be resumed.
        steps: number of steps of the run, instead of `minutes`; None for as many as fit into `minutes`.
        crop: side of the training crops in pixels, a multiple of 8; None chooses it by the size of the images.
        learning_rate: peak of the learning rate; None for half of the rate that such a network was trained with.
        seed: seed of the held-out pairs, the order, the crops and the flips.
        device: device to train on, see `training.train`.
        announce: function that is called with each decision, as a line of text.
        report: function that is called after every step.

    Returns:
        The content of finetune.json: `mean` and `images` (PSNR in dB and SSIM by the protocol `rgb`, of the degraded
        images, before and after), `steps`, `ended` and versions.

    Raises:
        RunError: if `output` holds a run, the weights are of a network that is not fine-tuned, or not for such
            images, or an image to score on is also one to learn from.
        CheckpointError: if the weights cannot be used.
        ValueError: if the pairs cannot be used: fewer than two, of two sizes, too small, or without a partner.
        FileNotFoundError: if there are no pairs.
        OSError: if the data cannot be read, or the folder cannot be written to.
    """
    started = time.monotonic()
    data, output, changes = data_folder(data), results_folder(output), changes or {}
    validation_data = None if validation_data is None else data_folder(validation_data)
    refuse_changes_of_network(changes)
    if isinstance(recipe, str | Path):
        recipe = load_recipe(recipe)
    if recipe is not None:
        recipe = changed_recipe(recipe, changes)
    else:  # these changes decide other settings also, so they are needed before there is a recipe
        steps = _number(changes, "optim.steps", steps)
        crop = _number(changes, "data.crop", crop)
        seed = _number(changes, "seed", seed) or 0
    check_free(output, (data, validation_data))
    if minutes <= 0 or (steps is not None and steps < 1):
        raise ValueError(f"fine-tuning takes minutes above 0, or steps from 1; got {minutes:g} and {steps}")
    if recipe is not None and not isinstance(recipe, RestorationRecipe):
        raise RunError(f"recipe {recipe.name} is for {recipe.task}; fine-tuning on pairs is for restoration")
    if recipe is not None and recipe.data.source != "pairs":
        raise RunError(f'recipe {recipe.name} degrades photographs itself; fine-tuning needs data.source = "pairs"')
    network = _network(weights)
    views = input_views(network)
    chosen_share = recipe.data.held_out if recipe else changes.get("data.held_out")
    share = chosen_share if isinstance(chosen_share, float) and chosen_share else HELD_OUT
    share = 0.0 if validation_data is not None else share
    training, held_out = _sides(data, validation_data, views, share, recipe.seed if recipe else seed)
    smallest = _check_pairs([*evenly(training, CHECKED), *evenly(held_out, CHECKED)], crop)
    announce(f"{counted(len(training), 'pair')} to learn from, {len(held_out)} held out: {_names(held_out)}")
    plan: RunPlan | None = None
    deadline = started + 60 * minutes if recipe is None and steps is None and "optim.epochs" not in changes else None
    before, scoring = _scored(weights, views, held_out, device, 60 * minutes if deadline else None)

    if recipe is None:
        sides = [crop] if crop else sorted({fitting_crop(network, smallest, side) for side in CROPS}, reverse=True)
        chosen = partial(
            recipe_for_pairs,
            network=network,
            smallest=smallest,
            share=share,
            views=views,
            learning_rate=learning_rate,
            precision=training_precision(device),
            device=device,
            seed=seed,
        )

        def choose(plan: RunPlan) -> RestorationRecipe:
            settings = changed_recipe(
                chosen(plan.steps, crop=plan.crop, validations=plan.validations, count=plan.count), changes
            )
            assert isinstance(settings, RestorationRecipe)  # a change of the task was refused before
            return settings

        plan = RunPlan(steps or 1, sides[0], VALIDATIONS, len(before))
        epochs = _number(changes, "optim.epochs", None)
        if epochs and steps is None:
            plan = replace(plan, steps=max(1, epochs * (len(training) // choose(plan).data.batch)))
        elif deadline is not None:
            probe = choose(RunPlan(PROBE_STEPS, sides[0], 1, min(PROBE_CROPS, len(held_out))))
            step, validation = time_steps(
                probe, data=data, validation_data=validation_data, weights=weights, device=device
            )
            validated = validation / probe.validation.count
            left = deadline - time.monotonic() - scoring  # the pairs are scored again at the end
            plan = fit_time(left, step, validated, sides, len(before))
            if plan.steps < LEAST_STEPS:
                least = minutes + (LEAST_STEPS - plan.steps) * step * (plan.crop / sides[0]) ** 2 / 60
                announce(
                    f"only {counted(plan.steps, 'step fits', 'steps fit')} into {minutes:g} minutes, too few to learn "
                    f"much. Use --minutes {math.ceil(least)} for {LEAST_STEPS} steps."
                )
        recipe = choose(plan)
        crops = f"{counted(recipe.data.batch, 'crop')} of {recipe.data.crop} pixels"
        announce(f"{counted(plan.steps, 'step')} of {crops}, rate {recipe.optim.learning_rate:g}, {recipe.precision}")
    else:
        recipe = _fitted(recipe, share, views)
    progress = train(
        recipe,
        output,
        data=data,
        validation_data=validation_data,
        weights=weights,
        max_minutes=None
        if deadline is None or plan is None or plan.steps < LEAST_STEPS
        else (deadline - time.monotonic() - scoring) / 60,
        device=device,
        report=report,
    )
    progress.exit_if_signaled()
    return conclude(output, views, held_out, before, progress.step, device)


def resume_finetuning(
    output: str | Path, *, device: str = "auto", report: Callable[[StepReport], None] = lambda report: None
) -> dict[str, Any]:
    """Resume a fine-tuning that was stopped; its weights become the same bits as without the stop.

    Args:
        output: folder of the run, which holds its recipe and the paths of its pairs.
        device: device to train on, see `training.train`.
        report: function that is called after every step.

    Returns:
        The content of finetune.json, as `finetune` returns it.

    Raises:
        RunError: if the folder holds no run, or one that started from fresh weights.
        ValueError, FileNotFoundError, CheckpointError: if pairs or weights cannot be used, as in `finetune`.
        OSError: if the data cannot be read, or the folder cannot be written to.
    """
    output = results_folder(output)
    begun = read_run(output)
    recipe, weights, data = begun["recipe"], begun["weights"], data_folder(begun["data"])
    validation_data = data_folder(begun["validation_data"]) if begun["validation_data"] else None
    if weights is None:
        raise RunError(f"{output} holds a training from fresh weights, not a fine-tuning: passband train --resume")
    views = recipe.data.views
    _, held_out = _sides(data, validation_data, views, recipe.data.held_out, recipe.seed)
    before = score(weights, views, evenly(held_out, min(SCORED, recipe.validation.count)), device)
    progress = train(
        recipe,
        output,
        data=data,
        validation_data=validation_data,
        weights=weights,
        resume=True,
        device=device,
        report=report,
    )
    progress.exit_if_signaled()
    return conclude(output, views, held_out, before, progress.step, device)


def _scored(
    weights: str | Path, views: int, held_out: Sequence[Pair], device: str, seconds: float | None
) -> tuple[list[PairScore], float]:
    """Score as many held-out pairs as fit into a share of the time.

    Returns:
        The scores, and the time that they took in seconds.
    """
    begun = time.monotonic()
    first = score(weights, views, evenly(held_out, 1), device)
    count = min(SCORED, len(held_out))
    if seconds is not None:  # the pairs are scored again at the end
        count = max(1, min(count, int(SHARE_SCORED * seconds / 2 / max(1e-6, time.monotonic() - begun))))
    scores = first if count == 1 else score(weights, views, evenly(held_out, count), device)
    return scores, time.monotonic() - begun


def _number(changes: Mapping[str, Any], key: str, otherwise: int | None) -> int | None:
    """Return the whole number that a setting is changed to; the recipe refuses any other value later."""
    value = changes.get(key)
    return value if isinstance(value, int) else otherwise


def _sides(
    data: Path, validation_data: Path | None, views: int, share: float, seed: int
) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to learn from and the pairs to score on."""
    pairs = find_pairs(data, views)
    if validation_data is None:
        return split_pairs(pairs, share, seed)
    held_out = find_pairs(validation_data, views)
    shared = shared_scenes(pairs, held_out)
    if shared:
        raise RunError(
            f"{len(shared)} of the pairs to score on in {validation_data} have a clean image that is also in {data}, "
            f"so the score would say nothing: {_names(shared)}; take them out of one"
        )
    return pairs, held_out


def _fitted(recipe: RestorationRecipe, share: float, views: int) -> RestorationRecipe:
    """Return the recipe with a share to hold out, and with the weights' number of views unless it names its own."""
    data, model = {"held_out": share}, recipe.model
    if "views" not in recipe.data.model_fields_set and views != recipe.data.views:
        data |= {"views": views}
        model = model.model_copy(update={"arguments": {**model.arguments, "in_channels": 3 * views}})
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=data), "model": model})


def _network(weights: str | Path) -> ThreeScaleNetwork:
    """Return the network of the weights, if it can be fine-tuned."""
    model = load_model(weights, task="restoration")
    if not isinstance(model, ThreeScaleNetwork):
        raise RunError(
            f"{weights} is {with_article(network_name(model))}, and only an SFNet, FSNet or ConvIR is fine-tuned on "
            "pairs: choose other weights with --from"
        )
    return model


def _check_pairs(pairs: Sequence[Pair], crop: int | None) -> int:
    """Return the smallest side of the images of pairs, in pixels, and refuse pairs that are too small."""
    sides = []
    for pair in pairs:
        _, clean = read_pair(pair)
        height, width = clean.shape[-2:]
        sides.append(min(height, width))
        for least, what in ((SMALLEST, "images of fine-tuning"), (crop or 0, f"crops of {crop} pixels")):
            if sides[-1] < least:
                raise ValueError(
                    f"{what} need {least}x{least} pixels, and {pair.clean} is {width}x{height}: "
                    + ("choose a smaller crop, or none" if least == crop else "leave it out")
                )
    return min(sides)


def _names(items: Sequence[Pair] | Sequence[str], most: int = 6) -> str:
    """Return the first names, and the number of the others."""
    names = [item if isinstance(item, str) else item.name for item in items]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
