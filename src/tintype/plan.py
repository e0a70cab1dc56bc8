"""Which pictures a command means and where each result goes, settled before anything is written."""

# Text, not Paths: a folder may hold a million pictures.
# ruff: noqa: PTH110, PTH112, PTH118, PTH119, PTH120, PTH122, PTH207

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tintype.errors import SettingsError
from tintype.images import READABLE_SUFFIXES, WRITABLE_SUFFIXES, result_name
from tintype.listing import (
    NO_PICTURE,
    is_picture,
    is_result,
    is_same,
    is_unread,
    lies_in,
    unread_words,
    walk,
    why_no_file,
)
from tintype.results import default_target, versions_of
from tintype.words import count_of, plain_words


class Job(NamedTuple):
    """One picture to colour."""

    source: str
    target: str


@dataclass
class Plan:
    """What a command will do: `jobs`, what it could not use, and what the user should know."""

    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """An input as it was named, and why it is of no use."""
    notes: list[str] = field(default_factory=list)
    single: bool = False
    """One file was named. Its result being there is an error then, not a run to resume."""


def make_plan(
    inputs: Sequence[str], output: str | None = None, *, recursive: bool = False, candidates: int = 0
) -> Plan:
    """Find the pictures that `inputs` (files, folders, globs) name, and a place for each result.

    Without `output` that place is beside the picture, as NAME.color.EXT. Else `output` is a folder in which
    folders keep their tree; or, with one file named, a file unless it is a folder or ends in a slash.
    With `candidates` that many versions go to `versions_of` each place. A folder that a glob matches is taken
    as one that is named itself. Inputs that are of no use are listed in the plan. Raises SettingsError where
    results would land on each other or on an input, and for an `output` that does not fit the inputs.
    """
    plan = Plan(single=len(inputs) == 1 and not os.path.isdir(inputs[0]) and not _is_glob(inputs[0]))
    if output is not None and plan.single and not _means_folder(output):
        check_file_name(output)
        found = _find(inputs[0], plan, recursive, None)
        plan.jobs = [Job(str(Path(source)), output) for source, _ in found]
    else:
        if output is not None and os.path.exists(output) and not os.path.isdir(output):
            raise SettingsError(f"-o {output} is a file; the results of several pictures need a folder.")
        if output is not None and not _means_folder(output) and is_picture(os.path.basename(output)):
            raise SettingsError(
                f"-o {output} names a picture; the results of several pictures need a folder."
            )
        for text in inputs:
            for source, place in _find(text, plan, recursive, output):
                path = Path(source)
                if output is None and not path.suffix:
                    plan.failures.append((source, "its name has no suffix; name the result with -o"))
                    continue
                target = default_target(path) if output is None else Path(output, result_name(place))
                plan.jobs.append(Job(str(path), str(target)))
    _settle(plan, candidates, beside=output is None)
    return plan


def find_pictures(inputs: Sequence[str], plan: Plan, *, recursive: bool = False) -> list[str]:
    """The pictures that `inputs` (files, folders, globs) name, once each, where nothing becomes of them.

    Inputs that are of no use, and what the user should know, are listed in `plan`.
    """
    found: dict[str, str] = {}
    for text in inputs:
        for source, _ in _find(text, plan, recursive, None):
            found.setdefault(os.path.realpath(source), source)
    return list(found.values())


def check_file_name(output: str, option: str = "-o") -> None:
    """Raises SettingsError when a result's name has no suffix, or one of no format that is written."""
    suffix = Path(output).suffix
    if not output:
        raise SettingsError(f"{option} has an empty name; give the name of a file.")
    if output.endswith(("/", os.sep)):
        raise SettingsError(f"{option} {output} is a folder; give the name of a file.")
    if not suffix:
        folder = f", {output}/ for a folder" if option == "-o" else ""
        raise SettingsError(f"{option} {output} has no suffix: write {output}.jpg for a file{folder}.")
    if suffix.lower() not in WRITABLE_SUFFIXES:
        known = " ".join(sorted(WRITABLE_SUFFIXES))
        is_read = suffix.lower() in READABLE_SUFFIXES
        why = f"{suffix} is read and not written" if is_read else f"no format is known by {suffix}"
        raise SettingsError(f"{option} {output}: {why}; choose one of {known}.")


def is_there(path: str) -> bool:
    """Whether there is something, if only a link to nothing; False, no error, where one may not look."""
    return os.path.lexists(path)


def _is_glob(text: str) -> bool:
    return any(c in text for c in "*?[") and not os.path.lexists(text)


def _means_folder(output: str) -> bool:
    return os.path.isdir(output) or output.endswith(("/", os.sep))


def _find(text: str, plan: Plan, recursive: bool, output: str | None) -> Iterator[tuple[str, str]]:
    """Each picture that one input names, with its place under the output folder."""
    try:
        if _is_glob(text):
            yield from _from_glob(text, plan, recursive, output)
        elif os.path.isdir(text):
            yield from _from_folder(text, plan, recursive, output)
        elif reason := why_no_file(text):
            plan.failures.append((text, reason))
        else:
            yield text, os.path.basename(text)
    except OSError as error:
        error.filename = error.filename if error.filename != text else None
        plan.failures.append((text, plain_words(error)))


