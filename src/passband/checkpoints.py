"""Writes and finds the checkpoints of a run: complete or absent, with checksums, and several of them.

A checkpoint is a folder `step-NUMBER` with a file `manifest.json`, which names the size and the SHA-256 of each other
file. It is written under another name, forced to the disk, and then renamed.
"""

import json
import logging
import os
import shutil
from pathlib import Path

from accelerate import Accelerator

from passband.io.failures import FULL, telling_full_disk
from passband.io.files import file_checksum
from passband.processes import any_of

MANIFEST = "manifest.json"
"""Name of the file with the checksums of a checkpoint."""
PARTIAL = ".partial"
"""Name of the folder in which a checkpoint is written before it is renamed."""
DAMAGED = "damaged-"
"""Prefix of the name that a damaged checkpoint gets."""

_log = logging.getLogger(__name__)


def how_to_continue(output: Path) -> str:
    """Say how to continue a run that failed, as the end of a sentence.

    Args:
        output: folder of the run.
    """
    newest = latest_checkpoint(output)
    if newest is None:
        return f"start again in another folder, because {output} holds no checkpoint yet"
    return f"resume from the last checkpoint, {newest}"


def latest_checkpoint(output: Path) -> Path | None:
    """Return the newest checkpoint of a run without checking it, or None. Incomplete checkpoints have another name.

    Args:
        output: folder of the run.
    """
    return max((output / "checkpoints").glob("step-*"), default=None)


def sound_checkpoint(output: Path) -> Path | None:
    """Return the newest checkpoint of a run that is not damaged, or None if the run has none.

    Damaged checkpoints that are newer are renamed, and a warning says what is damaged.

    Args:
        output: folder of the run.
    """
    for folder in sorted((output / "checkpoints").glob("step-*"), reverse=True):
        problem = damage(folder)
        if not problem:
            return folder
        aside = folder.with_name(DAMAGED + folder.name)
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        _log.warning(
            "the checkpoint %s is damaged: %s. It is now called %s, and the checkpoint before it is used.",
            folder,
            problem,
            aside.name,
        )
    return None


def damage(folder: Path) -> str:
    """Return what is damaged in a checkpoint, or an empty text.

    Args:
        folder: folder of the checkpoint.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in content["files"].items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            size = path.stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size} bytes instead of {expected['bytes']}"
            if file_checksum(path) != expected["sha256"]:
                return f"the content of {name} differs from its checksum"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} or a file that it names cannot be read ({error})"
    return ""


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int, kept: int = 2) -> bool:
    """Write a checkpoint, and then remove old ones.

    All processes of a run call this together. If the disk is full or cannot be written, a warning says so, and the
    checkpoints before stay.

    Args:
        accelerator: holds the state of the run.
        folder: folder of the checkpoints.
        step: number of steps done.
        kept: number of checkpoints to keep, at least 1.

    Returns:
        Whether there is a checkpoint of this step now.
    """
    final, temporary = folder / f"step-{step:09d}", folder / PARTIAL
    problem: Exception | None = None
    is_first = accelerator.is_main_process
    if is_first:
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = error
    accelerator.wait_for_everyone()
    if problem is None:
        try:
            with telling_full_disk(temporary):
                accelerator.save_state(str(temporary))
        except Exception as error:
            problem = error
    is_failed = any_of(int(problem is not None))
    if is_first and not is_failed:
        try:
            _finish(temporary, final, step)
            for older in sorted(folder.glob("step-*"))[:-kept]:
                shutil.rmtree(older, ignore_errors=True)  # the next checkpoint tries again
        except OSError as error:
            problem = error
    is_failed = any_of(int(problem is not None))
    if is_failed and is_first:
        shutil.rmtree(temporary, ignore_errors=True)
        newest = latest_checkpoint(folder.parent)
        _log.warning(
            "the checkpoint of step %d could not be written: %s. %s",
            step,
            _reason(problem, folder),
            f"The checkpoint {newest.name} is kept." if newest else "There is no earlier checkpoint.",
        )
    return not is_failed


def _finish(temporary: Path, final: Path, step: int) -> None:
    """Add the manifest to a checkpoint, force it to the disk, and give it its name."""
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    sums = {
        path.relative_to(temporary).as_posix(): {"bytes": path.stat().st_size, "sha256": file_checksum(path)}
        for path in files
    }
    manifest = temporary / MANIFEST
    manifest.write_text(json.dumps({"step": step, "files": sums}, indent=2) + "\n", encoding="utf-8")
    for path in (*files, manifest, temporary):
        _force(path)
    if final.exists():  # the same step was saved before, such as by a run that was stopped right after it
        shutil.rmtree(final)
    temporary.rename(final)
    _force(final.parent)


def _force(path: Path) -> None:
    """Wait until a file or a folder is on the disk. Windows cannot open folders."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(problem: BaseException | None, folder: Path) -> str:
    """Describe why a checkpoint could not be written, in one line."""
    if problem is None:
        return "another process of the run could not write its part"
    is_full = isinstance(problem, OSError) and problem.errno in FULL
    if is_full or "No space left" in str(problem):  # safetensors has an error of its own
        return f"no space left in {folder}; free some space there"
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.strerror} in {folder}"
    return " ".join(str(problem).split()) or type(problem).__name__
