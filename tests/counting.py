"""What a piece of code asks of a device: counted, so that fake tensors are enough."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Views, and what only allocates or asks for a property.
_FREE = re.compile(
    r'prim::|aten::(_unsafe_view|alias|as_strided|detach|empty|expand|new_empty|permute|reshape|'
    r'select|slice|split|squeeze|t|transpose|unbind|unfold|unsqueeze|view)(_like|_strided)?(\.|$)'
)


class Count(TorchDispatchMode):
    """Counts kernels, as operations that are no views, and the bytes of their inputs and outputs.

    Attributes:
        kernels, bytes: so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not _FREE.match(func.name()):
            self.kernels += 1
            tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result
