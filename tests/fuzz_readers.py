"""Feed damaged files to the readers of images, checkpoints and runs, for a bounded time:
python tests/fuzz_readers.py --seconds 120

Whole files are cut, changed, and spliced; PNG chunks and the pickle in a checkpoint also behind
their checksums, so that the damage reaches what is behind them. Each must be read, or refused with
a UserError, within ten seconds. The exit code is 1 where one is not; its bytes are kept.
"""

import argparse
import io
import logging
import random
import resource
import signal
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facesr.checkpoint import load_generator
from facesr.errors import UserError
from facesr.images import read_image
from facesr.report.curves import draw_curves
from facesr.report.run import describe_settings, read_run

HANG = 10  # seconds
MEMORY = 8 << 30  # bytes of addresses: a damaged size must not take the machine's


def images() -> Iterator[bytes]:
    """Small files of every kind that is taken or refused."""
    levels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    for mode in ('RGB', 'L', 'P', 'RGBA', '1'):
        yield saved(picture.convert(mode))
    yield saved(picture.convert('L').convert('I;16'))
    exif = Image.Exif()
    exif[0x0112] = 6
    yield saved(picture, format='JPEG', exif=exif)
    yield saved(picture.convert('CMYK'), format='JPEG')
    yield saved(picture, format='JPEG', progressive=True)


def saved(picture: Image.Image, **how: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, **{'format': 'PNG', **how})
    return file.getvalue()


def checkpoints() -> Iterator[bytes]:
    """A training checkpoint and a bare state dict, as PyTorch writes them now and did before."""
    weights = torch.nn.Linear(3, 2).state_dict()
    hub = {'log_scalars': {'train/loss': [[1.0], [1]]}, 'runtime_info': {'iter': 3}}
    training = {'meta': {'iter': 3}, 'state_dict': weights, 'message_hub': hub}
    for content in (training, weights):
        for new in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=new)
            yield file.getvalue()


def damage(content: bytes, rng: random.Random) -> bytes:
    """Cut, change, insert, repeat or lose some bytes."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(len(data) + 1)
        length = rng.choice([1, 2, 4, 16, 64])
        match rng.randrange(6):
            case 0:
                del data[place:]
            case 1:
                del data[place : place + length]
            case 2:
                data[place : place + length] = rng.randbytes(length)
            case 3:
                data[place:place] = rng.choice([rng.randbytes(length), bytes(length)])
            case 4:
                data[place:place] = data[place : place + length]
            case 5 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


def damage_png(content: bytes, rng: random.Random) -> bytes:
    """Damage the insides of a PNG's chunks, their lengths and checksums made right again."""
    out, place = [content[:8]], 8
    while place + 12 <= len(content):
        length, kind = struct.unpack('>I4s', content[place : place + 8])
        body = content[place + 8 : place + 8 + length]
        if body and rng.random() < 0.4:
            if kind == b'IDAT' and rng.random() < 0.7:
                body = zlib.compress(damage(zlib.decompress(body), rng))
            else:
                body = damage(body, rng)
        checksum = struct.pack('>I', zlib.crc32(kind + body))
        out += [struct.pack('>I', len(body)), kind, body, checksum]
        place += 12 + length
    return b''.join(out)


def damage_zip(content: bytes, rng: random.Random) -> bytes:
    """Damage the files in a checkpoint, their checksums made right again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, 'w') as target:
        for name in source.namelist():
            body = source.read(name)
            if body and (name.endswith('.pkl') or rng.random() < 0.1):
                body = damage(body, rng)
            target.writestr(name, body)
    return out.getvalue()


def damaged(seeds: Iterable[bytes], rng: random.Random) -> Iterator[bytes]:
    """Damage one of the whole files after the other, for ever; most of them inside."""
    seeds = list(seeds)
    inside = {b'\x89PNG': damage_png, b'PK\x03\x04': damage_zip}
    while True:
        seed = rng.choice(seeds)
        how = inside.get(seed[:4], damage)
        yield (how if rng.random() < 0.7 else damage)(seed, rng)


def ring(*args: object) -> None:
    raise TimeoutError(f'no answer in {HANG} s')


def feed(read: Callable[[Path], object], content: bytes, path: Path) -> str:
    """Give a reader some bytes: 'read' or 'refused'; any other end is an error of the reader's."""
    path.write_bytes(content)
    signal.alarm(HANG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            read(path)
    except UserError as error:
        assert str(error).startswith(f'{path}: ') and '\n' not in str(error), error
        return 'refused'
    finally:
        signal.alarm(0)
    return 'read'


def work_dirs() -> Iterator[bytes]:
    """The files that a report reads of a run, one after the other, behind the name of each."""
    lines = ''.join(f'{{"step": {step}, "loss": 0.1, "time": 0.4}}\n' for step in range(1, 9))
    config = "model = dict(type='A', pixel_loss=dict(type='L1Loss'))\nbetas = [1, (2.5, None)]\n"
    facts = '{"device": "CPU, 2 threads", "parameters": 5, "processes": 2, "start": 1}'
    for name, text in (('scalars.json', lines), ('config.py', config), ('run.json', facts)):
        yield f'{name}\0{text}'.encode()


def read_work_dir(path: Path) -> None:
    """Put a file into an intact work directory, and read what a report shows of it."""
    folder = path.with_name('work_dir')
    name, _, content = path.read_bytes().partition(b'\0')
    start = folder / '20260101_000000'
    places = {
        b'scalars.json': start / 'vis_data/scalars.json',
        b'config.py': folder / 'demo.py',
        b'run.json': start / 'run.json',
    }
    for seed in work_dirs():
        intact, _, text = seed.partition(b'\0')
        places[intact].parent.mkdir(parents=True, exist_ok=True)
        places[intact].write_bytes(content if intact == name else text)
    try:
        run = read_run(folder, 'run')
        describe_settings(run)
        draw_curves(run)
    except UserError as error:
        raise UserError(f'{path}: {error}') from None


READERS: dict[str, tuple[Callable[[Path], object], Callable[[], Iterator[bytes]], str]] = {
    'images': (read_image, images, 'png'),
    'checkpoints': (partial(load_generator, torch.nn.Linear(3, 2)), checkpoints, 'pth'),
    'work directories': (read_work_dir, work_dirs, 'run'),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seconds', type=float, default=120, help='for each of the readers')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    found: Counter[str] = Counter()
    signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for name, (read, whole, suffix) in READERS.items():
        ends: Counter[str] = Counter()
        start = time.monotonic()
        for content in damaged(whole(), random.Random(args.seed)):
            if time.monotonic() - start > args.seconds:
                break
            try:
                ends[feed(read, content, folder / f'damaged.{suffix}')] += 1
            except Exception as error:
                what = f'{name}: {type(error).__module__}.{type(error).__name__}: {error}'[:160]
                if not found[what]:
                    kept = folder / f'found_{len(found)}.{suffix}'
                    kept.write_bytes(content)
                    print(f'{what} ({kept})', flush=True)
                found[what] += 1
        print(f'{name}: {args.seconds:.0f} s, {dict(ends)}', flush=True)
    if found:
        raise SystemExit(f'{len(found)} ends without a message of ours')
    print('each was read, or refused by name')


if __name__ == '__main__':
    main()
