"""What the frozen stack needs on today's PyTorch and NumPy; nothing else here knows of it.

mmagic 1.2.0 (2023) imports all of its editors at once, and those need the diffusers, transformers
and mediapipe of 2023. :func:`install` makes mmagic's packages lazy: their ``__init__`` files are
read, not run, and a name is imported when it is first used (PEP 562). So is the package of
MTCNN, which would want tqdm and requests for other nets of its own.
"""

import ast
import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any

# Packages whose `__init__` imports more than is used here.
LAZY_PACKAGES = frozenset({'facenet_pytorch'}) | frozenset(
    f'mmagic.{name}'
    for name in (
        'datasets',
        'datasets.transforms',
        'engine',
        'engine.hooks',
        'engine.optimizers',
        'engine.runner',
        'engine.schedulers',
        'evaluation',
        'evaluation.metrics',
        'models',
        'models.archs',
        'models.base_models',
        'models.editors',
        'models.losses',
        'models.utils',
        'utils',
        'visualization',
    )
)

SETUP_COMMAND = 'bash scripts/setup.sh'


class _LazyPackageLoader(SourceFileLoader):
    """Loads a package without running the imports of its ``__init__``."""

    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse(self.get_data(self.path), self.path)
        names: dict[str, tuple[str, str]] = {}
        stars: list[str] = []
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                source = f'{module.__name__}.{node.module}'
                for alias in node.names:
                    if alias.name == '*':
                        stars.append(source)
                    else:
                        names[alias.asname or alias.name] = (source, alias.name)
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '__all__':
                with suppress(ValueError):  # built from names that only running it would give
                    module.__dict__['__all__'] = ast.literal_eval(node.value)

        def resolve(name: str) -> Any:
            if name in names:
                source, original = names[name]
                loaded = importlib.import_module(source)
                module.__dict__[name] = getattr(loaded, original)
                # `from .ssim import SSIM, ssim` leaves the function in `ssim`, where the import
                # has just put the submodule.
                twin = source.rpartition('.')[2]
                if names.get(twin, ('',))[0] == source:
                    module.__dict__[twin] = getattr(loaded, names[twin][1])
                return module.__dict__[name]
            if not name.startswith('__'):
                for source in stars:
                    loaded = importlib.import_module(source)
                    if hasattr(loaded, name):
                        return getattr(loaded, name)
            raise AttributeError(f'module {module.__name__!r} has no attribute {name!r}')

        module.__dict__['__getattr__'] = resolve


class _NumPy2Loader(SourceFileLoader):
    """Loads a module that uses ``np.bool8``, a name that NumPy 2 dropped."""

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).replace(b'np.bool8', b'np.bool_')
        return self.source_to_code(source, self.path)


LOADERS: dict[str, type[SourceFileLoader]] = {
    **dict.fromkeys(LAZY_PACKAGES, _LazyPackageLoader),
    'mmagic.utils.trans_utils': _NumPy2Loader,
}


class _CompatFinder:
    """Gives the modules in :data:`LOADERS` their loader, and ignores all others."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LOADERS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = LOADERS[fullname](fullname, spec.loader.path)
        return spec


def _format_configs_once() -> None:
    """MMEngine formats a config with yapf six times a run and at every checkpoint: 0.5 s each."""
    from mmengine.config import config as module

    stock = module.FormatCode

    @lru_cache(maxsize=4)
    def format_once(text: str, style: tuple[tuple[str, Any], ...]) -> Any:
        return stock(text, style_config=dict(style))

    module.FormatCode = lambda text, style_config: format_once(text, (*style_config.items(),))


def install() -> None:
    """Make ``import mmagic`` work on the stack that ``scripts/setup.sh`` installs."""
    missing = [
        name
        for name in ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmagic', 'cv2')
        if find_spec(name) is None
    ]
    if missing:
        remedy = SETUP_COMMAND
        if missing == ['mmagic']:  # requirements.txt cannot ask pip for --no-deps
            remedy = f'pip install --no-deps mmagic==1.2.0 (or: {SETUP_COMMAND})'
        raise ImportError(f'not installed: {", ".join(missing)}; run: {remedy}')
    if not any(isinstance(finder, _CompatFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _CompatFinder())
    _format_configs_once()
    # MMagic's RandomJPEGCompression encodes float images; OpenCV 5 warns of each.
    from cv2.utils import logging

    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
