"""All problems of a data set, found before anyone trains on it."""

from pathlib import Path

from rich.progress import track

from ..errors import UserError
from ..images import check_size, find_images, read_image

FOLDERS = ('train/GT', 'val/GT', 'val/LQ', 'test/LQ', 'test_real/LQ')
# No training needs these.
OPTIONAL = frozenset({'test/LQ', 'test_real/LQ'})


def check_data(
    root: str | Path, gt_size: int = 512, lq_size: int = 128
) -> tuple[dict[str, int], list[str]]:
    """Check a data set: every file decodes, has its size, and each input has its ground truth.

    The sizes are in pixels a side; real photographs have any.

    Returns:
        The number of images by folder, and a line for each problem, with the file's name.
    """
    root = Path(root)
    counts: dict[str, int] = {}
    problems: list[str] = []
    listed: dict[str, dict[str, Path]] = {}
    for name in FOLDERS:
        if name in OPTIONAL and not (root / name).exists():
            continue
        try:
            images, doubles = find_images(root / name)
        except UserError as error:
            problems.append(str(error))
            continue
        problems += [f'{path}: same name as {images[path.stem].name}' for path in doubles]
        if images:
            listed[name], counts[name] = images, len(images)
        else:
            what = 'no PNG or JPEG file in it' if (root / name).is_dir() else 'no such folder'
            problems.append(f'{root / name}: {what}')
    files = [(path, name) for name in listed for path in listed[name].values()]
    for path, name in track(files, 'checking'):
        try:
            image = read_image(path)
            if name != 'test_real/LQ':
                size = gt_size if name.endswith('GT') else lq_size
                check_size(path, image, size, size)
        except UserError as error:
            problems.append(str(error))
    if 'val/LQ' in listed and 'val/GT' in listed:
        lq, gt = listed['val/LQ'], listed['val/GT']
        problems += [f'{lq[stem]}: no ground truth in val/GT' for stem in lq if stem not in gt]
        problems += [f'{gt[stem]}: no input in val/LQ' for stem in gt if stem not in lq]
    return counts, problems
