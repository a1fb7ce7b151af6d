from pathlib import Path

import pytest
from conftest import ROOT, TINY, TINY_GAN

from facesr.config import check_config, load_config
from facesr.errors import UserError

CONFIG = ROOT / 'configs/srresnet_24b.py'


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('optim_wraper.optimizer.lr=1', "'optim_wraper'; did you mean 'optim_wrapper'"),
        (
            'model.generator.num_block=8',
            "SRResNet takes no such key: 'num_block'; did you mean 'num_blocks'",
        ),
        ('model.generator.type=SRResnet', "'SRResnet'; did you mean 'SRResNet'"),
        ('optim_wrapper.optimizer.lrr=1', "Adam takes no such key: 'lrr'; did you mean 'lr'"),
        ('train_cfg.max_iter=9', "'max_iter'; did you mean 'max_iters'"),
        (
            'train_dataloader.batchsize=2',
            "train_dataloader: .*'batchsize'; did you mean 'batch_size'",
        ),
        (
            'train_dataloader.dataset.dataroot=x',
            "FaceDataset .*'dataroot'; did you mean 'data_root'",
        ),
        (
            'train_dataloader.dataset.degradation.jpeg_qualty=3',
            "degradation: unknown key: 'jpeg_qualty'; did you mean 'jpeg_quality'",
        ),
        (
            'default_hooks.chekpoint.interval=1',
            "unknown hook: 'chekpoint'; did you mean 'checkpoint'",
        ),
        ('default_hooks.checkpoint.intervall=1', "'intervall'; did you mean 'interval'"),
        ('param_scheduler.0.period=[3]', "CosineRestartLR .*'period'; did you mean 'periods'"),
        ('env_cfg.cudnn_bench=True', "env_cfg: .*did you mean 'cudnn_benchmark'"),
        ('randomness.sed=1', "did you mean 'seed'"),
        (
            'degradation.0.keys=gt',
            "unknown key: 'degradation'",
        ),  # a variable: changing it has no effect
        ('param_scheduler.7.begin=3', 'param_scheduler.7.begin: there is no such place'),
        ('nonsense', 'KEY=VALUE expected'),
        ('train_dataloader.dataset.ann_file=a.txt', "FaceDataset takes no such key: 'ann_file'"),
        ('param_scheduler.0.periods=[[1,2],(3]', '--cfg-options: '),
    ],
)
def test_override_that_nothing_takes_is_refused(override: str, message: str):
    with pytest.raises(UserError, match=message):
        load_config(CONFIG, [override])


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('optim_wrapper.generater.optimizer.lr=1', "'generater'; did you mean 'generator'"),
        ('optim_wrapper.generator.optimiser.lr=1', "'optimiser'; did you mean 'optimizer'"),
        ('model.train_cfg.disc_step=2', "'disc_step'; did you mean 'disc_steps'"),
        ('model.gan_loss.gan_typ=lsgan', "GANLoss takes no such key: 'gan_typ'"),
        ('model.perceptual_loss.pretraned=x', "VGGPerceptualLoss .*'pretrained'"),
        (
            'default_hooks.pretrained.sorce=x',
            "PretrainedGeneratorHook .*'sorce'; did you mean 'source'",
        ),
        ('model.gan_loss.gan_type=gan', "gan_type='gan': 'vanilla', 'lsgan'"),
        ('model.train_cfg.disc_steps=0', 'disc_steps=0: a whole number, at least 1'),
    ],
)
def test_override_of_the_adversarial_part_is_refused(override: str, message: str):
    with pytest.raises(UserError, match=message):
        load_config(TINY_GAN, [override])


@pytest.mark.parametrize(
    ('config', 'factor'), [('srgan_26b', 'gamma'), ('srresnet_24b_plus', 'start_factor')]
)
def test_a_negative_factor_of_a_schedule_is_refused(config: str, factor: str):
    with pytest.raises(UserError, match=f'{factor}=-1: a number, at least 0'):
        load_config(ROOT / f'configs/{config}.py', [f'param_scheduler.0.{factor}=-1'])


