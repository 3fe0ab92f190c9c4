"""Names the members of tar files that have no index by the convention of the package webdataset.

Members of one sample lie behind each other and share a key: their name up to the first dot, as in `0001.jpg`,
`0001.cls` and `0001.json`. Data sets expect folders instead, so each image gets the path that it would have there:

| members of a sample | paths |
|---|---|
| `0001.jpg` | `0001.jpg` |
| `0001.jpg`, `0001.cls` (number or name of the class) | `CLASS/0001.jpg` |
| `0001.degraded.png`, `0001.clean.png` | `degraded/0001.png`, `clean/0001.png` |
| `0001.degraded-2.png`, another degraded image of `0001.clean.png` | `degraded/0001_2.png` |
| `0001.jpg`, `0001.mask.png`, or `.seg.png` or `.label.png` | `images/0001.jpg`, `masks/0001.png` |
| `0001.jpg`, `0001.png` | `images/0001.jpg`, `masks/0001.png` |

Other members, such as texts, are not read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath

from passband.io.image import SUFFIXES
from passband.io.shards.tar import Member

_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_NUMBERED = re.compile(r"(.+)-(\d+)")
_MASKS = frozenset(("mask", "masks", "seg", "segmentation", "label", "labels"))
_LOSSY = (".jpg", ".jpeg")
CLASS_SUFFIXES = ("cls", "cls.txt", "cls.id")
"""Ends of the names of members that hold the class of a sample."""


def split_name(name: str) -> tuple[str, str]:
    """Return the key of a member's name, and the rest after the dot in lower case; the key is empty without one.

    Args:
        name: path of the member in the tar file.

    Returns:
        The key with its folders, and the rest, such as `jpg` or `seg.png`.
    """
    match = _KEY.fullmatch(name)
    return (match[1], match[2].lower()) if match else ("", name)


@dataclass(frozen=True)
class KeyedImage:
    """An image in a tar file without an index.

    Attributes:
        key: key of its sample.
        suffix: suffix of its type.
        role: word between key and suffix, such as `clean`; `masks` for all words that name masks; empty without one.
        label: class of its sample; empty without one.
    """

    key: str
    suffix: str
    role: str = ""
    label: str = ""


def keyed_images(members: Sequence[Member], content: Callable[[Member], bytes]) -> list[KeyedImage | None]:
    """Return the image that each member is; None for other members.

    Args:
        members: members of a tar file, in their order.
        content: function that reads a member.
    """
    images: list[KeyedImage | None] = []
    for key, sample in groupby(members, lambda member: split_name(member.name)[0]):
        group = list(sample)
        images += _images_of_sample(key, group, content) if key else [None] * len(group)
    return images


def folder_paths(tars: Mapping[str, Sequence[KeyedImage | None]]) -> dict[str, list[str | None]]:
    """Return the paths by which data sets know the images of several tar files.

    If two tar files use the same keys, the names of the tar files become folders.

    Args:
        tars: images of each tar file, by the name of the tar file without its suffix.

    Returns:
        The paths of each tar file's images, None for a member that is no image.
    """
    have_roles = any(image is not None and image.role for images in tars.values() for image in images)

    def path(tar: str, image: KeyedImage | None, has_tar: bool) -> str | None:
        if image is None:
            return None
        role = image.role or ("images" if have_roles else "")
        parts = [role, image.label, tar if has_tar else "", image.key + image.suffix]
        return "/".join(part for part in parts if part)

    named = {tar: [path(tar, image, has_tar=False) for image in images] for tar, images in tars.items()}
    owners: dict[str, str] = {}
    is_shared = any(owners.setdefault(one, tar) != tar for tar, paths in named.items() for one in paths if one)
    if is_shared:
        return {tar: [path(tar, image, has_tar=True) for image in images] for tar, images in tars.items()}
    return named


def _images_of_sample(
    key: str, members: Sequence[Member], content: Callable[[Member], bytes]
) -> list[KeyedImage | None]:
    """Return the images of one sample."""
    ends = [split_name(member.name)[1] for member in members]
    suffixes = [PurePosixPath(f"x.{end}").suffix for end in ends]
    labels = [content(member) for member, end in zip(members, ends, strict=True) if end in CLASS_SUFFIXES]
    label = _class_name(labels[0]) if labels else ""
    roles = [end[: -len(suffix)].rstrip(".") for end, suffix in zip(ends, suffixes, strict=True)]
    are_images = [suffix in SUFFIXES for suffix in suffixes]
    plain = [
        suffix for suffix, role, is_image in zip(suffixes, roles, are_images, strict=True) if is_image and not role
    ]
    has_plain_mask = len(plain) == 2 and len({suffix in _LOSSY for suffix in plain}) == 2
    images: list[KeyedImage | None] = []
    for suffix, role, is_image in zip(suffixes, roles, are_images, strict=True):
        is_mask = role in _MASKS or (has_plain_mask and not role and suffix not in _LOSSY)
        numbered = _NUMBERED.fullmatch(role)
        own_key, role = (f"{key}_{numbered[2]}", numbered[1]) if numbered else (key, role)
        images.append(KeyedImage(own_key, suffix, "masks" if is_mask else role, label) if is_image else None)
    return images


def _class_name(label: bytes) -> str:
    """Return the name of the folder of a class, which a member names by a number or a text."""
    text = label.decode("utf-8", "replace").strip().replace("/", "_")
    return "" if text in (".", "..") else text
