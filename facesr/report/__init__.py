"""Pictures of a run."""

from .panel import PanelVisualizer, draw_panel

__all__ = ['PanelVisualizer', 'draw_panel']
