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
from ..errors import UserError
from ..files import write_whole, writing_results
from ..nets import build_part, count_parameters

TOLERANCE = 1e-4  # of pixel values 0-1, between PyTorch and ONNX Runtime
# Sizes that the exported graph is checked with: one image, several, neither square nor even.
CHECKED_SIZES = ((1, 24, 32), (2, 37, 19))


def export(
    config: Config,
    name: str,
    checkpoint: str | Path,
    out: Path,
    ema: bool = False,
    overwrite: bool = False,
) -> str:
    """Write a checkpoint's generator to a file, and return a line that describes the file.

    ``.pth`` gets the weights with their metadata, which ``tools/test.py`` and a weights-only load
    can read; ``.onnx`` a graph from ``lq`` (N, 3, H, W) to ``sr`` (N, 3, 4H, 4W), any N, H and W,
    scaled by the metadata's ``mean`` and ``std``. ``name`` is the config's in the metadata.
    """
    if out.suffix not in ('.pth', '.onnx') or out.is_dir():
        raise UserError(f'{out}: a file name that ends with .pth or .onnx expected')
    for package in ('onnx', 'onnxscript', 'onnxruntime') if out.suffix == '.onnx' else ():
        if not find_spec(package):
            raise UserError(f'{package} is missing; run: bash scripts/setup.sh export')
    generator: nn.Module = build_part(config, 'generator')
    trained = load_generator(generator, checkpoint, ema)
    meta: dict[str, Any] = to_plain(_metadata(config, name, trained, ema))
    meta['parameters'] = count_parameters(generator)
    with writing_results([out], [Path(checkpoint)], overwrite), write_whole(out) as partial:
        if out.suffix == '.pth':
            note = 'weights only'
            with partial.open('wb') as file:  # given a path, PyTorch raises a RuntimeError
                torch.save({'meta': meta, 'state_dict': generator.state_dict()}, file)
        else:
            difference = _write_onnx(generator.eval(), partial, meta)
            note = f'agrees with PyTorch to {difference:.1e}'
    return f'{out}: {meta["parameters"]:,} parameters, {out.stat().st_size / 1e6:.1f} MB, {note}'


def _metadata(config: Config, name: str, trained: dict[str, Any], ema: bool) -> dict[str, Any]:
    """What a user of the weights has to know."""
    model = config.model
    scaling = model.get('data_preprocessor', {})
    return {
        'name': name,
        'generator': dict(model.generator),
        'losses': {key: model[key].type for key in model if key.endswith('_loss') and model[key]},
        'channel_order': 'RGB',
        'mean': list(scaling.get('mean', [127.5])),  # of pixel values 0-255
        'std': list(scaling.get('std', [127.5])),
        'iter': trained.get('iter'),
        'max_iters': (config.get('train_cfg') or {}).get('max_iters'),
        'batch_size': (config.get('train_dataloader') or {}).get('batch_size'),
        'ema': ema or trained.get('ema', False),
    }


@torch.no_grad()
def _write_onnx(generator: nn.Module, path: Path, meta: dict[str, Any]) -> float:
    """Write the graph, and return by how much it differs from the net."""
    import onnx
    import onnxruntime

    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    torch.onnx.export(
        generator,
        (torch.rand(2, 3, 32, 32),),
        path,
        input_names=['lq'],
        output_names=['sr'],
        dynamic_shapes=({0: 'n', 2: 'height', 3: 'width'},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in meta.items()})
    onnx.save(graph, path)
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0.0
    for number, height, width in CHECKED_SIZES:
        lq = torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(0))
        expected: Tensor = generator(lq)
        found = torch.from_numpy(session.run(['sr'], {'lq': lq.numpy()})[0])
        if found.shape != expected.shape:
            raise UserError(f'ONNX: {tuple(found.shape)} for {tuple(lq.shape)}: not dynamic')
        worst = max(worst, float((found - expected).abs().max()))
    if not worst <= TOLERANCE:
        raise UserError(f'ONNX: differs from PyTorch by {worst:.1e}, {TOLERANCE:.0e} allowed')
    return worst
