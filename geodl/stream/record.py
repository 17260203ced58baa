"""Notes every operator that torch runs while a network looks at an example."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from geodl.stream.aten import BUILDERS, REASONS
from geodl.stream.call import TILES, Built, Call, NotLocalError, Source

UNKNOWN = "it is not among the operations that stream"
Value = Source | NotLocalError
"""What a tensor stands for: rows of a node, or the reason why it cannot be streamed."""


class Recorder(TorchDispatchMode):
    """While active, tells `add` of every operation that depends on the pixels of the input.

    Below the level of modules and functions torch calls a few hundred operators, each with all its
    arguments. What nobody reads in the end may be anything, so an operator that does not stream is an
    error only where its result is used.

    Parameters
    ----------
    add : callable
        Takes the name of an operator, what was built for it, and the shape of the result; returns its
        place among the nodes.
    """

    def __init__(self, add: Callable[[str, Built, tuple[int, ...]], Source]) -> None:
        super().__init__()
        self._add = add
        self._names = _Names()
        self._values: dict[int, Value] = {}
        self._tensors: list[Tensor] = []  # kept, for their identities must not be used again

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # It would be loaded to be kept out: a second, for a compiler that is never used here.
        return False

    def begin(self, example: Tensor, source: Source) -> None:
        """Say which node the example is."""
        self._keep(example, source)

    def __enter__(self) -> "Recorder":
        """Begin to listen."""
        self._names.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Listen no more."""
        super().__exit__(*error)
        self._names.__exit__(*error)

    def value(self, tensor: Tensor) -> Source:
        """Return the node that a tensor comes from.

        Raises
        ------
        NotLocalError
            It does not come from the example, or not by operations that stream.
        """
        value = self._values.get(id(tensor))
        if value is None:
            raise NotLocalError("network", "its output does not depend on its input", TILES)
        if isinstance(value, NotLocalError):
            raise value
        return value

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operator, and note it."""
        del types
        keywords = kwargs or {}
        seen = [self._values[id(t)] for t in _tensors([*args, *keywords.values()]) if id(t) in self._values]
        result = func(*args, **keywords)
        if not seen:
            return result
        refused = next((value for value in seen if isinstance(value, NotLocalError)), None)
        results = list(result) if isinstance(result, (list, tuple)) else [result]
        values = [refused] * len(results) if refused else self._added(func, args, keywords, results)
        for tensor, value in zip(results, values, strict=False):
            if isinstance(tensor, Tensor):
                self._keep(tensor, value)
            elif isinstance(value, NotLocalError):
                raise value  # a plain number: what the network does with it is not seen
        return result

    def _added(
        self, func: Any, args: Sequence[Any], keywords: dict[str, Any], results: list[Any]
    ) -> list[Value]:
        """Build an operation, and say what its results stand for."""
        name = self._names.outermost or func._schema.name.removeprefix("aten::")
        try:
            parts = self._built(func, name, args, keywords, results)
            return [
                self._add(name, part, tuple(tensor.shape)) if isinstance(part, tuple) else part
                for part, tensor in zip(parts, results, strict=False)
            ]
        except NotLocalError as error:
            return [error] * len(results)

    def _built(
        self, func: Any, name: str, args: Sequence[Any], keywords: dict[str, Any], results: list[Any]
    ) -> list[Built | Value]:
        target = self._without_writing(func, name, args, results) if func._schema.is_mutable else func
        if target not in BUILDERS:
            raise NotLocalError(f"operation {name}", REASONS.get(name, UNKNOWN), TILES)
        arguments = {a.name: a.default_value for a in target._schema.arguments}
        arguments |= dict(zip(arguments, map(self._seen, args), strict=False))
        arguments |= {key: self._seen(value) for key, value in keywords.items()}
        shape = tuple(getattr(results[0], "shape", ()))
        built = BUILDERS[target](Call(operator=name, arguments=arguments, shape=shape))
        return [built] if isinstance(built, (tuple, Source)) else list(built)

    def _seen(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return self._values.get(id(argument), argument.detach())
        if isinstance(argument, (list, tuple)):
            return [self._seen(item) for item in argument]
        return argument

    def _without_writing(self, func: Any, name: str, args: Sequence[Any], results: list[Any]) -> Any:
        """Return the operator that gives the same without writing over its input."""
        plain = getattr(torch.ops.aten, func._schema.name.removeprefix("aten::").removesuffix("_"), None)
        if results[0] is not args[0] or not hasattr(plain, func._overloadname):
            raise NotLocalError(f"operation {name}", "it writes into a part of a tensor", TILES)
        storage = args[0].untyped_storage().data_ptr()
        if any(t is not args[0] and t.untyped_storage().data_ptr() == storage for t in self._tensors):
            raise NotLocalError(
                f"operation {name}", "it writes over a tensor of which there is another view", TILES
            )
        return getattr(plain, func._overloadname)

    def _keep(self, tensor: Tensor, value: Value) -> None:
        if id(tensor) not in self._values:
            self._tensors.append(tensor)
        self._values[id(tensor)] = value


class _Names(TorchFunctionMode):
    """Knows which function of torch the network has called: the name that its author wrote."""

    outermost = ""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        self.outermost = getattr(func, "__name__", "").strip("_")
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.outermost = ""


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found
