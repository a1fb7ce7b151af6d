"""The plan of the house, as CONTRIBUTING.md draws it, and the files that the pages name."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *ROOT.glob('*/*.md')]
#: Each imports only from those before it, and from its own.
FLOORS = (
    ('errors',),
    ('files',),
    ('images', 'compat'),
    ('nets', 'checkpoint'),
    ('drawing',),
    ('degradation',),
    ('config', 'data', 'models'),
    ('restoring', 'training'),
    ('report',),
)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_a_page_names_files_that_exist(page: Path):
    named = re.findall(
        r'(?<![\w/.-])(?:configs|docs|facesr|scripts|tests|tools|weights)/[\w./]+\.(?:py|sh|md|pth)',
        page.read_text(),
    )
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_map_names_every_module():
    page = (ROOT / 'CONTRIBUTING.md').read_text()
    named = re.findall(r'`([\w/]+\.py)`', page)
    modules = [path for path in (ROOT / 'facesr').rglob('*.py') if path.name != '__init__.py']
    assert not [path for path in modules if not any(path.match(name) for name in named)]
    short = [name for name in named if '/' not in name]
    assert not [name for name in short if not any(path.name == name for path in modules)]


def test_imports_only_go_down():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for path in (ROOT / 'facesr').rglob('*.py'):
        parts = path.relative_to(ROOT / 'facesr').with_suffix('').parts
        if parts == ('__init__',):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == len(parts):
                used = [node.module] if node.module else [alias.name for alias in node.names]
                for module in used:
                    room = module.partition('.')[0]
                    if room != parts[0] and floor_of[room] >= floor_of[parts[0]]:
                        wrong.append(f'{path.relative_to(ROOT)} imports {room}')
    assert not wrong
