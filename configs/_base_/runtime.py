# What every run shares: logs, checkpoints, pictures, seeds. Intervals are iterations.
default_scope = 'mmagic'
custom_imports = dict(imports=['facesr'], allow_failed_imports=False)

randomness = dict(seed=0)
launcher = 'none'
env_cfg = dict(
    cudnn_benchmark=True,  # every batch has the same shape
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

# Every hook has a name, by which a config or the command line changes it:
# --cfg-options default_hooks.panels.interval=50. facesr/training/__init__.py has their order.
default_hooks = dict(
    runtime_info=dict(type='LossHook'),
    timer=dict(type='ProgressHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    checkpoint=dict(
        type='SafeCheckpointHook',
        by_epoch=False,
        interval=5000,
        max_keep_ckpts=3,
        save_best='PSNR',
        rule='greater',
    ),
    # The challenge allows fewer trainable parameters than this in the generator.
    summary=dict(type='RunSummaryHook', parameter_limit=2_276_356),
    panels=dict(type='PanelHook', interval=100),  # of every 100th image of a validation
    stop=dict(type='StopHook'),
)

log_level = 'INFO'
log_processor = dict(type='LogProcessor', window_size=100, by_epoch=False)
visualizer = dict(
    type='Visualizer',
    vis_backends=[dict(type='TolerantLocalVisBackend'), dict(type='TolerantTensorboardVisBackend')],
)

load_from = None
resume = False
