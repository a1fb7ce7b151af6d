# Fine-tunes the released net for photographs on faces of your own in data/mine
# (docs/your_faces.md).
# Cost: 4,000 faces.
#   python tools/train.py configs/face_photo_finetune.py
_base_ = ['face_photo.py']

load_from = 'weights/face_photo.pth'

train_dataloader = dict(dataset=dict(data_root='data/mine'))
val_dataloader = dict(dataset=dict(data_root='data/mine'))
test_dataloader = dict(dataset=dict(data_root='data/mine', data_prefix=dict(img='val/LQ')))

# A third of the rates that the weights were trained with, straight down to a thousandth.
optim_wrapper = dict(optimizer=dict(lr=1e-3, adam_lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=500, start_factor=1, end_factor=1e-3)
]
train_cfg = dict(max_iters=500, val_interval=100)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=100),
    panels=dict(interval=1),
    ema=dict(decay=0.99),
)
