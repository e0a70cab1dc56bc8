"""Fuzzes the readers of cards, hints, manifests and metadata by coverage, with atheris.

    python fuzz/covered.py READER [libFuzzer's options]

READER is card, hints, manifest, metadata, or all, which takes turns by the first byte of a case.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tintype"]):
    from exercise import READERS

from mutations import ODD, metadata_blocks, texts

from tintype.errors import TintypeError

NAMES = ("card", "hints", "manifest", "metadata")


def one_case(names: tuple[str, ...], data: bytes) -> None:
    """Give the bytes to a reader, which the first byte chooses. Refusals are as they should be."""
    if not data:
        return
    with suppress(TintypeError):
        READERS[names[data[0] % len(names)]](data[1:])


def seeds(names: tuple[str, ...], folder: Path) -> None:
    """Whole files to begin with."""
    whole = {name: [text] for name, text in texts().items()}
    whole["metadata"] += metadata_blocks()
    for first, name in enumerate(names):
        for n, content in enumerate(whole[name]):
            (folder / f"{name}-{n}").write_bytes(bytes([first]) + content)


def dictionary() -> str:
    """Pieces that chance would take long to find, as libFuzzer reads them."""
    pieces = {piece[:60] for piece in ODD}
    for content in texts().values():
        pieces |= set(re.findall(rb"[A-Za-z_:]{4,40}", content))
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in piece) + '"\n' for piece in sorted(pieces))


def main(arguments: list[str]) -> None:
    """Run until a finding or the end that the options set."""
    names = NAMES if arguments[1:2] in ([], ["all"]) else (arguments[1],)
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        seeds(names, corpus)
        words.write_text(dictionary(), encoding="ascii")
        usual = ["-timeout=5", "-rss_limit_mb=1024", "-max_len=8192", f"-dict={words}"]
        options = [arguments[0], *usual, *arguments[2:], str(corpus)]
        atheris.Setup(options, lambda data: one_case(names, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
