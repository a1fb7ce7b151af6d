# The published SRGAN: the 26-block generator, trained before by srresnet_26b.py, against a
# discriminator on crops of 128x128 (32x32 input). It is for the eye: PSNR falls.
# Cost on a GPU: not measured yet. Needs VGG19's weights: python tools/fetch_features.py vgg19
#   python tools/train.py configs/srresnet_26b.py && python tools/train.py configs/srgan_26b.py
_base_ = ['srresnet_26b.py']

model = dict(
    type='FaceSRGAN',
    discriminator=dict(type='ModifiedVGG', in_channels=3, mid_channels=64),
    pixel_loss=dict(loss_weight=1e-2),
    perceptual_loss=dict(
        type='VGGPerceptualLoss',
        layer_weights={'34': 1.0},  # VGG19's conv5_4 before its ReLU
        perceptual_weight=1.0,
        # torchvision's file: python tools/fetch_features.py vgg19. 'random' needs none, but then
        # the loss says nothing of what people see.
        pretrained='torchvision',
    ),
    gan_loss=dict(
        type='GANLoss',
        gan_type='vanilla',
        loss_weight=5e-3,  # the generator's; the discriminator's is 1
        real_label_val=1.0,
        fake_label_val=0.0,
    ),
)
# The two nets step in turn.
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')

train_dataloader = dict(dataset=dict(gt_patch_size=128))

# As the published run logged it: without a border of 4 pixels.
val_evaluator = dict(
    metrics=[dict(type='BatchPSNR', crop_border=4), dict(type='BatchSSIM', crop_border=4)]
)
default_hooks = dict(
    # PSNR is not what a GAN is for: its best would be its beginning.
    checkpoint=dict(save_best=None),
    # The best checkpoint of that run, else its last; load_from names another file. source=None
    # starts from scratch.
    pretrained=dict(type='PretrainedGeneratorHook', source='work_dirs/srresnet_26b'),
)

train_cfg = dict(max_iters=40_000)
log_processor = dict(num_digits=5)  # loss_pix is near 3e-4
optim_wrapper = dict(
    _delete_=True,
    constructor='MultiOptimWrapperConstructor',
    generator=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))),
    discriminator=dict(
        type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))
    ),
)
# Both learning rates are halved at each milestone.
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[5000, 10_000, 20_000, 30_000], gamma=0.5),
]
