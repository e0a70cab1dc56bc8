"""That no result lands among the pictures, however their places are spelled and wherever links lead."""

# Text, not Paths: an archive may hold millions of pictures.
# ruff: noqa: PTH112, PTH114, PTH118, PTH120, PTH121

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from tintype.errors import SettingsError
from tintype.images import result_name

_FILE_URL = re.compile(r"(?:file|local):(?://([^/]*))?(/.*)?", re.IGNORECASE | re.DOTALL)
# Drivers that hand on to the URL behind them, as in simplecache::s3://…
_WRAPPER = re.compile(r"(?:simplecache|filecache|blockcache|cached|async_?wrapper)(?:://)?::")
_ALIASES = {
    "s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs", "ssh": "sftp", "arrow_hdfs": "hdfs",
    "tosfs": "tos", "https": "http",
}  # fmt: skip


def plain_path(text: str) -> str:
    """The path that a file URL names, anything else as it is. SettingsError for a file of another machine."""
    match = _FILE_URL.fullmatch(text)
    if match is None:
        return text
    host, path = match.groups()
    if path is None or host not in (None, "", "localhost"):
        raise SettingsError(f"{text} names no file of this machine; give its path, or file:// and all of it.")
    path = unquote(path, errors="surrogateescape")
    return path.lstrip("/") if os.name == "nt" else path


def absolute(text: str) -> str:
    """The whole path of a folder, each `..` being one from where a link leads; a URL as it is."""
    if "://" in text:
        return text
    parts = (Path.cwd() / text).parts
    known = max((n for n, part in enumerate(parts, 1) if part == ".."), default=0)
    return str(Path(Path(*parts[:known]).resolve() if known else "", *parts[known:]))


def local_path(text: str) -> str | None:
    """The path of a place on this machine, None for one elsewhere. SettingsError as `plain_path`."""
    text = plain_path(_unwrapped(text))
    return None if "://" in text else text


def inside(inner: str, outer: str) -> str | None:
    """What one place is called inside another: "" where both are one, None where it lies elsewhere.

    SettingsError as `plain_path`.
    """
    first, second = _comparable(inner), _comparable(outer)
    if ("@" in first) != ("@" in second):  # a container with its account, and one of whatever account
        first, second = (re.sub(r"^(abfs:/[^/@]*)@[^/]*", r"\1", text) for text in (first, second))
    if f"{first}/".startswith(f"{second}/"):
        return first[len(second) + 1 :]
    if local_path(inner) is None or local_path(outer) is None or not os.path.isdir(second):
        return None
    parents = [first]
    while parents[-1] != os.path.dirname(parents[-1]):
        parents.append(os.path.dirname(parents[-1]))
    same = next((parent for parent in parents if _is_same(parent, second)), None)
    return None if same is None else first[len(same) :].lstrip("/")


def check_apart(source: str, target: str) -> None:
    """SettingsError where results would land among the pictures. (A target inside the source is left out.)"""
    name = inside(source, target)
    if name == "":
        raise SettingsError(f"The results would replace the pictures of {source}; choose another -o.")
    if name is not None:
        raise SettingsError(
            f"{source} lies inside -o {target}, where results could replace it; choose another -o."
        )


def strays(source: str, target: str) -> Callable[[str], bool]:
    """What tells whether the result of the picture of a name would land among the pictures, by way of a link.

    Links are looked for on this machine's file system alone.
    """
    pictures, results = local_path(source), local_path(target)
    if pictures is None or results is None:
        return lambda name: False

    @lru_cache(maxsize=1024)
    def real_folder(folder: str) -> tuple[str, bool]:
        real = os.path.realpath(os.path.join(results, folder))
        return real, inside(real, results) is None and inside(real, pictures) is not None

    def lands_among(name: str) -> bool:
        folder, own = posixpath.split(name)
        real, among = real_folder(folder)
        picture, result = os.path.join(pictures, name), os.path.join(real, result_name(own))
        return among or (os.path.islink(picture) and os.path.realpath(picture) == result)

    return lands_among


def _unwrapped(text: str) -> str:
    while match := _WRAPPER.match(text):
        text = text[match.end() :]
    return text


def _comparable(text: str) -> str:
    """A text that is one for all spellings of a place, with slashes, and none at its end."""
    path = local_path(text)
    if path is not None:
        return os.path.normcase(os.path.realpath(path)).replace(os.sep, "/").rstrip("/")
    scheme, _, rest = _unwrapped(text).partition("://")
    scheme = _ALIASES.get(scheme.lower(), scheme.lower())
    host, slash, key = rest.lstrip("/").partition("/")
    if scheme != "abfs":
        host = host.rpartition("@")[2]  # whoever logs in
    return scheme + ":" + posixpath.normpath(f"/{host}{slash}{key}").rstrip("/")


def _is_same(first: str, second: str) -> bool:
    """Whether two paths are one folder, as by a mount, or where case does not count."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False
