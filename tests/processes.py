"""Processes that start in no time: forked from one that has loaded the libraries and computed nothing."""

import multiprocessing

import pytest

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["geodl.job", "geodl.forward", "geodl.workflow", "geodl.cli.run", "distributed"])


@pytest.fixture(scope="session")
def forks():
    """The context of such processes; the one that they are forked from is running."""
    first = FORKS.Process(target=int)
    first.start()
    first.join()
    return FORKS
