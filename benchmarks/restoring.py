"""What restoring a folder takes: MMEngine's test loop with MMagic's parts against tools/test.py."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import torch
from mmagic.datasets import BasicImageDataset
from mmagic.datasets.transforms import LoadImageFromFile, PackInputs
from mmagic.engine.hooks import BasicVisualizationHook
from mmagic.models import BaseEditModel, DataPreprocessor
from mmagic.visualization import ConcatImageVisualizer
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import IterTimerHook
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend

from facesr.errors import UserError
from facesr.images import list_images, read_image
from facesr.nets import build_part, find_device, use_tf32
from facesr.restoring.folder import restore_folder
from facesr.restoring.restorer import Restorer

from .degradation import measure_agreement
from .measure import Figures, run_benchmark, take_turns, time_call

WARM_UP, COMPARED = 2, 50  # images


def time_folder(
    config: Config, images: int, rounds: int, device: str | None, checkpoint: str | None = None
) -> Figures:
    """Measure restoring the first images of a config's test set, all of one size, to PNGs.

    Returns:
        ``seconds`` per image, and the ``agreement`` of the stock PNGs with ours.

    Raises:
        UserError: no such images or checkpoint, or MMEngine would take another device.
    """
    if find_device(device).type != get_device():
        raise UserError(
            f'--device {device}: the stock way takes {get_device()}; for a CPU on a machine with a '
            'GPU, set CUDA_VISIBLE_DEVICES='
        )
    dataset = config.test_dataloader.dataset
    paths = list(list_images(Path(dataset.data_root, dataset.data_prefix.img)).values())[:images]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, chosen in {'warm_up': paths[:WARM_UP], 'lq': paths}.items():
            (root / name).mkdir()
            for path in chosen:
                (root / name / path.name).symlink_to(path.resolve())
        if checkpoint is None:
            checkpoint = f'{folder}/initial.pth'
            torch.save(build_part(config, 'generator').state_dict(), checkpoint)
        restorer = Restorer(config, checkpoint, device)
        sides: dict[str, Callable[[Path], float]] = {
            'stock, PNGs': partial(by_stock, config, restorer, root / 'stock'),
            'ours, PNGs': partial(by_ours, restorer, root / 'ours', scored=False),
            'ours, PNGs and NIQE': partial(by_ours, restorer, root / 'ours'),
            'bare forward passes': partial(by_forward_passes, restorer),
        }
        if restorer.device.type == 'cuda':
            fast = Restorer(config, checkpoint, device, precision='bf16')
            batches = partial(by_ours, fast, root / 'fast', scored=False, batch_size=16)
            sides['ours, PNGs, bf16, batches of 16'] = batches

        def in_turn(side: Callable[[Path], float]) -> Callable[[], float]:
            # The first call is the warm-up.
            inputs = chain([root / 'warm_up'], repeat(root / 'lq'))
            return lambda: side(next(inputs))

        seconds = take_turns({name: in_turn(side) for name, side in sides.items()}, rounds)
        stock = {path.name[: -len('_0.png')]: path for path in root.glob('stock/*/*/lq/*.png')}
        pairs = [
            (read_image(stock[path.stem]), read_image(root / f'ours/{path.stem}.png'))
            for path in paths[:COMPARED]
        ]
    agreement = measure_agreement(*(np.stack(side) for side in zip(*pairs, strict=True)))
    return {'agreement': agreement, 'seconds': seconds}


def by_stock(config: Config, restorer: Restorer, work_dir: Path, folder: Path) -> float:
    """Seconds per image of ``Runner.test()`` with the parts and settings of MMagic's own configs.

    The PNGs go where LocalVisBackend puts them in ``work_dir``.
    """
    model = BaseEditModel(
        generator=config.model.generator,
        pixel_loss=config.model.pixel_loss,
        data_preprocessor=dict(type=DataPreprocessor, mean=[0.0] * 3, std=[255.0] * 3),
    )
    model.generator.load_state_dict(restorer.generator.state_dict())
    load = dict(type=LoadImageFromFile, key='img', channel_order='rgb')  # as the net was trained
    dataset = dict(
        type=BasicImageDataset,
        metainfo=dict(dataset_type='sr', task_name='realsr'),
        data_root=str(folder),
        data_prefix=dict(img=''),
        pipeline=[load, dict(type=PackInputs)],
    )
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        test_dataloader=dict(
            batch_size=1,
            num_workers=config.test_dataloader.num_workers,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dataset,
        ),
        test_evaluator=[],
        test_cfg=dict(),
        default_hooks=dict(timer=dict(type=IterTimerHook)),  # MMagic's wants a metric
        custom_hooks=[dict(type=BasicVisualizationHook, interval=1)],
        visualizer=dict(
            type=ConcatImageVisualizer,
            name=f'stock_{time.time_ns()}',  # a visualizer of a known name would be taken again
            fn_key='img_path',
            img_keys=['pred_img'],
            bgr2rgb=True,
            vis_backends=[dict(type=LocalVisBackend, img_save_dir=folder.name)],
        ),
        default_scope='mmagic',
        log_level='ERROR',
    )
    return time_call(runner.test, len(list_images(folder)))


def by_ours(
    restorer: Restorer, out: Path, folder: Path, scored: bool = True, batch_size: int = 1
) -> float:
    """Seconds per image of what tools/test.py does after its start and before its figures."""
    images = list_images(folder)
    work = partial(restore_folder, restorer, images, out, batch_size=batch_size, scored=scored)
    return time_call(work, len(images))


@torch.inference_mode()
def by_forward_passes(restorer: Restorer, folder: Path) -> float:
    """Seconds per image of the net in channels-last, its inputs on the device already."""
    inputs = [
        torch.from_numpy(read_image(path)[None]).to(restorer.device).permute(0, 3, 1, 2) / 255
        for path in list_images(folder).values()
    ]
    with use_tf32(False):  # as the restorer computes
        return time_call(lambda: [restorer.generator(lq) for lq in inputs], len(inputs))


if __name__ == '__main__':
    run_benchmark(time_folder, __doc__, 'images', 'rounds', 'device', 'checkpoint')
