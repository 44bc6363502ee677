"""What computes on a GPU computes on any device but the processor: here on one that is made for it."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths

import agents
from agents.speaking import load_speaker

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C++ compiler")
    library, libraries = tmp_path_factory.mktemp("device") / "elsewhere.so", Path(torch.__file__).parent / "lib"
    includes = [f"-I{path}" for path in (*include_paths(), sysconfig.get_paths()["include"])]
    linked = ["-L" + str(libraries), "-ltorch_cpu", "-lc10"]
    source = str(HERE / "elsewhere.cpp")
    subprocess.run(
        [compiler, "-std=c++20", "-O0", "-shared", "-fPIC", *includes, source, "-o", str(library), *linked], check=True
    )
    return library


@pytest.mark.parametrize("case", ["refusals", "learners", "models", "runs", "speech"])
def test_all_of_it_computes_where_it_is_told_to(case: str, device: Path) -> None:
    command = [sys.executable, "-W", "ignore", str(HERE / "elsewhere.py"), str(device), case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_device_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no device 'gpu' here: give 'auto', 'cpu', 'cuda'"):
        agents.make("a2c", "TextGuessNumber-v0", device="gpu")
    for device in ("gpu", "xpu", "maia"):  # unknown, and known to torch without being there
        with pytest.raises(ValueError, match=f"no device '{device}'"):
            load_speaker("tiny", device=device)
