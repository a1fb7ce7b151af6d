# The trained FaceUNet against a discriminator: for the eye, PSNR falls. Complete faces go through
# the generator; the losses see a random crop of 128x128 of each output.
# Cost: 1.4 hours of two cores with AVX512-BF16, nearly twice as much without. On 200 validation
# pairs: 28.64 dB, LPIPS 0.205 (before: 29.61 dB, 0.325); docs/srgan.md.
#   python tools/fetch_features.py lpips
#   torchrun --nproc-per-node=2 tools/train.py configs/face_gan.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=2
_base_ = ['srgan_26b.py']

# Weights of the losses as Real-ESRGAN has them (Wang et al., 2021, section 4.1).
model = dict(
    generator=dict(_delete_=True, type='FaceUNet'),
    crop_size=128,
    pixel_loss=dict(_delete_=True, type='L1Loss', loss_weight=1.0),
    perceptual_loss=dict(
        vgg_type='vgg16',
        # conv1_2, 2_2, 3_3, 4_3 and 5_3 before their ReLU.
        layer_weights={'_delete_': True, '2': 0.1, '7': 0.1, '14': 1.0, '21': 1.0, '28': 1.0},
    ),
    gan_loss=dict(loss_weight=0.1),
)

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        gt_patch_size=None,
        augmentation=dict(
            angle=3,
            zoom=(0.95, 1.05),
            shift=8,
            warp=8,
            gamma=(0.85, 1.2),
            tint=(0.9, 1.1),
            mix=0,  # the discriminator would learn the seam of two faces
        ),
    ),
)
val_evaluator = dict(
    metrics=[dict(type='BatchPSNR'), dict(type='BatchSSIM'), dict(type='BatchLPIPS')]
)
default_hooks = dict(
    ema=dict(type='GeneratorEMAHook', decay=0.999),
    fast_step=dict(type='FastStepHook', channels_last=True),
    checkpoint=dict(interval=500, save_best='LPIPS', rule='less'),
    # source: weights, or a work directory; load_from names another file, too.
    pretrained=dict(source='weights/face_unet.pth'),
)

train_cfg = dict(max_iters=5000, val_interval=500)
optim_wrapper = dict(
    generator=dict(type='Bf16OptimWrapper'),
    discriminator=dict(type='Bf16OptimWrapper'),
)
# Both learning rates are halved at each milestone.
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[2500, 4000], gamma=0.5)]
