"""What every tool does alike: find the package beside it, and end with one line on a mistake."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def run(work: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Call ``work(args)`` and turn a user's mistake into ``error: ...`` and exit code 1.

    A run that was asked to stop, and saved, ends with 75. FACESR_DEBUG=1 in the environment shows
    the traceback as well. Everything heavy is imported in ``work``: ``--help`` answers at once.
    """
    for name in ('stdout', 'stderr'):
        if getattr(sys, name) is None:  # it was closed
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), 'w'))
        getattr(sys, name).reconfigure(errors='backslashreplace')  # for a name that is not UTF-8
    if any(re.fullmatch(r'(--[\w-]+=)?', argument) for argument in sys.argv[1:]):
        raise SystemExit('error: an empty argument, which would be the current folder; name one')
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        if signal.getsignal(number) is signal.SIG_DFL:  # tools/train.py takes two of them otherwise
            # As an error ends it: what was written is recorded, what is temporary is removed.
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
    debug = os.environ.get('FACESR_DEBUG') == '1'
    try:
        from facesr.errors import StoppedError, UserError, describe_refusal
        from facesr.nets import keep_memory

        keep_memory()
        for name, value in vars(args).items():
            if isinstance(value, str | Path):  # a shell leaves --out=~/faces as it is
                home = os.path.expanduser(value)  # noqa: PTH111 (Path's may raise a RuntimeError)
                setattr(args, name, type(value)(home))
        work(args)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except ImportError as error:  # the stack is missing or incomplete
        raise SystemExit(f'error: {error}') from (error if debug else None)
    except (OSError, UnicodeError, UserError) as error:
        if debug:
            raise
        reason = error if isinstance(error, UserError) else describe_refusal(error)
        raise SystemExit(f'error: {reason}') from None
    except StoppedError as stop:
        if os.environ.get('RANK', '0') == '0':  # of several processes only the first
            print(stop, file=sys.stderr)
        raise SystemExit(stop.exit_code) from None


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add the option of every tool that writes results."""
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='also replace files that no tool of ours wrote; never inputs',
    )


def count(text: str) -> int:
    """The ``type`` of an argument that says how many."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text}: at least 1 expected')
    return int(text)


def add_ema_option(parser: argparse.ArgumentParser) -> None:
    """Add what every tool that takes a training checkpoint takes."""
    parser.add_argument(
        '--ema',
        action=argparse.BooleanOptionalAction,
        help='the average of the weights (see GeneratorEMAHook), or the raw ones; default: the '
        "average for a best.pth that was chosen by the average's score, else the raw ones",
    )


def add_score_options(parser: argparse.ArgumentParser) -> None:
    """Add what every tool that scores takes."""
    add = parser.add_argument
    add(
        '--lpips',
        nargs='?',
        const='alex',
        choices=['alex', 'vgg'],
        help='also LPIPS, by AlexNet or VGG16; default: alex; needs tools/fetch_features.py lpips',
    )
    add('--y', action='store_true', help='PSNR and SSIM of the luma (Y of BT.601) instead of RGB')
    add(
        '--border',
        type=int,
        default=0,
        metavar='PIXELS',
        help='around the image that PSNR and SSIM ignore',
    )
    add('--suffix', default='', help="of the images' names: _x4 if 00001_x4.png is 00001.png")


def add_config_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the two arguments that every tool with a config takes, as everywhere in OpenMMLab."""
    parser.add_argument(
        'config',
        nargs='+' if several else None,
        help='config file, such as configs/srresnet_24b.py',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override config entries: optim_wrapper.optimizer.lr=2e-4 train_cfg.max_iters=1000',
    )


def add_photograph_options(
    parser: argparse.ArgumentParser, min_face: str = '24', required: bool = True
) -> None:
    """Add what every tool for photographs takes: which, which of their faces, and the device.

    ``min_face`` says its default, where it is not given.
    """
    add = parser.add_argument
    nargs = '+' if required else '*'
    add('photos', type=Path, nargs=nargs, metavar='PHOTO', help='file, or folder with sub-folders')
    add('--only-largest', action='store_true', help='only the largest face of each photograph')
    add(
        '--min-face',
        type=count,
        default=int(min_face) if min_face.isdigit() else None,
        metavar='PIXELS',
        help=f'smallest width of a face, without hair and ears; default: {min_face}',
    )
    add('--device', help='cuda, cuda:1 or cpu; default: a CUDA GPU if there is one')
