"""Which pictures of a source are to be done: those that a manifest does not know as done and unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tintype.archive.manifest import Manifest
from tintype.archive.places import place
from tintype.archive.record import BEGUN, DONE, EXISTS_KIND, FAILED, SKIPPED
from tintype.archive.settings import Settings, Task, now
from tintype.progress import EXISTS, Report, failed
from tintype.results import FileResult

_TAKEN = "a file that is not of this manifest has its result's name; --overwrite replaces it"


def wanted(settings: Settings, manifest: Manifest, report: Report, *, overwrite: bool) -> Iterator[Task]:
    """The tasks, found as they are asked for; each is entered as begun, so that a run that died goes on.

    A picture is left alone where the manifest has it as done with the same model and settings, its stamp
    (size and time of change, or the store's mark) is the same, and its result is there. With another stamp
    its bytes decide, in the worker. What is there but unknown to it is replaced with `overwrite` alone.
    """
    source, target = place(settings.source), place(settings.target)
    is_there = target.presence()
    told = _teller(report)
    for found in source.pictures(told, settings.target):
        task = Task(found.name, found.size, found.stamp, 0)
        record = settings.record(task, BEGUN)
        known = manifest.known(record.source)
        there = is_there(found.name)
        ours = known is not None and known.status != EXISTS_KIND
        if there and not ours and not overwrite:
            manifest.add(settings.record(task, FAILED, kind=EXISTS_KIND, reason=_TAKEN, finished=now()))
            report.add(failed(record.source, _TAKEN, record.output))
            continue
        if known is not None and not overwrite:
            settled = known.status == SKIPPED or (known.status == DONE and there)
            if settled and known.state == record.state and found.stamp:
                report.add(_unchanged(record.source, record.output, known.status))
                continue
            if settled:
                task = task._replace(known=known.content)
        if known is not None and known.status == BEGUN:
            target.clear(found.name)
        manifest.add(record)
        yield task


def _unchanged(source: str, output: str, status: str) -> FileResult:
    reason = EXISTS if status == DONE else "it is in colour already"
    return FileResult(source, output if status == DONE else None, "skipped", reason)


def _teller(report: Report) -> Callable[[str, str], None]:
    return lambda name, reason: report.add(failed(name, reason))
