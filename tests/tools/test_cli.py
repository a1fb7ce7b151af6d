import csv
import json
import re
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
import warm
from conftest import ROOT, TINY, TINY_GAN

from facesr.errors import UserError
from facesr.files import is_ours
from facesr.images import read_image

NET = object()  # the tiny checkpoint, in the arguments of a test


@pytest.mark.parametrize('name', sorted(path.stem for path in (ROOT / 'tools').glob('[!_]*.py')))
def test_help_loads_neither_torch_nor_mmagic(tool, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('PYTHONPROFILEIMPORTTIME', '1')  # lists every import on stderr
    result = tool(name, '--help')
    assert result.returncode == 0 and 'usage' in result.stdout
    assert re.search(r'\|\s+argparse$', result.stderr, re.MULTILINE)
    for package in ('torch', 'numpy', 'mmengine', 'mmagic', 'matplotlib'):
        assert not re.search(rf'\|\s+{package}$', result.stderr, re.MULTILINE)


def test_train_test_and_score(
    tool_here, tiny_options: list[str], small_faces: Path, tmp_path: Path
):
    work, out = tmp_path / 'work', tmp_path / 'work/out'
    train = ['train', TINY, '--work-dir', work, '--cfg-options', *tiny_options]
    for more in [], ['train_cfg.max_iters=6', '--resume']:
        result = tool_here(*train, *more)
        assert result.returncode == 0, result.stderr
    arguments = ['--input', small_faces / 'val/LQ', '--gt', small_faces / 'val/GT', '--out', out]
    result = tool_here('test', TINY, work / 'iter_6.pth', *arguments, '--zip', tmp_path / 'sub.zip')
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.glob('[!.]*')) == ['00000.png', '00001.png']
    assert read_image(out / '00000.png').shape == (256, 256, 3)
    assert read_image(work / 'out_panel.png').shape[1] == 4 * 256
    rows = list(csv.DictReader((work / 'out.csv').open()))
    mean = np.mean([float(row['psnr']) for row in rows])
    assert f'output: PSNR {mean:.4f} dB, SSIM 0.' in result.stdout
    assert 'bicubic: PSNR' in result.stdout
    assert zipfile.ZipFile(tmp_path / 'sub.zip').namelist() == ['out/00000.png', 'out/00001.png']
    # The score of the written files is, but for their rounding, what validation logged.
    log = max(work.glob('*/vis_data/scalars.json'))
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert mean == pytest.approx([line for line in logged if 'PSNR' in line][-1]['PSNR'], abs=0.05)
    page = work / 'report/report.html'
    result = tool_here('report', work, '--crop', 'all=0,0,256,256', '--images', '00001')
    pictures = [work / 'report/curves_work.png', work / 'report/panel_out.png']
    assert result.stdout.splitlines() == [str(path) for path in (*pictures, page)]
    for text in ('6 of 6', '2 images', f'{mean:.4f}', 'SRResNet(', 'L1Loss'):
        assert text in page.read_text()
    # The whole face twice, enlarged to 512 pixels, and lines of text.
    assert 2 * 512 < read_image(pictures[1]).shape[0] < 2 * 512 + 200
    result = tool_here(
        'score', out, '--gt', small_faces / 'val/GT', '--csv', tmp_path / 'scores.csv'
    )
    assert f'PSNR {mean:.4f} dB' in result.stdout
    scored = list(csv.DictReader((tmp_path / 'scores.csv').open()))
    assert [row['psnr'] for row in scored] == [row['psnr'] for row in rows]


