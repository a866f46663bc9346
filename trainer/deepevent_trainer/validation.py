"""A net judged on the validation set: figures, and what they were made of.

Knows nets and batches; nothing of how a net is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepevent_trainer import calibration
from deepevent_trainer.data.batches import Source
from deepevent_trainer.losses import box_errors, box_overlaps
from deepevent_trainer.measures import calibration_measures, detection_measures, paired_iou
from deepevent_trainer.networks import FACE, Network
from deepevent_trainer.roc import Roc, roc


@dataclass(frozen=True, eq=False)
class Judged:
    """What a net is worth.

    Attributes:
        measures: by name.
        distributions: of what single windows got, by name.
        roc: of a detection net, if there are faces and background.
    """

    measures: dict[str, float]
    distributions: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    roc: Roc | None = None


def validate(network: Network, source: Source) -> Judged:
    """Return loss, measures, distributions and curve of `network` on the validation set."""
    network.eval()
    logits: list[Tensor] = []
    targets: list[Tensor] = []
    errors: list[Tensor] = []
    overlaps: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        device = next(network.parameters()).device
        for batch in source.validation():
            outputs = network(batch.pixels.to(device)).flatten(1).cpu()
            judged = batch.targets >= 0
            logits.append(outputs[judged, : network.plan.n_classes])
            targets.append(batch.targets[judged])
            if batch.boxes is not None:
                found = outputs[:, network.plan.n_classes :]
                errors.append(box_errors(found, batch.boxes))
                overlaps.append(box_overlaps(found, batch.boxes))
        every_logit, every_target = torch.cat(logits), torch.cat(targets)
        loss = nn.functional.cross_entropy(every_logit, every_target).item()
        probabilities = torch.softmax(every_logit, dim=1).numpy()
    if network.plan.task == "detection":
        judgement = _detection(probabilities, every_target.numpy())
    else:
        judgement = _calibration(probabilities, every_target.numpy(), network.size_px)
    measures, distributions = {"loss": loss} | judgement.measures, dict(judgement.distributions)
    if errors:
        measures["box_error"] = float(torch.cat(errors).mean())
        distributions["iou_of_box"] = np.concatenate(overlaps)
        measures["iou_of_box"] = float(distributions["iou_of_box"].mean())
    return Judged(measures, distributions, judgement.roc)


def _detection(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> Judged:
    scores = probabilities[:, FACE]
    faces, background = scores[targets == FACE], scores[targets != FACE]
    curve = roc(faces, background)
    measures = detection_measures(probabilities, targets)
    measures["roc_area"] = float("nan") if curve is None else curve.area
    return Judged(measures, {"face_scores": faces, "background_scores": background}, curve)


def _calibration(probabilities: NDArray[np.floating], targets: NDArray[np.integer], size_px: int) -> Judged:
    face = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]]), (len(targets), 1))
    back = calibration.calibrate(calibration.encode(face, targets), probabilities)
    measures = calibration_measures(probabilities, targets, size_px)
    return Judged(measures, {"iou_after": paired_iou(back, face)})
