"""One linear SVM per action, with hard negatives.

Gkioxari & Malik 2015, section 3.3, with the numbers of the authors' code:
hinge loss, C = 0.001, positives count twice, and the bias is a weight of a
constant input of 10. Negatives are seen frame by frame; only those that the
classifier of the moment does not reject clearly are remembered.
"""

import dataclasses
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

COST = 1e-3
POSITIVE_WEIGHT = 2.0
BIAS_INPUT = 10.0
_HARD = -1.0001  # scores above it are remembered
_EASY = -1.2  # scores below it are forgotten
_RETRAIN = 2000  # after so many were added


@dataclasses.dataclass
class HardNegativeSVM:
    """A linear SVM whose negatives arrive in portions.

    Args:
        positives: (N, D).
        cost: C of the SVM.
        retrain: Negatives after which it is trained anew.

    Attributes:
        weights: (D,).
        bias: One number.
        negatives: (M, D) that are remembered.
    """

    positives: np.ndarray
    cost: float = COST
    retrain: int = _RETRAIN

    def __post_init__(self) -> None:
        width = self.positives.shape[1]
        self.weights = np.zeros(width)
        self.bias = 0.0
        self.negatives = np.zeros((0, width), np.float32)
        self._added, self._trained = 0, False

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(N,) signed distances from the plane, in margins."""
        return features @ self.weights + self.bias

    def add(self, features: np.ndarray) -> None:
        """Remember the hard ones among negatives; train when enough came."""
        hard = features
        if self._trained:
            hard = features[self.scores(features) > _HARD]
        self.negatives = np.concatenate([self.negatives, hard])
        self._added += len(hard)
        if self._added > self.retrain or (len(hard) and not self._trained):
            self.fit()

    def fit(self) -> None:
        """Train on what is remembered, and forget what became easy."""
        self._added = 0
        if not len(self.negatives) or not len(self.positives):
            return
        self.weights, self.bias = fit_hinge(
            self.positives, self.negatives, self.cost
        )
        self._trained = True
        kept = self.scores(self.negatives) >= _EASY
        self.negatives = self.negatives[kept]


def fit_hinge(
    positives: np.ndarray, negatives: np.ndarray, cost: float = COST
) -> tuple[np.ndarray, float]:
    """Minimise the regularised hinge loss.

    0.5 |w|^2 + 0.5 (b / 10)^2 + C (2 sum max(0, 1 - z) over positives
    + sum max(0, 1 + z) over negatives), z = w x + b.

    Args:
        positives: (N, D).
        negatives: (M, D).
        cost: C.

    Returns:
        (D,) w, and b.
    """
    svm = LinearSVC(
        loss="hinge",
        C=cost,
        class_weight={1: POSITIVE_WEIGHT},
        intercept_scaling=BIAS_INPUT,
        random_state=0,
    )
    samples = np.concatenate([positives, negatives])
    labels = np.r_[np.ones(len(positives), int), -np.ones(len(negatives), int)]
    with warnings.catch_warnings():
        # liblinear ends after 1000 passes, as the authors' does.
        warnings.simplefilter("ignore", ConvergenceWarning)
        svm.fit(samples, labels)
    return svm.coef_[0], float(svm.intercept_[0])