COUNT, POSITIVE = 'a whole number, at least 1', 'a number, at least 0'


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('default_hooks.checkpoint=None', 'checkpoint=None: no less than the hooks that every run'),
        ('default_hooks.timer=None', 'default_hooks.timer=None: no less than the hooks'),
        ('default_hooks.checkpoint.out_dir=/tmp', "out_dir='/tmp': no entry expected"),
        ('default_hooks.checkpoint.filename_tmpl=best.pth', "tmpl='best.pth': no entry expected"),
        ('default_hooks.checkpoint.by_epoch=True', 'by_epoch=True: False expected'),
        ('optim_wrapper.clip_grad.max_norm=-1', 'max_norm=-1: a number above 0'),
        ('optim_wrapper.clip_grad.max_nrm=1', "'max_nrm'; did you mean 'max_norm'"),
        ('train_dataloader.timeout=-1', 'train_dataloader.timeout=-1: a number, at least 0'),
        ('randomness.seed=4294967296', 'seed=4294967296: a whole number from 0 to 4294967295'),
        ('train_cfg.val_interval=0', f'train_cfg.val_interval=0: {COUNT}'),
        ('train_cfg.val_interval=-1', f'train_cfg.val_interval=-1: {COUNT}'),
        ('train_cfg.max_iters=1e3', f'train_cfg.max_iters=1000.0: {COUNT}'),
        ('train_cfg.max_iters=True', 'train_cfg.max_iters=True: a number expected, as in '),
        ('train_cfg.tf32=yes', "train_cfg.tf32='yes': True or False expected, as in "),
        ('train_cfg=9', 'train_cfg=9: KEY.SUBKEY=VALUE expected, as in '),
        ('default_hooks.checkpoint.interval=0', f'checkpoint.interval=0: {COUNT}'),
        ('default_hooks.logger.interval=0', f'logger.interval=0: {COUNT}'),
        ('default_hooks.panels.interval=-3', f'panels.interval=-3: {COUNT}'),
        ('default_hooks.checkpoint.max_keep_ckpts=0', 'max_keep_ckpts=0: .* or -1 for all'),
        ('default_hooks.checkpoint.save_best=3', "save_best=3: a text expected, .*'PSNR'"),
        ('default_hooks.average=True', "unknown hook: 'average' .a new hook needs a type"),
        ('default_hooks.summary.parameter_limit=0', f'parameter_limit=0: {COUNT}, or None'),
        (
            'train_dataloader.batch_size=0',
            'train_dataloader.batch_size=0: a whole number from 1 to',
        ),
        ('train_dataloader.dataset.gt_patch_size=0', f'gt_patch_size=0: {COUNT}'),
        ('val_dataloader.batch_size=1.5', 'val_dataloader.batch_size=1.5: a whole number from 1'),
        ('val_dataloader.dataset.indices=0', 'indices=0: how many images, at least 1, or a list'),
        ('train_dataloader.dataset.flip_ratio=2', 'flip_ratio=2: a number from 0 to 1'),
        ('train_dataloader.dataset.data_root=5', 'data_root=5: a text expected'),
        ('optim_wrapper.optimizer.lr=abc', "optimizer.lr='abc': a number expected, .*0.0001"),
        ('optim_wrapper.optimizer.lr=nan', 'optimizer.lr=nan: '),
        ('optim_wrapper.optimizer.lr=-1', f'optimizer.lr=-1: {POSITIVE}'),
        ('optim_wrapper.optimizer.lr=inf', f'optimizer.lr=inf: {POSITIVE}'),
        (
            'optim_wrapper.optimizer.betas=(0.9,1)',
            r'betas=\(0.9, 1\): two numbers from 0 to below 1',
        ),
        ('param_scheduler.0.periods=[30,0]', r'periods=\[30, 0\]: a list of whole numbers'),
        ('param_scheduler.0.by_epoch=True', 'CosineRestartLR counts epochs; set by_epoch=False'),
        ('param_scheduler.0.end=0', f'param_scheduler.0.end=0: {COUNT}'),
        ('log_processor.window_size=0', f'window_size=0: {COUNT}'),
        ('randomness.seed=-1', 'randomness.seed=-1: a whole number from 0 to 4294967295'),
        ('model.generator.num_blocks=0', f'num_blocks=0: {COUNT}'),
        ('log_level=LOUD', "log_level='LOUD': 'DEBUG', 'INFO'"),
        ('train_dataloader.num_workers=100000', 'num_workers=100000: a whole number from 0 to 256'),
        ('train_dataloader.sampler.seed=7', r'sampler.seed=7: no entry \(randomness.seed is for'),
        ('val_cfg.type=ValLoop', "val_cfg.type='ValLoop': 'MultiValLoop' expected"),
        ('train_dataloader.dataset.cache_dir=5', 'cache_dir=5: a text expected'),
        (
            'train_dataloader.dataset.degradation.noise_sigma=[]',
            r'degradation.noise_sigma=\[\]: two numbers, the least first',
        ),
        ('train_dataloader.dataset.degradation.jpeg_quality=[95,50]', 'quality=.*the least first'),
        ('train_dataloader.dataset.degradation.gt_size=0', f'degradation.gt_size=0: {COUNT}'),
        ('env_cfg.mp_cfg.mp_start_method=foo', "method='foo': 'fork', 'spawn' or 'forkserver'"),
        ('default_hooks.checkpoint.rule=best', "rule='best': 'greater', 'less' or None"),
        ('val_evaluator.metrics=[]', r'val_evaluator.metrics=\[\]: at least one metric'),
        ('model.type=None', 'model.type=None: a component.s name expected'),
        ('model.generator=None', 'model.generator=None: settings, KEY=VALUE, expected'),
        (
            'model.data_preprocessor.std=[0,0,0]',
            r'std=\[0, 0, 0\]: a list of numbers above 0 expected',
        ),
        ('optim_wrapper=None', 'optim_wrapper=None: settings'),
        ('optim_wrapper.optimizer.eps=0', 'eps=0: a number above 0 expected'),
        ('env_cfg.mp_cfg=None', 'env_cfg.mp_cfg=None: settings'),
        ('randomness=None', 'randomness=None: settings'),
        ('custom_hooks=5', 'custom_hooks=5: a list of hooks expected'),
        ('load_from=5', 'load_from=5: a file, or None, expected'),
        ('param_scheduler.0=None', 'param_scheduler.0: there is no such place'),
        ('train_dataloader.dataset=None', 'train_dataloader.dataset=None: settings'),
        ('train_dataloader.collate_fn=None', 'train_dataloader.collate_fn=None: settings'),
        ('train_dataloader.dataset.degradation=None', 'degradation=None: settings'),
        ('train_dataloader.dataset.augmentation=[3]', r'augmentation=\[3\]: settings'),
        (
            'train_dataloader.dataset.degradation.resize_methods=None',
            'methods=None: a list of texts',
        ),
        (
            'train_dataloader.batch_size=1000000000',
            'batch_size=1000000000: a whole number from 1 to 8192',
        ),
        ('train_dataloader.prefetch_factor=100000', 'factor=100000: a whole number from 1 to 64'),
        ('val_dataloader.dataset.size.gt=-512', f'size.gt=-512: {COUNT}'),
        (
            'val_evaluator.metrics.0.crop_border=300',
            'crop_border=300: a whole number from 0 to 255',
        ),
        ('val_evaluator.metrics.0.prefix=5', 'prefix=5: a text, or None, expected'),
        (
            'val_evaluator.metrics.1.type=BatchPSNR',
            'val_evaluator.metrics: two BatchPSNR; give one a',
        ),
        ('val_dataloader=None', 'val_dataloader=None, but val_cfg and val_evaluator set'),
        ('val_evaluator=None', 'val_evaluator=None, but val_cfg and val_dataloader set'),
    ],
)
def test_value_that_cannot_be_is_named_with_what_is_allowed(override: str, message: str):
    with pytest.raises(UserError, match=message):
        load_config(CONFIG, [override])


