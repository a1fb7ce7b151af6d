"""Muon for the matrices of a net and Adam for the rest, as one optimiser."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from mmagic.registry import OPTIMIZERS
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor
from torch.optim import Adam, Optimizer

from ..errors import UserError
from ..nets import is_fast_in_bf16

# The polynomial of a Newton-Schulz step (Jordan et al., *Muon*, 2024): it lifts small singular
# values fast, and leaves all of them between about 0.7 and 1.2.
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315
#: A weight with fewer channels on one side is Adam's: a stem, a head, a depth-wise convolution.
LEAST_CHANNELS = 16


@OPTIMIZERS.register_module()
class MuonAdam(Optimizer):
    """Steps of even strength in all directions for matrices, PyTorch's ``Adam`` for the rest.

    Muon (Jordan et al., 2024) makes a step of the gradient's momentum with all singular values near
    1; its size is matched to Adam's (Liu et al., arXiv:2502.16982, section 2.2). Matrices are the
    weights of linear layers and of convolutions, as (out, rest), with at least
    :data:`LEAST_CHANNELS` channels in and out; a parameter group may say ``matrices=False``.

    PyTorch's ``Muon`` takes no convolution, needs a second optimiser for the rest of the net, which
    MMEngine's wrapper has no place for, works through the matrices one by one, and in bfloat16 also
    where a CPU is slow in it.

    Args:
        params: parameters, or groups of them.
        lr: of the matrices: each step changes their values by 0.2 ``lr``, root mean square.
        momentum: Muon's, with Nesterov's look ahead.
        weight_decay: of the matrices: each step takes ``lr * weight_decay`` of them away.
        steps: of Newton and Schulz's iteration.
        adam_lr: learning rate of all other parameters.
        betas: Adam's.

    Raises:
        UserError: a setting is out of its range, or a gradient is sparse or complex.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 6e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        steps: int = 5,
        adam_lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        settings = {'lr': lr, 'weight_decay': weight_decay, 'adam_lr': adam_lr, 'steps': steps}
        for name, value in settings.items():
            if value < 0:
                raise UserError(f'MuonAdam: {name}={value}: at least 0 expected')
        if not 0 <= momentum < 1:
            raise UserError(f'MuonAdam: momentum={momentum}: from 0 to below 1 expected')
        muon = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, steps=steps)
        adam = Adam([torch.empty(0)], lr=adam_lr, betas=betas)
        groups = []
        for group in _as_groups(params):
            options = {key: value for key, value in group.items() if key != 'params'}
            taken: dict[bool, list[Tensor]] = {True: [], False: []}
            for weight in group['params']:
                taken[group.get('matrices', True) and is_matrix(weight)].append(weight)
            rate = options.pop('lr', lr) / lr if lr else 1.0
            for matrices, defaults in ((True, muon), (False, adam.defaults)):
                if taken[matrices]:
                    parts = {'params': taken[matrices], 'matrices': matrices}
                    groups.append({**defaults, **options, **parts, 'lr': rate * defaults['lr']})
        super().__init__(groups, muon)
        self._adam = adam

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Change every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group['matrices']:
                self._step_matrices(group)
        # The same groups and state: it does the rest.
        self._adam.param_groups = [group for group in self.param_groups if not group['matrices']]
        self._adam.state = self.state
        self._adam.step()
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        by_shape: defaultdict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in group['params']:
            gradient = weight.grad
            if gradient is None:
                continue
            if gradient.is_sparse or gradient.is_complex():
                raise UserError('MuonAdam: takes no sparse or complex gradients; take Adam')
            state = self.state[weight]
            if 'momentum' not in state:
                state['momentum'] = torch.zeros_like(weight)
            momentum: Tensor = state['momentum'].lerp_(gradient, 1 - group['momentum'])
            ahead = gradient.lerp(momentum, group['momentum']).flatten(1)
            by_shape[ahead.shape[0], ahead.shape[1]].append((weight, ahead))
        for (rows, columns), pairs in by_shape.items():
            directions = orthogonalise(torch.stack([ahead for _, ahead in pairs]), group['steps'])
            size = 0.2 * group['lr'] * max(rows, columns) ** 0.5
            for (weight, _), direction in zip(pairs, directions, strict=True):
                weight.mul_(1 - group['lr'] * group['weight_decay'])
                weight.add_(direction.view(weight.shape), alpha=-size)


def is_matrix(weight: Tensor) -> bool:
    """Whether Muon takes a parameter, see :class:`MuonAdam`."""
    return weight.ndim >= 2 and min(weight.shape[:2]) >= LEAST_CHANNELS


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of matrices near 1 by Newton and Schulz's iteration.

    In bfloat16 where the device is fast in it: the result is a direction, and no more exact.

    Args:
        matrices: (N, rows, columns), any scale.
        steps: five bring singular values from a hundredth of the largest up to about 1.

    Returns:
        (N, rows, columns) of the same type, singular values between about 0.7 and 1.2.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-30)
    if is_fast_in_bf16(x.device):
        x = x.bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(
            x, torch.baddbmm(gram, gram, gram, beta=_CUBIC, alpha=_QUINTIC), x, beta=_LINEAR
        )
    return (x.mT if tall else x).to(matrices.dtype)


def _as_groups(params: Iterable[Any]) -> list[dict[str, Any]]:
    """Parameters as the list of groups that PyTorch's optimisers also take."""
    items = list(params)
    if items and isinstance(items[0], dict):
        return [
            {**group, 'params': [group['params']]}
            if isinstance(group['params'], Tensor)
            else {**group, 'params': list(group['params'])}
            for group in items
        ]
    return [{'params': items}]


def take_settings(wrapper: OptimWrapper | OptimWrapperDict, saved: dict[str, Any]) -> None:
    """Have an optimiser resume with the config's settings: its state is what a checkpoint holds.

    PyTorch takes learning rates, ``fused`` and all other settings from the checkpoint, and ignores
    what was changed in the config. The learning rate keeps its place in the schedule.

    Args:
        wrapper: the run's.
        saved: the checkpoint's ``optimizer``, not yet loaded; changed in place.
    """
    if isinstance(wrapper, OptimWrapperDict):
        for net, one in wrapper.items():
            take_settings(one, saved[net])
        return
    groups = [*saved['param_groups']]
    if 'base_param_settings' in saved:  # of several groups; MMEngine logs its rate
        groups.append(saved['base_param_settings'])
    for group, own in zip(groups, wrapper.param_groups, strict=False):
        before, rate = group.get('initial_lr', group['lr']), own.get('initial_lr', own['lr'])
        if before != rate:
            print_log(f'learning rate: {rate:g} by the config, {before:g} before', 'current')
        share = group['lr'] / before if before else 1.0
        group.update({key: value for key, value in own.items() if key != 'params'})
        group['lr'] = rate * share


def match_layout(wrapper: OptimWrapper | OptimWrapperDict) -> None:
    """Give all state of a weight's shape the weight's memory format.

    PyTorch loads it in the layout in which it was saved; fused optimisers walk weight and state as
    they lie in memory, and make a wrong step without a word where the layouts differ.

    Args:
        wrapper: the run's, its weights laid out as they are trained.
    """
    for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        for weight, state in one.optimizer.state.items():
            for key, value in state.items():
                if (
                    isinstance(value, Tensor)
                    and value.shape == weight.shape
                    and value.stride() != weight.stride()
                ):
                    laid_out = torch.empty_like(weight, dtype=value.dtype, device=value.device)
                    state[key] = laid_out.copy_(value)
