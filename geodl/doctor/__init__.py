"""Is this installation fit to work? Checks that each say what they found and, if need be, the cure."""

from geodl.doctor.finding import Finding, examine
from geodl.doctor.libraries import LIBRARIES
from geodl.doctor.machine import MACHINE
from geodl.doctor.parts import PARTS

__all__ = ["CHECKS", "Finding", "check_installation"]

CHECKS = {**LIBRARIES, **PARTS, **MACHINE}
"""What is looked at, by name: functions without arguments that return a finding or several."""


def check_installation() -> list[Finding]:
    """Look at everything in `CHECKS`.

    Returns
    -------
    list of Finding
        At least one for each check; a check that breaks is a failure itself and stops no other.
    """
    return [finding for name, check in CHECKS.items() for finding in examine(name, check)]
