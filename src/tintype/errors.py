"""Every error that Tintype raises on purpose.

    TintypeError
    ├── InputError        a picture (or a folder of them) that cannot be used
    │   └── TooLargeError a picture that claims more pixels than the limit allows
    ├── OutputError       a result that cannot be written
    │   └── OutputExistsError
    ├── ModelError        a model or card that is missing, damaged or breaks the contract
    ├── DataError         training data that cannot be used
    └── SettingsError     a setting that is unknown, ill-typed or out of range

Each message is one sentence that says what was wrong and, where there is one, the remedy.
"""


class TintypeError(Exception):
    """Base of all errors that Tintype raises on purpose."""


class InputError(TintypeError):
    """A picture that cannot be read or used."""


class TooLargeError(InputError):
    """A picture whose header claims more pixels than the limit allows."""


class OutputError(TintypeError):
    """A result that cannot be written."""


class OutputExistsError(OutputError):
    """The result's path is taken, and overwriting was not asked for."""


class ModelError(TintypeError):
    """A model or its card is missing, damaged or breaks the contract."""


class DataError(TintypeError):
    """Training data that cannot be used."""


class SettingsError(TintypeError):
    """A setting that is unknown, ill-typed or out of range."""
