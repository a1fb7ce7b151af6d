"""Restore the faces of photographs, put back where they were: python tools/restore.py me.jpg
or in a page to drop them on: python tools/restore.py --serve

A result is NAME.EXT in --out, else NAME_restored.EXT beside its photograph: JPEG, PNG, TIFF or WebP
as the photograph was, else PNG. No photograph is ever replaced; an earlier result is.
"""

import argparse
import os
from pathlib import Path

from _cli import add_overwrite, add_photograph_options, count, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add_photograph_options(parser, required=False)
    add('--out', type=Path, metavar='DIR', help='for the results, with the sub-folders')
    add('--format', choices=['jpg', 'png', 'tif', 'webp'], help='of the results')
    add('--resume', action='store_true', help='leave out what was done with the same options')
    add('--weights', type=Path, help='by tools/export.py; default: face_photo.pth')
    add('--config', help="the weights' config, for a net that is not facesr's own")
    add('--scale', type=int, choices=[1, 2, 4], default=2, help='of the result; default: 2')
    add(
        '--background',
        choices=['bicubic', 'net'],
        default='bicubic',
        help='of the rest; net: restored by face_photo.pth too; default: bicubic',
    )
    add(
        '--strength',
        type=float,
        default=1.0,
        help='0: faces as they were, to 1: restored; default: 1',
    )
    add(
        '--look',
        type=float,
        help='0: faithful, to 1: sharp, guessed; default: 0.5, with --weights 0',
    )
    add('--faces', type=Path, metavar='DIR', help='also each face, before and after, side by side')
    add_overwrite(parser)
    add('--serve', action='store_true', help='a page in the browser instead of PHOTO ...')
    add('--host', help='address of the page; default: 127.0.0.1, reached from this machine only')
    add('--port', type=count, help='of the page; default: 7860')
    args = parser.parse_args()
    if args.serve and (args.photos or args.out or args.faces or args.resume or args.format):
        parser.error('--serve takes its photographs in the page: no PHOTO and no option for files')
    if not args.serve and (args.host or args.port):
        parser.error('--host and --port need --serve')
    if not args.serve and not args.photos:
        parser.error('PHOTO is missing, or --serve')
    return args


def main(args: argparse.Namespace) -> None:
    from facesr.config import load_config
    from facesr.restoring.photograph import Options, PhotographRestorer, restore_photographs
    from facesr.restoring.serve import serve

    names = ('scale', 'background', 'only_largest', 'min_face', 'strength', 'look')
    options = Options(**{name: getattr(args, name) for name in names})
    config = load_config(args.config) if args.config else None
    restorer = PhotographRestorer(args.weights, args.device, config)
    if args.serve:
        try:
            serve(restorer, options, args.host or '127.0.0.1', args.port or 7860)
        except KeyboardInterrupt:
            os._exit(130)  # at once: Python would wait for a restoration in another thread
    else:
        how = args.faces, args.overwrite, args.format and f'.{args.format}', args.resume
        restore_photographs(restorer, args.photos, args.out, options, *how)


if __name__ == '__main__':
    run(main, parse_args())
