"""Compares runs of any task, paired by image and by seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from passband.comparison.differences import caution, difference_row, rivalries, unknown_row
from passband.comparison.groups import Group, Run, named_groups
from passband.comparison.labels import ContestantError, named_sources
from passband.comparison.run_scores import FIGURES, OF_ALL_IMAGES, Report, RunScore, score_run
from passband.comparison.runs_report import write_run_comparison
from passband.io.files import results_folder
from passband.io.shards import data_folder
from passband.metrics.intervals import LEVEL, grouped_interval, student_interval
from passband.naming import counted, listed
from passband.provenance import environment
from passband.reports.figures import Figure

FEW_SEEDS = 5
"""Number of seeds below which an interval over seeds is only a hint."""
Scores = Mapping[str, RunScore]
"""Scores of runs, by the source of the run."""


@dataclass(frozen=True)
class _Rivals:
    """Two contestants, and their runs that are paired."""

    first: Group
    second: Group
    pairs: tuple[tuple[Run, Run], ...]
    by_seed: bool


def compare_runs(
    contestants: Sequence[str | Path] | Mapping[str, str | Path],
    output: str | Path,
    *,
    data: str | Path | None = None,
    protocol: str | None = None,
    against: str | None = None,
    device: str = "auto",
    report: Report = lambda row, count: None,
) -> dict[str, Any]:
    """Compare runs of one task on the images that they were validated on, or on other data, and write a report.

    The best weights of each run are scored. Runs with the same seed are paired, and within them the same images. With
    several seeds, the interval of a difference contains the spread over images and over seeds.

    Writes comparison.json (the returned result), comparison.csv (a row for each image and run), report.md, report.html,
    differences.png and .svg, curves.png and .svg (the training of all runs), and the evaluation of each run in runs/.

    Args:
        contestants: two or more sources, each a run or a folder of runs of one recipe with different seeds. Each may be
            written as LABEL=SOURCE. With `data`, weights without a run will also do.
        output: folder for the report.
        data: folder of test data, as `evaluation.evaluate` takes it. None scores each run on its validation images, as
            its run.json records them.
        protocol: scoring protocol, for restoration and segmentation; None for the default.
        against: label of the contestant that the others are compared with; None as in `differences.rivalries`.
        device: name of a device, see `models.pick_device`.
        report: function that is called with the row of each image (with `contestant`), and the number of all rows, as
            far as it is known.

    Returns:
        The content of comparison.json.

    Raises:
        ContestantError: if the contestants are of different tasks or were validated on different images, or a source
            cannot be compared, see `groups.named_groups`.
        RunError, RecipeError, CheckpointError: if a run or its weights cannot be read.
        ValueError, OSError: if the data cannot be used, or a file cannot be written.
    """
    inputs = [source for _, source in named_sources(contestants)]
    output = results_folder(output, inputs if data is None else (data, *inputs))
    data = None if data is None else data_folder(data)
    groups = named_groups(contestants, needs_runs=data is None)
    labels = [group.label for group in groups]
    by_label = {group.label: group for group in groups}
    names = rivalries(labels, against)
    rivals = [_paired(by_label[first], by_label[second]) for first, second in names]
    task = groups[0].runs[0].task
    scores: dict[str, RunScore] = {}
    total = sum(len(group.runs) for group in groups)
    for group in groups:
        for place, run in enumerate(group.runs):
            folder = output / "runs" / f"{group.label.replace('/', '_')}-{place if run.seed is None else run.seed}"

            def shown(row: dict[str, Any], count: int, label: str = group.label) -> None:
                report({**row, "contestant": label}, total * count)

            scores[run.source] = score_run(run, folder, data, protocol, device, shown)
    for one in rivals:
        _check_same_images(one, scores)
    known = [figure for figure in FIGURES[task] if all(figure.name in score.mean for score in scores.values())]
    is_of_all = task in OF_ALL_IMAGES
    item = "seed" if is_of_all else "image"
    result = {
        "task": task,
        "protocol": protocol,
        "figures": [asdict(figure) for figure in known],
        "data": sorted({score.data for score in scores.values()}),
        "level": LEVEL,
        "against": against,
        "item": item,
        "contestants": [_described(group, scores, known) for group in groups],
        "settings": _differing(groups),
        "differences": [_difference(one, figure, scores, is_of_all) for one in rivals for figure in known],
        "images": _image_rows(groups, scores),
        "failed": [
            {"name": name, "contestant": group.label, "reason": reason}
            for group in groups
            for run in group.runs
            for name, reason in scores[run.source].failed.items()
        ],
        "notes": _notes(rivals, groups, scores, is_of_all),
        **environment(),
    }
    write_run_comparison(output, result, known, groups)
    return result


def _paired(first: Group, second: Group) -> _Rivals:
    """Pair the runs of two contestants by seed, or in their order if they have no seed in common."""
    others = {run.seed: run for run in second.runs if run.seed is not None}
    pairs = tuple((run, others[run.seed]) for run in first.runs if run.seed in others)
    if pairs:
        return _Rivals(first, second, pairs, by_seed=True)
    return _Rivals(first, second, tuple(zip(first.runs, second.runs, strict=False)), by_seed=False)


def _check_same_images(rivals: _Rivals, scores: Scores) -> None:
    """Refuse runs that were validated on different images.

    Raises:
        ContestantError: if paired runs were.
    """
    for one, other in rivals.pairs:
        first, second = scores[one.source], scores[other.source]
        if first.data == second.data and first.identity == second.identity:
            continue
        where = f"in {first.data} and {second.data}" if first.data != second.data else f"of {first.data}"
        seeds = "" if one.seed == other.seed else f" Their seeds are {one.seed} and {other.seed}."
        raise ContestantError(
            f"{one.source} and {other.source} were validated on different images {where}, so they cannot be paired."
            f"{seeds} Give both the same test data with --data"
        )


def _difference(rivals: _Rivals, figure: Figure, scores: Scores, is_of_all: bool) -> dict[str, Any]:
    """Return the row of a difference, with the difference of each seed."""
    pairs = [(scores[one.source], scores[other.source]) for one, other in rivals.pairs]
    groups = [_finite_differences(first, second, figure.name, is_of_all) for first, second in pairs]
    means = [sum(group.values()) / len(group) if group else None for group in groups]
    about = {
        "seeds": len(pairs),
        "paired_by_seed": rivals.by_seed,
        "by_seed": [
            {"seed": one.seed, "other_seed": other.seed, "mean": mean}
            for (one, other), mean in zip(rivals.pairs, means, strict=True)
        ],
    }
    labels, known = (rivals.first.label, rivals.second.label), [group for group in groups if group]
    if not known:
        return {**unknown_row(*labels, figure), **about}
    differences = [mean for mean in means if mean is not None]
    interval = over_seeds = student_interval(differences)
    if len(known) > 1:
        about |= {"low_over_seeds": over_seeds.low, "high_over_seeds": over_seeds.high}
    if not is_of_all:
        of_images = {tuple(first.identity.items()) for first, _ in pairs}
        is_crossed = len(of_images) == 1 and len({tuple(group) for group in known}) == 1
        values = [list(group.values()) for group in known]
        interval = grouped_interval(values, is_crossed=is_crossed)
        differences = [value for group in values for value in group]
        if is_crossed:  # the mean over the seeds of each image
            differences = [sum(seeds) / len(seeds) for seeds in zip(*values, strict=True)]
    return {**difference_row(*labels, figure, differences, interval), **about}


def _finite_differences(first: RunScore, second: RunScore, name: str, is_of_all: bool) -> dict[str, float]:
    """Return the differences of two runs by image, without images whose figure is infinite or missing in one of them.

    A figure that belongs to all images has a single difference.
    """
    own, others = ({"": first.mean}, {"": second.mean}) if is_of_all else (first.images, second.images)
    differences = ((image, own[image][name] - others[image][name]) for image in own if image in others)
    return {image: difference for image, difference in differences if math.isfinite(difference)}


def _described(group: Group, scores: Scores, figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the entry of a contestant: its runs, and the means of their figures."""
    runs = []
    for run in group.runs:
        content = run.content or {}
        about = {key: content.get(key) for key in ("status", "step", "seconds", "best_score", "data", "weights")}
        means = {figure.name: scores[run.source].mean[figure.name] for figure in figures}
        runs.append({"source": run.source, "seed": run.seed, **about, "mean": means})
    mean = {figure.name: sum(run["mean"][figure.name] for run in runs) / len(runs) for figure in figures}
    return {"label": group.label, "source": group.source, "runs": runs, "mean": mean}


