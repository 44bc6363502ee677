"""Play a suite's cells: in processes that may die, or on a Ray cluster; what is finished stays finished."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks import storage
from benchmarks.suite import Cell

_SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads in an unknown state
_PATIENCE = 5.0  # seconds that a process has to end by itself
_EPISODE = 20  # an evaluation episode takes about as long as so many steps of training


def run(
    cells: Sequence[Cell], folder: Path, jobs: int = 1, ray: str | None = None, console: Console | None = None
) -> tuple[int, int]:
    """Play the cells that the folder does not have yet.

    Args:
        cells: all of them.
        folder: where each result is written when its cell ends.
        jobs: processes side by side, one torch thread each; 0 plays in this process.
        ray: address of a Ray cluster, ``"local"`` to start one here; ``None`` for processes.
        console: where progress is shown.

    Returns:
        How many cells are finished in all, and how many failed.

    Raises:
        ValueError: another run writes into the folder.
        KeyboardInterrupt: at Ctrl-C; running cells are lost, finished ones stay.
    """
    console = console or Console()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return _run(cells, folder, jobs, ray, console)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against other runs; the system lets go of it when this process dies."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another run writes into {folder}: wait for its end, or give --out another folder") from None
    try:
        yield
    finally:
        lock.release()


def _run(cells: Sequence[Cell], folder: Path, jobs: int, ray: str | None, console: Console) -> tuple[int, int]:
    storage.remove_leftovers(folder)
    waiting = [cell for cell in cells if not storage.finished(folder, cell)]
    done = len(cells) - len(waiting)
    if done:
        console.print(f"{done} of {len(cells)} cells are finished already in {folder}", highlight=False)
    failed = 0
    with _progress(console) as progress:
        bar = progress.add_task("cells", total=sum(map(_work, waiting)), cells=f"{done}/{len(cells)}", failed="")
        for cell, reason in _outcomes(waiting, folder, jobs, ray):
            done, failed = done + (not reason), failed + bool(reason)
            told = f"[red]{failed} failed" if failed else ""
            progress.update(bar, advance=_work(cell), cells=f"{done + failed}/{len(cells)}", failed=told)
            if reason or not console.is_terminal:
                line = f"failed: {cell.filename}: {reason}" if reason else f"done: {cell.filename}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    return done, failed


def _outcomes(cells: Sequence[Cell], folder: Path, jobs: int, ray: str | None) -> Iterator[tuple[Cell, str]]:
    """Each cell that has ended, with the reason why it failed, or ``""``."""
    if not cells:
        return iter(())
    if ray is not None:
        return _on_ray(cells, folder, ray)
    if jobs == 0:
        return ((cell, _finish(cell, folder)) for cell in cells)
    return _in_processes(cells, folder, min(jobs, len(cells)))


def _finish(cell: Cell, folder: Path) -> str:
    from benchmarks.cells import run_cell

    result = run_cell(cell)
    storage.write_cell(folder, result)
    return _reason(result)


def _reason(result: dict[str, Any]) -> str:
    """A failed cell's last line of its traceback; ``""`` of one that is done."""
    return "" if result["status"] == "done" else result["traceback"].strip().splitlines()[-1]


def _work(cell: Cell) -> int:
    """About how long a cell takes, in steps."""
    plain = cell.kind == "player" and ":" not in cell.name
    return cell.budget + cell.episodes * (1 if plain else _EPISODE)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.fields[cells]} cells"), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
    return Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[failed]}"), console=console)


# --- processes ---


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there may a handler be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Worker:
    """A process that plays one cell after the other; its output goes to a log file in the folder."""

    def __init__(self, folder: Path, number: int) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.log = folder / f"worker-{number}.log"
        self.process = _SPAWN.Process(target=_work_off, args=(theirs, folder, self.log), daemon=True)
        with _interrupts_ignored():  # the child inherits it: Ctrl-C is the parent's business
            self.process.start()
        theirs.close()
        self.cell: Cell | None = None

    def give(self, cell: Cell) -> None:
        """Let it play a cell."""
        self.cell = cell
        self.pipe.send(cell)

    def stop(self) -> None:
        """End the process: one that plays at once, one that waits by itself, so that it can clean up."""
        self.pipe.close()
        if self.cell is None:
            self.process.join(_PATIENCE)
        self.process.kill()
        self.process.join()


def _in_processes(cells: Sequence[Cell], folder: Path, jobs: int) -> Iterator[tuple[Cell, str]]:
    waiting = iter(cells)
    workers: list[_Worker] = []
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported there
    try:
        for number in range(jobs):
            workers.append(_Worker(folder, number))
            workers[-1].give(next(waiting))
        while any(worker.cell is not None for worker in workers):
            ready = wait([each for worker in workers if worker.cell for each in (worker.pipe, worker.process.sentinel)])
            for number, worker in enumerate(workers):
                cell = worker.cell
                if cell is None or (worker.pipe not in ready and worker.process.sentinel not in ready):
                    continue
                try:
                    reason = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    reason = _record_death(cell, folder, worker)
                    worker.stop()
                    workers[number] = worker = _Worker(folder, number)
                worker.cell = None
                yield cell, reason
                following = next(waiting, None)
                if following is not None:
                    worker.give(following)
    finally:
        for worker in workers:
            worker.stop()
            if worker.log.exists() and not worker.log.stat().st_size:
                worker.log.unlink()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _record_death(cell: Cell, folder: Path, worker: _Worker) -> str:
    from benchmarks.cells import failure

    tail = "".join(worker.log.read_text("utf-8", "replace").splitlines(keepends=True)[-20:])
    reason = f"the process ended with code {worker.process.exitcode} (a negative one is the signal)"
    storage.write_cell(folder, failure(cell, f"{reason}; its output:\n{tail}"))
    return reason


def _work_off(pipe: Connection, folder: Path, log: Path) -> None:
    """What a worker does until its parent ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno() if _has_descriptor(sys.stdout) else 1)
        os.dup2(file.fileno(), sys.stderr.fileno() if _has_descriptor(sys.stderr) else 2)
    faulthandler.enable()
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            cell = pipe.recv()
        except EOFError:
            return
        pipe.send(_finish(cell, folder))


def _has_descriptor(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def _end_with_parent() -> None:
    """A run that is killed takes its workers along: they would play against the run that resumes it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


# --- Ray ---


def _on_ray(cells: Sequence[Cell], folder: Path, address: str) -> Iterator[tuple[Cell, str]]:
    try:
        import ray
    except ImportError as error:
        raise ImportError("--ray needs Ray: pip install 'textenvs[ray]'") from error
    ray.init(address=None if address == "local" else address, log_to_driver=False, include_dashboard=False)
    try:
        play: Callable[..., Any] = ray.remote(num_cpus=1, max_retries=1)(_on_node).remote
        running = {play(cell): cell for cell in cells}
        while running:
            (ended,), _ = ray.wait(list(running), num_returns=1)
            cell = running.pop(ended)
            try:
                result = ray.get(ended)
            except ray.exceptions.RayError as error:
                from benchmarks.cells import failure

                result = failure(cell, f"the Ray task was lost: {error}")
            storage.write_cell(folder, result)
            yield cell, _reason(result)
    finally:
        ray.shutdown()


def _on_node(cell: Cell) -> dict[str, Any]:
    import torch

    from benchmarks.cells import run_cell

    torch.set_num_threads(1)
    return run_cell(cell)
