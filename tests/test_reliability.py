"""The scripts that count faults, for as long as a test may take, and the page of all cases."""

import re
import subprocess
import sys

from conftest import ROOT


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, f'tests/{name}.py', *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_each_row_names_a_file_of_tests_that_exists():
    lines = (ROOT / 'docs/reliability.md').read_text().splitlines()
    rows = [line for line in lines if line.startswith('|') and '`tests/' in line]
    assert len(rows) >= 120
    named = re.findall('`(tests/[^` ]+)', '\n'.join(lines))
    assert not [path for path in named if not (ROOT / path).exists()]


def test_killed_three_times_a_training_ends_as_the_uncut_one():
    output = run('kill_training', '--kills', '3')
    assert 'resumed after each' in output
    assert 'weights and losses equal to the uncut run: 1 of 1 trainings' in output


def test_stopped_three_times_it_has_saved_or_finished_and_ends_as_the_uncut_one():
    output = run('kill_training', '--kills', '0', '--stops', '3')
    assert re.search('^3 stops: ', output, re.MULTILINE)
    assert 'stopped trainings' in output


def test_damaged_images_and_checkpoints_are_read_or_refused():
    assert 'each was read, or refused by name' in run('fuzz_readers', '--seconds', '4')
