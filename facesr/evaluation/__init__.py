"""The leaderboard's score, and writing what it scores."""

from .restore import Restorer
from .results import test
from .score import format_scores, psnr, score_folder, write_csv

__all__ = ['Restorer', 'format_scores', 'psnr', 'score_folder', 'test', 'write_csv']
