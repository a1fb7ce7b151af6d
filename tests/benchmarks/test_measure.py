import json
from argparse import Namespace
from pathlib import Path

from benchmarks.measure import format_figures, take_turns, write_json


def test_ways_take_turns_after_a_warm_up():
    order = []

    def side(name: str, seconds: float):
        return lambda: order.append(name) or seconds

    taken = take_turns({'stock': side('a', 0.2), 'ours': side('b', 0.1)}, rounds=3)
    assert ''.join(order) == 'ab' + 'ababab'
    assert taken == {'stock': [0.2] * 3, 'ours': [0.1] * 3}


def test_table_and_file_say_how_much_faster(tmp_path: Path):
    taken = {'stock': [0.3, 0.1, 0.2], 'ours': [0.02, 0.01, 0.03]}
    figures = {'agreement': {'images': 2, 'psnr': 90.949999}, 'seconds': taken}
    finding, _, stock, ours = format_figures(figures).splitlines()
    assert finding == 'agreement: images 2, psnr 90.95'
    assert stock.split() == ['stock', '200.000', '(100.000', '...', '300.000)', '1.00']
    assert ours.split() == ['ours', '20.000', '(10.000', '...', '30.000)', '10.00']
    write_json(tmp_path / 'a.json', Namespace(rounds=3, json=tmp_path / 'a.json'), figures)
    content = json.loads((tmp_path / 'a.json').read_text())
    assert content['results'] == figures and content['machine']['torch']
    assert content['settings'] == {'rounds': '3'}
