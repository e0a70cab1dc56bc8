"""One module a recipe. It holds

- `Settings`, a frozen dataclass of everything that may be set, each field with a default and a docstring;
- `Model(settings)`, a `tintype.train.recipe.RecipeModel`;
- `SCHEDULE`, a `tintype.train.recipe.Schedule`: how it is trained unless the user says otherwise;
- `CROPS`, a `tintype.train.data.CropSettings`, where it takes photographs in a way of its own.

Recipes are found by the module's name; `get` is the only look-up.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tintype.errors import SettingsError

if TYPE_CHECKING:
    from tintype.train.data import CropSettings


def names() -> list[str]:
    """The recipes there are, sorted."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The module of the recipe called `name`; SettingsError when there is none."""
    if name not in names():
        raise SettingsError(f"There is no recipe {name!r}; choose one of {', '.join(names())}.")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def crops_of(module: ModuleType) -> CropSettings:
    """How a recipe takes crops unless the user says otherwise."""
    from tintype.train.data import CropSettings

    crops: CropSettings = getattr(module, "CROPS", CropSettings())
    return crops


def name_of(model: Any) -> str:
    """The name of the recipe whose `Model` this is."""
    return type(model).__module__.removeprefix(f"{__name__}.").partition(".")[0].replace("_", "-")
