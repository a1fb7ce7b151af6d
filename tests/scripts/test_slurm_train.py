"""What scripts/slurm_train.sh decides, with commands in the place of Slurm's."""

import os
import subprocess
from pathlib import Path

from conftest import ROOT

COMMANDS = {
    # Warned of the time limit, the run stops and says where.
    'srun': """
        trap : USR1
        sleep 0.5
        kill -USR1 $PPID
        sleep 0.5
        echo "stopped after $AT" >"$FACESR_STOP_FILE"
        exit 75""",
    'scontrol': 'if [ $1 = requeue ]; then echo requeued; else echo localhost; fi',
}


def test_three_stops_without_progress_end_a_job(tmp_path: Path):
    for name, script in COMMANDS.items():
        path = tmp_path / name
        path.write_text(f'#!/bin/bash\n{script}\n')
        path.chmod(0o755)
    (tmp_path / 'work_dirs').mkdir()

    def end(at: int) -> subprocess.CompletedProcess[str]:
        slurm = dict(SLURM_JOB_ID='7', SLURM_JOB_NODELIST='n', SLURM_SUBMIT_DIR=str(tmp_path))
        path = f'{tmp_path}:{os.environ["PATH"]}'
        return subprocess.run(
            ['bash', ROOT / 'scripts/slurm_train.sh', 'config.py'],
            env={**os.environ, **slurm, 'PATH': path, 'AT': str(at)},
            capture_output=True,
            text=True,
        )

    for at in (100, 100, 200, 200):
        job = end(at)
        assert job.returncode == 75 and 'requeued' in job.stdout, job.stdout + job.stderr
    job = end(200)
    assert job.returncode == 1 and 'requeued' not in job.stdout
    assert job.stdout.splitlines()[-1].startswith('error: stopped three times without progress')
    assert not list((tmp_path / 'work_dirs').iterdir())
