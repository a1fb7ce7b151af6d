# A U-shaped net for aligned faces: 2,143,376 parameters, a fortieth of the 24-block SRResNet's
# operations. Complete faces only: its map of the face fits no crop.
# Cost: two CPU cores with AVX512-BF16 train about 42,000 faces an hour; an H100 2.3 million, in
# batches of 64 (docs/speed.md). PSNR of 200 validation pairs: 29.43 dB after 32,000 faces, 29.61
# dB after 138,000 (weights/README.md); at full length not measured yet.
#   torchrun --nproc-per-node=2 tools/train.py configs/face_unet.py --launcher pytorch \
#       --cfg-options train_dataloader.batch_size=4
_base_ = ['srresnet_24b_plus.py']

model = dict(generator=dict(_delete_=True, type='FaceUNet'))

train_dataloader = dict(
    batch_size=8,
    # So small that the faces stay aligned: degrees, pixels of 512, exponents of the pixel's value.
    dataset=dict(augmentation=dict(angle=3, zoom=(0.95, 1.05), shift=8, gamma=(0.85, 1.2))),
)

# bfloat16 where the device is fast in it. Muon for the matrices, Adam for the rest.
optim_wrapper = dict(
    type='Bf16OptimWrapper',
    optimizer=dict(_delete_=True, type='MuonAdam', lr=3e-3, adam_lr=1e-3, weight_decay=0.05),
)
# A warm-up, the full rate for three quarters, a straight line down to a thousandth. A run can be
# ended early: `--iterations N` on a resume at 3/4 N moves the end there, and begins its decay.
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=500, start_factor=0.02),
    dict(
        type='LinearLR', by_epoch=False, begin=112_500, end=150_000, start_factor=1, end_factor=1e-3
    ),
]
