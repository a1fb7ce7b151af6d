# The trained net for photographs against a discriminator, as face_gan.py: for the eye; the sharp
# end of tools/restore.py --look.
# Cost: 2,000 iterations of 4 faces in an hour of two cores with AVX512-BF16. 198 validation
# faces, as damaged here: 30.94 dB, LPIPS 0.199 (before: 31.24 dB, 0.246; weights/README.md).
#   python tools/fetch_features.py lpips
#   torchrun --nproc-per-node=2 tools/train.py configs/face_photo_gan.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=2
_base_ = ['face_gan.py', '_base_/degradation_photo.py']

model = dict(generator=dict(_delete_=True, type='FacePhotoNet'))
train_dataloader = dict(dataset=dict(degradation=_base_.degradation_photo))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img=None), degradation=_base_.degradation_photo)
)
default_hooks = dict(pretrained=dict(source='weights/face_photo.pth'))
