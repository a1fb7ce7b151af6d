"""A CUDA GPU where there is none: its tensors have shapes, types and a device, but no values.

PyTorch's own fake tensors run the real code of models, hooks and optimisers; tensors on the CPU
stay real. Mixing the two, or handing one on the GPU to NumPy, fails as on a GPU. Whatever a GPU's
values would decide is answered by zeros, and noted: there the host would have waited.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ATEN = torch.ops.aten
# They run nothing on the device, and are no views.
NO_KERNELS = {'empty', 'empty_like', 'empty_strided', 'new_empty', 'new_empty_strided'}
NO_KERNELS |= {'detach', 'lift_fresh', '_unsafe_view'}
LOOKS_AT_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


@dataclass
class Counts:
    """What a stretch of code did.

    Attributes:
        kernels: number of each operation on the device that is no view. A ``foreach`` operation is
            one, or one for each tensor where their layouts differ.
        bytes: of the tensors that each operation read and wrote.
        waits: of the host for the device: the operation, and which lines called it.
    """

    kernels: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    waits: list[str] = field(default_factory=list)


class FakeGPU(TorchDispatchMode):
    """Runs what is on the GPU with fake tensors, all else as it is; :func:`fake_cuda` makes it."""

    def __init__(self) -> None:
        super().__init__()
        self._mode = _NoDriverMode(allow_non_fake_inputs=True)
        self._counts: list[Counts] = []

    @contextmanager
    def count(self) -> Iterator[Counts]:
        """Count what is done for a while."""
        counts = Counts()
        self._counts.append(counts)
        try:
            yield counts
        finally:
            self._counts = [others for others in self._counts if others is not counts]

    def wait(self, what: str) -> None:
        """Note that the host waits for the device."""
        for counts in self._counts:
            counts.waits.append(f'{what} by {_callers()}')

    def __enter__(self) -> FakeGPU:
        self._mode.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._mode.__exit__(*error)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        if not any(map(_is_on_gpu, leaves)):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func.namespace == 'prim':  # asks for a size or the device
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():  # where autograd has not done so before
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        name = func.overloadpacket.__name__
        if _looks_at_values(func, name, args):
            self.wait(name)
        if func is ATEN._local_scalar_dense.default:
            return 0.0 if args[0].is_floating_point() else 0
        if func is ATEN.equal.default:
            return True
        if func is ATEN.copy_.default:
            self._note_copy(args[1], args[0].device, *args[2:], **kwargs)
            if not _is_on_gpu(args[0]):
                return args[0]
        if func is ATEN._to_copy.default:
            device = kwargs.get('device') or args[0].device
            self._note_copy(args[0], device, kwargs.get('non_blocking', False))
        result = func(*args, **kwargs)
        if not func.is_view and name not in NO_KERNELS:
            self._note_kernel(name, args, [*leaves, *tree_leaves(result)])
        return tree_map(_arrive, result)

    def _note_copy(self, source: Tensor, target: torch.device, non_blocking: bool = False) -> None:
        if source.device.type == target.type:
            return
        if not non_blocking:
            self.wait(f'a copy to {target.type}')
        elif source.device.type == 'cpu' and not source.is_pinned():
            self.wait('a copy from memory that is not pinned')

    def _note_kernel(self, name: str, args: Any, leaves: list[Any]) -> None:
        size = sum(_size(leaf) for leaf in leaves if _is_gpu_tensor(leaf))
        launches = 1
        if name.startswith('_foreach'):
            lists = [arg for arg in args if isinstance(arg, list | tuple) and arg]
            tensors = zip(*(part for part in lists if _is_gpu_tensor(part[0])), strict=False)
            alike = all(len({tensor.stride() for tensor in several}) == 1 for several in tensors)
            launches = 1 if alike else len(lists[0])
        for counts in self._counts:
            counts.kernels[name] += launches
            counts.bytes[name] += size


class _NoDriverMode(FakeTensorMode):
    """Never asks the driver, whatever ``torch.cuda.is_available`` says."""

    avoid_device_init = True


def _is_gpu_tensor(leaf: Any) -> bool:
    return isinstance(leaf, FakeTensor) and leaf.device.type == 'cuda'


def _is_on_gpu(leaf: Any) -> bool:
    return _is_gpu_tensor(leaf) or (isinstance(leaf, torch.device) and leaf.type == 'cuda')


def _looks_at_values(func: Any, name: str, args: Any) -> bool:
    """Whether the host has to know values: for its own use, for a size, to copy an index."""
    if name not in ('index', 'index_put', 'index_put_', '_index_put_impl_'):
        return bool(LOOKS_AT_VALUES & set(func.tags))
    indices = [index for index in args[1] if index is not None]
    masked = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
    filled = name != 'index' and args[2].numel() == 1  # done by masked_fill
    return (masked and not filled) or not all(map(_is_on_gpu, indices))


def _size(tensor: Tensor) -> int:
    """Bytes that a kernel reads or writes; what was expanded is read once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _arrive(value: Any) -> Any:
    """What comes to the CPU is real there."""
    if isinstance(value, FakeTensor) and value.device.type == 'cpu':
        with unset_fake_temporarily():
            return torch.zeros(value.shape, dtype=value.dtype)
    return value


