# srresnet_24b.py's net, trained for what the leaderboard scores: PSNR itself as the loss, Muon,
# bfloat16, an average of the weights (tools/test.py --ema), a schedule that can end at any length.
# Cost: 39 ms an iteration of 32 crops of 320x320 on an H200. PSNR of 200 validation pairs: 28.27 dB
# before, 29.51 dB after 3,400 of them, 29.57 dB after 14,800 (weights/README.md).
#   python tools/train.py configs/srresnet_24b_plus.py --cfg-options \
#       train_dataloader.dataset.gt_patch_size=320 train_dataloader.batch_size=32 \
#       train_dataloader.num_workers=12
_base_ = ['srresnet_24b.py']

# 10 log10(MSE) of each image, the mean of the batch: NAFNet's loss (Chen et al., arXiv:2204.04676).
model = dict(pixel_loss=dict(_delete_=True, type='PSNRLoss', loss_weight=0.1))

# bfloat16 where the device is fast in it. Muon for the matrices, Adam for the rest.
optim_wrapper = dict(
    type='Bf16OptimWrapper',
    optimizer=dict(_delete_=True, type='MuonAdam', lr=1e-3, adam_lr=4e-4),
    clip_grad=dict(max_norm=1.0),
)
# A warm-up, the full rate for three quarters, a straight line down to a thousandth. To end at
# iteration N, resume at 3/4 N with `--iterations N`: the decay starts there (docs/averages.md).
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=500, start_factor=0.02),
    dict(
        type='LinearLR', by_epoch=False, begin=112_500, end=150_000, start_factor=1, end_factor=1e-3
    ),
]
default_hooks = dict(
    ema=dict(type='GeneratorEMAHook', decay=0.999),
    fast_step=dict(type='FastStepHook', channels_last=True),
)
