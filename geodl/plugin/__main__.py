"""``python -m geodl.plugin geodl-qgis.zip``: pack the QGIS plugin."""

import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).parent / "geodl_qgis"
KINDS = {".py", ".txt", ".svg", ""}  # the licence has no suffix
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can hold: the same bytes every time


def pack(target: Path) -> list[str]:
    """Write the plugin as QGIS installs it from a file, and return the names of what is inside.

    Parameters
    ----------
    target : pathlib.Path
        The zip file; an existing one is replaced.
    """
    files = sorted(file for file in SOURCE.iterdir() if file.is_file() and file.suffix in KINDS)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(f"{SOURCE.name}/{file.name}", LONG_AGO)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, file.read_bytes())
        return archive.namelist()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m geodl.plugin geodl-qgis.zip")
    print(f"{sys.argv[1]}: {len(pack(Path(sys.argv[1])))} files")
