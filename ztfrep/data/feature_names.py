"""Lists of feature names as a parameter: names of the feature set alone."""

from typing import Annotated, Literal

from pydantic import Field

from ztfrep.data.features import ALERCE_FEATURES

FeatureName = Literal[ALERCE_FEATURES.names]  # type: ignore[name-defined]
FeatureNames = Annotated[list[FeatureName], Field(max_length=len(ALERCE_FEATURES))]
