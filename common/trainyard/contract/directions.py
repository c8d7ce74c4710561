"""Which of two values of a metric is the better one, told by the metric's name."""


def more_is_better(metric: str) -> bool:
    """By scikit-learn's convention: not for losses, errors and deviances."""
    return not metric.endswith(("_loss", "_error", "_deviance"))
