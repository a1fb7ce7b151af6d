"""A photograph -> every face in it restored and put back where it was, in the enlarged photograph.

The nets restore aligned faces of 512x512 pixels, at their own size. So each face is turned and
scaled to the training data's frame, restored, and turned and scaled back, with a soft mask that
leaves no seam.
"""

import math
import sysconfig
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ..drawing import draw_panel
from ..errors import UserError, describe_refusal
from ..files import is_made_of, write_whole, writing_results
from ..images import Image8, write_png
from .alignment import LQ_SIZE, cut_face, enlarge_part, measure_sharpness, paste_face
from .detector import FRAME_SIZE, Face, FaceDetector
from .formats import RESTORED, list_photographs, read_photograph, result_suffix, write_photograph
from .restorer import Restorer, open_exported
from .score import bicubic

BATCH = 8  # faces that go through the net together
TILE, OVERLAP = 512, 64  # of a background, pixels of the result; tiles fade into each other
STEP = TILE - OVERLAP
MOST_PIXELS = 200_000_000  # of a result: 0.6 GB, and as much again while it is written
OnProgress = Callable[[str, int, int], None]  # what is done, how many of how many
WEIGHTS = Path(__file__).parents[2] / 'weights'
if not WEIGHTS.is_dir():  # installed from a wheel, which setup.cfg says it is in
    WEIGHTS = Path(sysconfig.get_path('data'), 'share/facesr/weights')
FACE_PHOTO = WEIGHTS / 'face_photo.pth'


@dataclass(frozen=True)
class Options:
    """How a photograph is restored."""

    scale: int = 2  # 1, 2 or 4 times the photograph's sides
    background: str = 'bicubic'  # how the rest is enlarged; ``net``: and restored by FACE_PHOTO
    only_largest: bool = False  # restore only the largest face
    min_face: int = 24  # the smallest width in pixels of the photograph, without hair and ears
    strength: float = 1.0  # 1 replaces a face, 0 leaves it; between, both are blended
    #: 0: the faithful net's face, 1: the sharp net's; between, both are blended. None: 0.5; with
    #: weights of one's own 0, for the sharp net knows nothing of what they were trained for.
    look: float | None = None

    def __post_init__(self) -> None:
        for name in ('strength', 'look'):
            if not 0 <= (value := getattr(self, name) or 0) <= 1:
                raise UserError(f'--{name} {value}: a number from 0 to 1 expected')


@dataclass(frozen=True)
class RestoredPhotograph:
    """A restored photograph and its faces, in one order; all images are uint8 RGB."""

    image: Image8  # (H, W, 3); (H, W) if the photograph was grey
    faces: list[Face]  # where they were found, in pixels of the input
    before: list[Image8]  # each face in the training data's frame, (512, 512, 3)
    restored: list[Image8]  # the same, restored
    smaller: Sequence[Face] = ()  # those below min_face, where there is no other

    @property
    def summary(self) -> str:
        """What was done, for people."""
        if count := len(self.faces):
            return f'{count} face{"s" if count > 1 else ""} restored'
        more = ''
        if self.smaller:
            least = math.floor(min(face.width for face in self.smaller))
            more = f'; --min-face {least} would find {len(self.smaller)}'
        return f'no face found{more}'


