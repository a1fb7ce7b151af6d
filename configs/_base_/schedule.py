# The published schedule of the SRResNet: five cosine cycles of 30,000 iterations in one run.
train_cfg = dict(
    type='ResumableTrainLoop',
    max_iters=150_000,
    val_interval=5000,
    # On an NVIDIA GPU since Ampere, convolutions round their input to 10 of float32's 23 mantissa
    # bits and use its tensor cores: PyTorch's default, which the published run's A40 had as well.
    # False keeps all bits. Matrix products, weights and the optimiser have them either way.
    tf32=True,
)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)),
)

param_scheduler = [
    # Four cycles from 1e-4 to 1e-7 ...
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        begin=0,
        end=120_000,
        periods=[30_000] * 4,
        restart_weights=[1] * 4,
        eta_min=1e-7,
    ),
    # ... and a fifth from 1e-5 (a tenth of the optimiser's lr) to 1e-9.
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        begin=120_000,
        end=150_000,
        periods=[30_000],
        restart_weights=[0.1],
        eta_min=1e-9,
    ),
]
