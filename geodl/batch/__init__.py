"""Many scenes, one queue of blocks, on threads here or on a Dask cluster; a record of what became of each."""

from geodl.batch.cluster import connect, threads
from geodl.batch.parts import Entry, Outcome, SceneRun, Watch
from geodl.batch.queue import run_batch
from geodl.batch.record import RECORD, Record, failed_sources

__all__ = [
    "RECORD",
    "Entry",
    "Outcome",
    "Record",
    "SceneRun",
    "Watch",
    "connect",
    "failed_sources",
    "run_batch",
    "threads",
]
