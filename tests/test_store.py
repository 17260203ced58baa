import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.errors import ProductError
from geodl.store import BlockStore, held, identify, key_of, quantise
from geodl.tiles import Lattice, Window

LAYERS = ("class", "confidence", "probability")


@pytest.fixture
def store(tmp_path):
    lattice = Lattice(100, 130, (40, 40), 8, chunk=(2, 2))
    store = BlockStore(
        folder=tmp_path / "work", height=100, width=130, chunk=(80, 80), layers=LAYERS, classes=2
    )
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
        store.write(block.window, arrays_of(block, number))
    assert store.done() == {(0, 0), (0, 1), (1, 0), (1, 1)}
    for number, block in enumerate(blocks):
        for name, expected in arrays_of(block, number).items():
            np.testing.assert_array_equal(store.read(name, block.window), expected)


def test_a_store_that_is_there_is_taken_up(store):
    store, blocks = store
    store.write(blocks[0].window, arrays_of(blocks[0], 9))
    store.create()
    assert store.done() == {(0, 0)}


def test_a_store_whose_making_was_interrupted_is_made_anew(store):
    store, blocks = store
    store.write(blocks[0].window, arrays_of(blocks[0], 9))
    for mark in (store.folder / "done").iterdir():
        mark.unlink()
    (store.folder / "done").rmdir()
    store.create()
    assert store.done() == set()


def test_a_flipped_bit_in_a_chunk_is_an_error(store):
    store, blocks = store
    store.write(blocks[0].window, arrays_of(blocks[0], 3))
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


def test_blocks_that_are_missing_or_damaged_are_struck_out(store):
    store, blocks = store
    for block in blocks:
        store.write(block.window, arrays_of(block, 7))
    chunks = store.folder / "blocks"
    (chunks / "class" / "c" / "0" / "0").unlink()
    damaged = chunks / "probability" / "c" / "0" / "1" / "1"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    assert store.verify() == store.done() == {(0, 1), (1, 0)}
    store.write(blocks[0].window, arrays_of(blocks[0], 7))
    assert store.verify() == {(0, 0), (0, 1), (1, 0)}


def test_a_chunk_that_is_missing_is_an_error_and_not_a_hole(store):
    store, blocks = store
    store.write(blocks[0].window, arrays_of(blocks[0], 7))
    assert store.read("class", blocks[0].window).all()
    with pytest.raises(ProductError, match="damaged or gone"):
        store.read("class", Window(70, 70, 20, 20))


def test_a_block_of_nothing_but_no_data_is_stored(store):
    store, blocks = store
    arrays = {name: np.full_like(array, 255) for name, array in arrays_of(blocks[0], 0).items()}
    store.write(blocks[0].window, arrays)
    assert store.verify() == {(0, 0)}
    assert (store.read("class", blocks[0].window) == 255).all()


def test_a_folder_has_one_holder_at_a_time(tmp_path):
    holders, most, refused = [], [], []

    def hold(number):
        for _ in range(30):
            try:
                with held(tmp_path / "work" / "scene"):
                    holders.append(number)
                    most.append(len(holders))
                    time.sleep(0.0005)
                    holders.remove(number)
            except ProductError:
                refused.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(8)))
    assert max(most) == 1
    assert len(most) + len(refused) == 240
    assert refused
    assert list(tmp_path.iterdir()) == []
