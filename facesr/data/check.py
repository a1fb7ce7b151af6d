"""All problems of a data set, found before anyone trains on it."""

from collections.abc import Set
from pathlib import Path

from rich.progress import track

from ..errors import UserError
from ..images import check_size, find_images, find_images_below, read_image

FOLDERS = ('train/GT', 'val/GT', 'val/LQ', 'test/LQ', 'test_real/LQ')
TRAINING = 'train/GT'  # with the folders below it, and of larger images a random part
# No training needs these.
OPTIONAL = frozenset({'test/LQ', 'test_real/LQ'})


def check_data(
    root: str | Path,
    gt_size: int = 512,
    lq_size: int = 128,
    optional: Set[str] = OPTIONAL,
) -> tuple[dict[str, int], list[str]]:
    """Check a data set: every file decodes, has its size, and each input has its ground truth.

    The sizes are in pixels a side; real photographs have any. ``optional`` folders may be missing.

    Returns:
        The number of images by folder, and a line for each problem, with the file's name.
    """
    root = Path(root)
    counts: dict[str, int] = {}
    problems: list[str] = []
    listed: dict[str, list[Path]] = {}
    for name in FOLDERS:
        if name in optional and not (root / name).exists():
            continue
        try:
            folder = root / name
            found = find_images_below(folder) if name == TRAINING else [find_images(folder)]
        except UserError as error:
            problems.append(str(error))
            continue
        for images, doubles in found:
            problems += [f'{path}: same name as {images[path.stem].name}' for path in doubles]
        if paths := [path for images, _ in found for path in images.values()]:
            listed[name], counts[name] = paths, len(paths)
        else:
            what = 'no PNG or JPEG file in it' if (root / name).is_dir() else 'no such folder'
            problems.append(f'{root / name}: {what}')
    files = [(path, name) for name, paths in listed.items() for path in paths]
    for path, name in track(files, 'checking'):
        try:
            image = read_image(path)
            if name != 'test_real/LQ':
                size = gt_size if name.endswith('GT') else lq_size
                check_size(path, image, size, size, or_larger=name == TRAINING)
        except UserError as error:
            problems.append(str(error))
    if 'val/LQ' in listed and 'val/GT' in listed:
        lq, gt = ({path.stem: path for path in listed[name]} for name in ('val/LQ', 'val/GT'))
        problems += [f'{lq[stem]}: no ground truth in val/GT' for stem in lq if stem not in gt]
        problems += [f'{gt[stem]}: no input in val/LQ' for stem in gt if stem not in lq]
    return counts, problems
