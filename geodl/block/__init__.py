"""One block of a scene: read, normalise, forward, stitch - all that a worker computes, wherever it is.

Reading, computing and what is done with the results overlap: each of the three runs in a thread of its
own, some tiles ahead of the next. Blocks in one process take turns, so that two of them never need the
memory of two: the next one is read while the last tiles of one are computed.
"""

from collections.abc import Iterator

from geodl.ahead import ahead
from geodl.block.dates import told_apart
from geodl.block.job import Job, Piece, empty_piece
from geodl.tiles import Block

__all__ = ["Job", "Piece", "empty_piece", "process_block"]


def process_block(job: Job, block: Block) -> Iterator[Piece]:
    """Compute the map over one block, chunk by chunk: tiles in row-major order, a stream panel by panel.

    Raises
    ------
    GeodlError
        If the scene cannot be read there or the device fails; never a silent hole.
    """
    # Torch is loaded by those who compute.
    from geodl.block.blend import blend
    from geodl.block.crop import crop
    from geodl.block.stream import stream
    from geodl.forward import forward_for

    forward = forward_for(job.model, job.device, job.precision, novelty=job.novelty)
    over_tiles = blend if job.model.spec.stitch == "blend" else crop
    run = stream if job.strip is not None else over_tiles
    with ahead(run(job, block, forward)) as pieces:
        yield from told_apart(job, pieces)
