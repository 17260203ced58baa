"""What the plan says beforehand is what happens: rows read, rows that wait, rows kept, memory."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geodl.stream import Plan, Stream, trace
from geodl.stream.reach import Reach
from tests.test_stream_operations import pixels, randomised, streamed

reaches = st.one_of(
    st.builds(
        Reach, down=st.integers(1, 4), extent=st.integers(1, 9), before=st.integers(-1, 5)
    ),
    st.builds(Reach, up=st.integers(2, 4), extent=st.integers(1, 9), before=st.integers(0, 4)),
)  # fmt: skip


@given(reaches, st.integers(0, 30))
def test_first_and_last_row_are_those_of_the_definition(reach, row):
    rows = range(-60, 200)
    if reach.up == 1:
        read = [i for i in rows if 0 <= i - (row * reach.down - reach.before) < reach.extent]
    else:  # input row i reaches the output rows i * up - before and following
        read = [i for i in rows if 0 <= row - (i * reach.up - reach.before) < reach.extent]
    assert list(range(reach.first(row), reach.last(row) + 1)) == read


@given(reaches, st.integers(0, 20), st.integers(1, 5))
def test_a_delayed_row_has_all_it_reads_and_no_earlier_one_would_do(reach, late, strips):
    rows_in, rows_out = reach.down * strips, reach.up * strips
    newest = rows_in - 1 - late
    delay = reach.delay(newest, rows_out)
    assert reach.last(rows_out - 1 - delay) <= newest
    assert delay == 0 or reach.last(rows_out - delay) > newest
    whole = reach.first_whole(late)
    assert reach.first(whole) >= late
    assert whole == 0 or reach.first(whole - 1) < late


@pytest.fixture(scope="module")
def graph():
    class Hourglass(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
            self.two = nn.Sequential(nn.MaxPool2d(4), nn.Conv2d(4, 6, 5, padding=2), nn.ReLU())
            self.three = nn.Conv2d(10, 2, 3, padding=1)

        def forward(self, x):
            fine = self.one(x)
            coarse = nn.functional.interpolate(self.two(fine), scale_factor=4)
            return self.three(torch.cat([fine, coarse], dim=1))

    return trace(randomised(Hourglass()), bands=3, stride=4)


def test_norms_and_rectifiers_are_folded_into_convolutions(graph):
    kinds = [type(node.operation).__name__ for node in graph.nodes]
    assert kinds == [
        "NoneType", "Convolution", "Window", "Convolution", "Upsample", "Concatenate", "Convolution",
    ]  # fmt: skip


@pytest.mark.parametrize("strip", [4, 12, 64])
def test_rows_come_as_late_as_the_plan_says(graph, strip):
    # By hand: the coarse convolution waits for two cells of four rows and the last one for a row; the
    # first convolution's row completes a cell only with the next push.
    plan = Plan(graph=graph, strip=strip)
    assert plan.delay == 13
    stream = Stream(plan, width=16)
    stream.start(height=40 * strip)
    for pushes in range(1, 12):
        ready = stream.push(pixels(strip, 16))
        returned = max(0, pushes * strip - plan.delay)
        assert (0 if ready is None else ready[0] + ready[1].shape[2]) == returned


def test_buffers_keep_no_more_rows_than_are_read(graph):
    plan = Plan(graph=graph, strip=8)
    kept = {node.name: tails for node, tails in zip(graph.nodes, plan.tails, strict=True) if tails}
    # By hand: windows of 3 rows want two of the push before, of 5 rows four; the skip connection waits
    # until the coarse branch has seen 13 rows more, less those that both lag behind.
    assert kept == {
        "input": {0.0: 2}, "conv2d_1": {None: 11}, "max_pool2d_4": {0.0: 4}, "cat_9": {0.0: 2},
    }  # fmt: skip


def test_columns_that_nobody_wants_are_left_out_where_that_costs_nothing(graph):
    # By hand: of 32 columns on each side the last convolution reads one; the enlarged map and the skip
    # connection are cut at the next multiple of the stride outside.
    plan = Plan(graph=graph, strip=16, beside=32)
    assert dict(zip((n.name for n in graph.nodes), plan.trims, strict=True)) == {
        "input": 0, "conv2d_1": 0, "max_pool2d_4": 0, "conv2d_6": 0, "interpolate_8": 28, "cat_9": 28,
        "conv2d_10": 28,
    }  # fmt: skip
    assert plan.columns(graph.output, 128) == 128 - 2 * 28
    assert plan.memory(128) < Plan(graph=graph, strip=16).memory(128)


def test_rows_that_nobody_wants_are_not_computed(graph):
    plan = Plan(graph=graph, strip=8)
    stream = Stream(plan, width=16)
    computed = []
    compute = stream._kernels[-1]
    stream._kernels[-1] = lambda *inputs: computed.append(1) or compute(*inputs)
    canvas = pixels(160, 16)
    whole = streamed(stream, canvas)[1]
    assert len(computed) == 21  # by hand: the pushes that bring rows -5..2, 3..10, ..., 155..162
    computed.clear()
    wanted = list(stream.run(canvas.split(8, dim=2), height=160, rows=(80, 90)))
    assert torch.equal(torch.cat([rows for _, rows in wanted], dim=2), whole[:, :, 80:90])
    assert len(computed) <= 3


def test_memory_does_not_grow_with_the_canvas_and_is_as_estimated(graph):
    plan = Plan(graph=graph, strip=16)
    stream = Stream(plan, width=64)
    buffers = [b for of_node in stream._buffers for b in of_node.values()]
    size = sum(b.rows.nbytes for b in buffers)
    places = [b.rows.data_ptr() for b in buffers]
    for height in (32, 640):
        streamed(stream, pixels(height, 64))
    after = [b for of_node in stream._buffers for b in of_node.values()]
    assert [b.rows.data_ptr() for b in after] == places
    assert size < plan.memory(64) < 3 * size + 64 * 64 * 16 * 4
    assert plan.memory(128) == pytest.approx(2 * plan.memory(64), rel=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 159), st.integers(1, 160), st.sampled_from([4, 8, 20]))
def test_input_rows_suffice_for_the_rows_of_a_block(graph, start, count, strip):
    height = 160
    stop = min(height, start + count)
    plan = Plan(graph=graph, strip=strip)
    canvas = pixels(height, 16)
    first, last = plan.input_rows(start, stop, height)
    assert 0 <= first <= start
    assert stop <= last <= height
    stream = Stream(plan, width=16)
    whole = streamed(stream, canvas)[1]
    rows = list(stream.run(canvas[:, :, first:last].split(strip, dim=2), height=height, first=first))
    row, part = rows[0][0], torch.cat([strip for _, strip in rows], dim=2)
    assert row <= start
    assert row + part.shape[2] >= stop
    assert torch.equal(part, whole[:, :, row : row + part.shape[2]])


def test_a_stream_is_used_again_for_other_canvases(graph):
    stream = Stream(Plan(graph=graph, strip=8), width=16)
    small, large = pixels(12, 16, seed=1), pixels(52, 16, seed=2)
    once = streamed(stream, small)[1]
    streamed(stream, large)
    streamed(stream, large, first=20)
    assert torch.equal(streamed(stream, small)[1], once)


def test_rows_outside_the_canvas_are_never_computed_from(graph):
    """Neither what an earlier canvas left nor what the memory held comes through."""
    stream = Stream(Plan(graph=graph, strip=8), width=16)
    canvas = pixels(36, 16)
    once = streamed(stream, canvas)[1]
    with torch.inference_mode():
        for of_node in stream._buffers:
            for buffer in of_node.values():
                buffer.rows.fill_(float("nan"))
    assert torch.equal(streamed(stream, canvas)[1], once)
    with torch.inference_mode():
        for of_node in stream._buffers:
            for buffer in of_node.values():
                buffer.rows.fill_(float("nan"))
    row, rows = streamed(stream, canvas, first=12)
    assert torch.equal(rows, once[:, :, row:])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda graph: Plan(graph=graph, strip=6), "strip of 6 rows is no multiple of the stride 4"),
        (lambda graph: Stream(Plan(graph=graph, strip=8), width=18), "width 18 is no multiple"),
        (lambda graph: Stream(Plan(graph=graph, strip=8), width=16).start(height=18), "height 18"),
        (lambda graph: Stream(Plan(graph=graph, strip=8), width=16).start(height=16, first=16), "row 16"),
        (lambda graph: list(Stream(Plan(graph=graph, strip=8), width=16).run([pixels(4, 16)], height=16)),
         r"strip of \(1, 3, 8, 16\) is next, not \(1, 3, 4, 16\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(graph, call, message):
    with pytest.raises(ValueError, match=message):
        call(graph)


PEAK = """
from geodl.heap import keep_heap
keep_heap()
import resource, torch
from geodl.models.table import MODELS
from geodl.stream import Plan, Stream, trace
row = MODELS["unet"]; parameters = row.read_parameters({"encoder": "resnet18"})
network = row.build(4, 6, parameters).eval()
plan = Plan(graph=trace(network, bands=4, stride=32), strip=64)
stream = Stream(plan, width=1024)
strip = torch.zeros(1, 4, 64, 1024)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
for _ in stream.run((strip for _ in range(12)), height=768): pass
short = peak()
for _ in stream.run((strip for _ in range(64)), height=4096): pass
print(before, short, peak(), plan.memory(1024))
"""


@pytest.mark.slow
def test_peak_memory_is_flat_and_as_estimated():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    before, short, long, estimate = map(int, done.stdout.split()[-4:])
    assert long - short < 0.1 * estimate
    assert long - before < 1.3 * estimate + 100e6
