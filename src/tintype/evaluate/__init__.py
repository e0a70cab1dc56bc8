"""Scores colour models on photographs whose true colours are known, by the field's convention.

The truth's L goes in and is kept; the predicted ab is brought to full size bilinearly and merged with it in
Lab, and the result is clipped to RGB and rounded to 8 bits. What each score means stands in
`tintype.metrics` and `tintype.evaluate.scores`.
"""

from tintype.evaluate.models import BASELINES, Constant, Model, Network, Options, Pipeline, open_models
from tintype.evaluate.results import Judge, Results
from tintype.evaluate.run import evaluate
from tintype.evaluate.scores import SCORES
from tintype.evaluate.simple import Distance, Predictor, constant, gray, score
from tintype.evaluate.summary import Estimate
from tintype.evaluate.truths import CROPS, TRUTH, Photographs, Survey, Truth, find_photographs

__all__ = [
    "BASELINES",
    "CROPS",
    "SCORES",
    "TRUTH",
    "Constant",
    "Distance",
    "Estimate",
    "Judge",
    "Model",
    "Network",
    "Options",
    "Photographs",
    "Pipeline",
    "Predictor",
    "Results",
    "Survey",
    "Truth",
    "constant",
    "evaluate",
    "find_photographs",
    "gray",
    "open_models",
    "score",
]
