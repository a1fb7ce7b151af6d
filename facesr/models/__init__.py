"""A net and losses that MMagic lacks or does wrong; its own are named by the configs."""

from .edit_model import FaceEditModel, FaceSRGAN
from .face_unet import FaceUNet
from .perceptual_loss import VGGPerceptualLoss

__all__ = ['FaceEditModel', 'FaceSRGAN', 'FaceUNet', 'VGGPerceptualLoss']