def _callers() -> str:
    """The last lines before PyTorch's and this file's, the innermost first."""
    lines = []
    frame = sys._getframe()
    while frame is not None and len(lines) < 3:
        path = Path(frame.f_code.co_filename)
        if path != Path(__file__) and 'torch' not in path.parts:
            lines.append(f'{path.name}:{frame.f_lineno} {frame.f_code.co_name}')
        frame = frame.f_back
    return ' < '.join(lines)


class _Generator(torch.Generator):
    """One that may be on the GPU; what it draws there has no values."""

    place: torch.device

    def __new__(cls, device: Any = 'cpu') -> _Generator:
        generator = super().__new__(cls)
        generator.place = torch.device(device)
        return generator


class _Generators(TorchFunctionMode):
    """Takes generators on the GPU out of calls, where they can still be told from others."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if isinstance(generator := kwargs.get('generator'), _Generator):
            target = kwargs.get('device') or getattr(args[0], 'device', 'cpu')
            wanted, found = torch.device(target).type, generator.place.type
            if wanted != found:
                raise RuntimeError(f"Expected a '{wanted}' generator device but found '{found}'")
            if found == 'cuda':
                del kwargs['generator']
        return func(*args, **kwargs)


def _backward(loss: Tensor) -> None:
    """``Tensor.backward`` in Python: the stock one asks the driver for its threads."""
    if not _is_gpu_tensor(loss):
        torch.autograd.backward(loss)
        return
    order: list[Any] = []  # a node comes after all that it leads to
    seen: set[Any] = set()
    stack: list[tuple[Any, bool]] = [(loss.grad_fn, False)]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(following, False) for following, _ in node.next_functions if following]
    arrived: dict[Any, dict[int, Tensor]] = {loss.grad_fn: {0: torch.ones_like(loss)}}
    with torch.no_grad():
        while order:
            node = order.pop()
            gradients = arrived.pop(node, {})
            if hasattr(node, 'variable') and gradients:
                weight, gradient = node.variable, gradients[0]
                if gradient.stride() != weight.stride():  # on a GPU they are alike
                    gradient = torch.empty_like(weight)
                weight.grad = gradient if weight.grad is None else weight.grad + gradient
            elif gradients:
                results = node(*map(gradients.get, range(len(node._input_metadata))))
                results = results if isinstance(results, tuple) else (results,)
                for (following, index), result in zip(node.next_functions, results, strict=True):
                    if following is not None and result is not None:
                        result = _fit(result, following._input_metadata[index])
                        places = arrived.setdefault(following, {})
                        places[index] = places[index] + result if index in places else result


def _fit(gradient: Tensor, place: Any) -> Tensor:
    """Sum over what was broadcast, in the type of what it is the gradient of."""
    if gradient.shape != place.shape:
        gradient = gradient.sum_to_size(place.shape)
    return gradient.to(place.dtype)


@contextmanager
def fake_cuda() -> Iterator[FakeGPU]:
    """Have a CUDA GPU for a while: ``torch.cuda.is_available()`` is true, ``'cuda'`` is a device.

    In this thread; what others do with its tensors fails.
    """
    gpu = FakeGPU()
    pinned: list[Tensor] = []

    def pin_memory(tensor: Tensor, device: Any = None) -> Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    def is_pinned(tensor: Tensor, device: Any = None) -> bool:
        return any(tensor.data_ptr() == other.data_ptr() for other in pinned)

    stand_ins: dict[str, Any] = {
        'torch.cuda.is_available': lambda: True,
        'torch.cuda.device_count': lambda: 1,
        'torch.cuda.get_device_name': lambda device=None: 'a fake GPU',
        'torch.cuda.is_bf16_supported': lambda including_emulation=True: True,
        'torch.cuda.mem_get_info': lambda device=None: (64 << 30, 80 << 30),
        'torch.cuda.reset_peak_memory_stats': lambda device=None: None,
        'torch.cuda.synchronize': lambda device=None: gpu.wait('torch.cuda.synchronize'),
        'torch.cuda.amp.common.amp_definitely_not_available': lambda: False,
        'torch.accelerator.is_available': lambda: True,
        'torch.load': unset_fake_temporarily()(torch.load),
        'torch.save': unset_fake_temporarily()(torch.save),
        'torch.Generator': _Generator,
        # Module.to swaps fake weights, where it sets the data of real ones.
        'torch.utils.swap_tensors': lambda old, new: setattr(old, 'data', new.data),
        'torch.Tensor.backward': _backward,
        'torch.Tensor.pin_memory': pin_memory,
        'torch.Tensor.is_pinned': is_pinned,
        'torch._subclasses.fake_tensor.FakeTensor.tolist': lambda tensor: tensor.cpu().tolist(),
        'mmengine.device.utils.DEVICE': 'cuda',
    }
    with pytest.MonkeyPatch.context() as patch, gpu, _Generators():
        for name, stand_in in stand_ins.items():
            patch.setattr(name, stand_in)
        for module in (_foreach_utils, sys.modules[torch.optim.Optimizer.__module__]):
            supported = [*module._foreach_supported_types, FakeTensor]
            patch.setattr(module, '_foreach_supported_types', supported)
        yield gpu
