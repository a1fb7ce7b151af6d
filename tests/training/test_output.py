import os
import pty
import resource
import select
import tempfile
import time
from pathlib import Path

import pytest
import warm
from conftest import ROOT, TINY
from mmengine.logging import MMLogger

from facesr.training.output import (
    TolerantLocalVisBackend,
    TolerantTensorboardVisBackend,
)


def test_a_run_prints_what_helps_and_leaves_nothing_in_the_temporary_folder(
    tool, tiny_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    temporary = Path(tempfile.mkdtemp())  # a short path: a socket's has 108 letters at most
    monkeypatch.setenv('TMPDIR', str(temporary))
    monkeypatch.delenv('TORCHINDUCTOR_CACHE_DIR', raising=False)  # PyTorch sets it
    options = [*tiny_options, 'train_dataloader.num_workers=1', 'model.generator.num_blocks=1']
    result = tool('train', TINY, '--cfg-options', *options)
    assert (result.returncode, result.stderr) == (0, '')
    work, lines = tmp_path / 'work', result.stdout.splitlines()
    heads = ['device', 'generator', 'training', 'writing to', 'validation', 'starts from', 'log']
    assert [line[:12].strip() for line in lines[:7]] == heads
    assert lines[7].startswith('iteration 2 of 4: ')
    restore = f'python tools/test.py {TINY} {work}/best.pth --out {work}/results --cfg-options '
    assert lines[-3].startswith('finished after iteration 4; its best checkpoint (PSNR ')
    assert lines[-3].endswith(f'): {work}/best.pth') and restore in lines[-2]
    assert lines[-2].endswith('model.generator.num_blocks=1')
    assert lines[-1].endswith(f'python tools/report.py {work}')
    assert len(lines) < 16, result.stdout
    [log] = work.glob('*/*.log')
    text = log.read_text()
    assert all(part in text for part in ('System environment', 'Config:', 'Hooks will be executed'))
    temporary.rmdir()  # it is empty


def test_at_a_terminal_the_progress_stays_in_one_line(tiny_options: list[str]):
    terminal, output = pty.openpty()
    name = os.ttyname(output)
    command = ['tools/train.py', TINY, '--cfg-options', *tiny_options]
    process = warm.start(command, ROOT, stdout=name, stderr=name)
    shown = b''
    while process.is_alive() or select.select([terminal], [], [], 0)[0]:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096)
    os.close(output), os.close(terminal)
    assert process.exitcode == 0, shown.decode()
    erase = '\r\x1b[K'
    assert f'{erase}iteration 2 of 4: ' in shown.decode()
    assert f'{erase}finished after iteration 4; ' in shown.decode()


@pytest.mark.parametrize('out', ['/dev/full', None])
def test_a_run_whose_lines_are_not_taken_trains_on_in_silence(
    out: str | None, tiny_options: list[str], tmp_path: Path
):
    command = ['tools/train.py', TINY, '--cfg-options', *tiny_options]
    process = warm.start(command, ROOT, stdout=out, stderr=tmp_path / 'errors')
    process.join(timeout=60)
    assert (process.exitcode, (tmp_path / 'errors').read_text()) == (0, '')
    assert (tmp_path / 'work/iter_4.pth').exists()


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@pytest.mark.parametrize('backend', [TolerantLocalVisBackend, TolerantTensorboardVisBackend])
def test_a_disk_that_takes_no_more_ends_no_run(backend: type, tmp_path: Path, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    log = backend(str(tmp_path / 'log'))
    log.add_scalar('loss', 1.0, step=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))  # bytes a file, as a full disk refuses
    try:
        for step in range(1, 40):
            log.add_scalars({'loss': 1.0}, step=step)
            time.sleep(0.01)  # TensorBoard writes in a thread
        log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    [said] = [line for line in caplog.messages if 'the run continues' in line]
    assert said.startswith(f'{backend.__name__}: ') and 'File too large' in said
