"""Validation pairs of a user's own: a folder of ground truths, degraded once."""

from pathlib import Path

from rich.progress import track

from ..degradation.settings import DegradationSettings, degrade_by_seed
from ..errors import UserError
from ..files import writing_results
from ..images import list_images, read_image, write_png


def degrade_folder(
    gt: str | Path,
    lq: str | Path,
    settings: DegradationSettings,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Write a degraded PNG of the same name for each ground truth; the same every time.

    Args:
        gt: folder of square images of ``settings.gt_size``.
        lq: folder for the results.
        settings: of the degradation.
        seed: the first image's; the next have the numbers after it.
        overwrite: as in :func:`facesr.files.writing_results`.

    Raises:
        UserError: an image is unreadable or of another size, or ``lq`` holds other files; nothing
            is written then.
    """
    images, lq = list_images(gt), Path(lq)
    size = settings.gt_size
    for path in track(images.values(), 'checking'):
        height, width = read_image(path).shape[:2]
        if (height, width) != (size, size):
            raise UserError(
                f'{path}: {width}x{height} pixels, {size}x{size} expected; '
                'tools/cut_faces.py --size 512 makes such faces'
            )
    targets = {path: lq / f'{stem}.png' for stem, path in images.items()}
    with writing_results(targets.values(), images.values(), overwrite, folders=[lq]):
        for number, (path, target) in enumerate(track(targets.items(), 'degrading'), seed):
            write_png(target, degrade_by_seed(read_image(path), settings, number))
