"""The report of a training run: one page for people, whole in itself.

================  ===============================================================================
`content`         what is told
`page`            the file ``report.html``
`examples`        the squares that the network maps best and worst
`pictures`        scenes, labels, predictions and errors as pictures inside the page
`curves`          where the lines of the curves lie
`energy`          what the hardware's counters say
`circumstances`   versions and device
``look/``         the page as a template that escapes every text; its style is that of `geodl.look`
================  ===============================================================================
"""

from geodl.training.report.content import Run
from geodl.training.report.energy import Meter, find_counters
from geodl.training.report.examples import Examples
from geodl.training.report.page import REPORT_FILE, put, write_report

__all__ = ["REPORT_FILE", "Examples", "Meter", "Run", "find_counters", "put", "write_report"]
