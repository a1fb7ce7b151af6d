# srresnet_24b.py's net, trained for what the leaderboard scores: PSNR itself as the loss, a larger
# learning rate with a warm-up, one cosine cycle, an average of the weights (tools/test.py --ema).
# Cost as srresnet_24b.py. Score at full length: not measured yet; after 300 iterations 0.31 dB more
# than srresnet_24b.py (docs/benchmarks.md).
#   python tools/train.py configs/srresnet_24b_plus.py
_base_ = ['srresnet_24b.py']

# 10 log10(MSE) of each image, the mean of the batch: NAFNet's loss (Chen et al., arXiv:2204.04676).
model = dict(pixel_loss=dict(_delete_=True, type='PSNRLoss', loss_weight=0.1))

optim_wrapper = dict(optimizer=dict(lr=4e-4), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=1000, start_factor=0.05),
    dict(
        type='CosineAnnealingLR', by_epoch=False, begin=0, end=150_000, T_max=150_000, eta_min=1e-7
    ),
]
default_hooks = dict(ema=dict(type='GeneratorEMAHook', decay=0.999))
