"""Pairs images with their masks, reads masks, and checks them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from passband.data.images import NAMED, find_images, folders_in, name_within, walk, warn_unreadable
from passband.io.image import ImageError, read_image
from passband.io.image.size import stored_size
from passband.io.mask import read_stored_mask
from passband.io.shards import data_folder
from passband.naming import counted, listed
from passband.ops.labels import IGNORED, has_class

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
"""Names of the folders of images and of masks, in any case: Kvasir-SEG, PraNet's split, CVC-ClinicDB, and other common
ones."""
ROLE = re.compile(r"[ _-](mask|masks|segmentation|seg|label|labels|gt|groundtruth)$", re.IGNORECASE)
"""Words that may follow the image's name in the name of its mask (`ISIC_0000001_segmentation.png`)."""
HALF = 127
"""Gray level of 255 above which a pixel of a binary mask is foreground."""


class MaskFileError(ImageError):
    """Raised if a readable mask does not fit: its values are not classes, or its size differs from the image's."""


@dataclass(frozen=True)
class MaskPair:
    """An image and its mask."""

    image: Path
    mask: Path
    name: str
    """Name of the pair: path of the image within the data set, without suffix and layout folder."""


@dataclass(frozen=True)
class MaskSurvey:
    """The contents of the masks of a data set."""

    count: int
    """Number of masks that were read, without those whose pixels are all ignored."""
    empty: tuple[str, ...]
    """Names of the pairs whose masks hold only background."""
    full: tuple[str, ...]
    """Names of the pairs whose binary masks hold only foreground."""
    shares: tuple[float, ...]
    """Share of the pixels of each class; of background and foreground for binary masks. Every image counts alike, and
    ignored pixels do not count."""


