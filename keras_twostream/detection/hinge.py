"""Linear SVMs, one per action, with hard negative mining.

Gkioxari & Malik 2015, section 3.3, with the numbers of the authors' code:
hinge loss, C = 0.001, positives count twice, and the bias is a weight of a
constant input of 10. Negatives come frame by frame; only those that the
current classifier does not clearly reject are kept.
"""

import dataclasses
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

COST = 1e-3
POSITIVE_WEIGHT = 2.0
BIAS_INPUT = 10.0
_HARD = -1.0001  # negatives that score above it are kept
_EASY = -1.2  # negatives that score below it are dropped
_RETRAIN = 2000  # new negatives between trainings


@dataclasses.dataclass
class HardNegativeSVM:
    """A linear SVM whose negatives arrive in portions.

    Args:
        positives: (N, D).
        cost: C of the SVM.
        retrain: Number of new negatives after which to train again.

    Attributes:
        weights: (D,).
        bias: One number.
        negatives: (M, D) kept negatives.
        trained: Whether it has met positives and negatives.
    """

    positives: np.ndarray
    cost: float = COST
    retrain: int = _RETRAIN

    def __post_init__(self) -> None:
        width = self.positives.shape[1]
        self.weights = np.zeros(width)
        self.bias = 0.0
        self.negatives = np.zeros((0, width), np.float32)
        self._added, self.trained = 0, False

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return (N,) signed distances from the plane, in margins."""
        return features @ self.weights + self.bias

    def add(self, features: np.ndarray) -> None:
        """Keep the hard ones among negatives; train after enough of them."""
        hard = features
        if self.trained:
            hard = features[self.scores(features) > _HARD]
        self.negatives = np.concatenate([self.negatives, hard])
        self._added += len(hard)
        if self._added > self.retrain or (len(hard) and not self.trained):
            self.fit()

    def fit(self) -> None:
        """Train on the kept negatives, and drop those that became easy."""
        self._added = 0
        if not len(self.negatives) or not len(self.positives):
            return
        self.weights, self.bias = fit_hinge(
            self.positives, self.negatives, self.cost
        )
        self.trained = True
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
        The weights w, (D,), and the bias b.
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
        # liblinear, which the authors use, also ends after 1000 passes.
        warnings.simplefilter("ignore", ConvergenceWarning)
        svm.fit(samples, labels)
    return svm.coef_[0], float(svm.intercept_[0])
