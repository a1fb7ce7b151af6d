"""The scripts that count faults, for as long as a test may take, and the page of principles."""

import re
import subprocess
import sys

from conftest import ROOT


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, f'tests/{name}.py', *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_each_principle_names_its_tests():
    page = (ROOT / 'docs/reliability.md').read_text()
    tables = re.findall(r'^\|.*\| test \|\n.*\n((?:\|.*\n)+)', page, re.MULTILINE)
    rows = ''.join(tables).splitlines()
    assert len(rows) >= 50
    assert not [row for row in rows if not re.search(r'`tests/.*\.py` \|$', row)]


def test_killed_and_stopped_a_training_ends_as_the_uncut_one():
    output = run('kill_training', '--kills', '1', '--stops', '1', '--seed', '5')
    assert '1: killed ' in output
    assert 'equal to the uncut run: 2 of 2 trainings' in output


def test_damaged_images_and_checkpoints_are_read_or_refused():
    assert 'each was read, or refused by name' in run('fuzz_readers', '--seconds', '2')
