# A U-shaped net for aligned faces: 2,143,376 parameters, a fortieth of the 24-block SRResNet's
# operations. Complete faces only: its map of the face fits no crop.
# Cost: two CPU cores with AVX512-BF16 train about 80,000 faces an hour; an H200 4 million, in
# batches of 128 (docs/speed.md). PSNR of 200 validation pairs: 29.43 dB after 32,000 faces, 29.69
# dB after 254,000, 29.79 dB after 776,000, in 13.5 hours of two cores (weights/README.md).
#   torchrun --nproc-per-node=2 tools/train.py configs/face_unet.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=4
_base_ = ['srresnet_24b_plus.py']

model = dict(generator=dict(_delete_=True, type='FaceUNet'))

train_dataloader = dict(
    batch_size=8,
    # So small that the faces stay aligned: degrees, pixels of 512, exponents of the pixel's value;
    # half of the faces are put together from two. Against overfitting (docs/benchmarks.md).
    dataset=dict(
        augmentation=dict(
            angle=3,
            zoom=(0.95, 1.05),
            shift=8,
            warp=8,
            gamma=(0.85, 1.2),
            tint=(0.9, 1.1),
            mix=0.5,
        )
    ),
)

optim_wrapper = dict(optimizer=dict(lr=3e-3, adam_lr=1e-3, weight_decay=0.05))
