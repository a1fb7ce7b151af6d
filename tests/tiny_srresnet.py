# The published recipe with a net, crops and a schedule that a test can run in seconds.
_base_ = ['../configs/srresnet_24b.py']

model = dict(generator=dict(mid_channels=8, num_blocks=2))
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(cache_dir=None, degradation=dict(gt_size=256, lq_size=64)),
)
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(size=dict(img=64, gt=256))
)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=4, val_interval=2)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
