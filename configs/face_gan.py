# The trained FaceUNet against a discriminator: for the eye, PSNR falls. Complete faces go through
# the generator; the losses see a random crop of 128x128 of each output.
# Cost: 1.4 hours of two cores with AVX512-BF16, nearly twice as much without. On 200 validation
# pairs: 28.64 dB, LPIPS 0.205 (before: 29.61 dB, 0.325); docs/srgan.md.
#   python tools/fetch_features.py lpips
#   torchrun --nproc-per-node=2 tools/train.py configs/face_gan.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=2
_base_ = ['face_unet.py']

# Weights of the losses as Real-ESRGAN has them (Wang et al., 2021, section 4.1).
model = dict(
    type='FaceSRGAN',
    crop_size=128,
    discriminator=dict(type='ModifiedVGG', in_channels=3, mid_channels=64),
    pixel_loss=dict(_delete_=True, type='L1Loss', loss_weight=1.0),
    perceptual_loss=dict(
        type='VGGPerceptualLoss',
        vgg_type='vgg16',
        # conv1_2, 2_2, 3_3, 4_3 and 5_3 before their ReLU.
        layer_weights={'2': 0.1, '7': 0.1, '14': 1.0, '21': 1.0, '28': 1.0},
        perceptual_weight=1.0,
        pretrained='torchvision',
    ),
    gan_loss=dict(
        type='GANLoss',
        gan_type='vanilla',
        loss_weight=0.1,  # the generator's; the discriminator's is 1
        real_label_val=1.0,
        fake_label_val=0.0,
    ),
)
# The two nets step in turn.
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')

# The discriminator would learn the seam of two faces.
train_dataloader = dict(batch_size=4, dataset=dict(augmentation=dict(mix=0)))
val_evaluator = dict(
    metrics=[dict(type='BatchPSNR'), dict(type='BatchSSIM'), dict(type='BatchLPIPS')]
)
default_hooks = dict(
    checkpoint=dict(interval=500, save_best='LPIPS', rule='less'),
    # source: weights, or a work directory; load_from names another file, too.
    pretrained=dict(type='PretrainedGeneratorHook', source='weights/face_unet.pth'),
)

train_cfg = dict(max_iters=5000, val_interval=500)
log_processor = dict(num_digits=5)  # loss_pix is near 3e-4
optim_wrapper = dict(
    _delete_=True,
    constructor='MultiOptimWrapperConstructor',
    generator=dict(
        type='Bf16OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))
    ),
    discriminator=dict(
        type='Bf16OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))
    ),
)
# Both learning rates are halved at each milestone.
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[2500, 4000], gamma=0.5)]
