"""Lists of file names for the demo."""

import csv
import gzip
from importlib import resources
from pathlib import Path
from typing import IO, cast

SAMPLE = "sample_files.txt"


def read(path: Path | None) -> list[str]:
    """Return the file names in *path*, each once, in their order.

    :param path: one name a line, or a TSV whose column ``lfn`` counts; either may end in ``.gz``. None: the sample.
    :raises OSError: it cannot be read.
    :raises ValueError: it holds no names.
    """
    if path is None:
        text = resources.files(__package__).joinpath(SAMPLE).read_text(encoding="utf-8")
        names = text.splitlines()
    else:
        with _open(path) as stream:
            header = stream.readline().rstrip("\r\n")
            columns = header.split("\t")
            if "lfn" in columns:
                names = [row["lfn"] for row in csv.DictReader(stream, columns, delimiter="\t", quoting=csv.QUOTE_NONE)]
            else:
                names = [header, *stream.read().splitlines()]
    unique = list(dict.fromkeys(name.strip() for name in names if name and name.strip()))
    if not unique:
        raise ValueError("it holds no file names")
    return unique


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8"))
    return open(path, encoding="utf-8")