def _differing(groups: Sequence[Group]) -> dict[str, dict[str, Any]]:
    """Return the settings that differ between contestants: their values by key and label."""
    settings = {group.label: _settings(group) for group in groups}
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    rows = {key: {label: one.get(key) for label, one in settings.items()} for key in keys}
    return {key: row for key, row in rows.items() if any(value != next(iter(row.values())) for value in row.values())}


def _settings(group: Group) -> dict[str, Any]:
    """Return the settings of a contestant, with its seeds, and with data and weights to start from."""
    content = group.runs[0].content
    if content is None:
        return {}
    about = {"data folder": content["data"], "weights to start from": content.get("weights")}
    return {"seeds": listed([run.seed for run in group.runs]), **group.settings, **about}


def _image_rows(groups: Sequence[Group], scores: Scores) -> list[dict[str, Any]]:
    """Return a row for each image and run."""
    return [
        {"name": name, "contestant": group.label, "seed": run.seed, **values}
        for group in groups
        for run in group.runs
        for name, values in scores[run.source].images.items()
    ]


def _notes(rivals: Sequence[_Rivals], groups: Sequence[Group], scores: Scores, is_of_all: bool) -> list[str]:
    """Return notes for the reader of the figures."""
    notes = []
    counts = [len(scores[run.source].images) for group in groups for run in group.runs]
    if is_of_all:
        notes.append(
            "Average precision belongs to all images together and is no mean over images. There is therefore no "
            "interval over images: differences are paired by seed only."
        )
    else:
        notes += caution(min(counts))
    seeds = min(len(one.pairs) for one in rivals)
    if seeds == 1:
        notes.append(
            "Each difference is of one run each. Another seed may change it more than other images would: train with "
            "several seeds to know."
        )
    elif seeds < FEW_SEEDS:
        notes.append(
            f"{seeds} seeds are few: the interval over images and seeds is usually too narrow. The interval over seeds "
            "is wider, and honest for few seeds."
        )
    for one in rivals:
        if not one.by_seed and one.first.runs[0].content and one.second.runs[0].content:
            notes.append(
                f"{one.first.label} and {one.second.label} have no seed in common, so their runs are paired in the "
                "order of their seeds. Their difference contains the difference of the seeds."
            )
        left = [
            run for group in (one.first, one.second) for run in group.runs if all(run not in two for two in one.pairs)
        ]
        if left:
            notes.append(
                f"Only the means contain {counted(len(left), 'run')} of {one.first.label} and {one.second.label} "
                f"without a partner: {listed([run.source for run in left], 5)}."
            )
    unfinished = [
        run.source for group in groups for run in group.runs if run.content and run.content["status"] != "finished"
    ]
    if unfinished:
        notes.append(
            f"{counted(len(unfinished), 'run is', 'runs are')} not finished: {listed(unfinished, 5)}. The best weights "
            "so far are scored."
        )
    failed = {name for score in scores.values() for name in score.failed}
    if failed:
        notes.append(
            f"{counted(len(failed), 'image is', 'images are')} left out, because not every run could score them: "
            f"{listed(failed, 5)}."
        )
    return notes
