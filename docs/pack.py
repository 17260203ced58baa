"""What a wheel carries besides the modules: the sample scenes, and the pages that `geodl help` shows.

Called by hatchling (pyproject.toml). An editable installation finds both where they are written.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PATTERNS = ("docs/*.md", "docs/howto/*.md", "docs/tutorials/*.md", "sample_scenes/*.tif",
            "sample_scenes/README.md", "sample_scenes/truth/*")  # fmt: skip


class Pack(BuildHookInterface):
    """Puts those files into ``geodl/shipped`` of the wheel, where `geodl.shipped` looks for them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name them before the wheel is built."""
        if version == "editable":
            return
        root = Path(self.root)
        files = sorted(path for pattern in PATTERNS for path in root.glob(pattern) if path.is_file())
        build_data["force_include"].update(
            {str(path): f"geodl/shipped/{path.relative_to(root).as_posix()}" for path in files}
        )
