"""The benchmark of photographs: what it composes and counts, and a tiny run."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.photographs import SCALE, Pasted, compose, largest_steps, match
from facesr.images import list_images
from facesr.restoring.detector import FRAME

pytest.importorskip('facenet_pytorch', reason='needs: bash scripts/setup.sh photos')


def test_it_composes_the_same_every_time(faces: Path):
    paths = list(list_images(faces / 'val/GT').values())
    first, second = (compose(paths, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first[1], second[1])
    truth, photograph, pasted = first
    assert truth.shape == (SCALE * photograph.shape[0], SCALE * photograph.shape[1], 3)
    assert pasted and all(60 <= face.side <= 400 for face in pasted)


def test_hits_are_matched_to_faces():
    face = Pasted(512 / SCALE, np.array([(1.0, 0, 100), (0, 1, 50)]))
    centre = (FRAME.mean(0) + (100, 50) + 0.5) / SCALE - 0.5
    np.testing.assert_allclose(face.centre, centre)
    assert match([face], [centre + 30, centre + 60]) == ([True], 1)
    assert match([face], []) == ([False], 0)
    assert match([], [centre]) == ([], 1)


def test_without_a_mask_there_is_no_step():
    assert largest_steps([np.zeros((20, 20, 3), np.uint8)], []) == [0]


def test_a_run(tool, faces: Path, tmp_path: Path):
    out = tmp_path / 'figures.json'
    arguments = ['--faces', faces / 'val/GT', '--photographs', '1', '--json', out]
    result = tool('benchmarks.photographs', *arguments)
    assert result.returncode == 0, result.stderr
    figures = json.loads(out.read_text())['results']
    assert figures['faces'] >= figures['found']['MTCNN']
    assert 'MTCNN: ' in result.stdout and 'cascade: ' in result.stdout


def test_a_picture_replaces_no_other(tool, tmp_path: Path):
    mine = tmp_path / 'mine.jpg'
    mine.write_bytes(b'mine')
    result = tool('benchmarks.photographs', '--picture', mine)
    assert result.returncode == 1 and 'mine.jpg: was there before' in result.stderr
    assert mine.read_bytes() == b'mine'


def test_the_frame_of_a_folder(tool, faces: Path):
    """The astronaut is no aligned face: its points are its own."""
    result = tool('benchmarks.photographs', '--measure-frame', faces / 'val/GT')
    assert result.returncode == 0, result.stderr
    assert '2 of 2 faces' in result.stdout and 'mean [' in result.stdout


def test_it_needs_one_of_its_two_tasks(tool):
    result = tool('benchmarks.photographs', '--photographs', '1')
    assert result.returncode == 2 and '--measure-frame --picture is required' in result.stderr
