"""The scripts that count faults, for as long as a test may take, and the page of principles."""

import re
from pathlib import Path

import warm
from conftest import ROOT


def run(out: Path, name: str, *arguments: str) -> str:
    process = warm.start([f'tests/{name}.py', *arguments], ROOT, stdout=out, stderr=out)
    process.join(timeout=600)
    assert process.exitcode == 0, out.read_text()
    return out.read_text()


def test_each_principle_names_its_tests():
    page = (ROOT / 'docs/reliability.md').read_text()
    tables = re.findall(r'^\|.*\| test \|\n.*\n((?:\|.*\n)+)', page, re.MULTILINE)
    rows = ''.join(tables).splitlines()
    assert len(rows) >= 50
    assert not [row for row in rows if not re.search(r'`tests/.*\.py` \|$', row)]


def test_killed_and_stopped_a_training_ends_as_the_uncut_one(tmp_path: Path):
    output = run(
        tmp_path / 'out', 'kill_training', '--kills', '1', '--stops', '1', '--iterations', '30'
    )
    assert '1: killed ' in output
    assert 'equal to the uncut run: 2 of 2 trainings' in output


def test_damaged_images_and_checkpoints_are_read_or_refused(tmp_path: Path):
    output = run(tmp_path / 'out', 'fuzz_readers', '--seconds', '2')
    assert 'each was read, or refused by name' in output
