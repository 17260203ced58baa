"""The recipe: what to train on what, as a YAML file that is checked before any scene is opened.

A recipe is data only. It can name files and numbers, never code. Paths are relative to `data_root`,
which is relative to the recipe itself.
"""

from geodl.training.recipe.data import Edges, LabelClass, Source, Split
from geodl.training.recipe.learning import Augment, Optimisation
from geodl.training.recipe.load import load_recipe, recipe_schema
from geodl.training.recipe.start import Pretraining, Start
from geodl.training.recipe.table import Table
from geodl.training.recipe.whole import Recipe

__all__ = [
    "Augment",
    "Edges",
    "LabelClass",
    "Optimisation",
    "Pretraining",
    "Recipe",
    "Source",
    "Split",
    "Start",
    "Table",
    "load_recipe",
    "recipe_schema",
]
