"""The page of a run's product."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.models.legend import legend_of
from geodl.page.page import write_page
from geodl.page.subject import Subject
from geodl.publish import Product, RasterGrid

if TYPE_CHECKING:
    from geodl.block import Job
    from geodl.store import BlockStore

_READ = 2**22  # pixels of a window, about


def write_report(product: Product, job: "Job", store: "BlockStore", provenance: Mapping[str, Any]) -> Path:
    """Write ``report.html`` from the finished blocks and the other files of a product.

    Raises
    ------
    SceneError
        The scene cannot be read any more.
    ProductError
        A finished block cannot be read, or the page not be written.
    """
    columns = job.lattice.core[1] * job.lattice.chunk[1]
    blocks = job.lattice.blocks(max(1, _READ // columns), columns)  # whole chunks: each is read once
    crs = job.scene.odc.crs
    subject = Subject(
        scene=job.scene,
        spec=job.model.spec,
        legend=legend_of(job.model.spec),
        windows=tuple(block.window for block in blocks),
        read=store.read,
        layers=tuple(job.layers),
        crs=None if crs is None else crs.proj,
        transform=RasterGrid.of(job.scene).transform,
        provenance=provenance,
    )
    return write_page(product.folder, subject)
