"""Builds the compiled JPEG reader if a C compiler and libjpeg-turbo are installed. The rest is in pyproject.toml.

Without them the installation also succeeds, and its log (`pip install -v`) gives the reason. JPEG coefficients are then
read with the package jpeglib. `passband doctor` shows which reader is in use.

The header of libjpeg-turbo is searched in the folders of the compiler (on Debian and Ubuntu the packages
libjpeg-turbo8-dev or libjpeg62-turbo-dev install it), in the folder that PASSBAND_LIBJPEG names, in a conda
environment, and in Homebrew's jpeg-turbo. Only Linux was tested.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError

SOURCES = Path("src/passband/io/jpeg/native_reader")
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")  # the free-threaded interpreter has no stable interface yet


class BuildPackage(build_py):
    """Removes files of earlier builds, so that deleted modules do not get into a wheel."""

    def run(self) -> None:
        """Copy the package."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BuildReader(build_ext):
    """Compiles the reader, or prints in one line why it was not compiled."""

    def build_extension(self, ext: Extension) -> None:
        """Compile an extension. An error is printed, and the installation continues without the extension."""
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError) as error:
            self.warn(
                f"passband: the compiled JPEG reader was not built ({error}). JPEG coefficients will be read through "
                f"the package jpeglib, four times as slowly: pip install 'passband[jpeg]'. For the compiled reader, "
                f"install a C compiler and the header of libjpeg-turbo (Debian: libjpeg-dev, Fedora: "
                f"libjpeg-turbo-devel, Homebrew: jpeg-turbo), or name its folder in "
                f"PASSBAND_LIBJPEG, and install passband again."
            )


def prefixes() -> list[Path]:
    """Return the folder with the header of libjpeg-turbo, or no folder if only the compiler may know it."""
    named = os.environ.get("PASSBAND_LIBJPEG")
    candidates = [Path(named)] if named else []
    if conda := os.environ.get("CONDA_PREFIX"):
        candidates += [Path(conda), Path(conda) / "Library"]
    if sys.platform == "darwin":
        brews = (os.environ.get("HOMEBREW_PREFIX"), "/opt/homebrew", "/usr/local")
        candidates += [Path(brew) / "opt" / "jpeg-turbo" for brew in brews if brew]
    if sys.platform == "win32":
        candidates += [Path("C:/libjpeg-turbo64"), Path("C:/libjpeg-turbo-gcc64")]
    found = [
        prefix for prefix in candidates if any((prefix / part / "jpeglib.h").is_file() for part in ("", "include"))
    ]
    if named and Path(named) not in found:
        print(f"passband: PASSBAND_LIBJPEG names {named}, which has neither jpeglib.h nor include/jpeglib.h")
    return found[:1]  # a header of one folder and a library of another may not fit


def existing(*folders: Path) -> list[str]:
    """Return the folders that exist."""
    return [str(folder.resolve()) for folder in folders if folder.is_dir()]


def reader() -> Extension:
    """Return the extension, with the folders and options for its compiler."""
    windows, found = sys.platform == "win32", prefixes()
    libraries = [folder for prefix in found for folder in existing(prefix / "lib", prefix / "lib64", prefix)]
    return Extension(
        "passband.io.jpeg.native_reader.native",
        sources=sorted(source.as_posix() for source in SOURCES.glob("*.c")),
        depends=sorted(header.as_posix() for header in SOURCES.glob("*.h")),
        include_dirs=[folder for prefix in found for folder in existing(prefix / "include", prefix)],
        library_dirs=libraries,
        runtime_library_dirs=[] if windows else libraries,
        libraries=["jpeg"],
        # Products and sums are rounded one by one, as in torch, so that both ways to compute channels agree to the bit.
        extra_compile_args=["/O2"] if windows else ["-O3", "-ffp-contract=off"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
        py_limited_api=LIMITED,
        optional=True,
    )


setup(
    ext_modules=[reader()],
    cmdclass={"build_ext": BuildReader, "build_py": BuildPackage},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
