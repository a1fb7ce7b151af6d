"""A net and losses that MMagic lacks or does wrong; its own are named by the configs."""

from .face_unet import FaceUNet
from .perceptual_loss import VGGPerceptualLoss

__all__ = ['FaceUNet', 'VGGPerceptualLoss']
