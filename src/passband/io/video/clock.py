"""Times that go on where those of a transport stream start again, as in two recordings put one after the other."""

from collections.abc import Sequence
from fractions import Fraction

from av.packet import Packet

_JUMP = Fraction(1)
"""Seconds that a packet must be earlier than the one before, for times to have started again."""


class Clock:
    """Corrects the times of packets.

    Args:
        jumps: what another clock has found, which this one is to follow: all streams move alike. None to find them.

    Attributes:
        jumps: for each time that times started again, how much later they are made, in seconds.
    """

    def __init__(self, jumps: Sequence[Fraction] | None = None):
        self.jumps = list(jumps or ())
        self._finds = jumps is None
        self._times: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}
        self._passed: dict[int, int] = {}

    def correct(self, packet: Packet) -> None:
        """Change the times of the next packet of a stream so that they go on."""
        if packet.dts is None:
            return
        index, time = packet.stream_index, packet.dts * packet.time_base
        passed, end = self._passed.get(index, 0), self._ends.get(index)
        if end is not None and time < end - _JUMP:
            if self._finds:
                before = self.jumps[-1] if self.jumps else Fraction(0)
                self.jumps.append(before + end - time)
            passed = self._passed[index] = min(passed + 1, len(self.jumps))
        # where a packet does not tell its length, it is as long as the one before
        length = (packet.duration or 0) * packet.time_base or max(Fraction(0), time - self._times.get(index, time))
        self._times[index], self._ends[index] = time, time + length
        if passed:
            later = round(self.jumps[passed - 1] / packet.time_base)
            packet.dts += later
            if packet.pts is not None:
                packet.pts += later
