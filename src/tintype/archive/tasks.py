"""Which pictures of a source are to be done: those that a manifest does not know as done and unchanged."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain

from tintype.archive.apart import strays
from tintype.archive.manifest import Known, Manifest
from tintype.archive.places import Found, place
from tintype.archive.record import BEGUN, DONE, EXISTS_KIND, FAILED, SKIPPED, Record, Written
from tintype.archive.settings import Settings, Task, now
from tintype.images import origin_of
from tintype.listing import NO_PICTURE, unread_words
from tintype.progress import EXISTS, Report, failed
from tintype.results import FileResult

TAKEN = (
    "a file that is not of this manifest, or was changed since, has its result's name; "
    "--overwrite replaces it"
)
NAMESAKE = "it has the name that the result of {origin} beside it gets; give it another, or take it away"
STRAYS = (
    "a link leads from its result's place to the pictures, which it could replace; remove the link, or "
    "choose another -o"
)


def listed(settings: Settings, report: Report) -> Iterator[Found] | None:
    """The pictures of the source, found as they are asked for; None where there is none, which is told.

    What cannot be listed is told as it is met. Errors as `Place.pictures`.
    """
    unread: Counter[str] = Counter()

    def found() -> Iterator[Found]:
        yield from place(settings.source).pictures(
            lambda name, reason: report.add(failed(name, reason)),
            settings.target,
            lambda name: unread.update([posixpath.splitext(name)[1].lower()]),
        )
        if unread:
            report.say(unread_words(settings.source, unread))

    pictures = found()
    first = next(pictures, None)
    if first is None:
        report.add(failed(settings.source, NO_PICTURE))
        return None
    return chain([first], pictures)


def wanted(
    pictures: Iterator[Found], settings: Settings, manifest: Manifest, report: Report
) -> Iterator[Task]:
    """The tasks, found as they are asked for; each is entered as begun, so that a run that died goes on.

    A picture is left alone where the manifest has it as done with the same model and settings, its stamp
    (size and time of change, or the store's mark) is the same, and its result is there. With another stamp
    its bytes decide, in the worker. What is there is replaced, but for `settings.overwrite`, only where it is
    as the manifest's last result was written; or, where a run may have written more than the manifest was
    told, by the same bytes.
    """
    overwrite = settings.overwrite
    target = place(settings.target)
    look, clear, why_misplaced = target.presence(), target.clearing(), _misplaced(settings)

    def refuse(task: Task, record: Record, kind: str, reason: str) -> None:
        manifest.add(settings.record(task, FAILED, kind=kind, reason=reason, finished=now()))
        report.add(failed(record.source, reason, record.output))

    for found in pictures:
        if report.stop.is_set():
            return
        task = Task(found.name, found.size, found.stamp, 0)
        record = settings.record(task, BEGUN)
        known = manifest.known(record.source)
        there = look(task.result)
        if known is not None:
            task = task._replace(written=known.written)
        if misplaced := why_misplaced(found.name):
            refuse(task, record, *misplaced)
            continue
        if known is not None and not overwrite:
            settled = known.status == SKIPPED or (known.status == DONE and there is not None)
            if settled and known.state == record.state and found.stamp:
                report.add(_unchanged(record.source, record.output, known.status))
                continue
            if settled and known.status == DONE:
                task = task._replace(known=known.content)
        if there is not None and not overwrite:
            if _is_own(there, known):
                task = task._replace(written=there, there=there)
            elif known is None or known.status != BEGUN:
                refuse(task, record, EXISTS_KIND, TAKEN)
                continue
        if known is not None and known.status == BEGUN:
            clear(task.result)
        manifest.add(settings.record(task, BEGUN))
        yield task


def _misplaced(settings: Settings) -> Callable[[str], tuple[str, str] | None]:
    """What tells of a picture why its result can have no place: an error's kind, and its words."""
    is_stray = strays(settings.source, settings.target)
    in_source = cache(place(settings.source).presence)  # asked for a few names alone

    def why(name: str) -> tuple[str, str] | None:
        if (origin := origin_of(name)) and in_source()(origin) is not None:
            return "name", NAMESAKE.format(origin=posixpath.basename(origin))
        return ("link", STRAYS) if is_stray(name) else None

    return why


def _is_own(there: Written, known: Known | None) -> bool:
    """Whether what lies in the target is the result that the manifest knows."""
    if known is None:
        return False
    if known.written == Written():  # a manifest of before the results' sizes were noted
        return known.status == DONE
    return there == known.written


def _unchanged(source: str, output: str, status: str) -> FileResult:
    reason = EXISTS if status == DONE else "it is in colour already"
    return FileResult(source, output if status == DONE else None, "skipped", reason)
