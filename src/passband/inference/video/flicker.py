"""Measures the flicker of videos before and after restoration, within scenes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from passband.inference.video.cuts import CUT_SIMILARITY, luma_cells, similarity

JUMP = 2.0
"""Difference in mean luma, in 8-bit levels, from which a frame starts new averages."""


class Flicker:
    """Finds the scene cuts of a video, and measures flicker before and after restoration.

    The flicker of a video is the absolute difference of a cell's mean luma between consecutive frames of a scene, in
    8-bit levels, averaged over frames and over 16 x 16 cells. Motion adds to the flicker of the source and of the
    restored video alike, so their difference is the flicker that restoration adds.

    Attributes:
        state: `cells` (2 x 16 x 16: those of the last frame, degraded and restored) and `sums` (degraded, restored,
            and the number of pairs of frames); copy it to resume later.
    """

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {"sums": torch.zeros(3, dtype=torch.float64)}

    @classmethod
    def of_segments(cls, segments: Sequence[dict[str, Tensor]]) -> "Flicker":
        """Return the flicker of a video that was measured in segments.

        Args:
            segments: `state` at the end of each segment, with `first`: the cells of its first frame.
        """
        whole = cls()
        for segment in segments:
            before = whole.state.get("cells")
            whole.state["sums"] += segment["sums"]
            if before is not None and similarity(before[0], segment["first"][0]) >= CUT_SIMILARITY:
                whole._add_step(before, segment["first"])
            whole.state["cells"] = segment["cells"]
        return whole

    def cuts(self, degraded: Float[Tensor, "B 3 H W"]) -> list[bool]:
        """Tell for each frame of a batch whether it begins a scene.

        Args:
            degraded: consecutive frames in [0, 1].
        """
        return [before is None or similarity(before, after) < CUT_SIMILARITY for before, after in self._steps(degraded)]

    def jumps(self, degraded: Float[Tensor, "B 3 H W"]) -> list[bool]:
        """Tell for each frame of a batch whether its mean luma differs from the frame before by more than `JUMP`.

        Args:
            degraded: consecutive frames in [0, 1].
        """
        return [
            before is not None and 255 * abs((after - before).mean().item()) > JUMP
            for before, after in self._steps(degraded)
        ]

    def add(self, degraded: Float[Tensor, "B 3 H W"], restored: Float[Tensor, "B 3 H W"], cuts: Sequence[bool]) -> None:
        """Measure the next frames.

        Args:
            degraded: consecutive frames in [0, 1].
            restored: the same frames, restored.
            cuts: flag for each frame whether it begins a scene.
        """
        for pair, cut in zip(
            torch.stack([luma_cells(degraded).cpu(), luma_cells(restored).cpu()], 1), cuts, strict=True
        ):
            if not cut:
                self._add_step(self.state["cells"], pair)
            self.state["cells"] = pair

    def _add_step(self, before: Float[Tensor, "2 16 16"], after: Float[Tensor, "2 16 16"]) -> None:
        """Add the difference between the cells of two frames."""
        difference = (after - before).abs().double().mean((-2, -1)) * 255
        self.state["sums"] += torch.cat([difference, torch.ones(1, dtype=torch.float64)])

    def _steps(self, degraded: Float[Tensor, "B 3 H W"]) -> list[tuple[Tensor | None, Tensor]]:
        """Return the cells of the frame before (None for the very first frame) and of each frame of a batch."""
        cells = luma_cells(degraded).cpu()
        return list(zip([self.state["cells"][0] if "cells" in self.state else None, *cells[:-1]], cells, strict=True))

    @property
    def figures(self) -> tuple[float, float]:
        """The flicker of the degraded and of the restored video, in 8-bit levels; 0 for a single frame."""
        degraded, restored, pairs = self.state["sums"].tolist()
        return degraded / max(pairs, 1), restored / max(pairs, 1)
