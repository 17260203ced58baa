"""What cannot end well is said before the run, or as soon as it shows."""

import pytest

from geodl.errors import RecipeError
from geodl.training import train
from geodl.training.description import check_patch
from geodl.training.pretrain import pretrain
from geodl.training.rate_finder import find_rate
from tests.test_training_fit import recipe_of, write_pair
from tests.test_training_resume import FAST


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    for stem, seed in (("train_a", 0), ("check", 2)):
        write_pair(folder, stem, seed, size=(90, 110))
    return folder


@pytest.mark.parametrize(("patch", "cure"), [(33, "use 32 or 34$"), (17, "use 16 or 18$")])
def test_samples_that_the_network_cannot_take_are_refused_at_once(folder, tmp_path, patch, cure):
    recipe = recipe_of(folder, optimisation={**FAST, "patch": patch})
    said = f"{patch} is no multiple of 2, which this network needs: {cure}"
    with pytest.raises(RecipeError, match=rf"recipe\.yaml, line \d+, optimisation\.patch: {said}"):
        train(recipe, tmp_path / "m", device="cpu")
    with pytest.raises(RecipeError, match=said):
        pretrain(recipe, tmp_path / "m", device="cpu")
    with pytest.raises(RecipeError, match=said):
        find_rate(recipe, tmp_path / "rates.png", device="cpu")
    assert list(tmp_path.iterdir()) == []
    large = {"widths": [4] * 6, "blocks": 0}
    with pytest.raises(RecipeError, match=r"16 is no multiple of 32, which this network needs: use 32$"):
        check_patch(recipe_of(folder, parameters=large, optimisation={**FAST, "patch": 16}))


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_loss_that_explodes_ends_the_run_with_the_cure(folder, tmp_path, epochs):
    settings = {**FAST, "epochs": epochs, "validation_every": 1, "learning_rate": 1e9, "ema": None}
    settings |= {"accumulate": 1, "gradient_clip": 1e9, "schedule": "constant", "warmup": 0}
    recipe = recipe_of(folder, optimisation=settings, augment={})
    with pytest.raises(RecipeError, match=r"beyond all numbers in epoch \d: set a smaller one.*--restart"):
        train(recipe, tmp_path / "m", device="cpu", echo=lambda _: None)


def test_classes_without_labels_are_named(folder, tmp_path):
    classes = [
        {"value": 4, "name": "rows", "color": "#aa0000"},
        {"value": 9, "name": "columns", "color": "#0000aa"},
        {"value": 5, "name": "spirals", "color": "#00aa00", "from": [77]},
    ]
    lines = []
    settings = {**FAST, "epochs": 1}
    train(
        recipe_of(folder, classes=classes, optimisation=settings),
        tmp_path / "m",
        device="cpu",
        echo=lines.append,
    )
    (warning,) = [line for line in lines if line.startswith("warning") and "label:" in line]
    assert warning == "warning: spirals is in no label: check `from` of the class"


def test_classes_on_one_side_only_are_named(folder):
    from types import SimpleNamespace

    from geodl.training.labelled import label_table, label_warnings

    recipe = recipe_of(folder)
    plot = SimpleNamespace(train=(1200, 0), validation=(0, 7))
    assert label_table(recipe, [plot, plot])[1].split() == ["rows", "2,400", "0"]
    unlearnt, unchecked = label_warnings(recipe, [plot])
    assert unlearnt.startswith("warning: columns is in no label to learn from: hold out other ground")
    assert unchecked.startswith(
        "warning: rows is in no label to check on, so the accuracy says nothing of it"
    )
    even = SimpleNamespace(train=(1, 1), validation=(1, 1))
    assert label_warnings(recipe, [plot, even]) == []
