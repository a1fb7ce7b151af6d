"""The published runs' logged curves, to draw beside our own.

The files in ``published/`` are what the runs logged: the SRResNet's fifth cosine cycle, whose
iteration n is 120,000 + n of the whole schedule, and the SRGAN's 40,000 iterations, whose PSNR
leaves out 4 pixels at the border.
"""

from __future__ import annotations

import csv
from pathlib import Path

from .logs import Curve

_FOLDER = Path(__file__).parent / 'published'
#: By config: the files, and what to add to their iterations.
_FILES = {
    'srresnet_24b': (('srresnet_24b_cycle5_train.csv', 'srresnet_24b_cycle5_val.csv'), 120_000),
    'srgan_26b': (('srgan_26b_train.csv', 'srgan_26b_val.csv'), 0),
}
#: Columns that our logs call otherwise.
_NAMES = {'loss_l1': 'loss', 'psnr_db': 'PSNR', 'psnr_db_crop4': 'PSNR', 'ssim': 'SSIM'}
_NO_CURVES = frozenset({'iter', 'iter_time_s', 'data_time_s', 'gpu_memory_mib'})

#: What a published score was measured with, where it was not with the whole image.
PUBLISHED_NOTES = {('srgan_26b', 'PSNR'): ', without a border of 4 pixels'}


def published_name(config_name: str) -> str:
    """What a config's run was published as: its fast variant is the same recipe."""
    return config_name.removesuffix('_fast')


def published_curves(config_name: str) -> dict[str, Curve]:
    """The curves that were published for a config, by our logs' names; empty for any other."""
    files, offset = _FILES.get(published_name(config_name), ((), 0))
    curves: dict[str, Curve] = {}
    for name in files:
        with (_FOLDER / name).open(newline='', encoding='utf-8') as file:
            for row in csv.DictReader(file):
                step = offset + int(row['iter'])
                for column in row.keys() - _NO_CURVES:
                    curve = curves.setdefault(_NAMES.get(column, column), {})
                    curve[step] = float(row[column])
    return curves
