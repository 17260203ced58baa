"""Where geodl is installed, and the environment in which its command runs."""

import shutil
from pathlib import Path

EXECUTABLE = "GEODL_EXECUTABLE"  # key of the setting
PLACES = ("bin/geodl", "Scripts/geodl.exe", "geodl.exe", "geodl")  # in the folder of an environment

# QGIS sets these for its own libraries; those of another environment would not start with them.
FOREIGN = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "PROJ_LIB",
    "PROJ_DATA",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "QT_PLUGIN_PATH",
)
# Progress as lines, at once and in UTF-8, whatever the system's own encoding.
OURS = {"GEODL_PROGRESS": "lines", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "NO_COLOR": "1"}

HOW_TO = (
    "create a Python environment outside of QGIS, install geodl into it with pip, and name its folder under"
    " Settings > Options > Processing > Providers > geodl"
)


class SetupError(Exception):
    """What the user has to mend before geodl can run."""


def find_executable(setting, path=None):
    """Return the path of the geodl command.

    Parameters
    ----------
    setting : str
        The command itself, the folder of the environment that holds it, or nothing: then it is looked for
        on the PATH.
    path : str, optional
        What to look through in the place of the PATH.

    Raises
    ------
    SetupError
        There is no such command.
    """
    wanted = (setting or "").strip()
    if not wanted:
        found = shutil.which("geodl", path=path)
        if found is None:
            raise SetupError(f"geodl: no such command on the PATH: {HOW_TO}")
        return found
    named = Path(wanted).expanduser()
    candidates = [named / place for place in PLACES] if named.is_dir() else [named]
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
    raise SetupError(f"geodl: {wanted} does not hold the command: {HOW_TO}")


def environment(variables):
    """Return the environment variables for geodl, made of those of QGIS."""
    kept = {name: value for name, value in variables.items() if name.upper() not in FOREIGN}
    return {**kept, **OURS}
