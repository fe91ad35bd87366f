"""Gradient checks: differences that know their error, a search for the wrong elements, and what kind of wrong they are."""

from tinygrad_lr.check.gradcheck.check import gradcheck as gradcheck
from tinygrad_lr.check.gradcheck.differences import central_differences as central_differences
from tinygrad_lr.check.gradcheck.report import GradientError as GradientError
from tinygrad_lr.check.gradcheck.report import Report as Report
from tinygrad_lr.check.gradcheck.report import Row as Row
