"""Why a model maps a place as it does: what speaks for a class, pixel by pixel and band by band.

==================  ==============================================================================
`place`             where: the pixels that are explained, those around, and what they depend on
`subject`           the network, its input there, and the score that is explained
`gradients`         integrated gradients, and whether their sum is complete
`activation`        Grad-CAM: where the deepest features that speak for the class are active
`occlusion`         what happens when a band tells nothing
`measure`           `explain`: all of them
`result`            `Explanation`: the figures and the rasters
`image`             the scene as people see it
`rasters`           arrays on the scene's grid
`overview`          one picture of it all
`bars`              the bands as bars
`write`             the folder with rasters, pictures and figures
==================  ==============================================================================
"""

from geodl.explain.measure import explain
from geodl.explain.result import Explanation
from geodl.explain.write import write_explanation

__all__ = ["Explanation", "explain", "write_explanation"]
