"""What a service counts, in the text that Prometheus reads."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from tintype.serve.desk import Desk

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counters:
    """Requests by route and status; beside them what the desk knows."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._requests: Counter[tuple[str, int]] = Counter()

    def count(self, route: str, status: int) -> None:
        """One request has been answered; `route` is its pattern, never what the client wrote."""
        self._requests[route, status] += 1

    def text(self) -> str:
        """All of it."""
        desk = self._desk
        lines = _head("tintype_requests_total", "counter", "Requests that were answered.")
        for (route, status), number in sorted(self._requests.items()):
            lines.append(f'tintype_requests_total{{route="{route}",status="{status}"}} {number}')
        lines += _head("tintype_work_seconds", "summary", "Time that colouring took, without waiting.")
        lines += [f"tintype_work_seconds_sum {desk.seconds:.6f}", f"tintype_work_seconds_count {desk.ended}"]
        gauges = {
            "tintype_workers": (desk.workers, "Pictures that can be in hand at once."),
            "tintype_working": (desk.working, "Pictures in hand."),
            "tintype_places": (desk.places, "Requests that can be in hand or wait."),
            "tintype_places_taken": (desk.taken, "Requests in hand or waiting."),
            "process_resident_memory_bytes": (_resident_bytes(), "Memory of the process."),
        }
        for name, (value, what) in gauges.items():
            if value is not None:
                lines += [*_head(name, "gauge", what), f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def _resident_bytes() -> int | None:
    """None on systems that do not tell in this way."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
