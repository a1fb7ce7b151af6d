"""The scores of restored images: names, units and directions, wherever they are shown."""

import math
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Score:
    """A kind of score."""

    name: str  # for people
    unit: str = ''
    logged: str = ''  # the name in a validation's log; empty if no validation computes it
    lower_is_better: bool = False
    digits: int = 3  # after the point, under a picture

    @property
    def heading(self) -> str:
        """The name with what belongs to it, for a column or an axis: ``PSNR (dB)``."""
        unit = f' ({self.unit})' if self.unit else ''
        return f'{self.name}{unit}{", lower is better" if self.lower_is_better else ""}'

    def format(self, value: float, digits: int | None = None) -> str:
        """A value with its name and unit: ``PSNR 29.44 dB``."""
        unit = f' {self.unit}' if self.unit else ''
        return f'{self.name} {value:.{self.digits if digits is None else digits}f}{unit}'


def _score(name: str, unit: str = '', **how: Any) -> Any:
    return field(default=math.nan, metadata={'score': Score(name, unit, **how)})


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image; ``nan`` where there is none."""

    name: str  # of its file
    psnr: float = _score('PSNR', 'dB', logged='PSNR', digits=2)  # against the ground truth
    ssim: float = _score('SSIM', logged='SSIM')  # on 8-bit RGB, at most 1
    #: MMagic's no-reference quality, without ground truth.
    niqe: float = _score('NIQE', logged='NIQE', lower_is_better=True, digits=2)
    lpips_alex: float = _score('LPIPS (AlexNet)', logged='LPIPS', lower_is_better=True)
    lpips_vgg: float = _score('LPIPS (VGG16)', lower_is_better=True)


#: The kinds of scores by their names in tables and manifests, in the order they are shown.
SCORES: dict[str, Score] = {part.name: part.metadata['score'] for part in fields(ImageScore)[1:]}
