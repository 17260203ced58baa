"""Errors for users: "what: cause: remedy", each naming the file and the option that mends it.

Nothing else in geodl defines an exception. The command line prints the message of a `GeodlError`
and exits with its `exit_status`; any other exception is a bug and keeps its traceback.
"""


def first_line(error: BaseException) -> str:
    """Return the first line of an error of another library, or its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class GeodlError(ValueError):
    """Something the user can mend.

    Parameters
    ----------
    what : str
        The thing that is wrong, with its name: ``"scene s2.tif"``.
    cause : str
        Why it is refused: ``"band 'nir' is missing; it has blue, green, red"``.
    remedy : str
        What mends it, with the option by name: ``"name the bands with --bands"``.
    """

    exit_status = 1

    def __init__(self, what: str, cause: str, remedy: str = "") -> None:
        self.what, self.cause, self.remedy = what, cause, remedy
        super().__init__(": ".join(part for part in (what, cause, remedy) if part))

    def __reduce__(self):
        # Exceptions travel between Dask workers by pickle, which would call __init__(message).
        return type(self), (self.what, self.cause, self.remedy)


class SceneError(GeodlError):
    """A raster cannot be opened, read or understood."""


class ModelError(GeodlError):
    """A model folder is damaged, incomplete or from another version."""


class MismatchError(GeodlError):
    """Scene and model do not fit each other: bands, units, pixel size, dtype."""


class OptionError(GeodlError):
    """An option or argument has a value that cannot be used."""

    exit_status = 2


class RecipeError(GeodlError):
    """A recipe or workflow file is invalid."""


class ProductError(GeodlError):
    """A product cannot be written, or an existing one is in the way."""
