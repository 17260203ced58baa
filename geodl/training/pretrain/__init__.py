"""Learning from scenes without labels: parts are hidden, and the network restores them.

=============  =================================================================================
`scenes`       the scenes of a recipe, decoded without labels
`masking`      what is hidden, and what a wrong restoration costs
`run`          the run; its model folder is what ``start: {model: ...}`` of a training takes
=============  =================================================================================
"""

from geodl.training.pretrain.run import pretrain

__all__ = ["pretrain"]
