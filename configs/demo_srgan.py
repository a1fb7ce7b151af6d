# A few adversarial iterations on a CPU after demo.py: small nets, VGG19 with random layers.
# It shows that everything runs; it makes no better pictures.
_base_ = ['srgan_26b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

model = dict(
    generator=dict(mid_channels=16, num_blocks=8),
    discriminator=dict(mid_channels=16),
    perceptual_loss=dict(pretrained='random'),
)

custom_hooks = _base_.custom_hooks
custom_hooks[2].update(interval=8)
custom_hooks[5].update(source='work_dirs/demo')

train_dataloader = dict(batch_size=4, dataset=dict(data_root='data/demo'))
val_dataloader = dict(batch_size=1, dataset=dict(data_root='data/demo'))
test_dataloader = dict(dataset=dict(data_root='data/demo'))

train_cfg = dict(max_iters=20, val_interval=10)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=10))
log_processor = dict(window_size=1)
