from pathlib import Path

import pytest
from conftest import ROOT, TINY_GAN
from mmagic.registry import LOOPS
from mmengine.runner import BaseLoop

from facesr.config import check_config, load_config
from facesr.errors import UserError

CONFIG = ROOT / 'configs/srresnet_24b.py'


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('optim_wraper.optimizer.lr=1', "'optim_wraper'; did you mean 'optim_wrapper'"),
        ('model.generator.num_block=8', "SRResNet takes .*'num_block'; did you mean 'num_blocks'"),
        ('model.generator.type=SRResnet', "'SRResnet'; did you mean 'SRResNet'"),
        ('model.type=None', "model: unknown type: 'None'"),
        ('train_cfg.max_iter=9', "'max_iter'; did you mean 'max_iters'"),
        ('train_dataloader.batchsize=2', "'batchsize'; did you mean 'batch_size'"),
        ('train_dataloader.dataset.degradation.jpeg_qualty=3', "FirstOrderDegradation .*'jpeg_qua"),
        ('default_hooks.chekpoint.interval=1', "hook: 'chekpoint'; did you mean 'checkpoint'"),
        ('default_hooks.average=True', "unknown hook: 'average' .a new hook needs a type"),
        ('default_hooks.checkpoint.intervall=1', "'intervall'; did you mean 'interval'"),
        ('optim_wrapper.clip_grad.max_nrm=1', "'max_nrm'; did you mean 'max_norm'"),
        ('param_scheduler.0.period=[3]', "CosineRestartLR .*'period'; did you mean 'periods'"),
        ('env_cfg.cudnn_bench=True', "env_cfg: .*did you mean 'cudnn_benchmark'"),
        ('degradation.gt_size=64', "unknown key: 'degradation'"),  # a variable: it has no effect
        ('param_scheduler.7.begin=3', 'param_scheduler.7.begin: there is no such place'),
        ('nonsense', 'KEY=VALUE expected'),
        ('param_scheduler.0.periods=[[1,2],(3]', 'Imbalanced brackets'),
        ('default_hooks.timer=None', 'default_hooks.timer=None: every run needs it'),
        ('default_hooks.checkpoint.out_dir=/tmp', "out_dir='/tmp': leave it out; a resume looks"),
        ('default_hooks.checkpoint.by_epoch=True', 'by_epoch=True: False expected'),
        ('default_hooks.checkpoint.interval=0', 'interval=0: a whole number, at least 1, or -1'),
        ('optim_wrapper.clip_grad.max_norm=-1', 'max_norm=-1: a number above 0'),
        ('optim_wrapper.clip_grad.max_norm=low', "max_norm='low': a number above 0"),
        ('train_cfg.val_interval=0', 'train_cfg.val_interval=0: a whole number, at least 1, exp'),
        ('train_cfg.max_iters=1e3', 'train_cfg.max_iters=1000.0: a whole number, at least 1'),
        ('train_cfg.max_iters=True', 'train_cfg.max_iters=True: a number expected, as in '),
        ('train_cfg.tf32=yes', "train_cfg.tf32='yes': True or False expected, as in "),
        ('train_cfg=9', 'train_cfg=9: KEY.SUBKEY=VALUE expected, as in '),
        ('train_dataloader.batch_size=0', 'batch_size=0: a whole number from 1 to 8192 expected'),
        ('train_dataloader.batch_size=many', r"='many': a number expected, as in .* \(12\)"),
        ('train_dataloader.num_workers=100000', 'num_workers=100000: a whole number from 0 to 256'),
        ('train_dataloader.sampler.seed=7', 'sampler.seed=7: leave it out; randomness.seed is for'),
        ('train_dataloader.dataset.data_root=5', 'data_root=5: a text expected'),
        ('param_scheduler.0.periods=60', 'periods=60: a list expected'),
        ('param_scheduler.0.by_epoch=True', 'CosineRestartLR counts epochs; set by_epoch=False'),
        ('log_level=debug', "log_level='debug': 'DEBUG', 'INFO', 'WARNING' or 'ERROR' expected"),
        ('val_cfg.type=ValLoop', "val_cfg.type='ValLoop': 'MultiValLoop' expected"),
        ('val_evaluator.metrics.1.type=BatchPSNR', 'val_evaluator: two BatchPSNR; give one a'),
        ('train_cfg.type=MyLoop', 'train_cfg.type=MyLoop: a run in it could not be stopped and'),
        ('val_dataloader=None', 'val_dataloader=None, but val_cfg and val_evaluator set'),
    ],
)
def test_an_override_that_cannot_be_is_named_with_what_can(override: str, message: str):
    with pytest.raises(UserError, match=message):
        load_config(CONFIG, [override])


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('optim_wrapper.generater.optimizer.lr=1', "'generater'; did you mean 'generator'"),
        ('optim_wrapper.generator.optimiser.lr=1', "'optimiser'; did you mean 'optimizer'"),
        ('model.train_cfg.disc_step=2', "'disc_step'; did you mean 'disc_steps'"),
        ('model.perceptual_loss.pretraned=x', "VGGPerceptualLoss .*'pretrained'"),
        ('param_scheduler.0.gamma=-1', 'gamma=-1: a number, at least 0, expected'),
    ],
)
def test_override_of_the_adversarial_part_is_refused(override: str, message: str):
    with pytest.raises(UserError, match=message):
        load_config(TINY_GAN, [override])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(', r'mine.py, or a base of it, line 2: '),
        ('1 / 0', 'mine.py: ZeroDivisionError'),
        ("raise SystemExit('no')", r'mine\.py: SystemExit: no'),
        ('class Mine: pass', 'Mine is no value; a config holds numbers, texts and'),
        ("model = dict(generator=dict(type=['SRResNet']))", 'generator: unknown type: .*SRResNet'),
        ("train_cfg = dict(max_iters='9')", r"config: train_cfg\.max_iters='9': a whole number"),
    ],
)
def test_a_config_file_that_cannot_be(tmp_path: Path, text: str, message: str):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{CONFIG}']\n{text}\n")
    with pytest.raises(UserError, match=message):
        load_config(path)


