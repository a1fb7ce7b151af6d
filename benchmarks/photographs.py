"""Faces pasted into photographs, degraded, found and restored: how many, and how well.

python -m benchmarks.photographs --faces data/FFHQ/val/GT
python -m benchmarks.photographs --measure-frame data/FFHQ/train/GT   # the detector's FRAME
python -m benchmarks.photographs --picture photograph.jpg             # as docs/photograph.jpg
"""

from __future__ import annotations

import math
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from _cli import add_overwrite, count, run
from facesr.data.demo import PHOTOGRAPHS
from facesr.errors import UserError
from facesr.files import write_whole, writing_results
from facesr.images import Image8, list_images, read_image
from facesr.restoring.alignment import place_frame, warp, warp_mask
from facesr.restoring.detector import FRAME, FRAME_SIZE, Face, FaceDetector, Matrix
from facesr.restoring.photograph import Options, PhotographRestorer
from facesr.restoring.score import bicubic

from .damage import compress
from .measure import Figures, format_machine, write_json

BACKGROUNDS = [name for name in PHOTOGRAPHS if name != 'camera']  # that one has a face
SCALE = 2
WIDTH, HEIGHT = 1024, 768  # of the degraded photographs
SIDES = 60, 400  # pixels of a pasted 512x512 picture there; a face is half as wide
TILT = 25  # degrees to either side
FACES = 6  # tried for each photograph; what would overlap is left out
BLUR, NOISE, QUALITY = (0.3, 1.5), (0, 8), (50, 95)  # sigma in pixels, sigma in levels, JPEG
NEAR = 0.2  # of the picture's side: how near the true centre of a face a hit has to be


@dataclass(frozen=True)
class Pasted:
    """A pasted face: its picture's side in the degraded photograph, and its place in the truth."""

    side: float
    matrix: Matrix  # from the 512x512 picture to the truth

    @property
    def centre(self) -> NDArray[np.float64]:
        """The mean of the five points in the degraded photograph."""
        in_truth = self.matrix[:, :2] @ FRAME.mean(0) + self.matrix[:, 2]
        return np.asarray((in_truth + 0.5) / SCALE - 0.5)


def compose(faces: Sequence[Path], rng: Generator) -> tuple[Image8, Image8, list[Pasted]]:
    """Make a photograph with faces.

    Returns:
        The truth, the photograph (half as large, blurred, with noise and JPEG), and the faces.
    """
    from skimage import data

    background = getattr(data, str(rng.choice(BACKGROUNDS)))()
    background = background[0] if isinstance(background, tuple) else background
    truth = np.asarray(cv2.resize(background, (WIDTH * SCALE, HEIGHT * SCALE)))
    truth = np.repeat(truth[..., None], 3, axis=2) if truth.ndim == 2 else truth.copy()
    pasted: list[Pasted] = []
    for path in rng.choice(np.array(faces), FACES):
        side = float(np.exp(rng.uniform(*np.log(SIDES))))
        radius = side / 2
        middle = rng.uniform((radius, radius), (WIDTH - radius, HEIGHT - radius))
        angle = math.radians(rng.uniform(-TILT, TILT))
        turn = (
            SCALE
            * side
            / FRAME_SIZE
            * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        )
        shift = SCALE * middle - turn @ (FRAME_SIZE / 2, FRAME_SIZE / 2)
        face = Pasted(side, np.column_stack([turn, shift]))
        if any(
            np.linalg.norm(face.centre - other.centre) < 0.6 * (side + other.side)
            for other in pasted
        ):
            continue
        size = (truth.shape[1], truth.shape[0])
        mask = warp_mask(FRAME_SIZE, face.matrix, *size)[..., None]
        picture = warp(read_image(path), face.matrix, *size)
        truth = np.rint(truth + mask * (picture - truth.astype(np.float32))).astype(np.uint8)
        pasted.append(face)
    return truth, degrade(truth, rng), pasted