def test_a_config_files_values_are_checked_too(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{CONFIG}']\noptim_wrapper = dict(optimizer=dict(lr='fast'))\n")
    with pytest.raises(UserError, match=r"config: optim_wrapper\.optimizer\.lr='fast': a number"):
        load_config(path)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('default_hooks = []', r'default_hooks=\[\]: no less than the hooks that every run'),
        ("model = dict(generator=dict(type=['SRResNet']))", r"type=\['SRResNet'\]: a component's"),
        ("raise SystemExit('no')", r'mine\.py: SystemExit: no'),
    ],
)
def test_a_config_file_that_cannot_be(tmp_path: Path, text: str, message: str):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{CONFIG}']\n{text}\n")
    with pytest.raises(UserError, match=message):
        load_config(path)


def test_loaders_without_processes_keep_none():
    config = load_config(CONFIG, ['train_dataloader.num_workers=0'])
    assert config.train_dataloader.persistent_workers is False
    assert config.val_dataloader.persistent_workers is True


def test_a_config_that_only_restores(tmp_path: Path):
    path = tmp_path / 'net.py'
    path.write_text("model = dict(type='FaceEditModel', generator=dict(type='FaceUNet'))\n")
    assert load_config(path).model.generator.type == 'FaceUNet'


def test_a_run_without_validation():
    parts = ('val_cfg', 'val_dataloader', 'val_evaluator')
    assert load_config(CONFIG, [f'{part}=None' for part in parts]).val_dataloader is None


