"""A trained generator as a file for others: only its weights, or an ONNX graph."""

import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..checkpoint import load_generator, to_plain
from ..config import entry, losses_of
from ..errors import UserError
from ..files import write_whole, writing_results
from ..nets import build_part, count_parameters, multiple_of, run_padded
from .restorer import refused

# Of pixel values 0-1, between PyTorch in float32 and ONNX Runtime, by the graph's numbers.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2}
# Sizes that the exported graph is checked with: one image, several, neither square nor even.
CHECKED_SIZES = ((1, 24, 32), (2, 37, 19))


def export(
    config: Config,
    name: str,
    checkpoint: str | Path,
    out: Path,
    ema: bool | None = None,
    overwrite: bool = False,
    half: bool = False,
    opset: int | None = None,
) -> str:
    """Write a checkpoint's generator to a file, and return a line that describes the file.

    ``.pth`` gets the weights with their metadata, which ``tools/test.py`` and a weights-only load
    can read; ``.onnx`` a graph from ``lq`` (N, 3, H, W) to ``sr`` (N, 3, 4H, 4W), any N, H and W,
    scaled by the metadata's ``mean`` and ``std``. ``name`` is the config's in the metadata. The
    graph's numbers and images are float16 with ``half``; ``opset`` is its version, by default
    PyTorch's choice.
    """
    if out.suffix not in ('.pth', '.onnx') or out.is_dir():
        raise UserError(f'{out}: a file name that ends with .pth or .onnx expected')
    if out.suffix == '.pth' and (half or opset):
        raise UserError(f'{out}: --half and --opset are for .onnx')
    for package in ('onnx', 'onnxscript', 'onnxruntime') if out.suffix == '.onnx' else ():
        if not find_spec(package):
            raise UserError(f'{package} is missing; run: bash scripts/setup.sh export')
    generator: nn.Module = build_part(config, 'generator')
    trained = load_generator(generator, checkpoint, ema)
    meta: dict[str, Any] = to_plain(_metadata(config, name, trained))
    meta['parameters'] = count_parameters(generator)
    with writing_results([out], [Path(checkpoint)], overwrite), write_whole(out) as partial:
        if out.suffix == '.pth':
            note = 'averaged weights' if meta['ema'] else 'raw weights'
            with partial.open('wb') as file:  # given a path, PyTorch raises a RuntimeError
                torch.save({'meta': meta, 'state_dict': generator.state_dict()}, file)
        else:
            net = _Padded(
                generator, multiple_of(generator, config.model.get('size_multiple'))
            ).eval()
            dtype = torch.float16 if half else torch.float32
            difference = _write_onnx(net, partial, meta, dtype, opset)
            note = f'agrees with PyTorch to {difference:.1e}'
    return f'{out}: {meta["parameters"]:,} parameters, {out.stat().st_size / 1e6:.1f} MB, {note}'


def _metadata(config: Config, name: str, trained: dict[str, Any]) -> dict[str, Any]:
    """What a user of the weights has to know."""
    model = config.model
    scaling = model.get('data_preprocessor', {})
    sizes = entry(config, 'train_dataloader.dataset.degradation') or {}
    return {
        'name': name,
        'generator': dict(model.generator),
        'losses': {name: loss.type for name, loss in losses_of(model).items()},
        'size_multiple': model.get('size_multiple'),
        'grey': scaling.get('grey', False),  # one channel
        'channel_order': 'RGB',
        'mean': list(scaling.get('mean', [127.5])),  # of pixel values 0-255
        'std': list(scaling.get('std', [127.5])),
        'gt_size': sizes.get('gt_size'),  # of the training, pixels a side
        'lq_size': sizes.get('lq_size'),
        'iter': trained.get('iter'),
        'max_iters': (config.get('train_cfg') or {}).get('max_iters'),
        'batch_size': (config.get('train_dataloader') or {}).get('batch_size'),
        'ema': trained['ema'],
    }


class _Padded(nn.Module):
    def __init__(self, generator: nn.Module, multiple: int) -> None:
        super().__init__()
        self.generator, self.multiple = generator, multiple

    def forward(self, lq: Tensor) -> Tensor:
        return run_padded(self.generator, lq, self.multiple)


@torch.no_grad()
def _write_onnx(
    net: nn.Module, path: Path, meta: dict[str, Any], dtype: torch.dtype, opset: int | None
) -> float:
    """Write the graph, and return by how much it differs from the net."""
    import onnx
    import onnxruntime

    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    random, channels = torch.Generator().manual_seed(0), 1 if meta['grey'] else 3
    images = [
        torch.rand(number, channels, *sides, generator=random) for number, *sides in CHECKED_SIZES
    ]
    try:
        expected = [net(lq) for lq in images]
    except RuntimeError as error:
        raise refused(error) from error
    torch.onnx.export(
        net.to(dtype),
        (torch.rand(2, channels, 32, 32, dtype=dtype),),
        path,
        opset_version=opset,
        input_names=['lq'],
        output_names=['sr'],
        dynamic_shapes=({0: 'n', 2: 'height', 3: 'width'},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    graph = onnx.load(path)
    [written] = [part.version for part in graph.opset_import if not part.domain]
    if opset not in (None, written):
        raise UserError(f'--opset {opset}: PyTorch can only write {written}; take that, or none')
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in meta.items()})
    onnx.save(graph, path)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0.0
    for lq, sr in zip(images, expected, strict=True):
        found = torch.from_numpy(session.run(['sr'], {'lq': lq.to(dtype).numpy()})[0])
        if found.shape != sr.shape:
            raise UserError(f'ONNX: {tuple(found.shape)} for {tuple(lq.shape)}: not dynamic')
        worst = max(worst, float((found.float() - sr).abs().max()))
    if not worst <= TOLERANCE[dtype]:
        allowed = f'{TOLERANCE[dtype]:.0e} allowed'
        raise UserError(f'ONNX: differs from PyTorch by {worst:.1e}, {allowed}')
    return worst
