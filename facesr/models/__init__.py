"""Nets and losses that MMagic lacks or does wrong; its own are named by the configs."""

from .edit_model import FaceEditModel, FaceSRGAN
from .face_unet import FaceUNet
from .perceptual_loss import VGGPerceptualLoss
from .srresnet import SRResNet

__all__ = ['FaceEditModel', 'FaceSRGAN', 'FaceUNet', 'SRResNet', 'VGGPerceptualLoss']