def degrade(truth: Image8, rng: Generator) -> Image8:
    """Make a photograph half as large, blurred, with noise and JPEG."""
    size = [length // SCALE for length in truth.shape[1::-1]]
    photograph = cv2.resize(truth, size, interpolation=cv2.INTER_AREA)
    photograph = cv2.GaussianBlur(photograph, (0, 0), rng.uniform(*BLUR))
    noisy = photograph + rng.normal(0, rng.uniform(*NOISE), photograph.shape)
    levels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return compress(levels, round(rng.uniform(*QUALITY)))


def match(
    pasted: Sequence[Pasted], centres: Sequence[NDArray[np.float64]]
) -> tuple[list[bool], int]:
    """Say which faces were found, and count the hits that are on none."""
    near = np.array(
        [
            [np.linalg.norm(face.centre - centre) < NEAR * face.side for centre in centres]
            for face in pasted
        ]
    ).reshape(len(pasted), len(centres))
    return [bool(row.any()) for row in near], int((~near.any(0)).sum())


def psnr_inside(image: Image8, truth: Image8, face: Pasted) -> float:
    """PSNR in dB where the pasted face's mask is over a half."""
    inside = warp_mask(FRAME_SIZE, face.matrix, truth.shape[1], truth.shape[0]) > 0.5
    error = float(np.mean((image[inside].astype(float) - truth[inside]) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-9))


def largest_steps(images: Sequence[Image8], faces: Sequence[Face]) -> list[int]:
    """The largest difference of two neighbours of which only one lies in a mask, for each image."""
    height, width = images[0].shape[:2]
    inside = np.zeros((height, width), bool)
    for face in faces:
        inside |= warp_mask(FRAME_SIZE, place_frame(face, SCALE, FRAME_SIZE), width, height) > 0
    edges = [np.diff(inside, axis=axis) for axis in (0, 1)]
    return [
        max(
            int(np.abs(np.diff(image.astype(int), axis=axis))[edge].max(initial=0))
            for axis, edge in enumerate(edges)
        )
        for image in images
    ]


def measure(
    folder: Path, photographs: int, seed: int, device: str | None, look: float | None = None
) -> Figures:
    """Compose, restore and score photographs.

    Returns:
        Faces ``found`` and ``false`` hits, of ``faces``; by class of the pictures'
        sides, how many were found and their mean PSNR in dB; ``steps``; ``seconds`` a photograph.

    Raises:
        UserError: a package is missing, or the folder has no images.
    """
    restorer = PhotographRestorer(device=device)
    faces = list(list_images(folder).values())
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, bool, float, float]] = []  # side, found, PSNR of bicubic, of ours
    found = false = 0
    seconds: dict[str, list[float]] = {'restored': [], 'MTCNN': []}
    steps = {'photograph': 0, 'restored': 0}
    for _ in track(range(photographs), 'photographs'):
        truth, photograph, pasted = compose(faces, rng)
        start = time.perf_counter()
        result = restorer.restore(photograph, Options(scale=SCALE, look=look))
        seconds['restored'].append(time.perf_counter() - start)
        start = time.perf_counter()
        restorer.detector.find(photograph)
        seconds['MTCNN'].append(time.perf_counter() - start)
        hits, wrong = match(pasted, [face.points.mean(0) for face in result.faces])
        found, false = found + sum(hits), false + wrong
        enlarged = bicubic(photograph, *truth.shape[:2])
        ours = result.image if result.image.ndim == 3 else np.stack([result.image] * 3, 2)
        for face, hit in zip(pasted, hits, strict=True):
            baseline, psnr = (psnr_inside(image, truth, face) for image in (enlarged, ours))
            rows.append((face.side, hit, baseline, psnr))
        edges = largest_steps([enlarged, ours], result.faces)
        for name, step in zip(steps, edges, strict=True):
            steps[name] = max(steps[name], step)
    classes = {}
    for low, high in ((60, 120), (120, 240), (240, 401), (60, 401)):
        inside = [row for row in rows if low <= row[0] < high]
        kept = [row[2:] for row in inside if row[1]]
        means = np.mean(kept, axis=0).tolist() if kept else [math.nan] * 2
        classes[f'{low}-{min(high, 400)}'] = dict(
            faces=len(inside), found=len(kept), bicubic=means[0], restored=means[1]
        )
    return dict(
        faces=len(rows), found=found, false=false, classes=classes, steps=steps, seconds=seconds
    )


