"""What a network is, measured: how far it looks, what each halo costs and loses, how it shifts.

==================  ==============================================================================
`measure`           `probe`: everything below, in one call
`result`            `Probe` and `HaloError`: what was found, and the sentence that says so
`field`             the gradient of a cell of outputs at every input pixel
`crops`             crops with a halo against the network on a larger surround
`shifts`            by how many pixels the input may move for the output to move along
`inputs`            noise, and imagery of the caller
`write`             `write_probe`: the halo goes into ``model.json``
==================  ==============================================================================

Importing this package imports no torch; `probe` and `measure_overhang` do.
"""

from geodl.models.probe.measure import TOLERANCE, measure_overhang, probe
from geodl.models.probe.result import HaloError, Probe
from geodl.models.probe.write import write_probe

__all__ = ["TOLERANCE", "HaloError", "Probe", "measure_overhang", "probe", "write_probe"]
