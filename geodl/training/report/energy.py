"""Energy used, from the counters of the hardware; where there are none it is not measured.

Processors: the RAPL counters that Linux shows under ``/sys/class/powercap``
(https://docs.kernel.org/power/powercap/powercap.html), readable by root alone on most systems.
GPUs: ``nvmlDeviceGetTotalEnergyConsumption`` of NVIDIA's management library, by the package
`nvidia-ml-py`. Both count whole devices, with all that other programs use of them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from geodl.words import duration

POWERCAP = Path("/sys/class/powercap")

_OFTEN = 10.0  # seconds; a counter of 65 kJ, the smallest, comes round after minutes


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A counter of energy.

    Parameters
    ----------
    name : str
        The device.
    read : callable
        Returns joules since some moment.
    wraps : float
        Joules at which the counter starts again from 0; 0 for never.
    """

    name: str
    read: Callable[[], float]
    wraps: float = 0.0


class Meter:
    """Sums what counters have moved on since it was made.

    Parameters
    ----------
    counters : sequence of Counter
        From `find_counters`.
    """

    def __init__(self, counters: Sequence[Counter]) -> None:
        self._last = {counter: counter.read() for counter in counters}
        self._joules = 0.0
        self._started = self._read = time.monotonic()

    @property
    def joules(self) -> float | None:
        """Energy so far; None without counters."""
        if not self._last:
            return None
        for counter, before in self._last.items():
            now = counter.read()
            self._last[counter] = now
            self._joules += now - before if now >= before else now - before + counter.wraps
        self._read = time.monotonic()
        return self._joules

    def look(self) -> None:
        """Read the counters if that is due; to be called often, so that none comes round unseen."""
        if time.monotonic() - self._read > _OFTEN:
            _ = self.joules

    def text(self) -> str:
        """Say what was measured, in watt hours, on which devices and for how long."""
        joules = self.joules
        if joules is None:
            return "not measured: no energy counter can be read here"
        names = ", ".join(counter.name for counter in self._last)
        return (
            f"{joules / 3600:.2f} Wh in {duration(self._read - self._started)} "
            f"({names}; other programs on them included)"
        )


def find_counters(device: torch.device, powercap: Path = POWERCAP) -> list[Counter]:
    """List the counters that can be read: of the processors, and of the GPU that is used."""
    return _processors(powercap) + (_gpu(device) if device.type == "cuda" else [])


def _processors(folder: Path) -> list[Counter]:
    found = []
    # Whole packages, `intel-rapl:0`; their parts, `intel-rapl:0:1`, would be counted twice.
    for zone in sorted(folder.glob("intel-rapl:[0-9]*")):
        name = f"processor {zone.name.split(':')[1]}"
        if zone.name.count(":") == 1:
            try:
                float((zone / "energy_uj").read_text())
                wraps = float((zone / "max_energy_range_uj").read_text()) * 1e-6
            except (OSError, ValueError):
                continue
            found.append(Counter(name=name, read=_reader(zone / "energy_uj"), wraps=wraps))
    return found


def _reader(path: Path) -> Callable[[], float]:
    return lambda: float(path.read_text()) * 1e-6


def _gpu(device: torch.device) -> list[Counter]:
    try:
        import pynvml
    except ImportError:
        return []
    uuid = torch.cuda.get_device_properties(device).uuid  # its number may differ from that of the library
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return []
    name = torch.cuda.get_device_name(device)
    return [Counter(name=name, read=lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3)]
