"""The page of tools/restore.py --serve, in Chromium by its chromedriver, as Debian has both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageCms
from skimage import data

from facesr.errors import UserError
from facesr.images import read_image
from facesr.restoring.photograph import Options
from facesr.restoring.score import bicubic
from facesr.restoring.serve import serve, take_upload

for package, extra in (('facenet_pytorch', 'photos'), ('gradio', 'page'), ('selenium', 'tests')):
    pytest.importorskip(package, reason=f'needs: bash scripts/setup.sh {extra}')
webdriver = pytest.importorskip('selenium.webdriver')
WebDriverException = pytest.importorskip('selenium.common').WebDriverException

CHROMIUM, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
FLAGS = (
    '--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync '
    '--disable-background-networking --disable-component-update --window-size=1280,1000'
)
MESSAGE, PHOTOGRAPH = '#said textarea', '#photograph input[type=file]'
BEFORE_AFTER, FACES = '#before_after img', '#faces img'


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(IndexError, WebDriverException):  # not there yet
            if condition():
                return
        time.sleep(0.05)
    pytest.fail('waited in vain')


class Page:
    def __init__(self, url: str, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS.split(), f'--user-data-dir={folder}/profile'):
            options.add_argument(flag)
        self.downloads = folder / 'downloads'
        options.add_experimental_option(
            'prefs', {'download.default_directory': str(self.downloads)}
        )
        options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
        self.browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.browser.get(url)

    def find(self, selector: str) -> list[Any]:
        return self.browser.find_elements('css selector', selector)

    def message(self) -> str:
        return self.find(MESSAGE)[0].get_property('value')

    def shown_widths(self) -> list[int]:
        return [image.get_property('naturalWidth') for image in self.find(BEFORE_AFTER)]

    def sources(self) -> list[str]:
        return [image.get_property('src') for image in self.find(BEFORE_AFTER)]

    def drop(self, photograph: Path) -> str:
        """Upload a file by the page's own field, and wait for what the page says of it."""
        wait_for(lambda: self.find(PHOTOGRAPH))
        self.find(PHOTOGRAPH)[0].send_keys(str(photograph))
        wait_for(lambda: photograph.name in self.message())
        return self.message()

    def download(self) -> Path:
        self.find('#download')[0].click()
        wait_for(lambda: list(self.downloads.glob('*.png')))
        [path] = self.downloads.iterdir()
        return path.replace(self.downloads.parent / 'downloaded.png')


