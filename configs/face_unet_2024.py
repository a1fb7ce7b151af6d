# face_unet.py for the challenge as it has been held since 2024: second-order degradation.
# Put that edition's faces into data/FFHQ (data/README.md). PSNR of 200 validation pairs: 27.83 dB
# (bicubic 25.93 dB) after 30,400 faces from weights/face_unet.pth, 2.6 hours of two CPU cores.
#   torchrun --nproc-per-node=2 tools/train.py configs/face_unet_2024.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=4
_base_ = ['face_unet.py', '_base_/degradation_second_order.py']

train_dataloader = dict(dataset=dict(degradation=_base_.degradation_second_order))
