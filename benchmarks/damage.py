"""Faces of photographs, damaged in known ways and restored: better than before, never worse?

python -m benchmarks.damage --faces data/FFHQ/val/GT
"""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from rich.progress import track

from _cli import add_overwrite, count, run
from facesr.errors import UserError
from facesr.files import writing_results
from facesr.images import Image8, list_images, read_image
from facesr.restoring.alignment import measure_sharpness, warp_mask
from facesr.restoring.metrics import LPIPS
from facesr.restoring.photograph import Options, PhotographRestorer

from .measure import Figures, format_machine, write_json

#: Side of the face in pixels; sigma of a blur in pixels of it, of noise in levels; JPEG's quality.
DAMAGES: dict[str, tuple[int, float, float, int]] = {
    'none': (512, 0, 0, 0),
    'JPEG 30': (512, 0, 0, 30),
    'JPEG 10': (512, 0, 0, 10),
    'noise 10': (512, 0, 10, 0),
    'noise 25': (512, 0, 25, 0),
    'blur 1.5': (512, 1.5, 0, 0),
    'blur 3': (512, 3, 0, 0),
    'blur 2, noise 5, JPEG 60': (512, 2, 5, 60),
    'blur 4, noise 8, JPEG 50': (512, 4, 8, 50),
    '256 px, JPEG 60': (256, 0, 0, 60),
    '192 px, noise 5, JPEG 50': (192, 0, 5, 50),
    '128 px, noise 5, JPEG 60': (128, 0, 5, 60),
    '64 px, JPEG 70': (64, 0, 0, 70),
    '1024 px': (1024, 0, 0, 0),
    '1024 px, noise 10': (1024, 0, 10, 0),
}


def damage(face: Image8, how: tuple[int, float, float, int], rng: Generator) -> Image8:
    """Damage a face, (512, 512, 3); a smaller one is enlarged again, to 512 pixels."""
    side, blur, noise, quality = how
    method = cv2.INTER_AREA if side < len(face) else cv2.INTER_CUBIC
    image = cv2.resize(face, (side, side), interpolation=method)
    image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
    image = np.clip(np.rint(image + rng.normal(0, noise, image.shape)), 0, 255).astype(np.uint8)
    image = compress(image, quality) if quality else image
    if side < len(face):
        image = cv2.resize(image, face.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(image, np.uint8)


def compress(image: Image8, quality: int) -> Image8:
    """Send an image through OpenCV's JPEG."""
    code = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def measure(args: Namespace) -> Figures:
    """PSNR in dB inside the face, and LPIPS, of input and result; the worst loss of a face.

    ``sharpness`` is the result's share of the input's Laplacian variance.
    """
    restorer, lpips = PhotographRestorer(args.weights, args.device), None
    with suppress(UserError):
        lpips = LPIPS()
    paths = list(list_images(args.faces).values())[: args.images]
    options, figures = Options(scale=1, only_largest=True, look=args.look), {}
    for name, how in DAMAGES.items():
        rows, rng = [], np.random.default_rng(args.seed)
        for path in track(paths, name):
            face = read_image(path)
            damaged = damage(face, how, rng)
            truth = damage(face, (max(how[0], 512), 0, 0, 0), rng)
            side = len(truth)
            own = np.array([[side / 512, 0, 0], [0, side / 512, 0]])
            inside = warp_mask(512, own, side, side) > 0.5
            both = [damaged, restorer.restore(damaged, options).image]
            errors = [float(np.mean((i[inside].astype(float) - truth[inside]) ** 2)) for i in both]
            row = [min(10 * math.log10(255**2 / max(error, 1e-9)), 100.0) for error in errors]
            row += [_lpips(lpips, image, truth) for image in both]
            row.append(measure_sharpness(both[1]) / measure_sharpness(both[0]))
            rows.append(row)
        table = np.array(rows)
        losses = table[:, 0] - table[:, 1]
        keys = ('input_psnr', 'psnr', 'input_lpips', 'lpips', 'sharpness')
        figures[name] = dict(zip(keys, table.mean(0).tolist(), strict=True))
        figures[name] |= dict(worse=int((losses > 0.1).sum()), most_lost=float(losses.max()))
    return dict(damages=figures, images=len(paths))


def _lpips(lpips: LPIPS | None, image: Image8, truth: Image8) -> float:
    if lpips is None:
        return float('nan')
    tensors = (torch.from_numpy(each).permute(2, 0, 1)[None] for each in (image, truth))
    return float(lpips(*tensors))


def format_table(figures: Figures) -> str:
    """The findings as text."""
    lines = [
        f'{"damage":<26}{"PSNR input":>12}{"result":>8}{"LPIPS input":>13}{"result":>8}'
        f'{"sharpness":>11}  worse'
    ]
    for name, row in figures['damages'].items():
        lines.append(
            f'{name:<26}{row["input_psnr"]:>12.2f}{row["psnr"]:>8.2f}{row["input_lpips"]:>13.3f}'
            f'{row["lpips"]:>8.3f}{row["sharpness"]:>11.2f}{row["worse"]:>5} of {figures["images"]}'
        )
    return '\n'.join(lines)


def main(args: Namespace) -> None:
    """Do what the command line says."""
    with writing_results([args.json] if args.json else [], [], args.overwrite):
        print(format_machine())
        figures = measure(args)
        print(format_table(figures))
        if args.json is not None:
            write_json(args.json, args, figures)


def parse_args() -> Namespace:
    """The command line."""
    parser = ArgumentParser(f'python -m benchmarks.{Path(sys.argv[0]).stem}', description=__doc__)
    add = parser.add_argument
    add('--faces', type=Path, required=True, metavar='DIR', help='512x512 ground truths')
    add('--weights', type=Path, help='of the net; default: face_photo.pth')
    add('--look', type=float, help='as of tools/restore.py')
    add('--images', type=count, default=40, metavar='N', help='of each damage; default: 40')
    add('--seed', type=int, default=0, help='of the noise; default: 0')
    add('--device', help='cuda or cpu; default: a CUDA GPU if there is one')
    add('--json', type=Path, metavar='FILE', help='also write the figures there')
    add_overwrite(parser)
    return parser.parse_args()


if __name__ == '__main__':
    run(main, parse_args())
