"""Decides whether the output of a command is a file or a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passband.data.finding import InputFile
from passband.inference.files.naming import Naming
from passband.io.paths import fitted_name, from_home
from passband.io.signatures import named_folder, names_a_type


def folder_for_images(paths: Sequence[Path], output: str | Path | None, tag: str, several: str) -> Path:
    """Return the folder for results about images: the output, a folder beside a single image, or a new folder here.

    Args:
        paths: paths of the images.
        output: output that the user gave, or None.
        tag: ending of the folder's name for a single image.
        several: name of the folder for several images.

    Raises:
        ValueError: if the output names a file.
    """
    if output is not None:
        return named_folder(output)
    return paths[0].with_name(fitted_name(paths[0].stem, tag)) if len(paths) == 1 else Path(several)


@dataclass(frozen=True)
class OutputPlace:
    """The file or folder that the user named for the targets."""

    path: Path
    is_file: bool

    @classmethod
    def of(cls, output: str | Path, sources: Sequence[InputFile], naming: Naming) -> "OutputPlace":
        """Decide whether the user means a file or a folder.

        Args:
            output: output that the user gave. An existing folder, or a path that ends with a separator, is a folder.
            sources: files to work on.
            naming: suffixes of the files that the command writes.

        Raises:
            ValueError: if several files shall go into one file, the folder is an existing file, or the suffix is of
                another type.
        """
        path, suffix = from_home(output), Path(output).suffix.lower()
        if path.is_dir() or str(output).endswith(("/", os.sep)):
            return cls(path, is_file=False)
        one = len(sources) == 1 and sources[0].root is None
        if suffix in naming.targets:
            if not one:
                raise ValueError(
                    f"with several files, -o must be a folder, and {path} names a file: give a folder, or write "
                    f"{path}{os.sep} if you mean a folder"
                )
            return cls(path, is_file=True)
        if path.exists():
            raise ValueError(f"{path} is an existing file, and a folder is needed: choose another output")
        if names_a_type(suffix) and (one or suffix in _NO_FOLDERS):
            known = " ".join(sorted(naming.targets))
            raise ValueError(
                f"unknown type {path.suffix} of the output {path}: files are written as {known}; write {path}{os.sep} "
                "if you mean a folder"
            )
        return cls(path, is_file=False)


# suffixes of files that are not written, but that no folder has
_NO_FOLDERS = frozenset(
    (
        *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".pdf", ".eps", ".exr", ".hdr"),
        *(".ico", ".tga", ".ppm", ".pgm", ".pnm", ".apng", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
        *(".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".mp4", ".mkv", ".avi", ".mov", ".webm", ".zip"),
    )
)
