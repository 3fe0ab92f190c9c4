"""Converts 360-degree projections and stereo arrangements from FFmpeg's frames to Matroska."""

import struct
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import av
import numpy as np

from passband.io.video.template import element

# Elements of Matroska's track entries. Source: RFC 9559.
_STEREO_MODE, _PROJECTION, _TYPE, _PRIVATE = 0x53B8, 0x7670, 0x7671, 0x7672
_POSE = (0x7673, 0x7674, 0x7675)  # yaw, pitch, roll
# Matroska's numbers for FFmpeg's stereo arrangements, with the left eye first and with the right eye first.
_STEREO = {1: (1, 11), 2: (3, 2), 3: (13, 14), 4: (5, 4), 6: (7, 6), 7: (9, 8)}
_EQUIRECTANGULAR, _CUBE_MAP = 1, 2
# Matroska's numbers for FFmpeg's projections.
_PROJECTIONS = {0: _EQUIRECTANGULAR, 1: _CUBE_MAP, 2: _EQUIRECTANGULAR}


@dataclass(frozen=True)
class Surround:
    """Projection and stereo arrangement of a video.

    Attributes:
        spherical: FFmpeg's AVSphericalMapping; None for flat images.
        stereo: FFmpeg's AVStereo3D; None for images for one eye.
    """

    spherical: bytes | None = None
    stereo: bytes | None = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to keep."""
        return self.spherical is not None or self.stereo is not None

    @property
    def can_be_written(self) -> bool:
        """Whether Matroska can express all of it. Streams are copied through a Matroska header."""
        spherical = self.spherical is None or int(_words(self.spherical)[0]) in _PROJECTIONS
        return spherical and (self.stereo is None or int(_words(self.stereo)[0]) in _STEREO)

    @property
    def elements(self) -> bytes:
        """Elements of Matroska's description of a video track.

        Raises:
            KeyError: if Matroska cannot express it.
        """
        result = b""
        if self.stereo is not None:
            arrangement, flags = _words(self.stereo)[:2].tolist()
            result += element(_STEREO_MODE, _STEREO[arrangement][flags & 1].to_bytes(1, "big"))
        if self.spherical is not None:
            words = _words(self.spherical)
            kind = _PROJECTIONS[int(words[0])]
            left, top, right, bottom, padding = words[4:9].view(np.uint32).tolist()
            numbers = [0, 0, padding] if kind == _CUBE_MAP else [0, top, bottom, left, right]
            angles = [struct.pack(">f", angle / 65536) for angle in words[1:4].tolist()]
            result += element(
                _PROJECTION,
                element(_TYPE, kind.to_bytes(1, "big"))
                + element(_PRIVATE, np.array(numbers, ">u4").tobytes())
                + b"".join(starmap(element, zip(_POSE, angles, strict=True))),
            )
        return result


FLAT = Surround()


def surround_of(frame: av.VideoFrame) -> Surround:
    """Return the projection and stereo arrangement of a frame. Both are None for flat images for one eye.

    Args:
        frame: decoded frame.
    """
    stereo = side_data(frame, "STEREO3D")
    if stereo is not None and _words(stereo)[0] == 0:  # one eye
        stereo = None
    return Surround(side_data(frame, "SPHERICAL"), stereo)


def side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """Return the data with a given name of FFmpeg that a frame has beside its samples, or None.

    Args:
        frame: decoded frame.
        kind: FFmpeg's name of the data, such as `SPHERICAL`.
    """
    container: Any = frame.side_data  # PyAV declares another type
    return bytes(container[kind]) if kind in container else None


def _words(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.int32)
