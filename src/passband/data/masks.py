"""Folders of pictures and their masks: which belong together, what a mask says, and what is wrong with them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from passband.data.images import NAMED, Report, find_images, walk, warn_unreadable
from passband.io.image import ImageError, read_image
from passband.io.image.size import stored_size
from passband.io.mask import read_stored_mask
from passband.naming import listed

LAYOUTS = (
    ("images", "masks"),
    ("image", "mask"),
    ("images", "mask"),
    ("image", "masks"),
    ("imgs", "masks"),
    ("img", "mask"),
    ("original", "ground truth"),
    ("original", "gt"),
    ("images", "labels"),
    ("images", "annotations"),
    ("images", "gt"),
)
"""Names of the folders of pictures and of masks, in any case: Kvasir-SEG, PraNet's split, CVC-ClinicDB, and other
common ones."""
ROLE = re.compile(r"[ _-](mask|masks|segmentation|seg|label|labels|gt|groundtruth)$", re.IGNORECASE)
"""What the name of a mask may have after that of its picture (`ISIC_0000001_segmentation.png`)."""
HALF = 127
"""Gray level of 255 above which a pixel of a binary mask is foreground."""


class MaskFileError(ImageError):
    """A mask that can be read but says nothing of its picture: values that are no classes, or another size."""


@dataclass(frozen=True)
class MaskPair:
    """A picture and the mask that says what is where in it."""

    image: Path
    mask: Path
    name: str
    """What to call it: the path of the picture within the set, without suffix and layout folder."""


@dataclass(frozen=True)
class MaskSurvey:
    """What the masks of a set hold."""

    count: int
    """Masks that were looked at."""
    empty: tuple[str, ...]
    """Names of the pairs with nothing but background."""
    full: tuple[str, ...]
    """Names of the pairs with nothing but foreground, for binary masks."""
    shares: tuple[float, ...]
    """Of the pixels, for each class; background and foreground of binary masks. Every picture counts alike."""


def find_mask_pairs(root: Path, unreadable: Report = warn_unreadable) -> list[MaskPair]:
    """Pair the pictures and masks of a folder by name, whatever their suffixes.

    Args:
        root: a folder with sub-folders named as in `LAYOUTS`, or else with folders of such.
        unreadable: called with the error of each folder below it that cannot be read.

    Returns:
        Pairs in the order of the picture files.

    Raises:
        FileNotFoundError: if the folder, a layout or pictures in it are missing.
        ValueError: listing the files without a partner, or of one name; or the layouts if several fit.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: one is needed that holds sub-folders of pictures and of masks")
    pairs = [pair for images, masks in _layouts(root, unreadable) for pair in _match(root, images, masks, unreadable)]
    if not pairs:
        hint = f", but is one half of {root.parent}, which does" if _is_half(root) else ""
        known = ", ".join("/".join(layout) for layout in LAYOUTS)
        raise FileNotFoundError(f"{root} holds no pictures with masks{hint}: expected sub-folders named {known}")
    return pairs


def read_mask(path: Path, classes: int) -> Int64[Tensor, "H W"]:
    """Read what a mask file says of each pixel.

    A binary mask holds 0 and 1, or dark and light gray, which may be stored as JPEG: foreground is above `HALF`. A mask
    of several classes holds their numbers, as gray levels or as indices into a palette. A mask may also lie in alpha,
    see `io.mask.read_stored_mask`.

    Args:
        path: of the file.
        classes: 1 for foreground and background, else how many there are with the background, whose number is 0.

    Returns:
        The number of the class at each pixel; 1 for the foreground of a binary mask.

    Raises:
        MaskFileError: for values that are no classes, naming them.
        ImageError: for a file that cannot be read, or that is colored.
        OSError: the file cannot be read.
        ValueError: for less than one class.
    """
    if classes < 1:
        raise ValueError(f"classes is 1 for binary masks, or how many there are; got {classes}")
    stored = read_stored_mask(path, is_binary=classes == 1)
    if classes == 1:
        return _binary(path, stored.values, stored.grays, stored.exact)
    if not stored.exact:
        raise MaskFileError(
            f"{path} is stored with losses, which change the numbers of {classes} classes: a PNG mask is needed. Only "
            "binary masks (classes = 1) may be JPEG"
        )
    if stored.values.max() >= classes:
        wrong = [int(value) for value in stored.values.unique() if value >= classes]
        hint = "; of masks with 0 and 255, classes is 1" if wrong == [255] else ""
        raise MaskFileError(
            f"{path} holds the values {listed(wrong, NAMED)}, but {classes} classes are 0 to {classes - 1}: "
            f"set classes to {max(wrong) + 1} or more, or correct the mask{hint}"
        )
    return stored.values


