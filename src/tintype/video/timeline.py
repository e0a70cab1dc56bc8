"""Films whose time stamps jump, as where broadcasts or discs were joined end to end: one time line for all.

All streams of a film move together at a jump, so that sound and pictures stay with each other. MP4 and AVI,
whose time stamps are sums of lengths, have none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tintype.video.media import file_url, is_cover, load_av

if TYPE_CHECKING:
    from av.packet import Packet

_SUMS = ("mov,mp4,m4a,3gp,3g2,mj2", "avi")
# FFmpeg's own bounds: clocks may jitter, and where clocks begin anew (broadcasts, discs, chained Ogg) so many
# seconds ahead are a jump; elsewhere a picture may stand for as long as it likes.
_BACK_S, _FORWARD_S = 0.1, 10.0
_STAYS_S = 2.0  # by which sound may come later in a file than the pictures that it belongs to


@dataclass(frozen=True)
class Timeline:
    """By how much the packets of each stream are to be moved."""

    shifts: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    """By a stream's index: from which of its packets on, and by how many seconds."""
    jumps: int = 0
    end: float | None = None
    """When the pictures end, in seconds, if there are jumps; the file tells nothing of use then."""
    pictures: int | None = None
    """How many there are, if there are jumps."""

    def straighten(self, packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
        """All packets of a container, or of some of its streams, from its beginning on, moved in place."""
        if not self.jumps:
            yield from packets
            return
        places: dict[int, int] = defaultdict(int)
        ahead = {index: list(reversed(shifts)) for index, shifts in self.shifts.items()}
        ticks: dict[int, int] = defaultdict(int)
        for packet in packets:
            index = packet.stream_index
            coming = ahead.get(index)
            if coming and places[index] == coming[-1][0]:
                ticks[index] = round(coming.pop()[1] / packet.time_base)
            places[index] += 1
            packet.pts = None if packet.pts is None else packet.pts + ticks[index]
            packet.dts = None if packet.dts is None else packet.dts + ticks[index]
            yield packet


def may_jump(container: Any) -> bool:
    """Whether films in an open container's format may be pieces with clocks of their own."""
    return container.format.name not in _SUMS


def timeline_of(path: Path, pictures: int, step_s: float) -> Timeline:
    """The time line of the film at `path`, which is read to its end.

    `pictures` is the index of their stream, `step_s` the seconds that one lasts: many a stream does not tell.
    """
    with load_av().open(file_url(path)) as container:
        flags = load_av().format.Flags
        anew = flags.ts_discont in flags(container.format.flags)
        eras = _Eras(pictures, step_s, _FORWARD_S if anew else math.inf)
        for packet in container.demux():
            if packet.size:
                eras.add(packet)
    return eras.timeline()


@dataclass
class _Reach:
    """From when to when a stream goes between two jumps, by the file's own stamps."""

    first: float
    end: float


@dataclass
class _Era:
    before: float = -math.inf
    """What the clock of the era before showed when this one began."""
    clock: float = -math.inf
    """The last time of decoding."""
    ignored: bool = False
    """Whether sound has gone on for long by an earlier clock."""
    reach: dict[int, _Reach] = field(default_factory=dict)


class _Eras:
    """What lies between two jumps is an era, with a clock of its own.

    The first stream of sound or pictures that jumps begins one, the others follow it as they jump too, which
    need not be at once. Where the pictures do not, or where the sound goes on and they alone do, that stream
    has lost its way, and all stay as they are.
    """

    def __init__(self, pictures: int, step_s: float, forward_s: float) -> None:
        self._pictures, self._step_s, self._forward_s = pictures, step_s, forward_s
        self._era: dict[int, int] = {}
        self._count: dict[int, int] = defaultdict(int)
        self._last: dict[int, float] = {}
        self._begun: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._eras = [_Era()]

    def add(self, packet: Packet[Any]) -> None:
        """The next packet of the file."""
        stream = packet.stream
        index, place = stream.index, self._count[stream.index]
        self._count[index] += 1
        timed = stream.type in ("audio", "video") and not is_cover(stream)
        before = self._era.get(index, len(self._eras) - 1 if timed else 0)
        if not timed:
            era = self._era.get(self._pictures, 0)
        elif packet.dts is None:  # times of showing are no help: those of pictures may go back
            era = before
        else:
            era = self._era_of(index, float(packet.dts * packet.time_base), before)
        if era != before or index not in self._era:
            self._begun[index].append((place, era))
        self._era[index] = era
        if timed:
            self._note(packet, index, self._eras[era])

    def _era_of(self, index: int, seconds: float, before: int) -> int:
        newest = len(self._eras) - 1
        back = seconds < self._last.get(index, seconds) - _BACK_S
        self._last[index] = seconds
        era = before
        if before < newest:  # the one whose clock is nearest
            possible = range(before + back, newest + 1)
            era = min(possible, key=lambda number: abs(seconds - self._eras[number].clock))
        elif back or -math.inf < self._eras[newest].clock < seconds - self._forward_s:
            self._eras.append(_Era(self._eras[newest].clock))
            era = newest + 1
        if era < newest and index != self._pictures and seconds > self._eras[newest].before + _STAYS_S:
            self._eras[newest].ignored = True
        self._eras[era].clock = max(self._eras[era].clock, seconds)
        return era

    def _note(self, packet: Packet[Any], index: int, era: _Era) -> None:
        time = packet.dts if packet.pts is None else packet.pts
        if time is None:
            return
        first = float(time * packet.time_base)
        lasts = self._step_s if index == self._pictures else float((packet.duration or 0) * packet.time_base)
        end = first + lasts
        reach = era.reach.setdefault(index, _Reach(first, end))
        reach.first, reach.end = min(reach.first, first), max(reach.end, end)

    def timeline(self) -> Timeline:
        """What is to be done, all packets having been seen."""
        offsets: list[float] = []
        ends: dict[int, float] = {}
        jumps = 0
        for number, era in enumerate(self._eras):
            others = era.reach.keys() - {self._pictures}
            offset = offsets[-1] if number else 0.0
            if number and self._pictures in era.reach and (others or not era.ignored):
                here = [ends[index] for index in era.reach if index in ends]
                offset = max(here or ends.values(), default=0.0) - min(r.first for r in era.reach.values())
                jumps += 1
            offsets.append(offset)
            for index, reach in era.reach.items():
                ends[index] = max(ends.get(index, -math.inf), reach.end + offset)
        if not jumps:
            return Timeline()
        shifts = {i: [(place, offsets[era]) for place, era in begun] for i, begun in self._begun.items()}
        return Timeline(shifts, jumps, ends.get(self._pictures), self._count[self._pictures])
