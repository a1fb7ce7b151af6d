# A few adversarial iterations on a CPU after demo.py: small nets, and a perceptual loss by VGG16,
# whose layers are random where tools/fetch_features.py has not been run.
# It shows that everything runs; it makes no better pictures.
#   bash scripts/demo.sh
_base_ = ['srgan_26b.py']

import pathlib  # noqa: E402  (MMEngine wants its bases first)

has_vgg = pathlib.Path('data/pretrained/lpips_vgg.pth').is_file()
model = dict(
    generator=dict(mid_channels=16, num_blocks=8),
    discriminator=dict(mid_channels=16),
    perceptual_loss=dict(
        vgg_type='vgg16',
        layer_weights={'_delete_': True, '28': 1.0},  # conv5_3 before its ReLU
        pretrained='torchvision' if has_vgg else 'random',
    ),
)

train_dataloader = dict(batch_size=4, dataset=dict(data_root='data/demo'))
val_dataloader = dict(batch_size=1, dataset=dict(data_root='data/demo'))
test_dataloader = dict(dataset=dict(data_root='data/demo'))

train_cfg = dict(max_iters=20, val_interval=10)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=10),
    panels=dict(interval=8),
    pretrained=dict(source='work_dirs/demo'),
)
log_processor = dict(window_size=1)
