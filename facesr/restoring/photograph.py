"""A photograph -> every face in it restored and put back where it was, in the enlarged photograph.

The nets restore aligned faces of 128x128. So each face is turned and scaled to the training data's
frame, restored, and turned and scaled back, with a soft mask that leaves no seam.
"""

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ..drawing import draw_panel
from ..errors import UserError, describe_refusal
from ..files import is_ours, writing_results
from ..images import Image8, list_images, read_image, read_photograph, write_png
from .alignment import LQ_SIZE, cut_face, keep_detail, measure_sharpness, paste_face
from .detector import FRAME_SIZE, Face, FaceDetector
from .restorer import Restorer, open_exported
from .score import bicubic

BATCH = 8  # faces that go through the net together
MOST_PIXELS = 200_000_000  # of a result: 0.6 GB, and as much again while it is written
WEIGHTS = Path(__file__).parents[2] / 'weights'

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How a photograph is restored.

    Attributes:
        scale: of the result: 1, 2 or 4 times the photograph's sides.
        background: what enlarges the rest of the photograph: ``bicubic``, or ``net`` for the
            24-block SRResNet.
        only_largest: restore only the largest face.
        min_face: the smallest width of a face in pixels of the photograph, without hair and ears.
        strength: 1 replaces a face by the restored one, 0 leaves it; between, they are blended.
    """

    scale: int = 2
    background: str = 'bicubic'
    only_largest: bool = False
    min_face: int = 24
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.scale not in (1, 2, 4):
            raise UserError(f'--scale {self.scale}: 1, 2 or 4 expected')
        if not 0 <= self.strength <= 1:
            raise UserError(f'--strength {self.strength}: a number from 0 to 1 expected')


@dataclass(frozen=True)
class RestoredPhotograph:
    """A restored photograph, and its faces in the same order.

    Attributes:
        image: (H, W, 3) uint8 RGB; (H, W) if the photograph was grey.
        faces: where they were found, in pixels of the input.
        cut: each face as the net saw it, (128, 128, 3) uint8 RGB.
        restored: what is pasted in its place, (512, 512, 3) uint8 RGB.
    """

    image: Image8
    faces: list[Face]
    cut: list[Image8]
    restored: list[Image8]


class PhotographRestorer:
    """Restores the faces of photographs."""

    def __init__(
        self, weights: str | Path = WEIGHTS / 'face_unet.pth', device: str | None = None
    ) -> None:
        self.detector = FaceDetector(device)
        self.net = open_exported(weights, device)
        self._device = device
        self._background: Restorer | None = None

    def restore(
        self,
        photograph: Image8,
        options: Options | None = None,
        on_progress: OnProgress = lambda done, faces: None,
    ) -> RestoredPhotograph:
        """Restore a photograph.

        Args:
            photograph: (H, W, 3) uint8 RGB.
            options: None: as :class:`Options` is without arguments.
            on_progress: called with the number of faces that are done, and of all.
        """
        options = options or Options()
        canvas = self._enlarge(photograph, options)
        faces = self.detector.find(photograph, options.min_face)
        faces = faces[:1] if options.only_largest else faces
        cut = [cut_face(photograph, face) for face in faces]
        restored: list[Image8] = []
        for first in range(0, len(cut), BATCH):
            on_progress(first, len(cut))
            restored += [sr for sr, _ in self.net.restore_batch(cut[first : first + BATCH])]
        for index, (face, image) in enumerate(zip(faces, restored, strict=True)):
            if math.hypot(*face.to_frame(LQ_SIZE)[:, 0]) < 1:
                restored[index] = keep_detail(cut_face(photograph, face, len(image)), image)
        for face, image in zip(faces, restored, strict=True):  # of two, the smaller in front
            paste_face(canvas, image, face, options.scale, options.strength)
        on_progress(len(cut), len(cut))
        if (photograph == photograph[..., :1]).all():
            canvas = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), np.uint8)
        return RestoredPhotograph(canvas, faces, cut, restored)

    def _enlarge(self, photograph: Image8, options: Options) -> Image8:
        height, width = (length * options.scale for length in photograph.shape[:2])
        largest = height * width
        if options.background == 'net':
            largest = max(largest, 16 * photograph.shape[0] * photograph.shape[1])
        if largest > MOST_PIXELS:
            and_bicubic = ' and --background bicubic' * (options.background == 'net')
            raise UserError(
                f'{photograph.shape[1]}x{photograph.shape[0]} pixels are too many: enlarged, they '
                f'are {largest / 1e6:.0f} million, {MOST_PIXELS / 1e6:.0f} million is the limit; '
                f'take a smaller scale{and_bicubic}, or shrink it before'
            )
        if options.background == 'bicubic':
            return bicubic(photograph, height, width)
        if self._background is None:
            self._background = open_exported(WEIGHTS / 'srresnet_24b.pth', self._device)
        enlarged = self._background.restore(photograph)
        if enlarged.shape[:2] == (height, width):
            return enlarged
        shrunk = cv2.resize(enlarged, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk, np.uint8)


def restore_photographs(
    restorer: PhotographRestorer,
    photographs: Sequence[Path],
    out: Path | None = None,
    options: Options | None = None,
    faces: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Restore photographs into PNGs of their names; a bad one is named, and the others are done.

    Args:
        restorer: with the nets.
        photographs: files, and folders, of which all PNG and JPEG files are taken.
        out: the folder for the results, made if missing; None: beside each photograph, as
            ``NAME_restored.png`` if there is a ``NAME.png`` that is not ours.
        options: as :class:`Options`.
        faces: a folder for each face before and after, side by side.
        overwrite: as in :func:`facesr.files.writing_results`; no photograph is ever replaced.

    Raises:
        UserError: at once if two results would have one name, a folder comes without ``out``, or
            ``faces`` is a folder of photographs; at the end if a photograph could not be restored.
    """
    if out is None and (folder := next((path for path in photographs if path.is_dir()), None)):
        raise UserError(f'{folder}: a folder; name another for the results: --out DIR')
    paths = list_photographs(photographs)
    inputs = {path.resolve() for path in paths}
    targets: dict[Path, Path] = {}
    for path in paths:
        target = (out or path.parent) / f'{path.stem}.png'
        if target.resolve() in inputs or (out is None and not is_ours(target)):
            target = target.with_stem(f'{path.stem}_restored')
        if target in targets.values() or target.resolve() in inputs:
            raise UserError(f'{path}: its result would be {target}, which is taken; rename one')
        targets[path] = target
    used = {path.resolve().parent for path in (*paths, *targets.values())}
    if faces is not None and faces.resolve() in used:
        raise UserError(f'--faces {faces}: holds photographs or results; choose another folder')

    read = [*paths, *restorer.net.files]
    with writing_results(targets.values(), read, overwrite):
        pass  # checked now, for each is written only when its photograph is restored

    taken: set[Path] = set()  # what is written, by resolved paths

    def work(path: Path, on_progress: OnProgress) -> str:
        photograph, profile = read_photograph(path)  # a telephone's colours are wider than sRGB
        result = restorer.restore(photograph, options, on_progress)
        if result.image.ndim == 2:
            profile = None  # of colours that the grey result has not
        results: dict[Path, Image8] = {targets[path]: result.image}
        for number, pair in enumerate(zip(result.cut, result.restored, strict=True), 1):
            if faces is not None:
                target = _name_face(faces, path, number, taken, '--faces')
                results[target] = draw_panel(dict(zip(('input', 'restored'), pair, strict=True)))
        taken.update(target.resolve() for target in results)
        with writing_results(results, read, overwrite):
            for target, image in results.items():
                write_png(target, image, profile if target == targets[path] else None)
        found = {0: 'no face found, only enlarged', 1: '1 face'}
        return f'{targets[path]}: {found.get(len(result.faces), f"{len(result.faces)} faces")}'

    _run_each(paths, work)


