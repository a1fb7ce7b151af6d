import numpy as np

from facesr.drawing import CAPTION_HEIGHT, draw_panel


def test_panel_holds_the_images_under_captions():
    big = np.random.default_rng(0).integers(0, 256, (8, 40, 3), dtype=np.uint8)
    small = big[:2, :10].copy()
    panel = draw_panel({'truth': big, 'input': small})
    assert panel.shape == (8 + CAPTION_HEIGHT, 80, 3)
    np.testing.assert_array_equal(panel[CAPTION_HEIGHT:, :40], big)
    np.testing.assert_array_equal(panel[CAPTION_HEIGHT::4, 40::4], small)
    assert (panel[:CAPTION_HEIGHT] < 128).any(), 'a caption is written'
