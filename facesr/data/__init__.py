"""Folders of faces -> batches."""

from .dataset import FaceDataset, LoadFace
from .images import list_images, pair_images, read_image, write_png
from .sampler import DrawSampler
from .worker import outlive_signals

__all__ = [
    'DrawSampler',
    'FaceDataset',
    'LoadFace',
    'list_images',
    'outlive_signals',
    'pair_images',
    'read_image',
    'write_png',
]
