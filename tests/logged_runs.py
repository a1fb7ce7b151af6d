"""Work directories as MMEngine writes them, without a training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from conftest import ROOT
from mmengine.config import Config


def train_line(step: int, **values: float) -> dict:
    logged = values or {'lr': 1e-4, 'loss': 0.03 + 1 / step}
    return {**logged, 'data_time': 0.1, 'time': 0.4, 'iter': step, 'step': step}


def val_line(step: int, **values: float) -> dict:
    logged = values or {'PSNR': 29 - 1 / step, 'SSIM': 0.8}
    return {**logged, 'data_time': 0.01, 'time': 0.2, 'step': step}


def write_run(
    folder: Path,
    config: str | None,
    *starts: Iterable[dict],
    options: dict[str, object] | None = None,
    facts: dict[str, object] | None = None,
) -> Path:
    """Write a work directory: the dumped config, and of each start its run.json and log lines."""
    for index, lines in enumerate(starts):
        part = folder / f'20260101_00000{index}/vis_data'
        part.mkdir(parents=True)
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (part / 'scalars.json').write_text(text)
        if facts is not None:
            (part.parent / 'run.json').write_text(json.dumps(facts))
    if config is not None:
        dumped = Config.fromfile(ROOT / f'configs/{config}.py')
        dumped.merge_from_dict(options or {})
        dumped.dump(folder / f'{config}.py')
    return folder