def _from_glob(pattern: str, plan: Plan, recursive: bool, output: str | None) -> Iterator[tuple[str, str]]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.escape(part) != part)
    root = str(Path(*parts[:fixed]))
    # Like a folder, `**` leaves out the output folder; who names that itself gets what is there.
    own = output if "**" in parts and not lies_in(root, output) else None
    # A set, for `**` gives a file once for every way to reach it.
    matches = sorted(name for name in set(glob.glob(pattern, recursive=True)) if not lies_in(name, own))
    inside = {name for name in matches if os.path.isdir(name)}
    folders = [] if _matches_all(pattern) else [n for n in matches if n in inside and not is_same(n, output)]
    names = [name for name in matches if is_picture(os.path.basename(name)) and name not in inside]
    pictures = [name for name in names if not is_result(name)]
    _tell_results(pattern, len(names) - len(pictures), plan)
    _tell_unread(pattern, [name for name in matches if is_unread(os.path.basename(name))], plan)
    if not pictures and not folders:
        plan.failures.append((pattern, "no picture has a name like this"))
    for name in pictures:
        for source, _ in _find(name, plan, recursive, output):
            yield source, os.path.relpath(source, root)
    told = set(pictures)
    inner = (found for folder in folders for found in _find(folder, plan, recursive, output))
    yield from ((source, place) for source, place in inner if source not in told)


def _matches_all(pattern: str) -> bool:
    """Whether a glob matches whatever lies in the folders that it matches, which then add nothing."""
    parts = Path(pattern).parts
    return not pattern.endswith(("/", os.sep)) and (parts[-1] == "**" or parts[-2:] == ("**", "*"))


def _from_folder(folder: str, plan: Plan, recursive: bool, output: str | None) -> Iterator[tuple[str, str]]:
    taken = deeper = results = 0
    os.scandir(folder).close()  # a folder that cannot be listed is an error; os.walk would find it empty
    level = os.path.dirname(os.path.join(folder, ""))

    def unlisted(path: str, reason: str) -> None:
        folder_below = os.path.isdir(path)
        ours = recursive or (not folder_below and os.path.dirname(path) == level)
        if ours and (folder_below or not is_result(path)):
            plan.failures.append((path, reason))

    unread: list[str] = []
    for here, names in walk(folder, unlisted, output, unread.append):
        top = here == folder
        for name in names:
            if is_result(name):
                results += top or recursive
            elif top or recursive:
                taken += 1
                path = os.path.join(here, name)
                yield path, os.path.relpath(path, folder)
            else:
                deeper += 1
    _tell_results(folder, results, plan)
    _tell_unread(folder, [path for path in unread if recursive or os.path.dirname(path) == level], plan)
    if taken and deeper:
        lie = "lies" if deeper == 1 else "lie"
        more = count_of(deeper, "more picture")
        plan.notes.append(f"{folder}: {more} {lie} deeper; --recursive takes them too.")
    elif not taken:
        plan.failures.append((folder, _why_empty(deeper, results)))


def _tell_results(text: str, results: int, plan: Plan) -> None:
    if results:
        plan.notes.append(f"{text}: {count_of(results, 'earlier result')} (NAME.color.EXT) left out.")


def _tell_unread(text: str, paths: Sequence[str], plan: Plan) -> None:
    if paths:
        plan.notes.append(unread_words(text, Counter(os.path.splitext(path)[1].lower() for path in paths)))


def _why_empty(deeper: int, results: int) -> str:
    own = NO_PICTURE + (" but earlier results" if results else "")
    lie = "lies" if deeper == 1 else "lie"
    return f"{own}; {count_of(deeper, 'picture')} {lie} deeper (add --recursive)" if deeper else own


def _settle(plan: Plan, candidates: int, beside: bool) -> None:
    """Drop what was named twice and earlier results; refuse results on one another or on an input."""
    real: dict[str, str] = {}

    def key(path: str) -> str:
        folder, name = os.path.split(path)
        if folder not in real:
            real[folder] = os.path.realpath(folder)
        return os.path.normcase(os.path.join(real[folder], name))

    def places(target: str) -> list[str]:
        return [key(str(path)) for path in versions_of(Path(target), candidates)] if candidates else [target]

    owners: dict[str, str] = {}
    sources = {key(job.source): job.source for job in plan.jobs}
    jobs: dict[tuple[str, str], Job] = {}
    for job in plan.jobs:
        jobs.setdefault((key(job.source), key(job.target)), job)
    written = (place for _, target in jobs for place in places(target))
    results = sources.keys() & written if beside else set()
    plan.jobs = [job for (source, _), job in jobs.items() if source not in results]
    for (source, target), job in jobs.items():
        if source in results:
            continue
        for place in sources.keys() & places(target) if not beside else ():
            own = "itself" if place == source else f"the input {sources[place]}"
            raise SettingsError(f"The result of {job.source} would replace {own}; choose another -o.")
        if (other := owners.setdefault(target, job.source)) != job.source:
            raise SettingsError(
                f"{other} and {job.source} would both be written to {job.target}; colour them in two runs."
            )
    if results:
        verb = "was" if len(results) == 1 else "were"
        plan.notes.append(f"{count_of(len(results), 'earlier result')} (NAME.color.EXT) {verb} left out.")
