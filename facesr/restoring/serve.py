"""A page that restores the photograph dropped on it.

Gradio by itself keeps every upload and every result in the system's folder for temporary files,
and tells its makers of each start. Here the files are deleted, and nobody is told.
"""

import os
import shutil
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Event
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ..errors import UserError
from .formats import (
    RESTORED,
    Photograph,
    read_photograph,
    readable_formats,
    result_suffix,
    write_photograph,
)
from .photograph import MOST_PIXELS, Options, PhotographRestorer, RestoredPhotograph

UPLOAD_BYTES = 50 << 20
UPLOAD_PIXELS = MOST_PIXELS // 4  # at twice the size, they are the most that a result may have
SHOWN_SIDE = 2048  # pixels of the before and after in the page; the download has all
INTRODUCTION = """# Restore the faces of a photograph
Drop a photograph below, or paste one (Ctrl+V). The copy uploaded is deleted as soon as it is read,
the result when you close this page."""
STYLE = """.gradio-container { max-width: 960px !important; margin: auto }
#faces .grid-wrap { min-height: 0; max-height: none; overflow-y: visible }
#faces:has(.preview) .grid-wrap { min-height: 30rem }"""
# Gradio's field for files does not take what is pasted, and its slider not a key's release.
EVENTS = """() => {
    document.addEventListener('paste', event => {
        const field = document.querySelector('#photograph input[type=file]');
        if (!field || !event.clipboardData.files.length) return;
        field.files = event.clipboardData.files;
        field.dispatchEvent(new Event('change'));
    });
    document.addEventListener('keyup', event => {
        if (event.target.type === 'range' && /^(Arrow|Home|End|Page)/.test(event.key))
            event.target.dispatchEvent(new PointerEvent('pointerup', {bubbles: true}));
    });
}"""


@dataclass
class Visit:
    """What the server holds for an open page, until that is closed."""

    name: str = ''
    photograph: Photograph | None = None
    folder: Path | None = None  # of the last result's files


