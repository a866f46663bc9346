"""Where the public sets come from: one table of addresses and checksums.

Addresses are those that the sets' own pages give. Checksums are the MD5 sums that are published with the
files or recorded by well-known loaders: they detect a broken or exchanged file, not a clever forger. The
terms are the sets' own; whoever downloads a set accepts them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file of a set.

    Attributes:
        name: what it is called here.
        url: where it comes from.
        md5: its checksum in hexadecimal, or None where none is published.
        archive: whether it is unpacked after it is whole.
    """

    name: str
    url: str
    md5: str | None
    archive: bool = True


@dataclass(frozen=True)
class DataSet:
    """A set that can be fetched.

    Attributes:
        name: how the command calls it; a reader has the same name.
        title: what it is.
        terms: how it may be used, as its authors say.
        files: what belongs to it.
        unpacked_bytes: more than the archives unpack to; what exceeds it is refused.
    """

    name: str
    title: str
    terms: str
    files: tuple[RemoteFile, ...]
    unpacked_bytes: int


def _drive(identity: str) -> str:
    """Return the direct address of a large public file on Google Drive; it serves ranges."""
    return f"https://drive.usercontent.google.com/download?id={identity}&export=download&confirm=t"


_GB = 10**9

DATA_SETS: dict[str, DataSet] = {
    "fddb": DataSet(
        name="fddb",
        title="Face Detection Data Set and Benchmark: 2,845 photographs, 5,171 ellipses in ten folds",
        terms="research; the photographs belong to news agencies",
        files=(
            RemoteFile(
                "originalPics.tar.gz",
                "http://tamaraberg.com/faceDataset/originalPics.tar.gz",
                "cf414253ac596cd858daae0cc321d793",
            ),
            RemoteFile(
                "FDDB-folds.tgz",
                "http://vis-www.cs.umass.edu/fddb/FDDB-folds.tgz",
                "4cf9badc939a3398a0d6f3a3c8540f55",
            ),
        ),
        unpacked_bytes=4 * _GB,
    ),
    "lfw": DataSet(
        name="lfw",
        title="Labeled Faces in the Wild, deep-funnelled: 13,233 faces of 5,749 persons",
        terms="research",
        files=(
            RemoteFile(
                "lfw-deepfunneled.tgz",
                "http://vis-www.cs.umass.edu/lfw/lfw-deepfunneled.tgz",
                "68331da3eb755a505a502b5aacb3c201",
            ),
        ),
        unpacked_bytes=2 * _GB,
    ),
    "wider": DataSet(
        name="wider",
        title="WIDER FACE, training and validation: 16,106 photographs, 199,132 faces",
        terms="non-commercial research",
        files=(
            RemoteFile(
                "wider_face_split.zip",
                "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
                "0e3767bcf0e326556d407bf5bff5d27c",
            ),
            RemoteFile(
                "eval_tools.zip", "http://shuoyang1213.me/WIDERFACE/support/eval_script/eval_tools.zip", None
            ),
            RemoteFile(
                "WIDER_val.zip",
                _drive("1GUCogbp16PMGa39thoMMeWxp7Rp5oM8Q"),
                "dfa7d7e790efa35df3788964cf0bbaea",
            ),
            RemoteFile(
                "WIDER_train.zip",
                _drive("15hGDLhsx8bLgLcIRD5DhYt5iBxnjNF1M"),
                "3fedf70df600953d25982bcd13d91ba2",
            ),
        ),
        unpacked_bytes=8 * _GB,
    ),
}
