"""Releases under load: users are created all the while, and each request shows which replica served it.

- `posts.py` creates the users and notes the steps of a release.
- `steps.py` counts what a release did to the requests of each step.
- `judging.py` decides which attempts show anything, and judges a release that loses nothing.
- `views.py` draws.
"""

from labs.experiments.phase3.releases.judging import Attempts, judge_release, sort_attempts
from labs.experiments.phase3.releases.posts import RATE, SERVICE, Posts, start_version_1
from labs.experiments.phase3.releases.steps import count_steps
from labs.experiments.phase3.releases.views import draw_replicas, draw_share, plot_release

__all__ = [
    "RATE",
    "SERVICE",
    "Attempts",
    "Posts",
    "count_steps",
    "draw_replicas",
    "draw_share",
    "judge_release",
    "plot_release",
    "sort_attempts",
    "start_version_1",
]
