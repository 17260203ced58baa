"""Keep freed memory in the process, where glibc would hand it back to the system.

A network's activations are allocated and freed at every layer. By default glibc maps each of them
and unmaps it again, and the kernel zeroes the same pages over and over: up to twice the time of a
small network on a processor. The price is that the process does not shrink again.

Only the main heap grows without bound; those that glibc makes for further threads hold 64 MiB at the
most and return what is larger. A network in a thread of its own (as in a run) therefore needs a single
heap for all threads: 1.5 times the time otherwise. It must be asked for before the threads start.
"""

import ctypes
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_NEVER = 2**31 - 1


def keep_heap() -> bool:
    """Tell glibc to reuse freed memory; does nothing on other systems.

    Returns
    -------
    bool
        Whether the allocator took the settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER}
    return all(bool(mallopt(option, value)) for option, value in settings.items())
