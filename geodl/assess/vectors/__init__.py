"""How good vector layers are: polygons against polygons, lines against lines, whatever their CRS."""

from geodl.assess.vectors.compare import NetworkOptions, assess_vectors
from geodl.assess.vectors.file import SUFFIXES
from geodl.assess.vectors.network_result import NetworkAssessment
from geodl.assess.vectors.object_result import ObjectAssessment
from geodl.assess.vectors.objects import ObjectOptions

__all__ = [
    "SUFFIXES",
    "NetworkAssessment",
    "NetworkOptions",
    "ObjectAssessment",
    "ObjectOptions",
    "assess_vectors",
]
