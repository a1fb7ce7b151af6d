# The degradation of faces in photographs, 512x512 ground truth -> 512x512 input: what happened to a
# photograph before a face of any size was enlarged to 512 pixels. Each value is drawn for every
# image and every time anew; pairs are (least, most), drawn evenly. Pixel values are 0-255. One
# face in 55 is not damaged at all. (facesr/degradation/second_order.py explains each setting.)
degradation_photo = dict(
    _delete_=True,  # nothing is left of the base's degradation
    type='SecondOrderDegradation',
    gt_size=512,  # pixels a side
    lq_size=512,
    # The camera: its lens, its distance, its sensor, its file.
    first_pass=dict(
        blur_prob=0.45,
        blur_sigma=(0.3, 5),  # pixels of 512
        resize_prob=dict(up=0, down=0.75, keep=0.25),
        resize_scale=(0.08, 0.8),  # 0.08: a face of 24 pixels between hair and ears
        noise_prob=0.45,
        noise_sigma=(1, 25),  # of Gaussian noise, levels of 255
        poisson_scale=(0.05, 1.5),  # 1: an image's own counts
        jpeg_prob=0.6,
        jpeg_quality=(10, 95),
    ),
    # Whoever saved it again later, perhaps smaller.
    second_pass=dict(
        blur_prob=0.1,
        blur_sigma=(0.3, 2),
        resize_prob=dict(up=0, down=0.25, keep=0.75),
        resize_scale=(0.3, 1),
        noise_prob=0.05,
        noise_sigma=(1, 8),
        poisson_scale=(0.05, 0.5),
        jpeg_prob=0.3,
        jpeg_quality=(30, 95),
    ),
    kernels=dict(iso=0.6, aniso=0.25, generalized_iso=0.1, generalized_aniso=0.05),
    kernel_sizes=(7, 21),  # pixels, odd
    sinc_prob=0.05,  # a blur is a sinc filter instead: it rings
    beta_gaussian=(0.5, 4),  # exponents of the generalized kernels, below 1 or above, 1/2 each
    beta_plateau=(1, 2),
    resize_methods=['area'],  # as a camera shrinks: nothing is skipped
    enlarge_methods=('bilinear', 'bicubic'),  # each as probable
    poisson_prob=0.4,  # noise is Poisson's instead of Gaussian
    grey_prob=0.4,  # noise is the same in all channels
    final_sinc_prob=0.05,
    jpeg_first_prob=0.5,  # the second JPEG comes before the last resizing and filter
    gt_usm=False,
)