class PhotographRestorer:
    """Restores the faces of photographs by two nets: a faithful one, and one with a sharp look."""

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str | None = None,
        config: Config | None = None,
    ) -> None:
        """Open the faithful net: weights of ``tools/export.py``, or a checkpoint and its config.

        By default :data:`FACE_PHOTO`.
        """
        self._look = 0.5 if weights is None else 0.0
        weights = weights or FACE_PHOTO
        self.detector = FaceDetector(device)
        self.net = Restorer(config, weights, device) if config else open_exported(weights, device)
        if (side := len(self.net.restore(np.zeros((64, 64, 3), np.uint8)))) != 64:
            raise UserError(
                f'{weights}: enlarges faces {side / 64:g} times, as the challenge wants it; a net '
                f'for photographs keeps their size: {FACE_PHOTO}, or one fine-tuned from it'
            )
        self._device = device

    def complete(self, options: Options) -> Options:
        """Options with the look that is meant."""
        return options if options.look is not None else replace(options, look=self._look)

    @cached_property
    def sharp(self) -> Restorer:
        """The net of the sharp look."""
        return open_exported(WEIGHTS / 'face_photo_gan.pth', self._device)

    @cached_property
    def _background(self) -> Restorer:
        """The net of photographs without its map of the face: for tiles, which are no faces."""
        net = open_exported(FACE_PHOTO, self._device)
        net.generator.unet.face_map, net.whole, net.tile = None, False, TILE
        return net

    def restore(
        self,
        photograph: Image8,
        options: Options = Options(),
        on_progress: OnProgress = lambda what, done, total: None,
    ) -> RestoredPhotograph:
        """Restore a photograph, (H, W, 3) uint8 RGB.

        ``on_progress`` is told of ``'background'`` (tiles, by a net) and ``'faces'``.
        """
        options = self.complete(options)
        canvas = _enlarge(photograph, options.scale)
        if options.background == 'net':
            self._restore_background(canvas, photograph, options.scale, on_progress)
        faces = self.detector.find_turned(photograph, options.min_face)
        faces = faces[:1] if options.only_largest else faces
        smaller = () if faces else self.detector.find_turned(photograph, 1)
        before = [cut_face(photograph, face, FRAME_SIZE) for face in faces]
        restored: list[Image8] = []
        for first in range(0, len(faces), BATCH):
            on_progress('faces', first, len(faces))
            restored += self._restore_faces(before[first : first + BATCH], options.look or 0)
        for old, new, face in zip(before, restored, faces, strict=True):  # the smaller in front
            paste_face(canvas, photograph, old, new, face, options.scale, options.strength)
        on_progress('faces', len(faces), len(faces))
        if (photograph == photograph[..., :1]).all():
            canvas = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2GRAY), np.uint8)
        return RestoredPhotograph(canvas, faces, before, restored, smaller)

    def _restore_faces(self, faces: list[Image8], look: float) -> list[Image8]:
        """Restore faces by the nets that the look asks for: the mean of both, weighted by it."""
        blends = [np.zeros(face.shape, np.float32) for face in faces]
        for name, weight in (('net', 1 - look), ('sharp', look)):
            if weight:
                net: Restorer = getattr(self, name)
                for blend, (restored, _) in zip(blends, net.restore_batch(faces), strict=True):
                    blend += weight * np.atleast_3d(restored)
        return [np.rint(blend).astype(np.uint8) for blend in blends]

    def _restore_background(
        self, canvas: Image8, photograph: Image8, scale: int, on_progress: OnProgress
    ) -> None:
        """Restore the enlarged photograph in tiles that fade into each other."""
        net = self._background
        tops, lefts = (
            [min(start, max(side - TILE, 0)) for start in range(0, max(side - OVERLAP, 1), STEP)]
            for side in canvas.shape[:2]
        )
        for number, (top, left) in enumerate(product(tops, lefts)):
            on_progress('background', number, len(tops) * len(lefts))
            area = canvas[top : top + TILE, left : left + TILE]
            part = slice(top, top + len(area)), slice(left, left + area.shape[1])
            restored = net.restore(enlarge_part(photograph, *part, scale))
            rows, columns = map(_fade_in, part)
            share = rows[:, None, None] * columns[:, None]
            area[:] = np.rint(area + share * (restored - area.astype(np.float32)))


def _enlarge(photograph: Image8, scale: int) -> Image8:
    """Enlarge by bicubic; a UserError if that gives too many pixels."""
    height, width = (length * scale for length in photograph.shape[:2])
    if height * width > MOST_PIXELS:
        raise UserError(
            f'{photograph.shape[1]}x{photograph.shape[0]} pixels are too many: enlarged, they '
            f'are {height * width / 1e6:.0f} million, {MOST_PIXELS / 1e6:.0f} million is the '
            'limit; take a smaller scale, or shrink it before'
        )
    return bicubic(photograph, height, width)


def _fade_in(side: slice) -> NDArray[np.float64]:
    """The share of a tile along a side: 0 to 1 over what the tile before has too, if any."""
    share = np.arange(0.5, side.stop - side.start) / OVERLAP
    return share.clip(0, 1) if side.start else np.ones_like(share)


