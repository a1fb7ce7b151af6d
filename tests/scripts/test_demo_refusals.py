import subprocess

import pytest
from conftest import ROOT


@pytest.mark.parametrize(
    ('photograph', 'message'),
    [
        ('none.jpg', 'error: none.jpg: no such photograph'),
        ('work_dirs/README.md', 'is in work_dirs; copy it to another place'),
    ],
)
def test_a_photograph_that_is_missing_or_would_be_deleted(photograph: str, message: str):
    command = ['bash', 'scripts/demo.sh', photograph]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    assert result.returncode == 1 and message in result.stderr
