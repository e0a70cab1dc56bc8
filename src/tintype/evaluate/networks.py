"""Opens the networks that score, which need the extra `train`, from what a command line names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tintype.errors import DataError, SettingsError, TintypeError
from tintype.evaluate.results import Judge

NETWORKS = ("alex", "squeeze")


def open_judges(
    lpips: Sequence[str] = (),
    classifier: str | None = None,
    classes: str | None = None,
    inception: str | None = None,
    threads: int | None = None,
) -> list[Judge]:
    """The networks named: `lpips` as NETWORK=FEATURES,HEADS, the rest as files.

    Raises SettingsError for words that mean nothing, ModelError for a file that cannot be used, TintypeError
    where the extra is missing.
    """
    if classes and not classifier:
        raise SettingsError("--classes says what a classifier's classes are: add --classifier.")
    named = [_parse_lpips(text) for text in lpips]
    if not (named or classifier or inception):
        return []
    try:
        import torch

        from tintype.train import judges
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tintype"):
            raise
        raise TintypeError(
            f"These scores need more than is installed ({error.name} is missing): "
            "pip install 'tintype[train]'."
        ) from None
    if threads is not None:
        torch.set_num_threads(threads)
    found: list[Judge] = [judges.LpipsJudge(*one) for one in named]
    if classifier:
        found.append(judges.ClassifierJudge(Path(classifier), _read_classes(classes) if classes else None))
    if inception:
        found.append(judges.InceptionJudge(Path(inception)))
    return found


def _parse_lpips(text: str) -> tuple[str, Path, Path]:
    network, _, files = text.partition("=")
    parts = files.split(",")
    if network not in NETWORKS or len(parts) != 2:
        raise SettingsError(
            "--lpips takes alex=FEATURES,HEADS or squeeze=FEATURES,HEADS, two safetensors files, "
            f"not {text!r}."
        )
    return network, Path(parts[0]), Path(parts[1])


def _read_classes(file: str) -> dict[str, int]:
    """The number of the class that each label stands for, of a CSV file with the columns `label`, `class`."""
    try:
        with Path(file).open(newline="", encoding="utf-8-sig") as rows:  # as Excel writes it
            return {row["label"]: int(row["class"]) for row in csv.DictReader(rows)}
    except FileNotFoundError:
        raise DataError(f"There is no table of classes {file}.") from None
    except UnicodeDecodeError:
        raise DataError(f"The table of classes {file} is no CSV file in UTF-8.") from None
    except (KeyError, ValueError, TypeError, csv.Error):
        raise DataError(
            f"{file} is no table of classes: it needs the columns label and class, a number."
        ) from None
