"""What a job prints is bounded on its way into the run, and nothing of it can hurt the agent."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deepevent_trainer.output import BURST_LINES, LINES_PER_S, MAX_LINE, MAX_RUN_BYTES, OutputLog


class Printed:
    """Collects lines under a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[tuple[str, str]] = []
        self.now = 0.0
        self.path = folder / "output.log"
        self.log = OutputLog(
            lambda stream, text: self.lines.append((stream, text)), self.path, lambda: self.now
        )


def test_pieces_become_lines_of_their_stream(tmp_path: Path) -> None:
    """A line that comes in pieces is one line; the streams do not mix; the file has all of it."""
    printed = Printed(tmp_path)
    for stream, text in [("stdout", "on"), ("stderr", "bad\n"), ("stdout", "e\ntwo\nthr"), ("stdout", "ee")]:
        printed.log.read(stream, text)
    printed.log.close()
    assert printed.lines == [
        ("stderr", "bad\n"),
        ("stdout", "one\n"),
        ("stdout", "two\n"),
        ("stdout", "three\n"),
    ]
    assert printed.path.read_text() == "onbad\ne\ntwo\nthree"


def test_progress_bar_is_one_line(tmp_path: Path) -> None:
    """Of a line that writes over itself only the last state counts."""
    printed = Printed(tmp_path)
    printed.log.read("stderr", "10%\r50%\r100%\r\n")
    printed.log.close()
    assert printed.lines == [("stderr", "100%\n")]


def test_flood_is_cut_and_counted(tmp_path: Path) -> None:
    """A burst passes, then a steady rate; what is left out is counted and said once."""
    printed = Printed(tmp_path)
    printed.log.read("stdout", "x\n" * 20_000)
    assert len(printed.lines) == BURST_LINES
    printed.now = 1.0
    printed.log.read("stdout", "y\n" * 1_000)
    assert len(printed.lines) == BURST_LINES + LINES_PER_S
    printed.log.close()
    left_out = 21_000 - int(BURST_LINES + LINES_PER_S)
    assert printed.lines[-1] == ("stderr", f"deepevent: {left_out} lines were left out here\n")


def test_endless_line_is_never_held_whole(tmp_path: Path) -> None:
    """A line of many megabytes is one short line."""
    printed = Printed(tmp_path)
    for _ in range(100):
        printed.log.read("stdout", "z" * 65_536)
    printed.log.read("stdout", "\nafter\n")
    printed.log.close()
    assert printed.lines == [("stdout", "z" * MAX_LINE + "\n"), ("stdout", "after\n")]


def test_run_gets_no_more_than_its_share(tmp_path: Path) -> None:
    """However slowly it comes, the sum is bounded."""
    printed = Printed(tmp_path)
    for _ in range(2 * MAX_RUN_BYTES // MAX_LINE):
        printed.now += 1.0
        printed.log.read("stdout", "z" * (MAX_LINE - 1) + "\n")
    printed.log.close()
    assert sum(len(text) for _, text in printed.lines) <= MAX_RUN_BYTES + MAX_LINE
    assert printed.log.n_left_out > 0


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=50)))
def test_lines_do_not_depend_on_the_pieces(tmp_path_factory: object, pieces: list[str]) -> None:
    """However a text is cut, the same lines come out."""
    folder = tmp_path_factory.mktemp("output")  # type: ignore[attr-defined]
    whole, cut = Printed(folder), Printed(folder)
    whole.log.read("stdout", "".join(pieces))
    for piece in pieces:
        cut.log.read("stdout", piece)
    whole.log.close()
    cut.log.close()
    assert cut.lines == whole.lines