@pytest.fixture(scope='module')
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that the server has for temporary files."""
    return tmp_path_factory.mktemp('server')


@pytest.fixture(scope='module')
def server(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    if not CHROMIUM or not DRIVER:
        pytest.skip('needs Chromium and its chromedriver')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, 'tools/restore.py', '--serve', '--port', port, '--device', 'cpu'],
        cwd=ROOT,
        env=os.environ | dict(TMPDIR=str(temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process, process.stdout.readline().removesuffix(' (Ctrl-C ends it)\n')
    process.kill()


@pytest.fixture(scope='module')
def opened(
    server: tuple[subprocess.Popen[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    opened = Page(server[1], tmp_path_factory.mktemp('browser'))
    yield opened
    opened.browser.quit()


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob('*') if path.is_file())


def test_a_photograph_is_restored_as_by_the_tool(opened, temporary: Path, tool, tmp_path: Path):
    photograph = tmp_path / 'me & _you_.png'
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees to the right
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    sideways = Image.fromarray(data.astronaut()[:256, 100:356]).rotate(90)
    sideways.save(photograph, exif=exif, icc_profile=profile)
    assert opened.drop(photograph) == f'{photograph.name}: 1 face restored; 512x512 pixels'
    wait_for(lambda: opened.shown_widths() == [512, 512])
    assert len(opened.find(FACES)) == 2
    tool('restore', photograph, '--out', tmp_path / 'out', '--device', 'cpu')
    by_tool = read_image(tmp_path / 'out' / photograph.name)
    downloaded = opened.download()
    np.testing.assert_array_equal(read_image(downloaded), by_tool)
    with Image.open(downloaded) as image:
        assert image.info['icc_profile'] == profile

    shown = opened.sources()
    opened.find('#strength input[type=range]')[0].send_keys(webdriver.Keys.HOME)
    wait_for(lambda: opened.sources() != shown)
    enlarged = bicubic(read_image(photograph), 512, 512)
    assert (by_tool != enlarged).any()
    np.testing.assert_array_equal(read_image(opened.download()), enlarged)
    faces, pictures = ['1_after.png', '1_before.png'], ['after.jpg', 'before.jpg']
    assert list_files(temporary) == [*faces, *pictures, 'me & _you__restored.png']


def test_bad_files(opened: Page, temporary: Path, tmp_path: Path):
    (tmp_path / 'text.txt').write_text('no image')
    Image.fromarray(np.zeros((64, 64), np.float32)).save(tmp_path / 'float.tif')
    Image.new('L', (8000, 7000)).save(tmp_path / 'large.png')
    (tmp_path / 'heavy.jpg').open('wb').truncate((50 << 20) + 1)
    for said in (
        'error: text.txt: not a readable image (none of JPEG, PNG, TIFF, WEBP, BMP, GIF, AVIF, '
        'HEIF); convert or remove it',
        'error: float.tif: floating-point pixels; convert it',
        'error: large.png: 8000x7000 pixels; 50 million are the limit; shrink it before',
    ):
        assert opened.drop(tmp_path / said.split(': ')[1]) == said
    assert not opened.find(BEFORE_AFTER)
    wait_for(lambda: opened.find(PHOTOGRAPH))
    opened.find(PHOTOGRAPH)[0].send_keys(str(tmp_path / 'heavy.jpg'))
    said = 'exceed the maximum allowed size of 50.0 Mb: "heavy.jpg"'
    wait_for(lambda: said in opened.find('[data-testid=toast-body]')[0].text)
    assert not list_files(temporary)


def test_only_the_upload_is_deleted(tmp_path: Path):
    """Whatever path a client names, one of Gradio's own folders too."""
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache/other').touch()
    with pytest.raises(UserError, match=r'^me\.jpg: '):
        take_upload(dict(path=str(tmp_path / 'cache'), orig_name='me.jpg'))
    assert (tmp_path / 'cache/other').exists()


def test_nothing_beyond_this_machine_is_asked(opened: Page):
    messages = [json.loads(entry['message']) for entry in opened.browser.get_log('performance')]
    urls = [message['message']['params'].get('request', {}).get('url') for message in messages]
    hosts = {urlsplit(url).hostname for url in urls if url and url.startswith(('http', 'ws'))}
    assert hosts == {'127.0.0.1'}


def test_nothing_is_left_after_the_page_is_closed(opened: Page, temporary: Path, tmp_path: Path):
    """Also of an upload that was broken off, which Gradio leaves."""
    [folder] = temporary.iterdir()
    Image.fromarray(data.coffee()[:100, :120]).save(tmp_path / 'last.png')
    opened.drop(tmp_path / 'last.png')
    (folder / 'tmpx').touch()
    assert list_files(temporary) == ['after.jpg', 'before.jpg', 'last_restored.png', 'tmpx']
    opened.browser.quit()
    wait_for(lambda: not list(folder.iterdir()))


def test_ctrl_c(server: tuple[subprocess.Popen[str], str], temporary: Path):
    server[0].send_signal(signal.SIGINT)
    assert server[0].communicate(timeout=30)[0] == ''
    assert server[0].returncode == 130
    assert not list(temporary.iterdir())


def test_addresses_that_cannot_be_listened_on():
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf'^127\.0\.0\.1, port {port}: Address already in use'):
            serve(None, Options(), port=port)
    with pytest.raises(UserError, match=r'^none\.invalid, port 7860: .*; take another --host or'):
        serve(None, Options(), 'none.invalid')
    with pytest.raises(UserError, match=r'^127\.0\.0\.1, port 70000: '):
        serve(None, Options(), port=70000)


def test_gradio_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(UserError, match=r'^gradio is missing; run: bash scripts/setup\.sh page ph'):
        serve(None, Options())
