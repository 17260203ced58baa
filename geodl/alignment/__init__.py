"""Two dates made comparable: the later one put into place, and its values matched to the earlier one's."""

from geodl.alignment.irmad import irmad_change
from geodl.alignment.normalisation import Normalisation, normalise
from geodl.alignment.pair import align_pair, lie_beside
from geodl.alignment.registration import Registration, register
from geodl.alignment.tolerance import suppress_shift, tolerant_distance

__all__ = [
    "Normalisation",
    "Registration",
    "align_pair",
    "irmad_change",
    "lie_beside",
    "normalise",
    "register",
    "suppress_shift",
    "tolerant_distance",
]
