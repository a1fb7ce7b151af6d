# srgan_26b.py for a CUDA GPU with bfloat16: the same nets, data and schedule, cheaper iterations.
_base_ = ['srgan_26b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

# Weights, gradients and the optimisers stay float32.
optim_wrapper = dict(
    generator=dict(type='Bf16OptimWrapper', optimizer=dict(fused=True)),
    discriminator=dict(type='Bf16OptimWrapper', optimizer=dict(fused=True)),
)
custom_hooks = [
    *_base_.custom_hooks,
    # compile: arguments of torch.compile, None for none; it takes the first iteration minutes.
    dict(type='FastStepHook', channels_last=True, compile=dict(dynamic=False)),
]
