"""Labels of the contestants of a comparison: those that the user gives, and those that are made from paths."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from passband.weights_finding import checked_name

RESERVED = ("degraded", "clean")
"""Labels that the images of the pairs have."""


class ContestantError(ValueError):
    """A contestant cannot take part. The message gives its name, the reason and what to do."""


def named_sources(sources: Sequence[str | Path] | Mapping[str, str | Path]) -> list[tuple[str, str]]:
    """Give each source a label of its own.

    Args:
        sources: sources as `named_contestants` takes them.

    Returns:
        The label and the source of each contestant, in their order.

    Raises:
        CheckpointError: if a source is an empty text.
        ContestantError: if there are fewer than two contestants, one is given twice, or labels are equal or reserved.
        TypeError: if a source is neither a text nor a path, for example a network.
    """
    if isinstance(sources, str | Path):
        sources = [sources]
    for source in sources.values() if isinstance(sources, Mapping) else sources:
        checked_name(source)
    pairs = list(sources.items()) if isinstance(sources, Mapping) else [labeled(source) for source in sources]
    if len(pairs) < 2:
        raise ContestantError(
            f"a comparison needs at least two contestants, and {len(pairs)} {'is' if pairs else 'are'} given: name "
            "more weights, runs or folders of finished images. To score one alone, use passband evaluate."
        )
    return [(label, str(source)) for label, (_, source) in zip(distinct_labels(pairs), pairs, strict=True)]


def labeled(source: str | Path) -> tuple[str | None, str | Path]:
    """Split LABEL=SOURCE into both.

    Args:
        source: a source, with or without a label. An existing path with an equals sign is not split.

    Returns:
        The label, or None if there is none, and the source.
    """
    label, sign, rest = str(source).partition("=")
    if not sign or Path(source).exists() or "/" in label:
        return None, source
    return label.strip(), rest.strip()


def distinct_labels(pairs: Sequence[tuple[str | None, str | Path]]) -> list[str]:
    """Return a label for each source, all of them different.

    Args:
        pairs: label, or None for one that is made from the path, and source of each contestant.

    Raises:
        ContestantError: if a source is given twice without labels, a label is empty, or labels are equal or reserved.
    """
    given = [label for label, _ in pairs if label is not None]
    for label in given:
        if not label:
            raise ContestantError("a label before = is empty: write LABEL=SOURCE")
        if label in RESERVED:
            raise ContestantError(f"the label {label!r} stands for images of the pairs: choose another label")
    if repeated := sorted({label for label in given if given.count(label) > 1}):
        raise ContestantError(f"the label {repeated[0]!r} is given twice: each contestant needs a label of its own")
    plain = [str(source) for label, source in pairs if label is None]
    if repeated := sorted({source for source in plain if plain.count(source) > 1}):
        raise ContestantError(f"{repeated[0]} is given twice: leave out one, or name others to compare with it")
    parts = {source: Path(source).parts for source in plain}
    counts = dict.fromkeys(plain, 1)
    while clashing := _clashing({source: _last(parts[source], counts[source]) for source in plain}, given):
        longer = [source for source in clashing if counts[source] < len(parts[source])]
        if not longer:
            raise ContestantError(f"{clashing[0]} needs a label, because its name is taken: write LABEL={clashing[0]}")
        for source in longer:
            counts[source] += 1
    return [label if label is not None else _last(parts[str(source)], counts[str(source)]) for label, source in pairs]


def _last(parts: Sequence[str], count: int) -> str:
    """Return the last parts of a path as a label."""
    return "/".join(parts[-count:])


def _clashing(labels: Mapping[str, str], taken: Sequence[str]) -> list[str]:
    """Return the sources whose labels are taken, reserved, or equal to that of another source."""
    every = [*labels.values(), *taken, *RESERVED]
    return [source for source, label in labels.items() if every.count(label) > 1]
