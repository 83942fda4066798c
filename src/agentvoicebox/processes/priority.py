"""Processes that compute leave the processors to those that answer, when both want them."""

import os

NICE = 10  # a tenth of the share of a process that did not yield


def yield_processor() -> None:
    """Take the processor only while no process of normal priority wants it more.

    A speech engine fills every core for a tenth of a second; a gateway and a store need a millisecond, at once.
    """
    os.nice(max(0, NICE - os.nice(0)))  # the operator may have asked for more