def serve(
    restorer: PhotographRestorer, options: Options, host: str = '127.0.0.1', port: int = 7860
) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP, which raise ``KeyboardInterrupt`` here."""
    if not find_spec('gradio'):
        raise UserError('gradio is missing; run: bash scripts/setup.sh page photos')
    _check_free(host, port)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with TemporaryDirectory(prefix='facesr_page_', ignore_cleanup_errors=True) as folder:
        # Read by Gradio when it is imported. No proxy stands between this process and itself.
        os.environ |= dict(
            GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED='False', NO_PROXY='*', no_proxy='*'
        )
        from gradio.themes import Default

        page = _build(restorer, restorer.complete(options), Path(folder))
        try:
            _, url, _ = page.launch(
                server_name=host,
                server_port=port,
                max_file_size=UPLOAD_BYTES,
                ssr_mode=False,
                run_history=False,
                enable_monitoring=False,
                footer_links=[],
                theme=Default(font='system-ui', font_mono='ui-monospace'),
                css=STYLE,
                js=EVENTS,
                quiet=True,
                prevent_thread_lock=True,
            )
            print(f'{url} (Ctrl-C ends it)', flush=True)
            Event().wait()
        finally:
            page.close(verbose=False)


def _check_free(host: str, port: int) -> None:
    try:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, 'strerror', None) or error).partition(' (')[0].rstrip('.')
        raise UserError(f'{host}, port {port}: {reason}; take another --host or --port') from None


def _build(restorer: PhotographRestorer, options: Options, folder: Path) -> Any:
    """The page, whose files are all in ``folder``."""
    import gradio as gr

    visits: dict[str, Visit] = {}

    def open_visit(request: gr.Request) -> None:
        visits[str(request.session_hash)] = Visit()

    def close_visit(request: gr.Request) -> None:
        visit = visits.pop(str(request.session_hash), Visit())
        remove(visit.folder)
        if not visits:  # also uploads that were broken off, and Gradio's empty folders
            for path in folder.iterdir():
                remove(path)

    def answer(
        upload: dict[str, Any] | None,
        strength: float,
        look: float,
        scale: int,
        only_largest: bool,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio's way to ask for it)
    ) -> list[Any]:
        session = str(request.session_hash)
        visit = visits.get(session, Visit())
        hidden = [None, gr.Column(visible=False), None, None, None]

        def report(what: str, done: int, total: int) -> None:
            if visits.get(session) is not visit:
                raise UserError('the page was closed')
            progress((done, total), desc=f'Restoring: {what}', unit='done')

        try:
            # One that was read before is sent again where a setting changed meanwhile.
            if upload and (Path(upload['path']).exists() or visit.photograph is None):
                visit.photograph = None
                visit.name, visit.photograph = take_upload(upload)
            if session not in visits:
                raise UserError('the server does not know this page any more; load it again')
            if visit.photograph is None:
                return ['', *hidden]
            progress(0, desc='Looking for faces')
            result = restorer.restore(
                visit.photograph.pixels,
                replace(
                    options, strength=strength, look=look, scale=scale, only_largest=only_largest
                ),
                report,
            )
            remove(visit.folder)
            visit.folder = Path(mkdtemp(dir=folder))
            before_after, faces, path = write_files(visit, result)
        except (UserError, OSError) as error:
            remove(visit.folder)
            return [f'error: {error}', *hidden]
        finally:
            if visits.get(session) is not visit:  # closed meanwhile
                remove(visit.folder)
        height, width = result.image.shape[:2]
        said = '; '.join((result.summary, *visit.photograph.notes))
        message = f'{visit.name}: {said}; {width}x{height} pixels'
        gallery = gr.Gallery(faces, visible=bool(faces))
        return [message, None, gr.Column(visible=True), before_after, gallery, path]

    with gr.Blocks(title='Restore a photograph', analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        upload = gr.File(label='Photograph', height=150, elem_id='photograph')
        with gr.Column():
            with gr.Row():
                label = 'Strength (0: not restored)'
                strength = gr.Slider(0, 1, options.strength, label=label, elem_id='strength')
                label = 'Look (1: sharp, but guessed)'
                look = gr.Slider(0, 1, options.look, label=label, elem_id='look')
            with gr.Row():
                scales = [('no', 1), ('2 times', 2), ('4 times', 4)]
                scale = gr.Radio(scales, value=options.scale, label='Enlarge the photograph')
                largest = gr.Checkbox(options.only_largest, label='Only the largest face')
        message = gr.Textbox(label='What was done', interactive=False, elem_id='said')
        with gr.Column(visible=False) as shown:
            how = dict(interactive=False, buttons=['fullscreen'])
            slider = gr.ImageSlider(
                label='Before and after', max_height=700, elem_id='before_after', **how
            )
            label = 'Download the result'
            download = gr.DownloadButton(label, variant='primary', elem_id='download')
            gallery = gr.Gallery(label='Faces', columns=2, height='auto', elem_id='faces', **how)
        gr.on(
            [upload.upload, strength.release, look.release, scale.input, largest.input],
            answer,
            [upload, strength, look, scale, largest],
            [message, upload, shown, slider, gallery, download],
            preprocess=False,  # it would leave an empty file for each upload
            show_progress_on=message,
            trigger_mode='always_last',
            concurrency_limit=1,
            api_visibility='private',
        )
        page.load(open_visit, queue=False, api_visibility='private')
        page.unload(close_visit)
    return page


def take_upload(upload: dict[str, Any]) -> tuple[str, Photograph]:
    """Read an upload, and delete it; too many pixels are refused before they are decoded."""
    name, path = upload['orig_name'], Path(upload['path'])
    width = height = 0
    try:
        # Of a bad file, read_photograph says what is wrong.
        with suppress(Exception), Image.open(path, formats=readable_formats()) as file:
            width, height = file.size
        if width * height > UPLOAD_PIXELS:
            limit = f'{UPLOAD_PIXELS / 1e6:.0f} million are the limit'
            raise UserError(f'{path}: {width}x{height} pixels; {limit}; shrink it before')
        return name, read_photograph(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), name)) from None
    finally:
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # made for this file; never more than that: a client names the path


def write_files(
    visit: Visit, result: RestoredPhotograph
) -> tuple[tuple[Path, Path], list[tuple[Path, str]], Path]:
    """Write a result's files into the visit's folder: what the page shows, and the download.

    Before and after, as large as the page shows them; each face before and after, with captions;
    the result in the photograph's format.
    """
    photograph, folder = visit.photograph, visit.folder
    assert photograph is not None and folder is not None
    name = Path(visit.name)
    stem = name.stem.lstrip('.')[:50] or 'photograph'
    path = folder / f'{stem}{RESTORED}{result_suffix(name)}'
    write_photograph(path, result.image, photograph)
    plain = Photograph(photograph.pixels, profile=photograph.profile)  # what is only shown
    height, width = result.image.shape[:2]
    shrink = min(1.0, SHOWN_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    before_after = folder / 'before.jpg', folder / 'after.jpg'
    for shown_in, image in zip(before_after, (photograph.pixels, result.image), strict=True):
        method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
        shown = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
        write_photograph(shown_in, shown, plain)
    faces = []
    for number, pair in enumerate(zip(result.before, result.restored, strict=True), 1):
        for when, face in zip(('before', 'after'), pair, strict=True):
            faces.append((folder / f'{number}_{when}.png', when))
            write_photograph(faces[-1][0], face, plain)
    return before_after, faces, path


def remove(path: Path | None) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path is not None and path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path is not None:
        path.unlink(missing_ok=True)
