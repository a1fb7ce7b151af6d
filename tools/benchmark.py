"""Measure ours against the stock way in the same run:
python tools/benchmark.py degradation configs/srresnet_24b.py
"""

import argparse
from pathlib import Path

from _cli import add_config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'what',
        choices=['data', 'degradation'],
        help='data: the loader, per image and core; degradation: on the device, and whether its '
        'levels are those of the transforms',
    )
    add_config_options(parser)
    parser.add_argument(
        '--images', type=int, default=200, metavar='N', help='training images that are compared'
    )
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='turns of each way')
    parser.add_argument('--device', help='cuda or cpu; default: a CUDA GPU if there is one')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    import cv2
    import torch
    from mmengine.registry import init_default_scope
    from rich.progress import track

    from facesr.benchmark.data import time_loader
    from facesr.benchmark.degradation import compare, degrade_both, time_both
    from facesr.benchmark.measure import describe_machine, format_table, write_json
    from facesr.config import load_config
    from facesr.data import list_images, read_image
    from facesr.degradation.chain import BatchDegradation

    config = load_config(args.config, args.cfg_options)
    init_default_scope('mmagic')
    results: dict[str, object] = {}
    print(', '.join(f'{name} {fact}' for name, fact in describe_machine().items()))
    dataset = config.train_dataloader.dataset
    batch_size = config.train_dataloader.batch_size
    if args.what == 'data':
        torch.set_num_threads(1)
        cv2.setNumThreads(0)  # as in a loader's process
        taken = time_loader(config, 4 * batch_size, args.rounds)
        title = 'loader, per image on one core'
    else:
        import numpy as np

        device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        chain = dataset.pipeline[1].chain
        paths = list(list_images(Path(dataset.data_root, dataset.data_prefix.gt)).values())
        batch = BatchDegradation(chain).to(device)
        pairs = []
        for first in track(range(0, min(args.images, len(paths)), batch_size), 'comparing'):
            few = paths[first : min(first + batch_size, args.images)]
            images = [read_image(path) for path in few]
            pairs.append(degrade_both(batch, images, device, seed=first))
        expected, found = (np.concatenate(side) for side in zip(*pairs, strict=True))
        agreement = compare(expected, found)
        print(agreement)
        results['agreement'] = vars(agreement)
        images = [read_image(path) for path in paths[:batch_size]]
        cv2.setNumThreads(0)
        taken = time_both(chain, images, device, args.rounds)
        title = f'degradation, per image of a batch of {len(images)}'
    print(format_table(title, taken))
    if args.json is not None:
        write_json(args.json, {'command': args.what}, {**results, 'seconds': taken})
        print(args.json)


if __name__ == '__main__':
    run(main, parse_args())