def restore_photographs(
    restorer: PhotographRestorer,
    photographs: Sequence[Path],
    out: Path | None = None,
    options: Options = Options(),
    faces: Path | None = None,
    overwrite: bool = False,
    suffix: str | None = None,
    resume: bool = False,
) -> None:
    """Restore photographs into files of their formats; a bad one is named, the others are done.

    Those in ``photographs``, files and folders with their sub-folders, go into ``out`` as
    ``NAME.EXT``; without it each beside its photograph, as ``NAME_restored.EXT``. ``suffix`` is the
    results', such as ``.png``. ``faces`` is a folder for each face before and after, side by side.
    ``resume`` leaves out what was done with the same options. No photograph is ever replaced.
    """
    options = restorer.complete(options)
    names = _list(photographs, [out, faces])
    inputs = {path.resolve() for path in names}
    targets: dict[Path, Path] = {}
    for path, name in names.items():
        target = path.with_name(name.name) if out is None else out / name
        target = target.with_name(f'{target.name}{suffix or result_suffix(path)}')
        if out is None or target.resolve() in inputs:
            target = target.with_stem(f'{target.stem}{RESTORED}')
        targets[path] = target
    used = {path.resolve().parent for path in (*names, *targets.values())}
    if faces is not None and faces.resolve() in used:
        raise UserError(f'--faces {faces}: holds photographs or results; choose another folder')

    weights = restorer.net.files + (restorer.sharp.files if options.look else [])
    weights += [FACE_PHOTO] if options.background == 'net' else []

    def made_of(path: Path) -> str:
        stats = [file.stat() for file in (path, *weights)]
        what = (options, [(stat.st_size, stat.st_mtime_ns) for stat in stats])
        return sha256(repr(what).encode()).hexdigest()[:16]

    if resume:
        made = {p for p in names if p.is_file() and is_made_of(targets[p], made_of(p))}
        print(f'{len(made)} of {len(names)} photographs done before')
    paths = [path for path in names if not resume or path not in made]
    read = [*names, *weights]
    with writing_results([targets[path] for path in paths], read, overwrite):
        pass  # checked now, for each is written only when its photograph is restored

    def work(path: Path, on_progress: OnProgress) -> str:
        photograph = read_photograph(path)
        result = restorer.restore(photograph.pixels, options, on_progress)
        panels: dict[Path, Image8] = {}
        for number, pair in enumerate(zip(result.before, result.restored, strict=True), 1):
            if faces is not None:
                panel = _name_face(faces / names[path], number)
                panels[panel] = draw_panel(dict(zip(('before', 'restored'), pair, strict=True)))
        target = targets[path]
        with writing_results([target, *panels], read, overwrite, made_of=made_of(path)):
            for panel, image in panels.items():
                write_png(panel, image)
            with write_whole(target) as partial:
                write_photograph(partial, result.image, photograph)
        return f'{target}: {"; ".join((result.summary, *photograph.notes))}'

    _run_each(paths, work)


def _list(photographs: Sequence[Path], results: Iterable[Path | None]) -> dict[Path, Path]:
    """List photographs by :func:`list_photographs`, at least one, and print what is left out."""
    names, left_out = list_photographs(photographs, results)
    if left_out:
        some = ', '.join(map(str, left_out[:5])) + ', ...' * (len(left_out) > 5)
        print(f'left out, no photographs: {len(left_out)} files: {some}')
    if not names:
        raise UserError(f'{photographs[0]}: no photograph in it')
    return names


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
    names = _list(photographs, [folder])
    detector = FaceDetector(device)
    written = left_out = 0

    def work(path: Path, on_progress: OnProgress) -> str:
        nonlocal written, left_out
        photograph = read_photograph(path).pixels
        faces = detector.find_turned(photograph)
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
                target = _name_face(folder / names[path], number)
                with writing_results([target], names, overwrite):
                    write_png(target, cut_face(photograph, face, size))
                written += 1
                lines.append(str(target))
        return '\n'.join(lines) or f'{path}: no face found'

    try:
        _run_each([*names], work)
    finally:
        print(f'{written} faces written, {left_out} left out')
    if not written:
        raise UserError('no face found' if not left_out else 'no face is large and sharp enough')


def _name_face(name: Path, number: int) -> Path:
    return name.with_name(f'{name.name}{f"_{number}" if number > 1 else ""}.png')


def _run_each(paths: Sequence[Path], work: Callable[[Path, OnProgress], str]) -> None:
    """Do the work for each file, with progress; what fails is named, and raised at the end."""
    failed = 0
    with Progress(console=Console(soft_wrap=True)) as progress:
        files = progress.add_task('photographs', total=len(paths))
        parts = progress.add_task('', visible=False)

        def say(line: str) -> None:
            progress.console.print(escape(line), highlight=False)

        for path in paths:
            began = 0.0

            def report(what: str, done: int, total: int, path: Path = path) -> None:
                nonlocal began
                if what == 'background' and done == 0:
                    began = time.perf_counter()
                if what == 'background' and done == 1:
                    minutes = (time.perf_counter() - began) * total / 60
                    say(f'{path}: its background takes about {minutes:.1f} min')
                progress.update(
                    parts, description=what, completed=done, total=total, visible=total > 0
                )

            try:
                say(work(path, report))
            except (UserError, OSError) as error:
                failed += 1
                message = describe_refusal(error) if isinstance(error, OSError) else str(error)
                say(f'error: {message}' if str(path) in message else f'error: {path}: {message}')
            progress.advance(files)
    if failed:
        raise UserError(f'{failed} of {len(paths)} photographs failed; they are named above')
