"""Nets and losses that MMagic lacks or does wrong; its own are named by the configs."""

from .face_unet import FaceUNet
from .perceptual_loss import VGGPerceptualLoss
from .srresnet import SRResNet

__all__ = ['FaceUNet', 'SRResNet', 'VGGPerceptualLoss']
