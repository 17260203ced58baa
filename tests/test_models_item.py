"""model.json is a STAC Item of a machine learning model, and says the same as the spec."""

import json
import re

import hypothesis.strategies as st
import pystac
import pytest
from hypothesis import given
from jsonschema import Draft7Validator
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource
from stac_model.schema import MLModelExtension, MLModelProperties

from geodl.errors import ModelError
from geodl.models import bundled_models
from geodl.models.bundle import BUNDLED
from geodl.models.card import model_card
from geodl.models.item import check_item, from_item, to_item
from geodl.models.spec import AccuracySpec, BandSpec, ClassSpec, ModelSpec, TrainingSpec
from geodl.models.spec_file import read_spec, spec_bytes
from tests.conftest import make_spec

FULL = make_spec(
    name="full-1.0",
    title="All fields",
    licence="CC-BY-4.0 and MIT",
    temperature=1.37,
    dtype="uint16",
    pixel_size_range=(8.0, 12.0),
    bf16_agreement=0.998,
    training=TrainingSpec(data=["towns"], licence="CC-BY-4.0", date="2026-11-20", recipe={"seed": 1}),
    accuracy=AccuracySpec(
        reference="labels of two towns", split="by scene", pixels=12345, overall=0.91, mean_iou=0.72,
        iou={"water": 0.9, "forest": None},
    ),
    weights_sha256="a" * 64,
)  # fmt: skip
SCHEMA = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
SPECS = [make_spec(), FULL, *bundled_models()]


def mistakes(item):
    """What the schema of STAC 1.1 finds, from the copy that comes with pystac."""
    schemas = get_local_schema_cache()
    registry = Registry().with_resources([(uri, Resource.from_contents(s)) for uri, s in schemas.items()])
    return list(Draft7Validator(schemas[SCHEMA], registry=registry).iter_errors(item))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_item_is_valid_stac(spec):
    item = json.loads(spec_bytes(spec))
    assert not mistakes(item)
    read = pystac.Item.from_dict(item)
    assert read.to_dict(include_self_link=False)["properties"] == item["properties"]
    assert MLModelExtension.has_extension(read) or any("/mlm/" in uri for uri in read.stac_extensions)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_stac_model_accepts_the_properties(spec):
    item = to_item(spec)
    found = MLModelProperties.model_validate(item["properties"])
    assert (found.name, found.architecture, found.tasks) == (
        spec.name,
        spec.architecture,
        {"semantic-segmentation"},
    )
    assert found.input[0].bands == spec.band_names
    assert [scaling.stddev for scaling in found.input[0].value_scaling] == [band.std for band in spec.bands]
    assert [c.value for c in found.output[0].classes] == spec.class_values
    # The extension asks for a description of every band that an input names.
    assert [band["name"] for band in item["assets"]["weights"]["bands"]] == found.input[0].bands
    assert item["assets"]["weights"]["mlm:artifact_type"]
    assert "mlm:model" in item["assets"]["weights"]["roles"]


def test_stac_model_would_refuse_a_mistake():
    properties = to_item(FULL)["properties"]
    properties["mlm:tasks"] = ["horoscopes"]
    with pytest.raises(ValueError, match="mlm:tasks"):
        MLModelProperties.model_validate(properties)
    item = to_item(FULL)
    del item["properties"]["datetime"]
    assert mistakes(item)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_item_says_all_that_the_spec_says(spec):
    item = json.loads(spec_bytes(spec))
    read = ModelSpec.model_validate(from_item(item))
    assert read.model_dump(mode="json") == spec.model_dump(mode="json")
    check_item(item, spec)


names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)
numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(
    title=names,
    classes=st.lists(names, min_size=2, max_size=6, unique=True),
    colors=st.lists(st.from_regex(r"\A#[0-9a-fA-F]{6}\Z"), min_size=6, max_size=6),
    scaling=st.lists(st.tuples(numbers, st.floats(1e-9, 1e6)), min_size=1, max_size=5),
    temperature=st.floats(0.01, 100),
)
def test_whatever_a_spec_holds_comes_back(title, classes, colors, scaling, temperature):
    spec = make_spec(
        title=title,
        temperature=temperature,
        classes=[ClassSpec(value=i, name=name, color=colors[i]) for i, name in enumerate(classes)],
        bands=[BandSpec(name=f"b{i}", mean=mean, std=std) for i, (mean, std) in enumerate(scaling)],
    )
    item = json.loads(spec_bytes(spec))
    read = ModelSpec.model_validate(from_item(item))
    assert read.model_dump(mode="json") == spec.model_dump(mode="json")
    check_item(item, spec)
    MLModelProperties.model_validate(item["properties"])
    assert model_card(spec).count("\n# ") == 0


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*/model.json")), ids=lambda path: path.parent.name)
def test_bundled_files_are_as_geodl_writes_them(path):
    assert path.read_bytes() == spec_bytes(read_spec(path.parent))


@pytest.mark.parametrize(
    "content", [None, 3, [], "text", {}, {"properties": 3}, {"properties": {"mlm:input": {}}}]
)
def test_anything_else_is_refused(content):
    with pytest.raises(ModelError):
        from_item(content)


def test_the_card_says_what_is_known_and_what_is_not():
    card = model_card(FULL)
    for words in ("All fields", "CC-BY-4.0", "91.0", "72.0", "| water | 90.0 |", "by scene", "12,345 pixels",
                  "temperature 1.37", "geodl predict", "red, green, nir", "from 8 to 12 m"):  # fmt: skip
        assert words in card
    bare = model_card(make_spec(title=""))
    for words in ("Not measured", "Weights: not stated", "not calibrated"):
        assert words in bare


def test_names_cannot_form_markup():
    evil = "a|b<script>*x*`y`[z](http://example.org)"
    spec = make_spec(
        title=evil, classes=[ClassSpec(value=i, name=f"{evil}{i}", color="#000000") for i in (1, 2)]
    )
    card = model_card(spec)
    assert "<script>" not in card
    assert not re.search(r"(?<!\\)\]\(", card)
    row = next(line for line in card.splitlines() if line.startswith("| 1 |"))
    assert row.replace(r"\|", "").count("|") == 4