def find_mask_pairs(root: Path) -> list[MaskPair]:
    """Pair the images and masks of a folder by name, whatever their suffixes are.

    Args:
        root: folder with sub-folders named as in `LAYOUTS`, or with folders that hold such sub-folders.

    Returns:
        Pairs in the order of the image files.

    Raises:
        FileNotFoundError: if the folder, a layout or its images are missing.
        ValueError: if files have no partner or the same name, or several layouts fit; the message lists them.
        OSError: if a folder cannot be read.
    """
    root = data_folder(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: a folder with sub-folders of images and of masks is needed")
    pairs = [pair for images, masks in _layouts(root) for pair in _match(root, images, masks)]
    if not pairs:
        hint = f", but {root.parent} does" if _is_half(root) else ""
        known = ", ".join("/".join(layout) for layout in LAYOUTS)
        raise FileNotFoundError(f"{root} holds no images with masks{hint}: expected sub-folders named {known}")
    return pairs


def read_mask(path: Path, classes: int, ignore_label: int | None = None) -> Int64[Tensor, "H W"]:
    """Read the class of each pixel from a mask file.

    A binary mask holds 0 and 1, or dark and light gray, and may be a JPEG file: its foreground is above `HALF`. A mask
    of several classes holds their labels, as gray levels or as indices into a palette. A mask may also lie in the alpha
    channel, see `io.mask.read_stored_mask`.

    Args:
        path: path of the file.
        classes: 1 for foreground and background, otherwise the number of classes including the background, whose label
            is 0.
        ignore_label: value of pixels that are neither learned nor scored; None for no such value.

    Returns:
        The label of each pixel; 1 for the foreground of a binary mask, and `IGNORED` for ignored pixels.

    Raises:
        MaskFileError: if values are not classes; the message names them.
        ImageError: if the file is damaged or colored.
        OSError: if the file cannot be read.
        ValueError: if `classes` is below 1.
    """
    if classes < 1:
        raise ValueError(f"classes must be 1 for binary masks, or the number of classes; got {classes}")
    stored = read_stored_mask(path, is_binary=classes == 1)
    if not stored.exact and (classes > 1 or ignore_label is not None):
        kind = f"of {classes} classes" if classes > 1 else "with an ignore_label"
        raise MaskFileError(
            f"a mask {kind} must be stored without losses, such as PNG, but {path} is compressed with losses, which "
            "change the labels. Only binary masks (classes = 1) may be JPEG, if no pixels are ignored"
        )
    values, grays = stored.values, stored.grays
    ignored = torch.zeros_like(values, dtype=torch.bool) if ignore_label is None else values == ignore_label
    values = values.masked_fill(ignored, 0)
    if classes == 1:
        labels = _binary(path, values, None if grays is None else grays.masked_fill(ignored, 0), stored.exact)
    elif values.max() < classes:
        labels = values
    else:
        wrong = [int(value) for value in values.unique() if value >= classes]
        raise MaskFileError(
            f"{path} holds the values {listed(wrong, NAMED)}, but {classes} classes are 0 to {classes - 1}: "
            f"{_advice(wrong, values, ignore_label)}"
        )
    return labels.masked_fill(ignored, IGNORED)


def read_mask_pair(
    pair: MaskPair, classes: int, ignore_label: int | None = None
) -> tuple[Float[Tensor, "3 H W"], Int64[Tensor, "H W"]]:
    """Read an image and its mask, and turn both upright.

    Args:
        pair: files of the image and the mask.
        classes: number of classes, as in `read_mask`.
        ignore_label: value of ignored pixels, as in `read_mask`.

    Returns:
        The RGB image in [0, 1], and the label of each pixel.

    Raises:
        MaskFileError: if the sizes differ, or values are not classes.
        ImageError: if a file is damaged.
        OSError: if a file cannot be read.
        ValueError: if `classes` is below 1.
    """
    image, mask = read_image(pair.image), read_mask(pair.mask, classes, ignore_label)
    if image.shape[-2:] != mask.shape:
        (height, width), (rows, columns) = image.shape[-2:], mask.shape
        raise MaskFileError(
            f"a mask must have the size of its image, but {pair.image} has {width}x{height} pixels, and its mask "
            f"{pair.mask} has {columns}x{rows}"
        )
    return image, mask


def survey_masks(pairs: Sequence[MaskPair], classes: int, ignore_label: int | None = None) -> MaskSurvey:
    """Read every mask of a data set to check them before training.

    Args:
        pairs: pairs whose masks are read. Only the sizes of the images are read.
        classes: number of classes, as in `read_mask`.
        ignore_label: value of ignored pixels, as in `read_mask`.

    Returns:
        The empty masks, and the share of the images that each class covers. Files that cannot be read are ignored here,
        because the data sets report them.

    Raises:
        MaskFileError: if masks differ in size from their images, or hold values that are not classes. The message
            counts all of them and names the first `NAMED`.
        ValueError: if every mask is empty.
    """
    empty: list[str] = []
    full: list[str] = []
    wrong: list[str] = []
    shares = torch.zeros(max(classes, 2), dtype=torch.float64)
    count = ignored = 0
    for pair in pairs:
        try:
            mask = read_mask(pair.mask, classes, ignore_label)
        except MaskFileError as error:
            wrong.append(str(error))
            continue
        except (ImageError, OSError):
            continue
        size = stored_size(pair.image)
        if size is not None and sorted(size) != sorted(mask.shape):  # EXIF may turn one of the two
            wrong.append(f"{pair.image} is {size[0]}x{size[1]} pixels, {pair.mask} {mask.shape[1]}x{mask.shape[0]}")
        labels = mask[has_class(mask)]
        if not labels.numel():
            ignored += 1
            continue
        count += 1
        shares += torch.bincount(labels, minlength=len(shares)) / labels.numel()
        if not labels.any():
            empty.append(pair.name)
        elif classes == 1 and labels.all():
            full.append(pair.name)
    if wrong:
        raise MaskFileError(f"{len(wrong)} of {len(pairs)} masks cannot be used: {listed(wrong, NAMED, '; ')}")
    if count + ignored and len(empty) == count:
        raise ValueError(
            f"at least one mask must have foreground, but all {count + ignored} masks are empty; the first is "
            f"{pairs[0].mask}. Foreground is white, or 1"
            f"{'' if ignore_label is None else f'; the ignore_label {ignore_label} is not foreground'}"
        )
    return MaskSurvey(count, tuple(empty), tuple(full), tuple((shares / max(count, 1)).tolist()))


def _binary(
    path: Path, values: Int64[Tensor, "H W"], grays: Int64[Tensor, "H W"] | None, exact: bool
) -> Int64[Tensor, "H W"]:
    """Return the foreground of a mask of two classes."""
    if exact and values.max() <= 1 and (grays is None or grays.max() <= 1):
        return values
    if grays is None or (exact and (grays.max() <= HALF or _has_void(grays))):
        found = values.unique().tolist()
        needed = max((value for value in found if value < 255), default=1) + 1
        raise MaskFileError(
            f"{path} holds the values {listed(found, NAMED)}, but a binary mask has 0 and 1, or 0 and 255: "
            f"for more classes, set classes to {needed} or more"
            + (" and ignore_label to 255 if these pixels have no class" if found[-1] == 255 else "")
        )
    return (grays > HALF).long()


def _advice(wrong: Sequence[int], values: Int64[Tensor, "H W"], ignore_label: int | None) -> str:
    """Say what to do about values of a mask that are not classes."""
    more = f"set classes to {max(wrong) + 1} or more, or correct the mask"
    if len(wrong) > 1 or ignore_label is not None:
        return more
    ignore = f"set ignore_label to {wrong[0]} if these pixels have no class"
    if wrong != [255]:
        return f"{more}, or {ignore}"
    binary = ", or classes to 1 if they are the foreground" if values.unique().numel() == 2 else ""
    return f"{ignore}, as in Pascal VOC and Cityscapes{binary}"


def _has_void(grays: Int64[Tensor, "H W"]) -> bool:
    """Tell whether gray levels are classes, with 255 for pixels that are not scored, as in Pascal VOC."""
    found = grays.unique().tolist()
    return found[-1] == 255 and len(found) > 2 and found[-2] <= min(HALF, 2 * len(found))


def _layouts(root: Path) -> list[tuple[Path, Path]]:
    """Return the folders of the layout at `root`, or else of those anywhere below it."""
    if layout := _layout(root):
        return [layout]
    closed: list[OSError] = []
    found = {parent / name for parent, names, _ in walk(root, closed.append) for name in names}
    for error in closed:
        warn_unreadable(error)
    readable = sorted(found - {Path(str(error.filename)) for error in closed})
    return [layout for folder in readable if (layout := _layout(folder))]


def _layout(parent: Path) -> tuple[Path, Path] | None:
    """Return the two folders of the layout that fits in `parent`."""
    inside = {name.lower(): parent / name for name in reversed(folders_in(parent))}
    found = [(inside[one], inside[other]) for one, other in LAYOUTS if one in inside and other in inside]
    if len(found) > 1:
        several = " or ".join(f"{one.name}/{other.name}" for one, other in found)
        raise ValueError(f"{parent} is ambiguous, it holds {several}: move the folders that are not meant elsewhere")
    return found[0] if found else None


def _is_half(root: Path) -> bool:
    return root.parent.is_dir() and root in (_layout(root.parent) or ())


def _match(root: Path, images: Path, masks: Path) -> list[MaskPair]:
    """Pair the files of a folder of images and a folder of masks."""
    named_images = {
        name_within(path, images).as_posix(): path for path in _with_unique_names(find_images(images), images)
    }
    found = {name_within(path, masks).as_posix(): path for path in _with_unique_names(find_images(masks), masks)}
    named = {ROLE.sub("", stem): stem for stem in found}
    partners = {stem: stem if stem in found else named.get(stem) for stem in named_images}
    alone = [str(named_images[stem]) for stem, partner in partners.items() if partner is None]
    taken = set(partners.values())
    left = [str(path) for stem, path in found.items() if stem not in taken]
    if alone or left:
        problems = (
            [f"{counted(len(alone), 'image')} without a mask in {masks.name}: {listed(alone, NAMED)}"] if alone else []
        )
        problems += (
            [f"{counted(len(left), 'mask')} without an image in {images.name}: {listed(left, NAMED)}"] if left else []
        )
        raise ValueError(f"{images.parent} has {'; and '.join(problems)}. A mask needs the name of its image")
    place = images.parent.relative_to(root)
    return [
        MaskPair(path, found[partner], (place / stem).as_posix())
        for (stem, path), partner in zip(named_images.items(), partners.values(), strict=True)
        if partner is not None
    ]


def _with_unique_names(paths: list[Path], folder: Path) -> list[Path]:
    """Return the files after checking that no two names differ only in their suffixes."""
    count = Counter(name_within(path, folder) for path in paths)
    if repeated := [str(path) for path in paths if count[name_within(path, folder)] > 1]:
        raise ValueError(f"files in {folder} have the same name; keep one of each: {listed(repeated, NAMED)}")
    return paths
