# A net for faces of photographs, 512x512 in and out, 2,235,760 parameters. It starts from the
# FaceUNet; a sharp face can stay as it is. tools/restore.py restores by it.
# Cost: two quiet CPU cores with AVX512-BF16 train 24,000 faces an hour, with AVX2 9,000. PSNR of
# 198 validation faces, as damaged here: 31.24 dB after 48,000 faces (weights/README.md).
#   torchrun --nproc-per-node=2 tools/train.py configs/face_photo.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=4
_base_ = ['face_unet.py', '_base_/degradation_photo.py']

model = dict(
    generator=dict(_delete_=True, type='FacePhotoNet'),
    # The floor keeps nearly perfect faces from ruling the gradient: at 35 dB it is halved.
    pixel_loss=dict(_delete_=True, type='FlooredPSNRLoss', loss_weight=0.1, floor=3e-4),
)
# Without faces of two, which the base has against overfitting: so few are seen here.
train_dataloader = dict(
    dataset=dict(degradation=_base_.degradation_photo, augmentation=dict(mix=0))
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img=None), degradation=_base_.degradation_photo)
)
# The rates of face_unet.py for what is new, a tenth of them for the FaceUNet.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'generator.unet': dict(lr_mult=0.1)}))
default_hooks = dict(
    pretrained=dict(type='PretrainedGeneratorHook', source='weights/face_unet.pth', part='unet')
)
