"""The description of a variant: that of the model, but for what no longer holds."""

from typing import Any

from geodl.models.spec import AccuracySpec, ModelSpec

_NAME = 64  # characters, as in `ModelSpec.name`


def variant_of(spec: ModelSpec, suffix: str, note: str, **changes: Any) -> ModelSpec:
    """Return `spec` with another name, a note on what was done, and no accuracy: it was another network's.

    Parameters
    ----------
    spec : ModelSpec
        Of the whole model.
    suffix : str
        What its name gets at the end.
    note : str
        A sentence for the model card.
    **changes
        Further fields.
    """
    training = spec.training.model_copy(update={"note": f"{spec.training.note}\n{note}".strip()})
    fields = {
        "name": f"{spec.name[: _NAME - len(suffix) - 1]}-{suffix}",
        "title": f"{spec.title or spec.name}, {suffix}",
        "accuracy": AccuracySpec().model_dump(),
        "bf16_agreement": None,
        "training": training.model_dump(mode="json"),
        "weights_sha256": "",
        **changes,
    }
    return ModelSpec.model_validate(spec.model_dump(mode="json") | fields)
