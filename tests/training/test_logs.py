import json
import resource
import time
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from facesr.training.logs import TolerantLocalVisBackend, TolerantTensorboardVisBackend


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@pytest.mark.parametrize('backend', [TolerantLocalVisBackend, TolerantTensorboardVisBackend])
def test_a_disk_that_takes_no_more_ends_no_run(
    backend: type, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
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


def test_what_was_written_before_stays(tmp_path: Path):
    log = TolerantLocalVisBackend(str(tmp_path))
    log.add_scalars({'loss': 1.0}, step=3)
    log.close()
    assert json.loads((tmp_path / 'scalars.json').read_text()) == {'loss': 1.0, 'step': 3}
