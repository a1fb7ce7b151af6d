"""Ground truth -> degraded input. ``configs/_base_/degradation.py`` declares the chain itself."""

# The keys that MMagic's random degradations read from their ``params``, as its code has them
# (mmagic/datasets/transforms/random_degradations.py). Stock, any other key is ignored in silence.
_BLUR_SHAPES = ('sigma_x', 'sigma_y', 'rotate_angle', 'beta_gaussian', 'beta_plateau', 'omega')
DEGRADATION_PARAMS: dict[str, frozenset[str]] = {
    'RandomBlur': frozenset(
        {'prob', 'kernel_size', 'kernel_list', 'kernel_prob'}
        | {*_BLUR_SHAPES}
        | {f'{shape}_step' for shape in _BLUR_SHAPES}
    ),
    'RandomResize': frozenset(
        {'prob', 'resize_mode_prob', 'resize_scale', 'resize_opt', 'resize_prob', 'resize_step'}
        | {'target_size', 'is_size_even'}
    ),
    'RandomNoise': frozenset(
        {'prob', 'noise_type', 'noise_prob'}
        | {'gaussian_sigma', 'gaussian_sigma_step', 'gaussian_gray_noise_prob'}
        | {'poisson_scale', 'poisson_scale_step', 'poisson_gray_noise_prob'}
    ),
    'RandomJPEGCompression': frozenset({'prob', 'quality', 'quality_step'}),
}
