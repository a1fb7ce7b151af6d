"""Losses that MMagic lacks or does wrong; its nets are named by the configs directly."""

from .perceptual_loss import VGGPerceptualLoss

__all__ = ['VGGPerceptualLoss']
