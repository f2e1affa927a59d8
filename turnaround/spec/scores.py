"""Which way scores go, where their names tell.

rises("bleu")               # True: more of it is better; so of ndcg@10
rises("word_error_rate")    # False
rises("length")             # None: that depends on what it is the length of
"""

from __future__ import annotations

import re

_UP = re.compile(
    r"(.*_)?(accuracy|auc|bleu|chrf|exact|f1|iou|meteor|mrr|ndcg|precision|psnr|recall|return"
    r"|reward|rouge|ssim|success)(_rate|@\d+)?",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"(.*_)?(bits_per_(byte|character)|cer|divergence|error|invalid|loss|mae|mse|nll|perplexity"
    r"|regret|rmse|ter|wer)(_rate)?",
    re.IGNORECASE,
)


def rises(score: str) -> bool | None:
    """More of it is better, by its name; none: nobody knows."""
    if _UP.fullmatch(score):
        return True
    return False if _DOWN.fullmatch(score) else None
