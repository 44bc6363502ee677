"""The ``agents`` command: train, evaluate, watch, chat with and export language-model agents."""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from agents.players import Player

_PLAIN_PLAYERS = ("random", "expert")
_FILE = "checkpoint.pt"
_TIMESTEPS = 50_000
_CHAT_TOKENS = 32
_CHAT_WINDOW = 512
_SHARED = ("window", "max_utterance_tokens", "constrain", "tokenizer")  # keywords that make sense in every game
_OPTION_OF = {"backbone": "--backbone", "num_envs": "--num-envs", "seed": "--seed", "env_kwargs": "--env"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; ``None`` takes those of the process.

    Returns:
        0, or 2 after an error that the message explains, or 130 after Ctrl-C.
    """
    args = _parser().parse_args(argv)
    # A path or a transcript must come out as it is: no wrapping, no markup, no colours inside.
    console = Console(soft_wrap=True, markup=False, highlight=False, width=None if sys.stdout.isatty() else 160)
    try:
        return args.run(args, console)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (ValueError, TypeError, OSError, KeyError, ImportError) as error:
        message = _message(error)
    except Exception as error:
        if not type(error).__module__.startswith("gymnasium"):
            raise
        message = _message(error)
    print(f"agents: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agents", description="Language-model agents for text environments.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace, Console], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=run)
        return sub

    def playing(sub: argparse.ArgumentParser, split: str) -> None:
        sub.add_argument("id", metavar="ID", help="environment id, such as TextDialogue-v0")
        sub.add_argument("--level", help="level of the game (that of training, or medium)")
        sub.add_argument("--split", default=split, help=f"train, test or all ({split})")
        sub.add_argument("--greedy", action="store_true", help="take the most probable action instead of a sample")
        sub.add_argument("--seed", type=int, default=0, help="seed of the episodes (0)")
        sub.add_argument("--env", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=env_help)

    env_help = "keywords of gymnasium.make"
    command("list", _list, "show the learners")

    backbone_help = "tiny, a folder, a .gguf file, a Hugging Face name, gru or a configuration as JSON (tiny)"
    train = command("train", _train, "train a learner on an environment")
    train.add_argument("learner", metavar="LEARNER", help="a name of `agents list`")
    train.add_argument("id", metavar="ID", help="environment id, such as TextDialogue-v0")
    train.add_argument("--backbone", type=_backbone, help=backbone_help)
    train.add_argument("--level", help="level of the game (medium)")
    train.add_argument("--action-level", help="token, turn or choice (the learner's first)")
    train.add_argument("--timesteps", type=int, help=f"environment steps in all ({_TIMESTEPS})")
    train.add_argument("--num-envs", type=int, help="environments side by side (16)")
    train.add_argument("--seed", type=int, help="seed of everything (0)")
    train.add_argument("--out", type=Path, metavar="FOLDER", help="where the run is kept (runs/LEARNER-ID)")
    train.add_argument("--resume", action="store_true", help="continue the run in the folder")
    train.add_argument("--force", action="store_true", help="start over where the folder holds a run")
    sets = "keywords of the Stable-Baselines3 class"
    train.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=sets)
    train.add_argument("--env", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=env_help)
    train.add_argument("--save-every", type=int, default=10_000, metavar="STEPS", help="between checkpoints (10000)")
    train.add_argument("--eval-episodes", type=int, default=100, metavar="N", help="at the end; 0 for none (100)")

    evaluate = command("eval", _eval, "measure a player over many episodes")
    evaluate.add_argument("player", metavar="PLAYER", help="checkpoint or its folder, random, expert, or a model")
    playing(evaluate, "test")
    evaluate.add_argument("--episodes", type=int, default=200, help="how many (200)")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")

    watch = command("watch", _watch, "show one episode turn by turn")
    watch.add_argument("player", metavar="PLAYER", help="checkpoint or its folder, random, expert, or a model")
    playing(watch, "test")

    chat = command("chat", _chat, "talk with a model: you are the user, or the database")
    chat.add_argument("model", metavar="MODEL", help="checkpoint or its folder, or a model such as tiny")
    chat.add_argument("--greedy", action="store_true", help="take the most probable token instead of a sample")
    chat.add_argument("--raw", action="store_true", help="send lines as they are, without `user: ` before them")
    chat.add_argument("--seed", type=int, default=0, help="seed of the sampling (0)")

    export = command("export", _export, "write a trained language model as a plain Hugging Face folder")
    export.add_argument("path", metavar="PATH", help="checkpoint or its folder")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="folder to write")
    return parser


# --- commands ---


def _list(args: argparse.Namespace, console: Console) -> int:
    from agents.learners import LEARNERS

    table = Table("learner", "class", "action levels (default first)")
    for name, row in sorted(LEARNERS.items()):
        table.add_row(name, f"{row.algorithm.__module__.split('.')[0]}.{row.algorithm.__name__}", ", ".join(row.levels))
    console.print(table)
    return 0


def _train(args: argparse.Namespace, console: Console) -> int:
    _check_id(args.id)
    if args.save_every < 1:
        raise ValueError(f"--save-every must be at least 1, not {args.save_every}")
    if args.timesteps is not None and args.timesteps < 1:
        raise ValueError(f"--timesteps must be at least 1, not {args.timesteps}")
    if args.eval_episodes == 1 or args.eval_episodes < 0:
        raise ValueError(f"--eval-episodes must be 0 or at least 2, not {args.eval_episodes}")
    out: Path = args.out or Path("runs") / f"{args.learner}-{args.id}".replace("/", "-").replace(":", "-")
    checkpoint = out / _FILE
    if args.resume:
        if not checkpoint.is_file():
            raise FileNotFoundError(f"nothing to resume: there is no {checkpoint}{_closest_run(out)}")
        model = _resumed(args, checkpoint)
        total = args.timesteps or model._total_timesteps
        if model.num_timesteps >= total:
            raise ValueError(
                f"{checkpoint} is done: it has {model.num_timesteps} of {total} timesteps; "
                "give a larger --timesteps to train on"
            )
    else:
        if checkpoint.exists() and not args.force:
            raise ValueError(f"{checkpoint} exists: add --resume to continue it, --force to start over, or --out")
        model = _new(args)
        total = args.timesteps or _TIMESTEPS
        checkpoint.unlink(missing_ok=True)
        shutil.rmtree(out / "tb", ignore_errors=True)
    for unfinished in out.glob(f".{_FILE}.*"):  # of a killed run
        unfinished.unlink()
    command = ["agents", "train", args.learner, args.id, "--out", str(out), "--resume", "--timesteps", str(total)]
    command += ["--save-every", str(args.save_every), "--eval-episodes", str(args.eval_episodes)]
    if not _learn(model, total, out, args.save_every, console):
        console.print(f"stopped; {checkpoint} continues exactly from its last save:\n{shlex.join(command)}")
        return 130
    console.print(f"trained for {model.num_timesteps} timesteps: {checkpoint}")
    if args.eval_episodes > 0:
        _compare(model, args.eval_episodes, console)
    return 0


def _eval(args: argparse.Namespace, console: Console) -> int:
    from agents.evaluation import comparison_table, evaluate

    if args.episodes < 2:
        raise ValueError(f"--episodes must be at least 2, not {args.episodes}")
    player, keywords = _player(args)
    result = evaluate(player, args.id, args.episodes, args.split, seed=args.seed, **keywords)
    console.print(comparison_table({player.name: result}))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(result.to_json(), encoding="utf-8")
    return 0


def _watch(args: argparse.Namespace, console: Console) -> int:
    import gymnasium

    player, keywords = _player(args)
    env: Any = gymnasium.make(args.id, split=args.split, action_level=player.action_level, **keywords).unwrapped
    observation, info = env.reset(seed=args.seed)
    console.print(f"env:   {info['text']}")
    ended, total = False, 0.0
    while not ended:
        action = player.act([env], observation[None])[0]
        observation, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        total += reward
        if "text" in info:  # the turn is over
            console.print(f"agent: {env.transcript[-2][1]}\nenv:   {info['text']}  [{reward:+.2f}]")
    success = {True: ", success", False: ", no success"}.get(info.get("success"), "")
    console.print(f"return {total:.2f} in {info['turns']} turns{success}")
    return 0


def _chat(args: argparse.Namespace, console: Console) -> int:
    import torch

    backbone, tokenizer = _speaker(args.model)
    torch.manual_seed(args.seed)
    chat = _Chat(backbone, tokenizer, args.greedy)
    prompt = "you: " if sys.stdin.isatty() else ""
    if prompt:
        console.print("you speak as `user: ...` or `database: ...`; /reset starts over, /quit or Ctrl-D ends")
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            return 0
        if line == "/quit":
            return 0
        if line == "/reset":
            chat.reset()
            console.print("(a new dialogue)")
        elif line:
            if not args.raw and not line.startswith(("user:", "database:")):
                line = f"user: {line}"
            console.print(f"assistant: {chat.reply(line)}")


def _export(args: argparse.Namespace, console: Console) -> int:
    from agents.checkpoint import export

    folder = export(_load(args.path), args.folder)
    console.print(f"written: {folder} (agents.load_backbone and transformers read it)")
    return 0


# --- training ---


def _new(args: argparse.Namespace) -> BaseAlgorithm:
    from agents.learners import make

    overrides = _overrides(args.set)
    given = {"num_envs": args.num_envs, "seed": args.seed, "backbone": args.backbone}
    given = {name: value for name, value in given.items() if value is not None}
    return make(args.learner, args.id, env_kwargs={"level": "medium", **_env_kwargs(args)}, **given, **overrides)


def _resumed(args: argparse.Namespace, checkpoint: Path) -> BaseAlgorithm:
    """The saved learner; options that are given must agree with what it was made with."""
    model = _load(str(checkpoint))
    recipe = model.recipe  # type: ignore[attr-defined]
    own = {"LEARNER": recipe["learner"], "ID": recipe["env_id"]}
    given: dict[str, Any] = {"LEARNER": args.learner, "ID": args.id}
    for name in ("backbone", "num_envs", "seed"):
        if getattr(args, name) is not None:
            own[_OPTION_OF[name]], given[_OPTION_OF[name]] = recipe[name], getattr(args, name)
    for option, saved, values in (
        ("--env", recipe["env_kwargs"], _env_kwargs(args)),
        ("--set", recipe["overrides"], _overrides(args.set)),
    ):
        for key, value in values.items():
            own[f"{option} {key}"] = saved.get(key)
            given[f"{option} {key}"] = list(value) if isinstance(value, tuple) else value
    for name, value in given.items():
        if value != own[name]:
            raise ValueError(f"{checkpoint} was made with {name} {own[name]!r}, not {value!r}: resume it without that")
    return model


def _learn(model: BaseAlgorithm, total: int, out: Path, save_every: int, console: Console) -> bool:
    """Learn up to ``total`` timesteps with checkpoints and logs; false if Ctrl-C came before.

    The first Ctrl-C lets the rollout end and saves there, the second stops at once and keeps the save before: one in
    the middle of a rollout would not continue exactly.
    """
    from stable_baselines3.common.callbacks import BaseCallback, ProgressBarCallback
    from stable_baselines3.common.logger import configure

    from agents.callbacks import CheckpointCallback, CurveCallback, stopping_on_interrupt
    from agents.checkpoint import save

    model._total_timesteps = total
    save(model, out / _FILE)  # an interrupted first rollout, too, can be continued; and a bad folder shows at once
    model.set_logger(configure(str(out / "tb"), ["tensorboard"]))
    bar = ProgressBarCallback() if console.is_terminal else None
    checkpoint = CheckpointCallback(out / _FILE, save_every)
    started = model.num_timesteps
    console.print(f"training from {started} to {total} timesteps; logs in {out / 'tb'}")
    callbacks: list[BaseCallback] = [CurveCallback(), checkpoint, *([bar] if bar else [])]

    def tell() -> None:
        console.print("stopping when this rollout is over; Ctrl-C again stops at once")

    try:
        with stopping_on_interrupt(checkpoint, tell):
            model.learn(total - started, callbacks, reset_num_timesteps=model._last_obs is None)
            if checkpoint.stopped:
                return False
            save(model, out / _FILE)
    except KeyboardInterrupt:
        return False
    finally:
        if bar is not None and hasattr(bar, "pbar"):
            bar.pbar.close()
        model.logger.close()
    return True


def _compare(model: BaseAlgorithm, episodes: int, console: Console) -> None:
    from agents.evaluation import comparison_table, evaluate
    from agents.players import ExpertPlayer, PolicyPlayer, RandomPlayer

    recipe = model.recipe  # type: ignore[attr-defined]
    keywords = _keywords_of(model, recipe["env_id"])
    players: list[Player] = [
        RandomPlayer(recipe["seed"]),
        PolicyPlayer(model, deterministic=False, name="trained, sampled"),
        PolicyPlayer(model, deterministic=True, name="trained, greedy"),
        ExpertPlayer(),
    ]
    results = {}
    for player in players:
        own = keywords if isinstance(player, PolicyPlayer) else {**keywords, "constrain": False}
        results[player.name] = evaluate(player, recipe["env_id"], episodes, "test", seed=recipe["seed"], **own)
    console.print(comparison_table(results))


# --- players and models by name ---


def _player(args: argparse.Namespace) -> tuple[Player, dict[str, Any]]:
    """The player that the arguments name, and the keywords of environments for it."""
    _check_id(args.id)
    extra = _pairs(args.env, "--env")
    if args.level is not None:
        extra = {"level": args.level, **extra}
    for name in ("split", "action_level", "as_text"):
        if name in extra:
            raise ValueError(f"--env {name} cannot be given here" + ("; use --split" if name == "split" else ""))
    if args.player in _PLAIN_PLAYERS:
        from agents.players import ExpertPlayer, RandomPlayer

        plain = RandomPlayer(args.seed) if args.player == "random" else ExpertPlayer()
        return plain, {"level": "medium", **extra}
    import torch

    from agents.players import PolicyPlayer

    file = _checkpoint_file(args.player)
    if file is not None:
        model = _load(str(file))
    else:
        from agents.learners import make

        making = {"level": "medium", **extra, "action_level": "turn"}
        model = make("a2c", args.id, args.player, num_envs=1, seed=args.seed, env_kwargs=making)
    torch.manual_seed(args.seed)
    path = Path(args.player)
    name = f"{path.parent.name if path.name == _FILE else path.name}, {'greedy' if args.greedy else 'sampled'}"
    player = PolicyPlayer(model, deterministic=args.greedy, name=name)
    return player, {"level": "medium", **_keywords_of(model, args.id), **extra}


def _keywords_of(model: BaseAlgorithm, env_id: str) -> dict[str, Any]:
    """Keywords of environments like those a learner was made for; those of its own game only if ``env_id`` is it."""
    recipe = model.recipe  # type: ignore[attr-defined]
    keywords = {name: value for name, value in recipe["env_kwargs"].items() if name not in ("action_level", "split")}
    if recipe["env_id"] != env_id:
        keywords = {name: value for name, value in keywords.items() if name in _SHARED}
    return {**keywords, "tokenizer": model.get_env().get_attr("tokenizer", 0)[0]}  # type: ignore[union-attr]


def _speaker(target: str) -> tuple[Any, Any]:
    """The backbone and the tokenizer that ``target`` names."""
    if target in _PLAIN_PLAYERS:
        raise ValueError(f"{target!r} is no language model: give a checkpoint, or a model such as tiny")
    file = _checkpoint_file(target)
    if file is not None:
        model: Any = _load(str(file))
        policy = model.policy
        reader = policy.reader if hasattr(policy, "reader") else policy.q_net.reader
        return reader.backbone, model.get_env().get_attr("tokenizer", 0)[0]
    from agents.backbones import TINY, load_backbone
    from agents.learners.table import tokenizer_of
    from textenvs.tokens.tokenizer import load_tokenizer

    return load_backbone(target), load_tokenizer("textenvs" if target == TINY else tokenizer_of(target))


def _backbone(text: str) -> Any:
    """What ``--backbone`` names: a model, or a configuration."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error


def _checkpoint_file(target: str) -> Path | None:
    """The checkpoint that ``target`` names, as a file or as its folder, or ``None`` where it names a model."""
    path = Path(target)
    if path.is_file() and path.suffix != ".gguf":
        return path
    if (path / _FILE).is_file():
        return path / _FILE
    if path.exists():
        return None
    in_a_folder = path.parent != Path() and path.parent.is_dir()
    if path.suffix in (".pt", ".gguf", ".zip") or in_a_folder:
        raise FileNotFoundError(f"no file or folder {target}{_closest_run(path)}")
    close = difflib.get_close_matches(target, ("tiny", *_PLAIN_PLAYERS), 1, 0.7)
    if close and close[0] != target:
        raise ValueError(f"no player {target!r}: did you mean {close[0]!r}?")
    return None


def _load(target: str) -> BaseAlgorithm:
    from agents.checkpoint import load

    file = _checkpoint_file(target)
    if file is None:
        raise FileNotFoundError(f"{target} is no checkpoint: give {_FILE} of a run of `agents train`, or its folder")
    return load(file)


def _closest_run(path: Path) -> str:
    """``"; did you mean ...?"`` with the run that lies nearest to a path where there is none."""
    folder = path.parent if path.suffix == ".pt" else path
    runs = [str(file.parent) for file in folder.parent.glob(f"*/{_FILE}")]
    if path.suffix == ".pt":
        runs += [str(file) for file in folder.glob("*.pt")]
    close = difflib.get_close_matches(str(path), runs, 1)
    return f"; did you mean {close[0]}?" if close else ""


# --- talking ---


class _Chat:
    """One dialogue with a language model.

    Args:
        backbone: the model.
        tokenizer: strings <-> its ids.
        greedy: take the most probable token instead of a sample.
    """

    def __init__(self, backbone: Any, tokenizer: Any, greedy: bool) -> None:
        import torch

        self.backbone, self.tokenizer, self.greedy = backbone, tokenizer, greedy
        self.window = min(_CHAT_WINDOW, (backbone.max_length or _CHAT_WINDOW + _CHAT_TOKENS) - _CHAT_TOKENS)
        if self.window < 2:
            raise ValueError(f"the model has {backbone.max_length} positions: too few to talk")
        self.forbidden = torch.zeros(backbone.vocab_size, dtype=torch.bool)
        self.forbidden[[*tokenizer.special_ids]] = True
        self.forbidden[tokenizer.vocab_size :] = True
        self.cache = backbone.new_cache(1, self.window + _CHAT_TOKENS)
        self.reset()

    def reset(self) -> None:
        """Start over."""
        import numpy as np

        from textenvs.tokens.stream import TokenStream

        self.stream = TokenStream(np.empty(self.window, np.int32), self.window, self.tokenizer.pad_id)
        self.said: list[int] | None = None

    def reply(self, text: str) -> str:
        """What the model says to ``text``."""
        tokenizer = self.tokenizer
        heard = [*tokenizer.encode(text), *tokenizer.agent_prefix]
        if self.said is None:
            self.stream.start([*tokenizer.opening_prefix, *heard])
        else:
            self.stream.append([*self.said, tokenizer.end_id, *tokenizer.env_prefix, *heard], closes=True)
        self.said = self._generate(self.stream.buffer[: self.stream.length].tolist())
        return tokenizer.decode(self.said).strip()

    def _generate(self, context: list[int]) -> list[int]:
        import torch

        said: list[int] = []
        while len(said) < _CHAT_TOKENS:
            ids = torch.tensor([context + said], device=self.cache.ids.device)
            hidden = self.cache.last_hidden(ids, torch.full((1,), ids.shape[1], device=ids.device))
            logits = self.backbone.logits(hidden)[0].detach().cpu().masked_fill(self.forbidden, -torch.inf)
            token = int(logits.argmax() if self.greedy else torch.multinomial(logits.softmax(0), 1))
            if token == self.tokenizer.end_id:
                break
            said.append(token)
        return said


# --- arguments ---


def _check_id(env_id: str) -> None:
    import gymnasium

    import textenvs

    if env_id in gymnasium.registry or ":" in env_id:  # "module:id" is imported by Gymnasium
        return
    close = difflib.get_close_matches(env_id, textenvs.ids(), 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(textenvs.ids())}"
    raise ValueError(f"no environment {env_id!r}: {hint}")


def _env_kwargs(args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of environments that the arguments of ``train`` name."""
    named = {"level": args.level, "action_level": args.action_level}
    return {**{name: value for name, value in named.items() if value is not None}, **_pairs(args.env, "--env")}


def _overrides(items: Sequence[str]) -> dict[str, Any]:
    overrides = _pairs(items, "--set")
    for name in _OPTION_OF:
        if name in overrides:
            raise ValueError(f"--set {name} cannot be given: use {_OPTION_OF[name]}")
    return overrides


def _pairs(items: Sequence[str], option: str) -> dict[str, Any]:
    """``["n_steps=32", "name=x"]`` as ``{"n_steps": 32, "name": "x"}``."""
    pairs = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key:
            raise ValueError(f"{option} takes KEY=VALUE, not {item!r}")
        try:
            pairs[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pairs[key] = text
    return pairs


def _message(error: BaseException) -> str:
    """What an error says, on one line."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
