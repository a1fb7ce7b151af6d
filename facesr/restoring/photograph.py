"""A photograph -> every face in it restored and put back where it was, in the enlarged photograph.

The nets restore aligned faces of 128x128. So each face is turned and scaled to the training data's
frame, restored, and turned and scaled back, with a soft mask that leaves no seam.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
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
    """How a photograph is restored."""

    scale: int = 2  # 1, 2 or 4 times the photograph's sides
    background: str = 'bicubic'  # what enlarges the rest; ``net``: the 24-block SRResNet
    only_largest: bool = False  # restore only the largest face
    min_face: int = 24  # the smallest width in pixels of the photograph, without hair and ears
    strength: float = 1.0  # 1 replaces a face, 0 leaves it; between, both are blended

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UserError(f'--strength {self.strength}: a number from 0 to 1 expected')


@dataclass(frozen=True)
class RestoredPhotograph:
    """A restored photograph, and its faces in the same order, all uint8 RGB."""

    image: Image8  # (H, W, 3); (H, W) if the photograph was grey
    faces: list[Face]  # where they were found, in pixels of the input
    cut: list[Image8]  # each face as the net saw it, 128x128 or as it was trained
    restored: list[Image8]  # what is pasted in its place, (512, 512, 3)

    @property
    def summary(self) -> str:
        """What was done, for people."""
        count = len(self.faces)
        done = f'{count} face{"s" if count > 1 else ""} restored'
        return done if count else 'no face found, only enlarged'


class PhotographRestorer:
    """Restores the faces of photographs."""

    def __init__(
        self,
        weights: str | Path = WEIGHTS / 'face_unet.pth',
        device: str | None = None,
        config: Config | None = None,
    ) -> None:
        """Open weights that ``tools/export.py`` wrote, or any checkpoint with its config."""
        self.detector = FaceDetector(device)
        self.net = Restorer(config, weights, device) if config else open_exported(weights, device)
        self.lq_size = self.net.lq_size or LQ_SIZE
        self._device = device
        self._background: Restorer | None = None

    def restore(
        self,
        photograph: Image8,
        options: Options = Options(),
        on_progress: OnProgress = lambda done, faces: None,
    ) -> RestoredPhotograph:
        """Restore a photograph, (H, W, 3) uint8 RGB.

        ``on_progress`` is called with the number of faces that are done, and of all.
        """
        canvas = self._enlarge(photograph, options)
        faces = self.detector.find(photograph, options.min_face)
        faces = faces[:1] if options.only_largest else faces
        cut = [cut_face(photograph, face, self.lq_size) for face in faces]
        restored: list[Image8] = []
        for first in range(0, len(cut), BATCH):
            on_progress(first, len(cut))
            results = self.net.restore_batch(cut[first : first + BATCH])
            restored += [np.dstack([sr] * 3) if sr.ndim == 2 else sr for sr, _ in results]
        for index, face in enumerate(faces):  # of two, the smaller in front
            if math.hypot(*face.to_frame(self.lq_size)[:, 0]) < 1:
                large = cut_face(photograph, face, len(restored[index]))
                restored[index] = keep_detail(large, restored[index], self.lq_size)
            paste_face(canvas, restored[index], face, options.scale, options.strength)
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
    options: Options = Options(),
    faces: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Restore photographs into PNGs of their names; a bad one is named, and the others are done.

    Those in ``photographs``, files and folders, go into ``out``; without it each beside its
    photograph, as ``NAME_restored.png`` if there is a ``NAME.png`` that is not ours. ``faces`` is a
    folder for each face before and after, side by side. No photograph is ever replaced.
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
        targets[path] = target
    used = {path.resolve().parent for path in (*paths, *targets.values())}
    if faces is not None and faces.resolve() in used:
        raise UserError(f'--faces {faces}: holds photographs or results; choose another folder')
    read = [*paths, *restorer.net.files]
    with writing_results(targets.values(), read, overwrite):
        pass  # checked now, for each is written only when its photograph is restored
    taken: set[Path] = set()

    def work(path: Path, on_progress: OnProgress) -> str:
        photograph, profile = read_photograph(path)  # a telephone's colours are wider than sRGB
        result = restorer.restore(photograph, options, on_progress)
        panels: dict[Path, Image8] = {}
        for number, (cut, restored) in enumerate(zip(result.cut, result.restored, strict=True), 1):
            if faces is not None:
                panel = _name_face(faces, path, number, taken, '--faces')
                panels[panel] = draw_panel(dict(input=cut, restored=restored))
        with writing_results([targets[path], *panels], read, overwrite):
            write_png(targets[path], result.image, profile)
            for panel, image in panels.items():
                write_png(panel, image)
        return f'{targets[path]}: {result.summary}'

    _run_each(paths, work)


#: In 512x512 pixels a face is 280 wide without hair and ears: one of 200 is enlarged 1.4 times. Of
#: 200 training faces 99 % are sharper than 40; after a blur of one pixel, 10 %.
TO_TRAIN_ON = {'min_face': 200, 'min_sharpness': 40.0}


def cut_faces(
    photographs: Sequence[Path],
    folder: Path,
    size: int = LQ_SIZE,
    min_face: float = Options.min_face,
    min_sharpness: float = 0.0,
    only_largest: bool = False,
    device: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the faces of photographs, aligned: ``NAME.png``, the largest; ``NAME_2.png`` ...

    A face of fewer pixels, without hair and ears, than ``min_face``, or less sharp than
    ``min_sharpness`` (:func:`.alignment.measure_sharpness`), is left out, and the line of its
    photograph says why.
    """
    if not 0 <= min_sharpness < math.inf:
        raise UserError(f'--min-sharpness {min_sharpness}: a number, at least 0, expected')
    paths = list_photographs(photographs)
    detector = FaceDetector(device)
    taken: set[Path] = set()
    written = left_out = 0

    def work(path: Path, on_progress: OnProgress) -> str:
        nonlocal written, left_out
        photograph = read_image(path)
        faces = detector.find(photograph)
        lines = []
        for number, face in enumerate(faces[:1] if only_largest else faces, 1):
            sharpness = measure_sharpness(cut_face(photograph, face, FRAME_SIZE))
            reason = ''
            if face.width < min_face:
                reason = f'{face.width:.0f} pixels wide (--min-face {min_face})'
            elif sharpness < min_sharpness:
                reason = f'blurred: {sharpness:.0f} (--min-sharpness {min_sharpness:g})'
            if reason:
                left_out += 1
                lines.append(f'{path}: face {number} left out, {reason}')
            else:
                target = _name_face(folder, path, number, taken, '--out')
                with writing_results([target], paths, overwrite):
                    write_png(target, cut_face(photograph, face, size))
                written += 1
                lines.append(str(target))
        return '\n'.join(lines) or f'{path}: no face found'

    try:
        _run_each(paths, work)
    finally:
        print(f'{written} faces written, {left_out} left out')
    if not written:
        raise UserError('no face found' if not left_out else 'no face is large and sharp enough')


def list_photographs(photographs: Sequence[Path]) -> list[Path]:
    """The files among them, and the PNG and JPEG files of the folders among them, each once."""
    folders = [list_images(path).values() if path.is_dir() else [path] for path in photographs]
    return list(dict.fromkeys(path for paths in folders for path in paths))


def _name_face(folder: Path, photograph: Path, number: int, taken: set[Path], option: str) -> Path:
    """The file for a face; a UserError where this run took the name for another photograph's."""
    target = folder / f'{photograph.stem}{f"_{number}" if number > 1 else ""}.png'
    if target in taken:
        raise UserError(f'{photograph}: {target} is taken; rename one, or take another {option}')
    taken.add(target)
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
