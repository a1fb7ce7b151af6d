# The challenge's blind degradation since 2024: Real-ESRGAN's second order, 512x512 ground truth ->
# 128x128 input. Two passes of blur, resizing, noise and JPEG; then the image is resized to lq_size
# and may go through a last sinc filter, before or after the second JPEG. Each value is drawn for
# every image and every time anew; pairs are (least, most), drawn evenly. Pixel values are 0-255.
# A config takes it with
#   _base_ = [..., '_base_/degradation_second_order.py']
#   train_dataloader = dict(dataset=dict(degradation=_base_.degradation_second_order))
# (The challenge's handout of 2024; facesr/degradation/second_order.py explains each setting.)
degradation_second_order = dict(
    _delete_=True,  # nothing is left of the base's degradation
    type='SecondOrderDegradation',
    gt_size=512,  # pixels a side
    lq_size=128,  # up to gt_size
    first_pass=dict(
        blur_prob=1,
        blur_sigma=(0.2, 3),  # pixels
        resize_prob=dict(up=0.2, down=0.7, keep=0.1),
        resize_scale=(0.2, 1.5),  # of gt_size
        noise_prob=1,
        noise_sigma=(1, 20),  # of Gaussian noise, levels of 255
        poisson_scale=(0.05, 2),  # 1: an image's own counts
        jpeg_prob=1,
        jpeg_quality=(50, 95),
    ),
    second_pass=dict(
        blur_prob=0.8,
        blur_sigma=(0.2, 1.5),
        resize_prob=dict(up=0.3, down=0.4, keep=0.3),
        resize_scale=(0.3, 1.2),  # of lq_size
        noise_prob=1,
        noise_sigma=(1, 15),
        poisson_scale=(0.05, 1.5),
        jpeg_prob=1,
        jpeg_quality=(70, 95),
    ),
    kernels=dict(  # of a blur, by MMagic's names
        iso=0.45,
        aniso=0.25,
        generalized_iso=0.12,
        generalized_aniso=0.03,
        plateau_iso=0.12,
        plateau_aniso=0.03,
    ),
    kernel_sizes=(7, 21),  # pixels, odd
    sinc_prob=0.1,  # a blur is a sinc filter instead; cut-off from pi/3 (below 13) or pi/5 to pi
    beta_gaussian=(0.5, 4),  # exponents of the generalized kernels, below 1 or above, 1/2 each
    beta_plateau=(1, 2),
    resize_methods=('area', 'bilinear', 'bicubic'),  # each as probable
    poisson_prob=0.5,  # noise is Poisson's instead of Gaussian
    grey_prob=0.4,  # noise is the same in all channels
    final_sinc_prob=0.8,  # cut-off from pi/3 to pi
    jpeg_first_prob=0.5,  # the second JPEG comes before the last resizing and filter
    gt_usm=False,  # True sharpens the ground truth first, and trains on it
)
