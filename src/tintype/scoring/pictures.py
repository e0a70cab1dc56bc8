"""The pictures that were scored, and the true ones, as files of the same names in a folder for each."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from PIL import Image

from tintype.errors import OutputError, SettingsError
from tintype.evaluate import TRUTH, Results
from tintype.evaluate.scorer import Told, predicted
from tintype.whole import whole_file
from tintype.words import plain_words


def check_folder(folder: Path, sources: set[str]) -> None:
    """SettingsError where a file of the photographs themselves lies in the folder: it might be replaced."""
    inside = [source for source in sources if folder.resolve() in Path(source).resolve().parents]
    if inside:
        raise SettingsError(
            f"--pictures {folder} holds {min(inside)}, which is scored on; name another folder."
        )


def write_pictures(results: Results, folder: Path, told: Told) -> None:
    """Write `MODEL/NAME.png` for each model and `truth/NAME.png`; what has such a name is replaced.

    The models are run once more. OutputError where that cannot be, ModelError where one fails.
    """
    numbers = [int(number) for number in results.used]
    told.begin(len(numbers))
    names = _file_names([results.photographs.names[number] for number in numbers])
    for number, name in zip(numbers, names, strict=True):
        truth = results.truth(number)
        pictures = {model.name: predicted(model, truth).rgb8 for model in results.models} | {
            TRUTH: truth.rgb8
        }
        for model, rgb8 in pictures.items():
            target = folder / re.sub(r"[/\\:]", "-", model) / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"Cannot write {target}: {plain_words(error)}.") from None
            with whole_file(target) as file:
                Image.fromarray(rgb8).save(file, "PNG")
        told.step()


def _file_names(names: list[str]) -> list[Path]:
    """Paths below a folder, `.png` in the place of their suffix, or behind it where names else were one."""
    plain = [Path(*re.findall(r"[^/\\\\:]+", name.replace("..", "-"))) for name in names]
    stems = Counter(path.with_suffix("") for path in plain)
    return [
        path.with_suffix(".png" if stems[path.with_suffix("")] == 1 else f"{path.suffix}.png")
        for path in plain
    ]
