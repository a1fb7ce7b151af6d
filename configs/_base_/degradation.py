# The challenge's blind degradation: 512x512 ground truth -> 128x128 input. Each value is drawn
# evenly from its range, for every image and every time anew; pairs are (least, most). Pixel values
# are 0-255. The steps: blur, resize down, add noise, compress, resize up to gt_size, average to
# lq_size. (The published runs' config; facesr/degradation/first_order.py explains each setting.)
degradation = dict(
    type='FirstOrderDegradation',
    gt_size=512,  # pixels a side
    lq_size=128,
    kernel_size=41,  # of the Gaussian blur, pixels
    isotropic_prob=0.5,  # the other kernels have two sigmas and any angle
    blur_sigma=(0.2, 5),  # pixels
    resize_scale=(1 / 16, 1),  # of the side
    resize_methods=('bilinear', 'area', 'bicubic'),  # down and up, each as probable
    noise_sigma=(0, 25),  # levels of 255
    jpeg_quality=(50, 95),
)
