"""A local network as a stream of rows: any height in flat memory, every row of every layer computed once.

>>> import torch
>>> from torch import nn
>>> network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1)).eval()
>>> plan = Plan(graph=trace(network, bands=3, stride=1), strip=8)
>>> plan.delay, plan.margin
(2, 2)
>>> canvas = torch.randn(1, 3, 20, 16)
>>> strips = [rows for _, rows in Stream(plan, width=16).run(canvas.split(8, dim=2), height=20)]
>>> [rows.shape[2] for rows in strips]
[6, 8, 6]
>>> bool(torch.allclose(torch.cat(strips, dim=2), network(canvas), atol=1e-6))
True
"""

from geodl.stream.call import NotLocalError
from geodl.stream.graph import Graph
from geodl.stream.plan import Plan
from geodl.stream.run import Stream
from geodl.stream.trace import trace

__all__ = ["Graph", "NotLocalError", "Plan", "Stream", "trace"]