@pytest.mark.parametrize(
    'text', ['by_epoch=False', "type='IterBasedTrainLoop'", "type='ResumableTrainLoop'"]
)
def test_a_loop_of_iterations_is_ours(tmp_path: Path, text: str):
    path = tmp_path / 'mine.py'
    path.write_text(
        f"_base_ = ['{CONFIG}']\ntrain_cfg = dict(_delete_=True, {text}, max_iters=5)\n"
    )
    assert load_config(path).train_cfg == dict(type='ResumableTrainLoop', max_iters=5)


@pytest.mark.parametrize('text', ['max_epochs=2', "type='EpochBasedTrainLoop'", 'by_epoch=True'])
def test_a_loop_of_epochs_is_refused_with_the_line_to_write(tmp_path: Path, text: str):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{CONFIG}']\ntrain_cfg = dict(_delete_=True, {text})\n")
    with pytest.raises(UserError, match=r'counts epochs, .* max_iters=\.\.\., val_interval='):
        load_config(path)


def test_a_module_beside_the_config_is_found(tmp_path: Path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['{CONFIG}']\ncustom_imports = dict(imports=['beside_mine'])\n")
    module = tmp_path / 'beside_mine.py'
    module.write_text('import nothing_of_this_name\n')
    with pytest.raises(UserError, match="beside_mine: No module named 'nothing_of_this_name'"):
        load_config(path)
    module.write_text('')
    load_config(path)


def test_loaders_without_processes_keep_none():
    config = load_config(CONFIG, ['train_dataloader.num_workers=0'])
    assert config.train_dataloader.persistent_workers is False
    assert config.val_dataloader.persistent_workers is True


def test_a_config_that_only_restores(tmp_path: Path):
    path = tmp_path / 'net.py'
    path.write_text("model = dict(type='FaceEditModel', generator=dict(type='FaceUNet'))\n")
    assert load_config(path).model.generator.type == 'FaceUNet'


def test_a_hook_can_be_left_out():
    config = load_config(CONFIG, ['default_hooks.panels=None', 'default_hooks.sampler_seed=None'])
    assert 'panels' not in config.default_hooks
    assert config.default_hooks.sampler_seed is None, 'MMEngine has its own'


def test_what_the_stack_takes_is_allowed():
    options = ['find_unused_parameters=True', 'default_hooks.checkpoint.save_optimizer=False']
    options.append('optim_wrapper.optimizer.betas=(0.9,0.99,0.999)')  # of another optimiser
    options.append('visualizer.vis_backends.1.type=WandbVisBackend')
    config = load_config(CONFIG, options)
    config.optim_wrapper = dict(
        constructor='MultiOptimWrapperConstructor',
        generator=dict(
            type='OptimWrapper',
            optimizer=dict(type='Adam', lr=1e-4),
            clip_grad=dict(type='value', clip_value=0.1),
        ),
    )
    config.train_dataloader.collate_fn = dict(type='default_collate')
    config.param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='PSNR', by_epoch=True)]
    config.custom_hooks = [dict(type='EarlyStoppingHook', monitor='PSNR', priority='LOW')]
    config.val_dataloader_1 = dict(batch_size=1)  # a helper variable
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


@LOOPS.register_module()
class MyLoop(BaseLoop):
    """No loop of ours: a signal would end it, and what it has trained would be lost."""
