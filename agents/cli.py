"""The ``agents`` command: train, evaluate, watch, chat with, serve and export language-model agents."""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from agents.runs import FILE, PLAIN_PLAYERS, checkpoint_file, closest_run, load_run, run_name

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from agents.players import Player

_TIMESTEPS = 50_000
_PROMPTING = ("shots", "instructions", "temperature", "max_tokens")
_SERVED = ("concurrency", "timeout", "retries", "input_price", "output_price", "api_key_env")
_PROMPTED = {"hf": (*_PROMPTING, "device", "dtype"), "openai": (*_PROMPTING, *_SERVED)}  # options of prompted players
_PREFERENCES = Path("preferences.jsonl")
_SHARED = ("window", "max_utterance_tokens", "constrain", "tokenizer")  # keywords that make sense in every game
_OPTION_OF = {
    "backbone": "--backbone",
    "dataset": "--dataset",
    "num_envs": "--num-envs",
    "seed": "--seed",
    "env_kwargs": "--env",
}


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
        if not _is_explained(error):
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

    def computing(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--device", help="where the model computes, such as cpu or cuda (a GPU where there is one)")

    def typed(sub: argparse.ArgumentParser, hint: str = "") -> None:
        sub.add_argument("--dtype", help=f"{hint}bfloat16 runs the model in that type (float32)")

    def prompting(sub: argparse.ArgumentParser) -> None:
        hints = "for hf: and openai: "
        sub.add_argument("--shots", type=int, help=hints + "episodes of the expert shown first (0)")
        sub.add_argument("--instructions", metavar="TEXT", help=hints + "told first (the game's page); '' for nothing")
        sub.add_argument("--temperature", type=float, help=hints + "instead of the most probable token (0)")
        sub.add_argument("--max-tokens", type=int, help=hints + "of a reply (64)")
        typed(sub, "for hf: ")
        sub.add_argument("--concurrency", type=int, help="for openai: requests under way at once (8)")
        sub.add_argument("--timeout", type=float, help="for openai: seconds to wait for a reply (120)")
        sub.add_argument("--retries", type=int, help="for openai: how often a failed request is sent again (5)")
        sub.add_argument("--input-price", type=float, help="for openai: of a million tokens read")
        sub.add_argument("--output-price", type=float, help="for openai: of a million tokens written")
        sub.add_argument("--api-key-env", metavar="NAME", help="for openai: variable of the key (OPENAI_API_KEY)")

    player_help = "checkpoint or its folder, random, expert, a model, hf:MODEL or openai:URL#MODEL (prompted)"
    env_help = "keywords of gymnasium.make"
    command("list", _list, "list the learners")

    show = command("show", _show, "show a learner's page: when to use it, equations, options and defaults")
    show.add_argument("learner", metavar="LEARNER", help="a name of `agents list`")

    backbone_help = "tiny, a folder, a .gguf file, a Hugging Face name, gru or a configuration as JSON (tiny)"
    train = command("train", _train, "train a learner on an environment")
    train.add_argument("learner", metavar="LEARNER", help="a name of `agents list`")
    train.add_argument("id", metavar="ID", help="environment id, such as TextDialogue-v0")
    train.add_argument("--backbone", type=_backbone, help=backbone_help)
    recordings = "learn from these episodes: a file of `textenvs record`, or a Minari dataset (docs/training.md)"
    train.add_argument("--dataset", metavar="FILE", help=recordings)
    train.add_argument("--level", help="level of the game (medium)")
    train.add_argument("--action-level", help="token, turn or choice (the learner's first)")
    train.add_argument("--timesteps", type=int, help=f"environment steps in all ({_TIMESTEPS})")
    train.add_argument("--num-envs", type=int, help="environments side by side (16)")
    train.add_argument("--seed", type=int, help="seed of everything (0)")
    computing(train)
    train.add_argument("--out", type=Path, metavar="FOLDER", help="where the run is kept (runs/LEARNER-ID)")
    train.add_argument("--resume", action="store_true", help="continue the run in the folder")
    train.add_argument("--force", action="store_true", help="start over where the folder holds a run")
    sets = "keywords of the Stable-Baselines3 class"
    train.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=sets)
    train.add_argument("--env", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=env_help)
    train.add_argument("--save-every", type=int, default=10_000, metavar="STEPS", help="between checkpoints (10000)")
    train.add_argument("--eval-episodes", type=int, default=100, metavar="N", help="at the end; 0 for none (100)")

    evaluate = command("eval", _eval, "measure a player over many episodes")
    evaluate.add_argument("player", metavar="PLAYER", help=player_help)
    playing(evaluate, "test")
    computing(evaluate)
    prompting(evaluate)
    evaluate.add_argument("--episodes", type=int, default=200, help="how many (200)")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")

    watch = command("watch", _watch, "show one episode turn by turn")
    watch.add_argument("player", metavar="PLAYER", help=player_help)
    playing(watch, "test")
    computing(watch)
    prompting(watch)

    chat = command("chat", _chat, "talk with a model: you are the user, or the database")
    chat.add_argument("model", metavar="MODEL", help="checkpoint or its folder, or a model such as tiny")
    chat.add_argument("--greedy", action="store_true", help="take the most probable token instead of a sample")
    chat.add_argument("--raw", action="store_true", help="send lines as they are, without `user: ` before them")
    chat.add_argument("--seed", type=int, default=0, help="seed of the sampling (0)")
    computing(chat)
    typed(chat)
    chat.add_argument(
        "--learn", action="store_true", help="rate replies with +, - or = BETTER ANSWER: the model learns"
    )
    keeps = f"with --learn: ratings are added to it ({_PREFERENCES})"
    chat.add_argument("--preferences", type=Path, metavar="FILE", help=keeps)
    chat.add_argument("--relearn", action="store_true", help="with --learn: learn the ratings of that file first")
    chat.add_argument("--save", type=Path, metavar="PATH", help="with --learn: save the model there in the end")
    chat.add_argument("--lora", type=int, metavar="RANK", help="with --learn: only adapters of this rank learn")
    chat.add_argument(
        "--learning-rate",
        type=float,
        help="with --learn: of the updates (2.5e-4; 2e-5 where more than ten million weights learn)",
    )

    serve = command("serve", _serve, "serve a model at an OpenAI-compatible address")
    serve.add_argument("model", metavar="MODEL", help="checkpoint or its folder, or a model such as tiny")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
    serve.add_argument("--port", type=int, default=8000, help="port; 0 takes a free one (8000)")
    serve.add_argument("--rows", type=int, default=8, help="replies decoded side by side (8)")
    serve.add_argument("--limit", type=int, help="tokens of a context and its reply (2048, or what the model has)")
    computing(serve)
    typed(serve)
    serve.add_argument("--seed", type=int, default=0, help="seed of requests that bring none (0)")
    serve.add_argument("--api-key-env", metavar="NAME", help="environment variable with a key that clients must send")

    export = command("export", _export, "write a trained language model as a plain Hugging Face folder")
    export.add_argument("path", metavar="PATH", help="checkpoint or its folder")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="folder to write")
    return parser


