"""A trained generator as a file for others: its weights alone, or ONNX."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..checkpoint import load_generator, to_plain
from ..errors import UserError
from ..nets import build_part, count_parameters

TOLERANCE = 1e-4  # of pixel values 0-1, between torch and ONNX Runtime
# Sizes that the exported graph is checked with: one image, several, neither square nor even.
CHECKED_SIZES = ((1, 24, 32), (2, 37, 19))


def export(config: Config, name: str, checkpoint: str | Path, out: Path, ema: bool = False) -> str:
    """Write a checkpoint's generator to a file; it appears whole and checked, or not at all.

    Args:
        config: the config that the checkpoint was trained with.
        name: the config's name, for the metadata.
        checkpoint: a training checkpoint, or one exported before.
        out: ``.pth`` for the weights with their metadata, loadable weights-only and taken by
            ``tools/test.py``; ``.onnx`` for a graph from ``lq`` (N, 3, H, W) to ``sr``
            (N, 3, 4H, 4W), any N, H and W, in the metadata's ``mean`` and ``std``.
        ema: the average of the weights instead of the raw ones.

    Returns:
        What was written, in a line for people.

    Raises:
        UserError: the suffix is another, a package is missing, the checkpoint is not this
            config's, or the graph computes something else than the net.
    """
    if out.suffix not in ('.pth', '.onnx') or out.is_dir():
        raise UserError(f'{out}: a file name that ends with .pth or .onnx expected')
    if out.resolve() == Path(checkpoint).resolve():
        raise UserError(f'{out}: is the training checkpoint itself; choose another name')
    missing = [
        package for package in ('onnx', 'onnxscript', 'onnxruntime') if not find_spec(package)
    ]
    if out.suffix == '.onnx' and missing:
        raise UserError(f'{missing[0]} is missing; run: bash scripts/setup.sh export')
    generator: nn.Module = build_part(config, 'generator')
    meta = _metadata(config, name, load_generator(generator, checkpoint, ema), ema)
    meta['parameters'] = count_parameters(generator)
    partial = out.with_name(f'.{out.stem}.partial{out.suffix}')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == '.pth':
            with partial.open('wb') as file:  # by its name PyTorch raises a RuntimeError
                torch.save({'meta': meta, 'state_dict': generator.state_dict()}, file)
            said = 'weights only'
        else:
            said = _write_onnx(generator.eval(), partial, meta)
        partial.replace(out)
    except OSError as error:
        raise UserError(f'{out}: cannot be written ({error.strerror or error})') from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    size = out.stat().st_size / 1e6
    return f'{out}: {meta["parameters"]:,} parameters, {size:.1f} MB, {said}'


def _metadata(config: Config, name: str, trained: dict[str, Any], ema: bool) -> dict[str, Any]:
    """What a user of the weights has to know, as plain values."""
    model = config.model
    facts: dict[str, Any] = to_plain(
        {
            'name': name,
            'generator': dict(model.generator),
            'losses': {
                key: model[key].type for key in model if key.endswith('_loss') and model[key]
            },
            'channel_order': 'RGB',
            # of pixel values 0-255
            'mean': list(model.get('data_preprocessor', {}).get('mean', [127.5])),
            'std': list(model.get('data_preprocessor', {}).get('std', [127.5])),
            'iter': trained.get('iter'),
            'max_iters': (config.get('train_cfg') or {}).get('max_iters'),
            'batch_size': (config.get('train_dataloader') or {}).get('batch_size'),
            'ema': ema or trained.get('ema', False),
        }
    )
    return facts


def _write_onnx(generator: nn.Module, path: Path, meta: dict[str, Any]) -> str:
    import onnx

    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    example = torch.rand(2, 3, 32, 32)
    torch.onnx.export(
        generator,
        (example,),
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
    return f'agrees with PyTorch to {_check_onnx(generator, path):.1e}'


@torch.no_grad()
def _check_onnx(generator: nn.Module, path: Path) -> float:
    import onnxruntime

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
