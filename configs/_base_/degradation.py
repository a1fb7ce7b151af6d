# The challenge's blind degradation: 512x512 ground truth -> 128x128 input, drawn afresh for every
# image. Pixel values are 0-255 throughout; lengths are pixels, angles radians.
# JPEG is handed the RGB image as it is, so its YCbCr sees red and blue swapped: the published runs
# trained with this property.
degradation = [
    dict(
        type='RandomBlur',
        params=dict(
            kernel_size=[41],
            kernel_list=['iso', 'aniso'],
            kernel_prob=[0.5, 0.5],
            sigma_x=[0.2, 5],
            sigma_y=[0.2, 5],
            rotate_angle=[-3.141592653589793, 3.141592653589793],
        ),
        keys=['img'],
    ),
    dict(
        type='RandomResize',
        params=dict(
            resize_mode_prob=[0, 1, 0],  # up, down, keep
            resize_scale=[0.0625, 1],
            resize_opt=['bilinear', 'area', 'bicubic'],
            resize_prob=[1 / 3, 1 / 3, 1 / 3],
        ),
        keys=['img'],
    ),
    dict(
        type='RandomNoise',
        params=dict(
            noise_type=['gaussian'],
            noise_prob=[1],
            gaussian_sigma=[0, 25],
            gaussian_gray_noise_prob=0,
        ),
        keys=['img'],
    ),
    dict(type='RandomJPEGCompression', params=dict(quality=[50, 95]), keys=['img']),
    dict(
        type='RandomResize',
        params=dict(
            target_size=(512, 512),
            resize_opt=['bilinear', 'area', 'bicubic'],
            resize_prob=[1 / 3, 1 / 3, 1 / 3],
        ),
        keys=['img'],
    ),
    dict(
        type='RandomResize',
        params=dict(target_size=(128, 128), resize_opt=['area'], resize_prob=[1]),
        keys=['img'],
    ),
]
