import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.store import BlockStore, identify, key_of, quantise
from geodl.tiles import Lattice


@pytest.fixture
def store(tmp_path):
    lattice = Lattice(100, 130, 56, 8)
    store = BlockStore(folder=tmp_path / "work", height=100, width=130, chunk=(80, 80), classes=2)
    store.create()
    return store, lattice.blocks(80)


def arrays_of(block, value):
    shape = (block.window.height, block.window.width)
    return {
        "class": np.full(shape, value, "uint8"),
        "confidence": np.full(shape, value + 1, "uint8"),
        "probability": np.full((2, *shape), value + 2, "uint8"),
    }


def test_blocks_come_back_and_are_entered_in_the_ledger(store):
    store, blocks = store
    assert store.done() == set()
    for number, block in enumerate(blocks):
        store.write(block, arrays_of(block, number))
    assert store.done() == {(block.row, block.col) for block in blocks}
    for number, block in enumerate(blocks):
        for name, expected in arrays_of(block, number).items():
            np.testing.assert_array_equal(store.read(name, block.window), expected)


def test_a_store_that_is_there_is_taken_up(store):
    store, blocks = store
    store.write(blocks[0], arrays_of(blocks[0], 9))
    store.create()
    assert store.done() == {(0, 0)}


def test_a_store_whose_making_was_interrupted_is_made_anew(store):
    store, blocks = store
    store.write(blocks[0], arrays_of(blocks[0], 9))
    for mark in (store.folder / "done").iterdir():
        mark.unlink()
    (store.folder / "done").rmdir()
    store.create()
    assert store.done() == set()


def test_a_flipped_bit_in_a_chunk_is_an_error(store):
    store, blocks = store
    store.write(blocks[0], arrays_of(blocks[0], 3))
    chunk = store.folder / "blocks" / "class" / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        store.read("class", blocks[0].window)


def test_identity_notices_a_change_of_one_sampled_byte_and_of_size(tmp_path):
    path = tmp_path / "scene.tif"
    path.write_bytes(bytes(3_000_000))
    first = identify(path)
    assert identify(path) == first
    path.write_bytes(bytes(2_999_999) + b"\x01")
    assert identify(path) != first
    path.write_bytes(bytes(3_000_001))
    assert identify(path)["bytes"] != first["bytes"]
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})


@given(st.floats(0, 1))
def test_percent_is_within_half_a_percent(probability):
    assert abs(int(quantise(np.array([probability]))[0]) - 100 * probability) <= 0.5 + 1e-9
