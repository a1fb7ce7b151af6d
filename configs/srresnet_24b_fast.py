# srresnet_24b.py for a CUDA GPU with bfloat16: the same net, data and schedule, cheaper iterations.
# Cost: 1.5 h on an H100, 37 ms an iteration (docs/benchmarks.md). Score: not measured yet.
#   python tools/train.py configs/srresnet_24b_fast.py
_base_ = ['srresnet_24b.py']

# Weights, gradients and the optimiser stay float32.
optim_wrapper = dict(type='Bf16OptimWrapper', optimizer=dict(fused=True))
default_hooks = dict(
    # compile: arguments of torch.compile, None for none; it takes the first iteration minutes.
    fast_step=dict(type='FastStepHook', channels_last=True, compile=dict(dynamic=False)),
)
