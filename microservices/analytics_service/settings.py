"""The settings of analytics-service."""

from math import gcd

from pydantic import Field

from microservices.kit.settings import Settings


class AnalyticsSettings(Settings):
    """The settings of version 2, in seconds of event time.

    `WINDOW_SECONDS`: the length of a window, when a request names none. `LATENESS_SECONDS`: how much older than the
    newest event of each partition an event may be, until it is late. `REPORT_SECONDS`: the length of a pane, of which
    windows are made, and the time between two reports in the log. `VIEW_BUILD`: the number of the build of the view;
    with a higher one than before, the view begins again with empty tables.
    """

    window_seconds: int = Field(default=60, ge=1, le=86_400)
    lateness_seconds: float = Field(default=5, ge=0, le=3600, allow_inf_nan=False)
    report_seconds: int = Field(default=10, ge=1, le=3600)
    view_build: int = Field(default=1, ge=1, le=2**31 - 1)

    @property
    def pane_seconds(self) -> int:
        """The length of a pane: REPORT_SECONDS, or a part of it that WINDOW_SECONDS is a multiple of."""
        return gcd(self.window_seconds, self.report_seconds)
