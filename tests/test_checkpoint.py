import math
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from facesr.checkpoint import (
    generator_weights,
    load_generator,
    model_weights,
    read_checkpoint,
)
from facesr.errors import UserError


class Model(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.generator = nn.Linear(2, width)


@pytest.mark.parametrize('form', ['training', 'bare', 'generator', 'module'])
def test_every_form_of_weights_loads(tmp_path: Path, form: str):
    source, target = Model(), Model()
    weights = source.state_dict()
    torch.save(
        {
            'training': {'meta': {'iter': 3}, 'state_dict': weights},
            'bare': weights,
            'generator': source.generator.state_dict(),
            'module': {f'module.{name}': value for name, value in weights.items()},
        }[form],
        tmp_path / 'a.pth',
    )
    load_generator(target.generator, tmp_path / 'a.pth')
    assert torch.equal(target.generator.weight, source.generator.weight)


def test_other_shape_is_refused_and_nothing_loaded(tmp_path: Path):
    torch.save(Model(4).state_dict(), tmp_path / 'a.pth')
    target = Model()
    before = target.generator.weight.clone()
    with pytest.raises(UserError, match=r"a\.pth: not this config's model: weight has shape"):
        load_generator(target.generator, tmp_path / 'a.pth')
    assert torch.equal(target.generator.weight, before)


def test_missing_and_unexpected_names_are_refused(tmp_path: Path):
    weights = Model().state_dict()
    torch.save(
        {'generator.weight': weights['generator.weight'], 'x': torch.zeros(1)}, tmp_path / 'a.pth'
    )
    checkpoint = read_checkpoint(tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'generator\.bias is missing and 1 more'):
        model_weights(checkpoint, Model(), 'a.pth')
    with pytest.raises(UserError, match=r'model: bias is missing$'):
        generator_weights(checkpoint, Model().generator, 'a.pth')


def test_the_average_is_taken_where_it_is_asked_for():
    raw, average = Model(), Model()
    checkpoint = {
        'state_dict': raw.state_dict(),
        'ema_state_dict': {
            'steps': torch.tensor(3),
            **{f'module.{name}': value for name, value in average.generator.state_dict().items()},
        },
    }
    for ema, source in ((False, raw), (True, average), (None, raw)):
        weights = generator_weights(checkpoint, raw.generator, 'a.pth', ema=ema)
        assert torch.equal(weights['weight'], source.generator.weight)
    best = checkpoint | {'meta': {'best_score_name': 'ema/PSNR'}}
    for ema, source in ((None, average), (False, raw)):
        weights = generator_weights(best, raw.generator, 'a.pth', ema=ema)
        assert torch.equal(weights['weight'], source.generator.weight), 'by its score'
    del checkpoint['ema_state_dict']
    with pytest.raises(UserError, match=r'a\.pth: holds no average of the weights; leave --ema ou'):
        generator_weights(checkpoint, raw.generator, 'a.pth', ema=True)


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.target),)


def test_pickle_with_code_is_refused_and_not_run(tmp_path: Path):
    torch.save({'state_dict': Hostile(tmp_path / 'ran')}, tmp_path / 'evil.pth')
    with pytest.raises(UserError, match=r'evil\.pth: refused, it holds more than weights \(posix.'):
        read_checkpoint(tmp_path / 'evil.pth')
    assert not (tmp_path / 'ran').exists()


def test_weights_of_a_stock_checkpoint_are_read_and_the_rest_dropped(tmp_path: Path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(
        {
            'meta': {'iter': np.int64(2)},
            'state_dict': Model().state_dict(),
            'message_hub': {'log_scalars': {'train/loss': history}},
        },
        tmp_path / 'stock.pth',
    )
    with pytest.raises(Exception, match=r'[Ww]eights.only'):
        torch.load(tmp_path / 'stock.pth')  # as long as this fails, stock --resume does
    assert list(read_checkpoint(tmp_path / 'stock.pth')) == ['state_dict']
    load_generator(Model().generator, tmp_path / 'stock.pth')


def test_stand_ins_for_stock_names_do_nothing(tmp_path: Path):
    """``getattr`` in a file must not be run."""

    class Reach:
        def __reduce__(self) -> tuple:
            return getattr, (OrderedDict, 'fromkeys')

    torch.save({'state_dict': {'x': Reach()}}, tmp_path / 'a.pth')
    found = read_checkpoint(tmp_path / 'a.pth')['state_dict']['x']
    assert type(found).__module__ == 'facesr.checkpoint' and not callable(found)
    with pytest.raises(UserError, match="not this config's model"):
        load_generator(Model().generator, tmp_path / 'a.pth')


@pytest.mark.parametrize('damage', ['truncated', 'text', 'empty', 'list'])
def test_damaged_files_are_one_line(tmp_path: Path, damage: str):
    path = tmp_path / 'a.pth'
    torch.save(Model().state_dict() if damage != 'list' else [1], path)
    if damage == 'truncated':
        path.write_bytes(path.read_bytes()[:-200])
    elif damage != 'list':
        path.write_bytes(b'hello' if damage == 'text' else b'')
    with pytest.raises(UserError, match=r'a\.pth: not a') as error:
        read_checkpoint(path)
    assert '\n' not in str(error.value)


def test_python_in_the_meta_data_never_reaches_mmengine(tmp_path: Path):
    """``Runner.resume`` would run ``meta['config']`` as a config file."""
    meta = {'iter': 1, 'config': "x = __import__('os').getcwd()"}
    torch.save({'meta': meta, 'state_dict': {}}, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['meta'] == {'iter': 1}


def test_remote_checkpoints_are_not_loaded():
    with pytest.raises(UserError, match='download the checkpoint first'):
        CheckpointLoader.load_checkpoint('https://127.0.0.1/a.pth')


@pytest.mark.parametrize(
    'change',
    [
        lambda weight: weight * math.nan,
        lambda weight: weight + math.inf,
        Tensor.to_sparse,
        Tensor.to_sparse_csr,
        lambda weight: weight.to('meta'),
        lambda weight: weight.to(torch.complex64),
        lambda weight: torch.quantize_per_tensor(weight, 1.0, 0, torch.qint8),
        lambda weight: torch.nested.nested_tensor(list(weight)),
    ],
)
def test_weights_that_are_no_finite_numbers_are_refused(tmp_path: Path, change):
    net = nn.Linear(3, 2)
    weights = net.state_dict() | {'weight': change(torch.zeros(2, 3))}
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth: .* weight is no tensor of finite numbers'):
        load_generator(net, tmp_path / 'a.pth')
