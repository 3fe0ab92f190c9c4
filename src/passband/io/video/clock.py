"""Continues time stamps where those of a transport stream restart, for example in two joined recordings."""

from collections.abc import Sequence
from fractions import Fraction

from av.packet import Packet

_JUMP = Fraction(1)
"""Time in seconds by which a packet must be earlier than the previous one to count as a restart."""


class Clock:
    """Corrects the time stamps of packets.

    Args:
        jumps: shifts that another clock found. This clock then uses the same shifts, because all streams restart
            together. None to find the shifts.

    Attributes:
        jumps: shift after each restart of the time stamps, in seconds.
    """

    def __init__(self, jumps: Sequence[Fraction] | None = None):
        self.jumps = list(jumps or ())
        self._finds = jumps is None
        self._times: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}
        self._passed: dict[int, int] = {}

    def correct(self, packet: Packet) -> None:
        """Correct the time stamps of the next packet of a stream.

        Args:
            packet: packet that comes next in its stream; its time stamps are changed.
        """
        if packet.dts is None:
            return
        index, time = packet.stream_index, packet.dts * packet.time_base
        passed, end = self._passed.get(index, 0), self._ends.get(index)
        if end is not None and time < end - _JUMP:
            if self._finds:
                before = self.jumps[-1] if self.jumps else Fraction(0)
                self.jumps.append(before + end - time)
            passed = self._passed[index] = min(passed + 1, len(self.jumps))
        # A packet without a duration is as long as the packet before it.
        length = (packet.duration or 0) * packet.time_base or max(Fraction(0), time - self._times.get(index, time))
        self._times[index], self._ends[index] = time, time + length
        if passed:
            shift = round(self.jumps[passed - 1] / packet.time_base)
            packet.dts += shift
            if packet.pts is not None:
                packet.pts += shift
