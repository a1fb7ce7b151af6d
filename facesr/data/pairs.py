"""Validation pairs of a user's own: a folder of ground truths, degraded once."""

from pathlib import Path

from rich.progress import track

from ..degradation.base import Degradation
from ..files import writing_results
from ..images import check_size, list_images, read_image, write_png


def degrade_folder(
    gt: str | Path,
    lq: str | Path,
    degradation: Degradation,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Write a degraded PNG of the same name for each ground truth; the same every time.

    The first image has the ``seed``, the next the numbers after it. Nothing is written if an image
    is unreadable or has another size than ``gt_size``.
    """
    images, lq = list_images(gt), Path(lq)
    size = degradation.gt_size
    for path in track(images.values(), 'checking'):
        remedy = 'tools/cut_faces.py --size 512 makes such faces'
        check_size(path, read_image(path), size, size, remedy)
    targets = {path: lq / f'{stem}.png' for stem, path in images.items()}
    with writing_results(targets.values(), images.values(), overwrite, folders=[lq]):
        for number, (path, target) in enumerate(track(targets.items(), 'degrading'), seed):
            write_png(target, degradation.degrade_by_seed(read_image(path), number))
