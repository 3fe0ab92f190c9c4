"""Chooses the images with masks that a segmentation run learns from and is scored on."""

from pathlib import Path

from passband.config.segmentation import SegmentationData
from passband.data.masks import MaskPair
from passband.data.near_duplicates import sequences_by_likeness
from passband.data.scenes import sequences_by_frames, sequences_by_pattern
from passband.data.splits import named_pairs, split_mask_pairs


def split_by_recipe(pairs: list[MaskPair], data: SegmentationData) -> tuple[list[MaskPair], list[MaskPair]]:
    """Return the pairs to learn from and those to score on; they are the same list if none are held out.

    Args:
        pairs: all images with masks.
        data: data settings of a recipe.

    Raises:
        ValueError: if lists overlap, or no pair is left to learn from.
        FileNotFoundError: if a list does not exist.
    """
    if data.held_out:
        learned, scored = split_mask_pairs(
            pairs, (1 - data.held_out, data.held_out), data.split_seed, _sequences(pairs, data.sequence)
        )
        return learned, scored
    scored = named_pairs(pairs, Path(data.validation_list)) if data.validation_list else None
    if data.training_list:
        learned = named_pairs(pairs, Path(data.training_list))
        both = [pair.name for pair in learned if pair in (scored or ())]
        if both:
            raise ValueError(
                f"{data.training_list} and {data.validation_list} name {len(both)} images both, such as {both[0]}: "
                "what is scored on is not learned from"
            )
    else:
        learned = [pair for pair in pairs if pair not in (scored or ())]
    if not learned:
        raise ValueError(f"{data.validation_list} names all {len(pairs)} images, so that none is left to learn from")
    return learned, learned if scored is None else scored


def _sequences(pairs: list[MaskPair], how: str | None) -> list[str] | None:
    """Return the sequence of each image; the images of a sequence are held out together."""
    if how is None:
        return None
    if how == "alike":
        return sequences_by_likeness(pairs)
    names = [pair.name for pair in pairs]
    return sequences_by_frames(names) if how == "frames" else sequences_by_pattern(names, how)
