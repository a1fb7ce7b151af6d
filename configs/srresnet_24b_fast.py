# srresnet_24b.py for a CUDA GPU with bfloat16: the same net, data and schedule, cheaper iterations.
_base_ = ['srresnet_24b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

# Weights, gradients and the optimiser stay float32.
optim_wrapper = dict(type='Bf16OptimWrapper', optimizer=dict(fused=True))
custom_hooks = [
    *_base_.custom_hooks,
    # compile: arguments of torch.compile, None for none; it takes the first iteration minutes.
    dict(type='FastStepHook', channels_last=True, compile=dict(dynamic=False)),
]
