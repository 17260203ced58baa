"""The Dask client of a run: of a scheduler that is there already, or of threads in this process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geodl.errors import OptionError
from geodl.heap import keep_heap

if TYPE_CHECKING:
    from distributed import Client

LOCAL_THREADS = 2  # one block is read while the last tiles of the other are computed
LOOPBACK = "127.0.0.1:0"
PATIENCE = 60  # seconds that a scheduler may go without any worker
_ANSWER = 10  # seconds that it may take to answer


class _BlockThreads(ThreadPoolExecutor):
    """Threads of the local worker. When a run is stopped they are not waited for to the end of their blocks.

    Python joins them when it exits; their networks refuse further tiles by then.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        super().shutdown(wait=False, cancel_futures=True)


@contextmanager
def connect(scheduler: str | None = None, *, patience: float = PATIENCE) -> "Iterator[Client]":
    """Yield a Dask client: of a running scheduler, or of threads in this process.

    The local one passes its messages inside the process; Dask's status pages, which it always serves,
    are bound to loopback.

    Parameters
    ----------
    scheduler : str, optional
        Its address, ``"tcp://10.0.0.1:8786"``. Its workers must see the scenes, the model and the
        output folder at the same paths as this process.
    patience : float
        Seconds to wait for the first worker of that scheduler.

    Raises
    ------
    OptionError
        If no scheduler answers at the address, or it has no workers.
    """
    import dask
    import distributed

    keep_heap()  # before Dask starts its threads
    if scheduler is not None:
        with _client_of(scheduler, patience) as client:
            yield client
        return
    # By default every thread is sampled all the time, to draw profiles that nobody sees here.
    quiet = {"distributed.worker.profile.enabled": False}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=LOCAL_THREADS,
            processes=False,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            memory_limit=0,
            executor=_BlockThreads(LOCAL_THREADS, thread_name_prefix="geodl-block"),
            silence_logs="CRITICAL",  # a block that fails is an error of its scene, told once
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def _client_of(scheduler: str, patience: float) -> "Iterator[Client]":
    from distributed import Client

    try:
        client = Client(scheduler, timeout=min(patience, _ANSWER), set_as_default=False)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"--scheduler {scheduler}",
            f"no Dask scheduler answers ({error})",
            "start one with 'dask scheduler', or leave the option out",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            raise OptionError(
                f"--scheduler {scheduler}",
                f"it had no worker for {patience:.0f} s",
                f"start some with 'dask worker {scheduler}'",
            ) from error
        yield client


def threads(client: "Client") -> list[int]:
    """Return the number of threads of each worker that is there now; of one if there is none."""
    return list(client.nthreads().values()) or [1]
