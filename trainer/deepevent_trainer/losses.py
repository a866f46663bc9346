"""What a net is punished for: wrong classes, and boxes that are off.

Tensors in, one number out. By default all windows of a batch count alike. Two rules that favour hard
windows can be chosen: `ohem`, by which only the largest 70 % of the losses count (MTCNN, Zhang et al. 2016,
section II-C), and `focal`, by which a loss counts the less the surer the net is (Lin et al. 2017, equation
4). For the cascade that ships `ohem` was tried and left: among small, covered and dark faces the hardest
are those that nobody could tell, and at equal steps det24 let a fifth more background pass.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepevent_trainer.data.batches import Batch
from deepevent_trainer.measures import paired_iou
from deepevent_trainer.plans import Plan

# An edge that is a tenth of the window off weighs about as much as a class told with probability 0.6.
BOX_WEIGHT = 5.0
# Errors below this share of the window are punished by their square.
_BOX_BETA = 0.1

# How single losses become one.
Rule = Literal["plain", "ohem", "focal"]
RULES: tuple[Rule, ...] = get_args(Rule)
HARDEST_SHARE = 0.7
FOCUS = 2.0


def loss_of(plan: Plan, outputs: Tensor, batch: Batch, rule: Rule = "plain") -> Tensor:
    """Return the loss of a net's `outputs`, `(B, plan.n_outputs)`, on a batch."""
    logits = outputs[:, : plan.n_classes]
    if batch.boxes is None:
        return class_loss(logits, batch.targets, rule)
    judged = batch.targets >= 0
    classes = class_loss(logits[judged], batch.targets[judged], rule)
    present = torch.isfinite(batch.boxes[:, 0])
    if not present.any():
        return classes
    box = nn.functional.smooth_l1_loss(
        outputs[present, plan.n_classes :], batch.boxes[present], beta=_BOX_BETA
    )
    return classes + BOX_WEIGHT * box


def class_loss(logits: Tensor, targets: Tensor, rule: Rule) -> Tensor:
    """Return the cross-entropy of `logits` `(B, C)` with `targets` `(B,)` as `rule` joins it."""
    if rule == "plain":
        return nn.functional.cross_entropy(logits, targets)
    each = nn.functional.cross_entropy(logits, targets, reduction="none")
    if rule == "ohem":
        return each.topk(math.ceil(HARDEST_SHARE * len(each))).values.mean()
    return ((1 - torch.exp(-each)) ** FOCUS * each).mean()


def box_errors(found: Tensor, boxes: Tensor) -> Tensor:
    """Return by how much each edge is off, `(n, 4)` in sides of the window, where there is a face."""
    present = torch.isfinite(boxes[:, 0])
    return (found[present] - boxes[present]).abs()


def box_overlaps(found: Tensor, boxes: Tensor) -> NDArray[np.float64]:
    """Return the overlap of each found box with the face, `(n,)` IoU, where there is a face."""
    present = torch.isfinite(boxes[:, 0])
    window = np.array([0.0, 0.0, 1.0, 1.0])
    pair = [window + side[present].double().numpy() for side in (found, boxes)]
    return paired_iou(pair[0], pair[1])
