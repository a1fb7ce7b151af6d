# srgan_26b.py for a CUDA GPU with bfloat16: the same nets, data and schedule, cheaper iterations.
# Cost and score on a GPU: not measured yet.
#   python tools/train.py configs/srgan_26b_fast.py
_base_ = ['srgan_26b.py']

# Weights, gradients and the optimisers stay float32.
optim_wrapper = dict(
    generator=dict(type='Bf16OptimWrapper', optimizer=dict(fused=True)),
    discriminator=dict(type='Bf16OptimWrapper', optimizer=dict(fused=True)),
)
default_hooks = dict(
    # compile: arguments of torch.compile, None for none; it takes the first iteration minutes.
    fast_step=dict(type='FastStepHook', channels_last=True, compile=dict(dynamic=False)),
)