def test_adversarial_training_to_exported_weights(tool_here, tiny_options, faces, tmp_path: Path):
    options = [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']
    first, second = tmp_path / 'srresnet', tmp_path / 'srgan'
    source = f'default_hooks.pretrained.source={first}'
    arguments = ['--work-dir', second, '--cfg-options', *options, source]
    result = tool_here('train', TINY_GAN, *arguments)
    assert result.returncode == 1
    assert f'error: {first}: no trained generator to start from' in result.stderr
    assert tool_here('train', TINY, '--work-dir', first, '--cfg-options', *options).returncode == 0
    result = tool_here('train', TINY_GAN, *arguments)
    assert result.returncode == 0, result.stderr
    checkpoint, exported = second / 'iter_4.pth', tmp_path / 'generator.pth'
    assert tool_here('export', TINY_GAN, checkpoint, exported).returncode == 0
    arguments = ['--input', faces / 'test/LQ', '--device', 'cpu']
    for path, out in ((checkpoint, 'a'), (exported, 'b')):
        result = tool_here('test', TINY_GAN, path, *arguments, '--out', tmp_path / out)
        assert result.returncode == 0, result.stderr
    for path in (tmp_path / 'a').glob('*.png'):
        assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes()
    result = tool_here('test', TINY_GAN, checkpoint, *arguments, '--ema')
    assert result.returncode == 1 and 'iter_4.pth: holds no average' in result.stderr


def test_default_input_is_the_configs_test_set(tool_here, tiny_checkpoint, faces: Path, tmp_path):
    options = [f'test_dataloader.dataset.data_root={faces}', f'work_dir={tmp_path}/work']
    how = ['--tta', 'shift', '--precision', 'bf16']
    result = tool_here('test', TINY, tiny_checkpoint, *how, '--cfg-options', *options)
    assert result.returncode == 0, result.stderr
    written = json.loads((tmp_path / 'work/results.json').read_text())
    assert (written['tta'], written['precision']) == ('shift', 'bf16')
    assert len(list((tmp_path / 'work/results').glob('*.png'))) == 2
    assert 'NIQE' in result.stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['train', 'nowhere.py'], 'error: nowhere.py: no such config'),
        (['train', TINY, '--cfg-options', 'optim_wraper.lr=1'], "did you mean 'optim_wrapper'"),
        (['train', TINY, '--cfg-options', 'launcher=mpi'], "error: launcher='mpi': 'none', 'pyto"),
        (['train', TINY, '--resume', 'nowhere.pth'], 'error: nowhere.pth: no such checkpoint'),
        (['test', TINY, 'nowhere.pth'], 'error: nowhere.pth: no such checkpoint'),
        (['score', 'nowhere'], 'error: nowhere: no such folder'),
        (['report', 'nowhere'], 'nowhere: no such folder'),
        (['report', 'tests', '--crop', 'a=600,0,1,1'], 'error: --crop a=600,0,1,1: not inside'),
        (['check_data', 'tests'], 'error: 3 problems in tests'),
        (['degrade', ROOT / 'configs/_base_/runtime.py', 'gt', '--out', 'lq'], 'no train_dataloa'),
        (['score', ''], 'error: an empty argument, which would be the current folder; name one'),
        (['degrade', TINY, 'gt', '--out', 'lq', '--seed', '-1'], 'error: --seed -1: from 0 to'),
        (['train', ROOT / 'configs/_base_/runtime.py'], 'runtime.py: no training in it'),
        (['train', '~/no=such.py'], f'error: {Path.home()}/no=such.py: no such config'),
        (['score', '~no_such_user/x'], 'error: ~no_such_user/x: no such folder'),
        (['test', TINY, NET, '--device', 'cuda'], 'error: cuda: no such device here'),
        (['test', TINY, NET, '--device', 'gpu'], 'error: gpu: no such device here'),
        (['test', TINY, NET, '--tile', '0'], 'error: --tile 0: '),
        (['test', TINY, NET, '--batch-size', '0'], 'error: --batch-size 0: '),
        (['test', TINY, NET, '--cfg-options', 'test_dataloader=None'], 'no test set'),
    ],
)
def test_a_mistake_is_one_line_and_a_nonzero_exit(
    tool_here, tiny_checkpoint: Path, tmp_path: Path, arguments, message: str
):
    arguments = [tiny_checkpoint if argument is NET else argument for argument in arguments]
    if arguments[0] == 'train':
        arguments = [*arguments[:2], '--work-dir', tmp_path / 'work', *arguments[2:]]
    result = tool_here(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert 'Traceback' not in result.stderr
    assert not list(tmp_path.glob('work/*.pth'))


def test_cut_faces(tool_here, faces: Path, tmp_path: Path):
    pytest.importorskip('facenet_pytorch', reason='needs: bash scripts/setup.sh photos')
    photograph = faces / 'val/GT/00000.png'
    result = tool_here('cut_faces', photograph, '--out', tmp_path / 'LQ')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == f'{tmp_path}/LQ/00000.png'
    assert read_image(tmp_path / 'LQ/00000.png').shape == (128, 128, 3)


def test_restore(tool_here, faces: Path, tmp_path: Path):
    pytest.importorskip('facenet_pytorch', reason='needs: bash scripts/setup.sh photos')
    photograph = shutil.copy(faces / 'val/GT/00000.png', tmp_path / 'me.png')
    options = ['--scale', '1', '--strength', '0.8', '--device', 'cpu']
    result = tool_here('restore', photograph, tmp_path / 'none.jpg', *options)
    assert result.returncode == 1
    assert f'{tmp_path}/me_restored.png: 1 face' in result.stdout
    assert f'error: {tmp_path}/none.jpg: no such file' in result.stdout
    assert result.stderr.strip() == 'error: 1 of 2 photographs failed; they are named above'
    before, after = (read_image(tmp_path / f'{name}.png') for name in ('me', 'me_restored'))
    assert before.shape == after.shape and 0 < np.abs(after.astype(int) - before).mean() < 5
    options = [*options, '--out', tmp_path / 'out', '--faces', tmp_path / 'faces']
    result = tool_here('restore', photograph, *options, '--look', '1')
    assert result.returncode == 0, result.stderr
    assert (read_image(tmp_path / 'out/me.png') != after).any()
    assert read_image(tmp_path / 'faces/me.png').shape[1] == 2 * 512
    result = tool_here('restore', photograph, '--strength', '2')
    assert result.stderr.strip() == 'error: --strength 2.0: a number from 0 to 1 expected'
    result = tool_here('restore', photograph, '--weights', ROOT / 'weights/face_gan.pth')
    assert 'enlarges faces 4 times, as the challenge wants it; a net for' in result.stderr
    assert 'weights/face_photo.pth, or one fine-tuned from it' in result.stderr


def test_a_signal_ends_a_tool_as_an_error_does(tmp_path: Path):
    script = """
import os, signal, sys
from argparse import Namespace
from pathlib import Path
sys.path.insert(0, 'tools')
from _cli import run
from facesr.files import write_file, writing_results
def work(args):
    with writing_results([args.path]):
        write_file(args.path, 'half of it')
        os.kill(os.getpid(), args.number)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    if child := os.fork():
        print(number, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 128, flush=True)
    else:
        run(work, Namespace(number=number, path=Path(sys.argv[1], f'{number}.csv')))
"""
    (tmp_path / 'ended.py').write_text(script)
    out = tmp_path / 'out'
    warm.start([tmp_path / 'ended.py', tmp_path], ROOT, stdout=out, stderr=out).join(timeout=60)
    numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
    assert out.read_text().splitlines() == [f'{number} {number}' for number in numbers]
    assert all(is_ours(tmp_path / f'{number}.csv') for number in numbers)


def test_options_of_restoring_that_do_not_go_together(tool_here):
    for arguments, message in (
        (('--serve', 'me.jpg'), '--serve takes its photographs in the page'),
        (('me.jpg', '--port', '80'), '--host and --port need --serve'),
        ((), 'PHOTO is missing, or --serve'),
    ):
        result = tool_here('restore', *arguments)
        assert result.returncode == 2 and message in result.stderr


def test_the_traceback_of_a_mistake_is_shown_on_request(tool_here, monkeypatch):
    monkeypatch.setenv('FACESR_DEBUG', '1')
    with pytest.raises(UserError, match='nowhere: no such folder'):
        tool_here('score', 'nowhere')
