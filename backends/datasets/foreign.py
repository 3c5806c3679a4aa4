"""Formats of other programs, which are recognised by their names and not read: what they are, and what to do."""

from __future__ import annotations

import re

_EXPORT = "export its images as files, WebDataset or Parquet, and name those"

_FORMATS = (
    (r".+\.beton", "is FFCV, which only the ffcv library reads"),
    (r".+\.mds(\.\w+)?", "is MosaicML's MDS, which only the streaming library reads"),
    (r"chunk-\d+-\d+\.bin", "is LitData, which only the litdata library reads"),
    (r".+\.tfrecords?(-.*|\..*)?|.+\.tfrec", "is TFRecord, which only TensorFlow reads"),
    (r"data\.mdb", "is an LMDB of another program, such as LSUN, whose keys and values have no common form"),
    (r".+\.(lance|manifest)", "is Lance, which only the pylance library reads"),
    (r".+\.mat", "is a MATLAB file, which scipy.io.loadmat reads"),
    (r".+\.rec", "is MXNet's RecordIO, which only mxnet reads"),
    (r"\.zgroup|\.zarray|zarr\.json", "is a Zarr store of another program"),
)


def foreign_kind(names: list[str]) -> str:
    """What a folder of these files is, and what to do with it; empty where that is not known."""
    for pattern, what in _FORMATS:
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
            return f"{what}: {_EXPORT}."
    return ""