def read_mask_pair(pair: MaskPair, classes: int) -> tuple[Float[Tensor, "3 H W"], Int64[Tensor, "H W"]]:
    """Read a picture and its mask, each turned upright.

    Args:
        pair: the files.
        classes: as in `read_mask`.

    Returns:
        RGB in [0, 1], and the class at each pixel.

    Raises:
        MaskFileError: for two of unlike sizes, or values that are no classes.
        ImageError: for a file that cannot be read.
        OSError: where one cannot be read.
    """
    image, mask = read_image(pair.image), read_mask(pair.mask, classes)
    if image.shape[-2:] != mask.shape:
        (height, width), (rows, columns) = image.shape[-2:], mask.shape
        raise MaskFileError(
            f"{pair.image} is {width}x{height} pixels, its mask {pair.mask} {columns}x{rows}: a mask has the size of "
            "its picture"
        )
    return image, mask


def survey_masks(pairs: Sequence[MaskPair], classes: int) -> MaskSurvey:
    """Read every mask of a set, to know before training what is in them.

    Args:
        pairs: whose masks are read; of the pictures only the sizes.
        classes: as in `read_mask`.

    Returns:
        Which masks are empty, and how much of the pictures each class covers. Files that cannot be read are passed
        over: whoever takes the samples decides of them.

    Raises:
        MaskFileError: if masks differ in size from their images, or hold values that are not classes. The message
            counts all of them and names the first `NAMED`.
        ValueError: where every mask is empty.
    """
    empty: list[str] = []
    full: list[str] = []
    wrong: list[str] = []
    shares = torch.zeros(max(classes, 2), dtype=torch.float64)
    count = 0
    for pair in pairs:
        try:
            mask = read_mask(pair.mask, classes)
        except MaskFileError as error:
            wrong.append(str(error))
            continue
        except (ImageError, OSError):
            continue
        size = stored_size(pair.image)
        if size is not None and sorted(size) != sorted(mask.shape):  # one of the two may be stored turned
            wrong.append(f"{pair.image} is {size[0]}x{size[1]} pixels, {pair.mask} {mask.shape[1]}x{mask.shape[0]}")
        count += 1
        shares += torch.bincount(mask.flatten(), minlength=len(shares)) / mask.numel()
        if not mask.any():
            empty.append(pair.name)
        elif classes == 1 and mask.all():
            full.append(pair.name)
    if wrong:
        raise MaskFileError(f"{len(wrong)} of {len(pairs)} masks cannot be used: {listed(wrong, NAMED, '; ')}")
    if count and len(empty) == count:
        raise ValueError(
            f"all {count} masks are empty, so that there is nothing to learn: the first is {pairs[0].mask}; masks are "
            "white (or 1) where something is"
        )
    return MaskSurvey(count, tuple(empty), tuple(full), tuple((shares / max(count, 1)).tolist()))


