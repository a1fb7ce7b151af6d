"""A results folder as the leaderboard's zip."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ..data.images import list_images
from ..files import write_whole


def write_submission(path: str | Path, folder: str | Path) -> None:
    """Pack a folder's images: one subfolder, named like the folder, same file names.

    Args:
        path: the zip file to write; it appears whole or not at all.
        folder: the restored images.
    """
    folder = Path(folder)
    # PNG is compressed already.
    with write_whole(path) as partial, zipfile.ZipFile(partial, 'w', zipfile.ZIP_STORED) as archive:
        for image in list_images(folder).values():
            archive.write(image, f'{folder.resolve().name}/{image.name}')
