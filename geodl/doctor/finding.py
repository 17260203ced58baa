"""What a check says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from geodl.errors import GeodlError, first_line

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of `geodl doctor`.

    Parameters
    ----------
    name : str
        What was looked at.
    state : {"ok", "warn", "fail"}
        ``warn``: geodl works, though not as well as it could; ``fail``: something does not work.
    found : str
        What is there.
    cure : str
        What mends it; empty where nothing needs to be.
    """

    name: str
    state: State
    found: str
    cure: str = ""


Check = Callable[[], Finding | list[Finding]]


def examine(name: str, check: Check) -> list[Finding]:
    """Run a check; whatever breaks in it is what it found."""
    try:
        findings = check()
    except GeodlError as error:
        return [Finding(name=name, state="fail", found=f"{error.what}: {error.cause}", cure=error.remedy)]
    except Exception as error:  # noqa: BLE001 - broken installations break in any way
        found = f"{type(error).__name__}: {first_line(error)}"
        return [Finding(name=name, state="fail", found=found, cure=REINSTALL)]
    return findings if isinstance(findings, list) else [findings]


REINSTALL = "install again into a fresh environment: python -m venv new; new/bin/pip install WHEEL"
