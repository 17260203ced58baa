"""Whether a map has seams: the scene is mapped twice, over two tilings shifted against each other.

==================  ==============================================================================
`measure`           `audit`: the two maps, compared part by part
`result`            `Audit`: the figures, and the verdict
`picture`           where the two maps differ, over the scene
==================  ==============================================================================
"""

from geodl.audit.measure import audit
from geodl.audit.result import Audit

__all__ = ["Audit", "audit"]