@dataclass(frozen=True)
class Wanted:
    """Which faces of a photograph are cut out.

    Attributes:
        min_face: the smallest width in pixels of the photograph, without hair and ears.
        min_sharpness: the least :func:`facesr.restoring.alignment.measure_sharpness`.
    """

    min_face: int
    min_sharpness: float

    def __post_init__(self) -> None:
        if not 0 <= self.min_sharpness < math.inf:
            raise UserError(f'--min-sharpness {self.min_sharpness}: a number, at least 0, expected')


TO_RESTORE = Wanted(min_face=Options.min_face, min_sharpness=0.0)
#: To train on. In 512x512 pixels a face is 280 wide without hair and ears: one of 200 is enlarged
#: 1.4 times. Of 200 training faces 99 % are sharper than 40; after a blur of one pixel, 10 %.
TO_TRAIN_ON = Wanted(min_face=200, min_sharpness=40.0)


def cut_faces(
    photographs: Sequence[Path],
    folder: Path,
    size: int = LQ_SIZE,
    wanted: Wanted = TO_RESTORE,
    only_largest: bool = False,
    device: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the faces of photographs, aligned: ``NAME.png``, the largest; ``NAME_2.png`` ...

    A face that is not wanted is left out, and the line of its photograph says why.

    Raises:
        UserError: at once if the detector's package is missing; at the end if a photograph could
            not be read, its faces' name was taken, or no face was written.
    """
    paths = list_photographs(photographs)
    detector = FaceDetector(device)
    taken = {path.resolve() for path in paths}
    written = left_out = 0

    def work(path: Path, on_progress: OnProgress) -> str:
        nonlocal written, left_out
        photograph = read_image(path)
        faces = detector.find(photograph)
        lines = []
        for number, face in enumerate(faces[:1] if only_largest else faces, 1):
            target = _name_face(folder, path, number, taken, '--out')
            sharpness = measure_sharpness(cut_face(photograph, face, FRAME_SIZE))
            if face.width < wanted.min_face:
                reason = f'{face.width:.0f} pixels wide (--min-face {wanted.min_face})'
            elif sharpness < wanted.min_sharpness:
                reason = f'blurred: {sharpness:.0f} (--min-sharpness {wanted.min_sharpness:g})'
            else:
                with writing_results([target], paths, overwrite):
                    write_png(target, cut_face(photograph, face, size))
                taken.add(target.resolve())
                written += 1
                lines.append(str(target))
                continue
            left_out += 1
            lines.append(f'{path}: face {number} left out, {reason}')
        return '\n'.join(lines) or f'{path}: no face found'

    try:
        _run_each(paths, work)
    finally:
        print(f'{written} faces written, {left_out} left out')
    if not written:
        raise UserError('no face found' if not left_out else 'no face is large and sharp enough')


def list_photographs(photographs: Sequence[Path]) -> list[Path]:
    """The files among them, and the PNG and JPEG files of the folders among them, each once."""
    paths: list[Path] = []
    for path in photographs:
        paths += list_images(path).values() if path.is_dir() else [path]
    return list(dict.fromkeys(paths))


def _name_face(
    folder: Path, photograph: Path, number: int, taken: Container[Path], option: str
) -> Path:
    target = folder / f'{photograph.stem}{f"_{number}" if number > 1 else ""}.png'
    if target.resolve() in taken:
        raise UserError(f'{photograph}: {target} is taken; rename one, or take another {option}')
    return target


def _run_each(paths: Sequence[Path], work: Callable[[Path, OnProgress], str]) -> None:
    """Do the work for each file, with progress; what fails is named, and raised at the end."""
    failed = 0
    with Progress(console=Console(soft_wrap=True)) as progress:
        files = progress.add_task('photographs', total=len(paths))
        faces = progress.add_task('faces', visible=False)

        def report(done: int, total: int) -> None:
            progress.update(faces, completed=done, total=total, visible=total > 0)

        for path in paths:
            try:
                line = work(path, report)
            except (UserError, OSError) as error:
                failed += 1
                message = describe_refusal(error) if isinstance(error, OSError) else str(error)
                line = f'error: {message}' if str(path) in message else f'error: {path}: {message}'
            progress.console.print(escape(line), highlight=False)
            progress.advance(files)
    if failed:
        raise UserError(f'{failed} of {len(paths)} photographs failed; they are named above')
