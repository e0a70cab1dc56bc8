"""Films whose time stamps jump, as where broadcasts or discs were joined end to end: one time line for all.

All streams of a film move together at a jump, so that sound and pictures stay with each other. MP4 and AVI,
whose time stamps are sums of lengths, have none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tintype.video.media import is_cover, load_av, open_film, packets_of

if TYPE_CHECKING:
    from av.packet import Packet

_SUMS = ("mov,mp4,m4a,3gp,3g2,mj2", "avi")
# FFmpeg's own bounds: clocks may jitter, and where clocks begin anew (broadcasts, discs, chained Ogg) so many
# seconds ahead are a jump; elsewhere a picture may stand for as long as it likes.
_BACK_S, _FORWARD_S = 0.1, 10.0
_STEADY_S = 1.0  # by which pictures may go on at once while sound is in a later era
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
    astray: dict[int, set[int]] = field(default_factory=dict)
    """By a stream's index: which of its packets have a time that cannot be."""
    empty: frozenset[int] = frozenset()
    """Which streams the file lists, and has nothing of."""

    @property
    def is_straight(self) -> bool:
        """Whether all packets stay as they are."""
        return not (self.jumps or self.astray)

    def straighten(self, packets: Iterable[Packet[Any]]) -> Iterator[Packet[Any]]:
        """All packets of a container, or of some of its streams, from its beginning on, moved in place.

        Those that have gone astray have no time any more.
        """
        if self.is_straight:
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
            lost = places[index] in self.astray.get(index, ())
            places[index] += 1
            packet.pts = None if lost or packet.pts is None else packet.pts + ticks[index]
            packet.dts = None if lost or packet.dts is None else packet.dts + ticks[index]
            yield packet


def may_jump(container: Any) -> bool:
    """Whether films in an open container's format may be pieces with clocks of their own."""
    return container.format.name not in _SUMS


def timeline_of(path: Path, pictures: int, step_s: float) -> Timeline:
    """The time line of the film at `path`, which is read to its end.

    `pictures` is the index of their stream, `step_s` the seconds that one lasts: many a stream does not tell.
    """
    with open_film(path) as container:
        flags = load_av().format.Flags
        anew = flags.ts_discont in flags(container.format.flags)
        eras = _Eras(pictures, step_s, _FORWARD_S if anew else math.inf)
        broken = (load_av().error.InvalidDataError, load_av().error.EOFError)
        with suppress(*broken):  # a film that breaks off, which its decoding tells
            for packet in packets_of(container):
                if packet.size:
                    eras.add(packet)
        empty = frozenset(stream.index for stream in container.streams) - eras.seen
    return replace(eras.timeline(), empty=empty)


class _Reach(NamedTuple):
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


class _Held(NamedTuple):
    """A packet that is far from the one before; the next tells whether it went astray or begins an era."""

    place: int
    seconds: float
    reach: _Reach


class _Late(NamedTuple):
    """A stream's last packet, which the next may show to have gone astray."""

    place: int
    era: int
    reach: _Reach


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
        self._until: dict[int, float] = {}
        self._held: dict[int, _Held] = {}
        self._late: dict[int, _Late] = {}
        self._astray: dict[int, set[int]] = defaultdict(set)
        self._begun: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._eras = [_Era()]

    def add(self, packet: Packet[Any]) -> None:
        """The next packet of the file."""
        stream = packet.stream
        index, place = stream.index, self._count[stream.index]
        self._count[index] += 1
        timed = stream.type in ("audio", "video") and not is_cover(stream)
        if not timed:
            self._enter(index, place, self._era.get(self._pictures, 0))
            return
        if index not in self._era:
            self._enter(index, place, len(self._eras) - 1)
        if packet.dts is None:  # times of showing are no help: those of pictures may go back
            return
        seconds = float(packet.dts * packet.time_base)
        if held := self._held.pop(index, None):
            if abs(seconds - held.seconds) < abs(seconds - self._last[index]):  # it goes on there
                self._follow(index, held)
            else:
                self._astray[index].add(held.place)
        if self._is_steady(index, seconds):
            self._note(index, place, seconds, self._reach_of(packet, index))
        else:
            self._held[index] = _Held(place, seconds, self._reach_of(packet, index))

    @property
    def seen(self) -> frozenset[int]:
        """The streams of which there were packets."""
        return frozenset(self._count)

    def _enter(self, index: int, place: int, era: int) -> None:
        if self._era.get(index) != era:
            self._begun[index].append((place, era))
            self._era[index] = era

    def _is_steady(self, index: int, seconds: float) -> bool:
        last, newest = self._last.get(index), len(self._eras) - 1
        if last is None:
            return True
        if seconds < last - _BACK_S:
            return False
        era = self._era[index]
        if era < newest and index == self._pictures:
            return seconds <= last + _STEADY_S  # which may run on to where an era of sound has begun
        if era < newest:
            return abs(seconds - self._eras[era].clock) <= abs(seconds - self._eras[newest].clock)
        return seconds <= max(self._eras[newest].clock, last) + self._forward_s

    def _follow(self, index: int, held: _Held) -> None:
        """Let a stream that has jumped into the era whose clock is nearest, or begin one."""
        if self._is_back(index, held.seconds):
            self._astray[index].add(self._late.pop(index).place)
            self._note(index, *held)
            return
        before, newest = self._era[index], len(self._eras) - 1
        if before < newest:
            back = held.seconds < self._last[index] - _BACK_S
            possible = range(before + back, newest + 1)
            era = min(possible, key=lambda number: abs(held.seconds - self._eras[number].clock))
        else:
            self._eras.append(_Era(self._eras[newest].clock))
            era = newest + 1
        self._enter(index, held.place, era)
        self._note(index, *held)

    def _is_back(self, index: int, seconds: float) -> bool:
        """Whether it was the packet before that went astray, ahead, and the stream is where it was."""
        until = self._until.get(index)
        return until is not None and until - _BACK_S <= seconds <= until + _STEADY_S

    def _note(self, index: int, place: int, seconds: float, reach: _Reach) -> None:
        """Take a packet for one of the era that its stream is in."""
        number, newest = self._era[index], len(self._eras) - 1
        era = self._eras[number]
        if index in self._late:
            self._until[index] = self._last[index]
            self._reach(index)
        self._late[index] = _Late(place, number, reach)
        self._last[index] = seconds
        era.clock = max(era.clock, seconds)
        if number < newest and index != self._pictures and seconds > self._eras[newest].before + _STAYS_S:
            self._eras[newest].ignored = True

    def _reach(self, index: int) -> None:
        """Count the last packet of a stream, which had not gone astray."""
        _, number, reach = self._late.pop(index)
        known = self._eras[number].reach.setdefault(index, reach)
        both = _Reach(min(known.first, reach.first), max(known.end, reach.end))
        self._eras[number].reach[index] = both

    def _reach_of(self, packet: Packet[Any], index: int) -> _Reach:
        time: Any = packet.dts if packet.pts is None else packet.pts
        first = float(time * packet.time_base)
        lasts = self._step_s if index == self._pictures else float((packet.duration or 0) * packet.time_base)
        return _Reach(first, first + lasts)

    def timeline(self) -> Timeline:
        """What is to be done, all packets having been seen."""
        for index in list(self._late):
            self._reach(index)
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
            return Timeline(astray=dict(self._astray))
        shifts = {i: [(place, offsets[era]) for place, era in begun] for i, begun in self._begun.items()}
        return Timeline(
            shifts, jumps, ends.get(self._pictures), self._count[self._pictures], dict(self._astray)
        )
