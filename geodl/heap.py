"""Keep freed memory in the process, where glibc would hand it back to the system.

A network's activations are allocated and freed at every layer. By default glibc maps each of them
and unmaps it again, and the kernel zeroes the same pages over and over: up to twice the time of a
small network on a processor. The price is that the process does not shrink again.
"""

import ctypes
import platform

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
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
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
