"""``MuonAdam``, and how the state of any optimiser resumes under a changed config."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmagic.registry import OPTIMIZERS
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor
from torch.nn import Module
from torch.optim import Adam, Optimizer

from ..nets import is_fast_in_bf16

#: The polynomial of a Newton-Schulz step (Jordan et al., *Muon*, 2024): it lifts small singular
#: values fast, and leaves all of them between about 0.7 and 1.2.
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

    PyTorch's ``Muon`` takes no convolution, leaves the rest of the net to a second optimiser, for
    which MMEngine's wrapper has no place, and works in bfloat16 also where a CPU is slow in it.

    Each step changes the values of the matrices by 0.2 ``lr``, root mean square, and takes ``lr *
    weight_decay`` of them away; ``momentum`` is with Nesterov's look ahead, ``steps`` are of the
    Newton-Schulz iteration. ``adam_lr`` and ``betas`` are Adam's.
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
        muon = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, steps=steps)
        self._adam = Adam([torch.empty(0)], lr=adam_lr, betas=betas)
        super().__init__(params, {})  # makes groups of any form of parameters
        given, self.param_groups, self.defaults = self.param_groups, [], muon
        for group in given:
            # MMEngine's paramwise_cfg gives a rate and a decay to all; Adam's has its own of both.
            shares = {
                key: group[key] / muon[key] if muon[key] else 1.0
                for key in ('lr', 'weight_decay')
                if key in group
            }
            allowed = group.get('matrices', True)
            for matrices, own in ((True, muon), (False, self._adam.defaults)):
                weights = [
                    weight
                    for weight in group['params']
                    if (allowed and is_matrix(weight)) == matrices
                ]
                settings = {**own, **group, 'matrices': matrices}
                settings |= {key: share * own[key] for key, share in shares.items()}
                if weights:
                    self.add_param_group({**settings, 'params': weights})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient; MMEngine never passes a ``closure``."""
        for group in self.param_groups:
            if group['matrices']:
                self._step_matrices(group)
        # Adam steps in this optimiser's groups and state.
        self._adam.param_groups = [group for group in self.param_groups if not group['matrices']]
        self._adam.state = self.state
        self._adam.step()

    def _step_matrices(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group['params'] if weight.grad is not None]
        if not weights:
            return
        gradients = [weight.grad for weight in weights]
        for weight in weights:
            if 'momentum' not in self.state[weight]:
                self.state[weight]['momentum'] = torch.zeros_like(weight)
        # All weights in one operation: a GPU is started once, not once for each.
        momenta: list[Tensor] = [self.state[weight]['momentum'] for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - group['momentum'])
        ahead = torch._foreach_lerp(gradients, momenta, group['momentum'])
        torch._foreach_mul_(weights, 1 - group['lr'] * group['weight_decay'])
        by_shape: defaultdict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight, step in zip(weights, ahead, strict=True):
            matrix = step.flatten(1)
            by_shape[matrix.shape[0], matrix.shape[1]].append((weight, matrix))
        for (rows, columns), pairs in by_shape.items():
            directions = orthogonalise(torch.stack([matrix for _, matrix in pairs]), group['steps'])
            size = 0.2 * group['lr'] * max(rows, columns) ** 0.5
            changed = [weight for weight, _ in pairs]
            steps = [
                direction.view(weight.shape)
                for weight, direction in zip(changed, directions, strict=True)
            ]
            torch._foreach_add_(changed, steps, alpha=-size)


def is_matrix(weight: Tensor) -> bool:
    """Whether a parameter is Muon's, unless its group says otherwise."""
    return weight.ndim >= 2 and min(weight.shape[:2]) >= LEAST_CHANNELS


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of (N, rows, columns) near 1 by Newton-Schulz iteration.

    Five steps bring those from a hundredth of the largest up to between about 0.7 and 1.2.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-30)
    if is_fast_in_bf16(x.device):
        x = x.bfloat16()  # a direction need not be more exact
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=_CUBIC, alpha=_QUINTIC)
        x = torch.baddbmm(x, polynomial, x, beta=_LINEAR)
    return (x.mT if tall else x).to(matrices.dtype)


def wrappers_of(wrapper: OptimWrapper | OptimWrapperDict) -> dict[str, OptimWrapper]:
    """The wrapper of each net by its name; of a single one the name is empty."""
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {'': wrapper}


def take_settings(wrapper: OptimWrapper | OptimWrapperDict, saved: dict[str, Any]) -> None:
    """Put the config's settings into an optimiser's saved state, in place, before it is loaded.

    PyTorch takes learning rates, ``fused`` and all other settings from the checkpoint, and ignores
    what was changed in the config. The learning rate keeps its place in the schedule.
    """
    for net, part in wrappers_of(wrapper).items():
        state = saved[net] if net else saved
        groups = [*state['param_groups']]
        if 'base_param_settings' in state:  # of several groups; MMEngine logs its rate
            groups.append(state['base_param_settings'])
        for group, own in zip(groups, part.param_groups, strict=False):
            before, rate = group.get('initial_lr', group['lr']), own.get('initial_lr', own['lr'])
            if before != rate:
                print_log(f'learning rate: {rate:g} by the config, {before:g} before', 'current')
            share = group['lr'] / before if before else 1.0
            group.update({key: value for key, value in own.items() if key != 'params'})
            group['lr'] = rate * share


def take_waiting(model: Module, wrapper: OptimWrapper | OptimWrapperDict) -> list[dict[str, Any]]:
    """Copy what waits for a step of ``accumulative_counts``: gradients and counts, of each process.

    Empty if every gradient has had its step.
    """
    parts = wrappers_of(wrapper)
    if not any(part._inner_count % part._accumulative_counts for part in parts.values()):
        return []
    counts = {net: part._inner_count for net, part in parts.items()}
    gradients = [
        None if weight.grad is None else weight.grad.cpu() for weight in model.parameters()
    ]
    found: list[dict[str, Any]] = all_gather_object({'counts': counts, 'gradients': gradients})
    return found


def put_waiting(
    model: Module, wrapper: OptimWrapper | OptimWrapperDict, waiting: Sequence[Mapping[str, Any]]
) -> None:
    """Give a process what waited in it; in another number of processes, the mean of all."""
    own = [waiting[get_rank()]] if len(waiting) == get_world_size() else waiting
    for net, part in wrappers_of(wrapper).items():
        part._inner_count = own[0]['counts'][net]
    for weight, *gradients in zip(
        model.parameters(), *(part['gradients'] for part in own), strict=True
    ):
        if None not in gradients:
            weight.grad = torch.empty_like(weight).copy_(torch.stack(gradients).mean(0))


def match_layout(wrapper: OptimWrapper | OptimWrapperDict) -> None:
    """Give all optimiser state of a weight's shape the memory format that the weight has now.

    PyTorch loads state in the layout in which it was saved. Fused optimisers walk weight and state
    in memory order: where the layouts differ, they make a wrong step without a word.
    """
    for part in wrappers_of(wrapper).values():
        for weight, state in part.optimizer.state.items():
            for key, value in state.items():
                like = isinstance(value, Tensor) and value.shape == weight.shape
                if like and value.stride() != weight.stride():
                    laid_out = torch.empty_like(weight, dtype=value.dtype, device=value.device)
                    state[key] = laid_out.copy_(value)