def _binary(
    path: Path, values: Int64[Tensor, "H W"], grays: Int64[Tensor, "H W"] | None, exact: bool
) -> Int64[Tensor, "H W"]:
    """Foreground of a mask of two classes."""
    if exact and values.max() <= 1 and (grays is None or grays.max() <= 1):
        return values
    if grays is None or (exact and (grays.max() <= HALF or _has_void(grays))):
        found = values.unique().tolist()
        needed = max((value for value in found if value < 255), default=1) + 1
        raise MaskFileError(
            f"{path} holds the values {listed(found, NAMED)}, but a binary mask has 0 and 1, or 0 and 255: "
            f"for more classes, set classes to {needed} or more"
        )
    return (grays > HALF).long()


def _has_void(grays: Int64[Tensor, "H W"]) -> bool:
    """Whether levels are classes and the 255 of what is not to be judged, as Pascal VOC has it."""
    found = grays.unique().tolist()
    return found[-1] == 255 and len(found) > 2 and found[-2] <= min(HALF, 2 * len(found))


def _layouts(root: Path, unreadable: Report) -> list[tuple[Path, Path]]:
    """The folders of a layout at `root`, or, where there is none, of those anywhere below it."""
    if layout := _layout(root):
        return [layout]
    closed: list[OSError] = []
    found = {parent / name for parent, names, _ in walk(root, closed.append) for name in names}
    for error in closed:
        unreadable(error)
    readable = sorted(found - {Path(str(error.filename)) for error in closed})
    return [layout for folder in readable if (layout := _layout(folder))]


def _layout(parent: Path) -> tuple[Path, Path] | None:
    """The two folders of the layout that fits in `parent`."""
    inside = {path.name.lower(): path for path in sorted(parent.iterdir(), reverse=True) if path.is_dir()}
    found = [(inside[one], inside[other]) for one, other in LAYOUTS if one in inside and other in inside]
    if len(found) > 1:
        several = " or ".join(f"{one.name}/{other.name}" for one, other in found)
        raise ValueError(f"{parent} is ambiguous, it holds {several}: move the folders that are not meant elsewhere")
    return found[0] if found else None


def _is_half(root: Path) -> bool:
    return root.parent.is_dir() and root in (_layout(root.parent) or ())


def _match(root: Path, images: Path, masks: Path, unreadable: Report) -> list[MaskPair]:
    """Pairs of a folder of pictures and one of masks."""
    pictures = {_stem(path, images): path for path in _once(find_images(images, unreadable=unreadable), images)}
    found = {_stem(path, masks): path for path in _once(find_images(masks, unreadable=unreadable), masks)}
    named = {ROLE.sub("", stem): stem for stem in found}
    partners = {stem: stem if stem in found else named.get(stem) for stem in pictures}
    alone = [str(pictures[stem]) for stem, partner in partners.items() if partner is None]
    taken = set(partners.values())
    left = [str(path) for stem, path in found.items() if stem not in taken]
    if alone or left:
        problems = [f"{len(alone)} pictures without a mask in {masks.name}: {listed(alone, NAMED)}"] if alone else []
        problems += [f"{len(left)} masks without a picture in {images.name}: {listed(left, NAMED)}"] if left else []
        raise ValueError(f"{images.parent} has {'; and '.join(problems)}. A mask is called as its picture is")
    place = images.parent.relative_to(root)
    return [
        MaskPair(path, found[partner], (place / stem).as_posix())
        for (stem, path), partner in zip(pictures.items(), partners.values(), strict=True)
        if partner is not None
    ]


def _once(paths: list[Path], folder: Path) -> list[Path]:
    """The files, none of which may be called as another one but for the suffix."""
    count = Counter(_stem(path, folder) for path in paths)
    if twice := [str(path) for path in paths if count[_stem(path, folder)] > 1]:
        raise ValueError(f"files of one name in {folder} are ambiguous, keep one of each: {listed(twice, NAMED)}")
    return paths


def _stem(path: Path, folder: Path) -> str:
    """A path within a folder, without suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()