# --- commands ---


def _list(args: argparse.Namespace, console: Console) -> int:
    from agents.learners import LEARNERS

    table = Table("learner", "class", "action levels (default first)", "when to use it")
    for name, row in sorted(LEARNERS.items()):
        of = f"{row.algorithm.__module__.split('.')[0]}.{row.algorithm.__name__}"
        table.add_row(name, of, ", ".join(row.levels), row.when)
    Console(width=console.width).print(table)
    return 0


def _show(args: argparse.Namespace, console: Console) -> int:
    from rich.markdown import Markdown

    from agents.learners.pages import page
    from agents.learners.table import learner_row

    learner_row(args.learner)
    Console(width=console.width).print(Markdown(page(args.learner)))
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
    checkpoint = out / FILE
    if args.resume:
        if not checkpoint.is_file():
            raise FileNotFoundError(f"nothing to resume: there is no {checkpoint}{closest_run(out)}")
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
    for unfinished in out.glob(f".{FILE}.*"):  # of a killed run
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
    if result.usage is not None:
        console.print(str(player.usage))  # type: ignore[attr-defined]
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(result.to_json(), encoding="utf-8")
    return 0


def _watch(args: argparse.Namespace, console: Console) -> int:
    import gymnasium
    import numpy as np

    player, keywords = _player(args)
    keywords = {**getattr(player, "env_kwargs", {}), **keywords}
    env: Any = gymnasium.make(args.id, split=args.split, action_level=player.action_level, **keywords).unwrapped
    observation, info = env.reset(seed=args.seed)
    console.print(f"env:   {info['text']}")
    ended, total = False, 0.0
    while not ended:
        action = player.act([env], np.asarray(observation)[None])[0]
        observation, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        total += reward
        if "text" in info:  # the turn is over
            console.print(f"agent: {env.transcript[-2][1]}\nenv:   {info['text']}  [{reward:+.2f}]")
    success = {True: ", success", False: ", no success"}.get(info.get("success"), "")
    console.print(f"return {total:.2f} in {info['turns']} turns{success}")
    if hasattr(player, "usage"):
        console.print(str(player.usage))
    return 0