def test_several_validation_sets_are_refused():
    config = load_config(CONFIG)
    config.val_dataloader = [config.val_dataloader]
    with pytest.raises(UserError, match='val_dataloader: one data loader expected, not a list'):
        check_config(config)


def test_a_hook_can_be_left_out():
    config = load_config(CONFIG, ['default_hooks.panels=None', 'default_hooks.sampler_seed=None'])
    assert 'panels' not in config.default_hooks
    assert config.default_hooks.sampler_seed is None, 'MMEngine has its own'


def test_overrides_reach_their_place():
    config = load_config(
        CONFIG, ['optim_wrapper.optimizer.lr=2e-4', 'param_scheduler.0.periods=[9]']
    )
    assert config.optim_wrapper.optimizer.lr == 2e-4
    assert config.param_scheduler[0].periods == [9]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(', r'broken.py, line 1: '),
        ('1 / 0', 'broken.py: ZeroDivisionError'),
        ("_base_ = ['nowhere.py']", 'broken.py: FileNotFoundError.*nowhere.py'),
    ],
)
def test_broken_config_is_one_line(tmp_path, text: str, message: str):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_config(path)


@pytest.mark.parametrize(
    'override',
    [
        'find_unused_parameters=True',
        'optim_wrapper.type=AmpOptimWrapper',
        'visualizer.vis_backends.1.type=WandbVisBackend',
        'default_hooks.checkpoint.save_optimizer=False',
    ],
)
def test_what_the_stack_takes_is_allowed(override: str):
    load_config(CONFIG, [override])


def test_nested_configs_of_the_stack_are_allowed():
    config = load_config(CONFIG)
    config.optim_wrapper = dict(
        constructor='MultiOptimWrapperConstructor',
        generator=dict(
            type='OptimWrapper',
            optimizer=dict(type='Adam', lr=1e-4),
            clip_grad=dict(type='value', clip_value=0.1),
        ),
    )
    config.train_dataloader.collate_fn = dict(type='default_collate')
    config.custom_hooks = [dict(type='EarlyStoppingHook', monitor='PSNR', priority='LOW')]
    config.val_dataloader_1 = dict(batch_size=1)  # a helper variable
    check_config(config)


def test_missing_config():
    with pytest.raises(UserError, match=r'nowhere\.py: no such config'):
        load_config('nowhere.py')


def test_helper_variables_are_allowed_but_not_misspelt_keys():
    config = load_config(TINY)
    config['my_sizes'] = [1, 2]
    check_config(config)
    config['trian_cfg'] = dict(max_iters=1)
    with pytest.raises(UserError, match="'trian_cfg'; did you mean 'train_cfg'"):
        check_config(config)


def test_work_dir_is_named_after_the_config_itself(tmp_path):
    child = tmp_path / 'mine.py'
    child.write_text(f"_base_ = ['{CONFIG}']")
    assert load_config(child).work_dir == 'work_dirs/mine'
    assert load_config(child, ['work_dir=there']).work_dir == 'there'
    assert load_config(CONFIG).work_dir == 'work_dirs/srresnet_24b'
    assert load_config(ROOT / 'configs/srresnet_26b.py').work_dir == 'work_dirs/srresnet_26b'


def test_a_class_is_no_value(tmp_path: Path):
    (tmp_path / 'a.py').write_text(f"_base_ = ['{TINY}']\nclass Mine:\n    pass\n")
    with pytest.raises(UserError, match='Mine is no value; a config holds numbers, texts and'):
        load_config(tmp_path / 'a.py')
