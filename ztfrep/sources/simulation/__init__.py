"""A simulated survey, so that the pipeline runs whole without a download."""

from ztfrep.sources.simulation.survey import write_survey

__all__ = ["write_survey"]
