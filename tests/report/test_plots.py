import numpy as np

from facesr.report.plots import smooth


def test_smoothing_keeps_the_start_the_level_and_the_gaps_out():
    noise = np.random.default_rng(0).normal(size=400)
    curve = {step: 5 + float(value) for step, value in enumerate(noise, 1)}
    curve[200] = float('nan')
    smoothed = smooth(curve)
    assert list(smoothed) == list(curve) and smoothed[1] == curve[1]
    middle = np.array(list(smoothed.values()))[50:]
    assert np.isfinite(middle).all() and abs(middle.mean() - 5) < 0.1 and middle.std() < 0.4
    few = {1: 1.0, 2: 9.0}
    assert smooth(few) == few