def _chat(args: argparse.Namespace, console: Console) -> int:
    for name in ("preferences", "relearn", "save", "lora", "learning_rate"):
        if getattr(args, name) and not args.learn:
            raise ValueError(f"--{name.replace('_', '-')} needs --learn")
    _no_plain_player(args.model)
    import torch

    from agents.speaking import load_speaker
    from agents.speaking.chat import talk

    torch.manual_seed(args.seed)
    lora = {"r": args.lora} if args.lora else None
    speaker = load_speaker(args.model, lora, args.dtype, args.device, frozen=not args.learn)
    if args.save is not None:
        speaker.check_savable(args.save)
    learner, preferences = None, args.preferences or _PREFERENCES
    if args.learn:
        from agents.learners.feedback import FeedbackLearner
        from agents.memory.preferences import read_preferences

        rate = {} if args.learning_rate is None else {"learning_rate": args.learning_rate}
        learner = FeedbackLearner(speaker, seed=args.seed, **rate)
        if args.relearn:
            earlier = list(read_preferences(preferences))
            figures = learner.study(earlier)
            console.print(f"(learned {len(earlier)} ratings of {preferences} in {figures['seconds']:.1f} s)")
    return talk(speaker, console.print, args.greedy, args.raw, learner, preferences, args.save)


def _serve(args: argparse.Namespace, console: Console) -> int:
    _no_plain_player(args.model)
    key = None
    if args.api_key_env is not None:
        key = os.environ.get(args.api_key_env)
        if not key:
            raise ValueError(f"--api-key-env: the environment variable {args.api_key_env} is not set")
    import torch

    from agents.speaking import load_speaker
    from agents.speaking.server import Server

    torch.manual_seed(args.seed)
    speaker = load_speaker(args.model, dtype=args.dtype, device=args.device, frozen=True)
    server = Server(speaker, args.host, args.port, args.rows, args.limit, key)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        name = server.service.speaker.name
        console.print(f"{name} is served at {server.url}; Ctrl-C ends", end="\n")
        if args.host not in ("127.0.0.1", "localhost", "::1") and key is None:
            console.print("anybody who reaches this address can use it: --api-key-env asks for a key")
        sys.stdout.flush()
        server.serve_forever()
    except KeyboardInterrupt:
        console.print("stopped")
    finally:
        server.close()
        signal.signal(signal.SIGTERM, before)
    return 0


def _export(args: argparse.Namespace, console: Console) -> int:
    from agents.checkpoint import export

    folder = export(load_run(args.path), args.folder)
    console.print(f"written: {folder} (agents.load_backbone and transformers read it)")
    return 0


# --- training ---


def _new(args: argparse.Namespace) -> BaseAlgorithm:
    from agents.learners import make

    overrides = _overrides(args.set)
    if args.device is not None:
        overrides["device"] = args.device
    given = {"num_envs": args.num_envs, "seed": args.seed, "backbone": args.backbone, "dataset": args.dataset}
    given = {name: value for name, value in given.items() if value is not None}
    return make(args.learner, args.id, env_kwargs={"level": "medium", **_env_kwargs(args)}, **given, **overrides)


