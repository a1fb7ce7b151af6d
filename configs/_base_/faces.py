# The challenge's data: folders under data/FFHQ (data/README.md), and how they are scored.
_base_ = ['degradation.py']

train_dataloader = dict(
    batch_size=12,  # whole faces, of each process (one per GPU)
    num_workers=2,  # loader processes, of each process
    persistent_workers=True,
    worker_init_fn=dict(type='outlive_signals'),
    collate_fn=dict(type='collate_faces'),
    sampler=dict(type='NumberedSampler', shuffle=True),
    dataset=dict(
        type='BlindFaceDataset',
        data_root='data/FFHQ',
        data_prefix=dict(gt='train/GT'),
        degradation=_base_.degradation,
        # 'loader': image by image in the loader's processes; 'device': whole batches where the
        # net is; 'auto': the device if it is a CUDA GPU.
        degrade_on='auto',
        gt_patch_size=None,  # pixels; None: all of gt_size; a multiple of the scale crops the pair
        flip_ratio=0.5,
        cache_dir='data/cache',  # faces decoded once, 0.8 MB each; None decodes them every time
    ),
)

val_dataloader = dict(
    batch_size=8,  # of each process, to fill a GPU; on a CPU, 1 is 10 to 25 % faster
    num_workers=2,
    persistent_workers=True,
    worker_init_fn=dict(type='outlive_signals'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FaceDataset',
        data_root='data/FFHQ',
        data_prefix=dict(img='val/LQ', gt='val/GT'),
        size=dict(img=128, gt=512),  # pixels a side
        degradation=None,  # one as above makes the inputs of gt, with data_prefix=dict(img=None)
    ),
)
# PSNR and SSIM of the float output, RGB, as the published runs logged them; crop_border=4 in a
# metric leaves out a border of 4 pixels. The leaderboard's score, of 8-bit files: tools/score.py.
val_evaluator = dict(type='Evaluator', metrics=[dict(type='BatchPSNR'), dict(type='BatchSSIM')])
val_cfg = dict(type='MultiValLoop')

# The test set has no ground truth.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FaceDataset', data_root='data/FFHQ', data_prefix=dict(img='test/LQ')),
)
test_evaluator = dict(type='Evaluator', metrics=[dict(type='BlindNIQE', input_order='CHW')])
test_cfg = dict(type='MultiTestLoop')
