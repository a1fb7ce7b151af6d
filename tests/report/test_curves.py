import io
from pathlib import Path

import pytest
from logged_runs import train_line, val_line, write_run
from matplotlib.figure import Figure
from PIL import Image

from facesr.report.curves import draw_curves, draw_shared_curves
from facesr.report.run import read_run, read_runs

GAN_LOSSES = ('loss_pix', 'loss_perceptual', 'loss_gan', 'loss_d_real', 'loss_d_fake')


def texts(figure: Figure) -> str:
    found = [figure.legends[0].get_title().get_text()]
    found += [text.get_text() for text in figure.legends[0].get_texts()]
    for axes in figure.axes:
        found += [axes.get_title(loc='left'), axes.get_ylabel(), axes.get_xlabel()]
        found += [text.get_text() for text in axes.texts]
    return '\n'.join(found)


def size(figure: Figure) -> tuple[int, int]:
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return Image.open(buffer).size


def test_a_run_without_validation_shows_loss_and_learning_rate(tmp_path: Path):
    folder = write_run(tmp_path / 'run', 'demo', [train_line(step) for step in range(1, 50)])
    figure = draw_curves(read_run(folder, 'run'))
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    assert titles == ['training loss, MSELoss', 'learning rate']
    assert 'iteration' in texts(figure) and 'loss (no unit)' in texts(figure)
    width, height = size(figure)
    assert width == 1600 and 600 < height < 2000


def test_the_five_losses_of_a_gan(tmp_path: Path):
    rates = {'generator.lr': 1e-4, 'discriminator.lr': 1e-4}
    losses = dict.fromkeys(GAN_LOSSES, 0.1)
    lines = [train_line(step, loss=1.0, **losses, **rates) for step in range(100, 600, 100)]
    folder = write_run(
        tmp_path / 'gan',
        'srgan_26b',
        [*lines, val_line(500, **{'PSNR': 27, 'ema/PSNR': 28, 'LPIPS': 0.3, 'ema/LPIPS': 0.2})],
    )
    figure = draw_curves(read_run(folder, 'gan'))
    assert len(figure.axes) == 8  # without the sum, with PSNR, LPIPS and the learning rates
    written = texts(figure)
    assert 'validation PSNR, without a border of 4 pixels\nPSNR (dB)' in written
    assert 'validation LPIPS\nLPIPS (AlexNet), lower is better' in written
    assert 'this run, average of the weights' in written and 'discriminator' in written
    assert 'published, after 40,000 iterations: 27.27' in written
    assert size(figure)[0] == 1920


def test_a_further_loss_comes_last_under_its_logged_name(tmp_path: Path):
    lines = [train_line(step, loss_edges=0.2, loss_pix=0.1, loss=0.3) for step in (10, 20)]
    options = {'model.edges_loss': {'type': 'EdgeLoss', 'weight': 1}}
    folders = [
        write_run(tmp_path / name, 'srgan_26b', lines, options=options if name == 'b' else None)
        for name in ('a', 'b', 'c')
    ]
    runs = read_runs(folders)
    titles = [axes.get_title(loc='left') for axes in draw_curves(runs[0]).axes]
    assert titles == ['pixel loss', 'loss_edges']
    # Its settings differ: two quantities.
    figure = draw_shared_curves(runs[:2])
    assert figure is not None
    assert [axes.get_title(loc='left') for axes in figure.axes] == ['pixel loss']
    assert 'loss_edges' in texts(draw_shared_curves([runs[0], runs[2]]))


@pytest.mark.parametrize(('config', 'is_published'), [('srresnet_24b_fast', True), ('demo', False)])
def test_published_curves_only_for_their_configs(tmp_path: Path, config: str, is_published: bool):
    """A short run is compared with where the published one ended."""
    short, long = (
        texts(draw_curves(read_run(write_run(tmp_path / f'{steps}', config, lines), 'run')))
        for steps in (100, 10**5)
        for lines in [[train_line(steps), val_line(steps)]]
    )
    final = 'published, after 150,000 iterations: 29.73'
    assert (final in short, final in long) == (is_published, False)
    assert ('published' in long) == is_published


def test_no_published_curves_beside_another_degradation(tmp_path: Path):
    folder = write_run(tmp_path / 'run', 'srresnet_24b', [train_line(100), val_line(100)])
    [dumped] = folder.rglob('srresnet_24b.py')
    dumped.write_text(
        "train_dataloader = dict(dataset=dict(degradation=dict(type='SecondOrderDegradation')))\n"
    )
    assert 'published' not in texts(draw_curves(read_run(folder, 'run')))


def test_runs_are_compared_where_they_logged_the_same(tmp_path: Path):
    lines = [train_line(10), val_line(10)]
    folders = [
        write_run(tmp_path / name, name, lines) for name in ('srresnet_24b', 'srresnet_26b', 'demo')
    ]
    figure = draw_shared_curves(read_runs(folders))
    assert figure is not None
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    # The demo's loss is another; a loss of all three would be two quantities on one axis.
    assert titles == ['validation PSNR', 'validation SSIM']
    figure = draw_shared_curves(read_runs(folders[:2]))
    assert figure is not None and 'training loss, L1Loss' in texts(figure)
    unlike = write_run(tmp_path / 'unlike', 'demo', [train_line(10)])
    assert draw_shared_curves(read_runs([folders[0], unlike])) is None


@pytest.mark.parametrize('name', ['_run', 'a$b$c'])
def test_any_name_can_be_drawn(tmp_path: Path, name: str):
    lines = [train_line(10), val_line(10)]
    runs = read_runs(
        [write_run(tmp_path / name, None, lines), write_run(tmp_path / 'other', None, lines)]
    )
    figure = draw_shared_curves(runs)
    assert figure is not None and size(figure)[0] == 1600
    labels = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert name in labels


def test_an_adversarial_run_begins_where_its_generators_run_ended(tmp_path: Path):
    first = write_run(tmp_path / 'first', 'srresnet_26b', [val_line(20_000), val_line(30_000)])
    facts = {'generator_iterations': 30_000}
    second = write_run(tmp_path / 'second', 'srgan_26b', [val_line(5000)], facts=facts)
    figure = draw_shared_curves(read_runs([first, second]))
    assert figure is not None
    lines = {line.get_label(): line.get_xdata() for line in figure.axes[0].get_lines()}
    own = [list(steps) for label, steps in lines.items() if 'second' in str(label)]
    assert own == [[35_000]]