def _resumed(args: argparse.Namespace, checkpoint: Path) -> BaseAlgorithm:
    """The saved learner; options that are given must agree with what it was made with."""
    model = load_run(str(checkpoint), args.device)
    recipe = model.recipe  # type: ignore[attr-defined]
    own = {"LEARNER": recipe["learner"], "ID": recipe["env_id"]}
    given: dict[str, Any] = {"LEARNER": args.learner, "ID": args.id}
    for name in ("backbone", "dataset", "num_envs", "seed"):
        if getattr(args, name) is not None:
            own[_OPTION_OF[name]], given[_OPTION_OF[name]] = recipe.get(name), getattr(args, name)
    for option, saved, values in (
        ("--env", recipe["env_kwargs"], _env_kwargs(args)),
        ("--set", {**recipe["overrides"], "reward_scale": recipe.get("reward_scale")}, _overrides(args.set)),
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
    save(model, out / FILE)  # an interrupted first rollout, too, can be continued; and a bad folder shows at once
    model.set_logger(configure(str(out / "tb"), ["tensorboard"]))
    bar = ProgressBarCallback() if console.is_terminal else None
    checkpoint = CheckpointCallback(out / FILE, save_every)
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
            save(model, out / FILE)
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
    prompted = _prompted(args)
    if prompted is not None:
        return prompted, {"level": "medium", **extra}
    if args.player in PLAIN_PLAYERS:
        from agents.players import ExpertPlayer, RandomPlayer

        plain = RandomPlayer(args.seed) if args.player == "random" else ExpertPlayer()
        return plain, {"level": "medium", **extra}
    import torch

    from agents.players import PolicyPlayer

    file = checkpoint_file(args.player)
    if file is not None:
        model = load_run(str(file), args.device)
    else:
        from agents.learners import make

        making = {"level": "medium", **extra, "action_level": "turn"}
        device = args.device or "auto"
        model = make("a2c", args.id, args.player, num_envs=1, seed=args.seed, env_kwargs=making, device=device)
    torch.manual_seed(args.seed)
    name = f"{run_name(args.player)}, {'greedy' if args.greedy else 'sampled'}"
    player = PolicyPlayer(model, deterministic=args.greedy, name=name)
    return player, {"level": "medium", **_keywords_of(model, args.id), **extra}


def _prompted(args: argparse.Namespace) -> Player | None:
    """The prompted model that ``hf:MODEL`` or ``openai:URL#MODEL`` names; ``None`` for another player."""
    from agents.players.named import prompted_player

    kind = args.player.partition(":")[0]
    given = {name: getattr(args, name) for name in (*_PROMPTED["hf"], *_SERVED)}
    given = {name: value for name, value in given.items() if value is not None}
    own = _PROMPTED.get(kind, () if args.player in PLAIN_PLAYERS else ("device",))
    for name in given:
        if name not in own:
            raise ValueError(f"--{name.replace('_', '-')} is not for the player {args.player!r}")
    if kind not in _PROMPTED:
        return None
    if args.greedy and given.get("temperature"):
        raise ValueError("--greedy and --temperature exclude each other")
    return prompted_player(args.player, seed=args.seed, **given)


def _no_plain_player(target: str) -> None:
    if target in PLAIN_PLAYERS:
        raise ValueError(f"{target!r} is no language model: give a checkpoint, or a model such as tiny")


def _keywords_of(model: BaseAlgorithm, env_id: str) -> dict[str, Any]:
    """Keywords of environments like those a learner was made for; those of its own game only if ``env_id`` is it."""
    recipe = model.recipe  # type: ignore[attr-defined]
    keywords = {name: value for name, value in recipe["env_kwargs"].items() if name not in ("action_level", "split")}
    if recipe["env_id"] != env_id:
        keywords = {name: value for name, value in keywords.items() if name in _SHARED}
    return {**keywords, "tokenizer": model.get_env().get_attr("tokenizer", 0)[0]}  # type: ignore[union-attr]


def _backbone(text: str) -> Any:
    """What ``--backbone`` names: a model, or a configuration."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error


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


def _is_explained(error: Exception) -> bool:
    """Whether an error is a library's word on what the user gave; any other is a mistake of this code."""
    if isinstance(error, AssertionError):  # which Stable-Baselines3 raises for wrong keywords
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        return frame.f_globals["__name__"].startswith(("stable_baselines3.", "sb3_contrib."))
    return type(error).__module__.startswith("gymnasium")


def _message(error: BaseException) -> str:
    """What an error says, on one line."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