def format_table(figures: Figures) -> str:
    """The findings as text."""
    lines = ['side of picture    faces  found    bicubic   restored']
    for name, row in figures['classes'].items():
        lines.append(
            f'{name:>9} pixels  {row["faces"]:>7} {row["found"]:>6} {row["bicubic"]:>7.2f} dB '
            f'{row["restored"]:>7.2f} dB'
        )
    taken = np.median(figures['seconds']['MTCNN'])
    lines.append(
        f'MTCNN: {figures["found"]} of {figures["faces"]} faces found, '
        f'{figures["false"]} false hits, {taken:.2f} s a photograph'
    )
    steps = figures['steps']
    lines.append(
        f"largest step across a mask's edge: {steps['restored']} levels, "
        f'in the enlarged photograph {steps["photograph"]}'
    )
    taken = np.median(figures['seconds']['restored'])
    lines.append(f'{WIDTH}x{HEIGHT} pixels found, restored and pasted: {taken:.2f} s a photograph')
    return '\n'.join(lines)


def measure_frame(folder: Path, device: str | None) -> str:
    """The mean and standard deviation of the largest face's five points, over 512x512 faces.

    Raises:
        UserError: a package is missing, the folder has no images, or no face is found.
    """
    detector = FaceDetector(device)
    paths = list(list_images(folder).values())
    found = [detector.find(read_image(path))[:1] for path in track(paths, 'faces')]
    points = np.array([face.points for faces in found for face in faces])
    if not len(points):
        raise UserError(f'{folder}: no face found')
    mean, std = (
        [tuple(point) for point in value.round(1).tolist()]
        for value in (points.mean(0), points.std(0))
    )
    return f'{len(points)} of {len(paths)} faces\nmean {mean}\nstd  {std}'


def draw_picture(path: Path, seed: int, device: str | None) -> None:
    """Two portraits in the public domain as one photograph: degraded, and below it restored.

    Rear Admiral Grace Hopper (US Navy, in matplotlib) and the astronaut Eileen Collins (NASA, in
    scikit-image).
    """
    from matplotlib import get_data_path
    from skimage import data

    admiral = read_image(Path(get_data_path(), 'sample_data/grace_hopper.jpg'))
    truth = np.hstack([admiral[:360], data.astronaut()[:360]])
    photograph = degrade(truth, np.random.default_rng(seed))
    restored = PhotographRestorer(device=device).restore(photograph, Options(scale=SCALE)).image
    both = np.vstack([bicubic(photograph, *truth.shape[:2]), restored])
    with write_whole(path) as partial:
        Image.fromarray(both).save(partial, 'JPEG', quality=88)


def main(args: Namespace) -> None:
    """Do what the command line says."""
    if args.measure_frame is None and not find_spec('skimage'):
        raise UserError('scikit-image is missing; run: bash scripts/setup.sh demo')
    with writing_results([path for path in (args.picture, args.json) if path], [], args.overwrite):
        if args.picture is not None:
            draw_picture(args.picture, args.seed, args.device)
            return
        if args.measure_frame is not None:
            print(measure_frame(args.measure_frame, args.device))
            return
        print(format_machine())
        figures = measure(args.faces, args.photographs, args.seed, args.device, args.look)
        print(format_table(figures))
        if args.json is not None:
            write_json(args.json, args, figures)
            print(args.json)


def parse_args() -> Namespace:
    """The command line."""
    program = f'python -m benchmarks.{Path(sys.argv[0]).stem}'
    parser = ArgumentParser(
        program, description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument('--faces', type=Path, metavar='DIR', help='512x512 faces to paste')
    way.add_argument('--measure-frame', type=Path, metavar='DIR', help='512x512 training faces')
    way.add_argument('--picture', type=Path, metavar='FILE', help="for the README's picture")
    add = parser.add_argument
    add('--photographs', type=count, default=20, metavar='N', help='default: 20')
    add('--look', type=float, help='as of tools/restore.py')
    add('--seed', type=int, default=0, help='of backgrounds, places and degradations; default: 0')
    add('--device', help='cuda or cpu; default: a CUDA GPU if there is one')
    add('--json', type=Path, metavar='FILE', help='also write the figures there')
    add_overwrite(parser)
    return parser.parse_args()


if __name__ == '__main__':
    run(main, parse_args())
