"""Trains the network: ``python -m pocket_model.train FOLDER``.

It writes a checkpoint and a GGUF file every few minutes, and goes on from a checkpoint that lies
in the folder. Needs torch; two cores are enough.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody who uses torch writes it

from pocket_model import corpus, export, vocabulary
from pocket_model.network import Network, Shape
from pocket_model.rendering import tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

LONGEST = 1024  # tokens of a conversation
AT_ONCE = 2048  # tokens in one batch: what it needs stays in the processor's cache
TURNS = 4  # gradients of so many batches are added up for one step
POOL = 200  # conversations from which batches of like lengths are made
SAVE_EVERY = 180.0  # seconds
SHOW_EVERY = 20.0  # seconds
AVERAGE = 0.99  # what is exported is a moving average of the weights
WARM_UP = 40  # steps
JUMP = 0.06  # how often a part of a conversation stands further off than it does
FAR = 2000
MATRICES, OTHERS = 0.012, 2e-3  # the two learning rates

Batch = tuple["Tensor", "Tensor", "Tensor"]


class Batches:
    """Conversations of like lengths together, each with its tokens, weights and positions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.share = 0.0  # how far the training is, from 0 to 1
        self._ready: list[Batch] = []

    def take(self) -> Batch:
        """Return the next batch: tokens, weights and positions, one row a conversation."""
        if not self._ready:
            self._ready = [self._stacked(rows) for rows in self._grouped()]
            self._random.shuffle(self._ready)
        return self._ready.pop()

    def _grouped(self) -> Iterator[list[tuple[list[int], list[float]]]]:
        kinds = corpus.mixture(self.share)
        drawn = (tokens_of(corpus.draw(self._random, kinds)) for _ in range(POOL))
        rows: list[tuple[list[int], list[float]]] = []
        for one in sorted(
            (one for one in drawn if len(one[0]) <= LONGEST), key=lambda it: len(it[0])
        ):
            if rows and len(one[0]) * (len(rows) + 1) > AT_ONCE:
                yield rows
                rows = []
            rows.append(one)
        yield rows

    def _stacked(self, rows: list[tuple[list[int], list[float]]]) -> Batch:
        length = max(len(tokens) for tokens, _ in rows)
        end = vocabulary.identity(vocabulary.END)
        return (
            torch.tensor([tokens + [end] * (length - len(tokens)) for tokens, _ in rows]),
            torch.tensor([weights + [0.0] * (length - len(weights)) for _, weights in rows]),
            torch.tensor([self._positions(tokens, length) for tokens, _ in rows]),
        )

    def _positions(self, tokens: list[int], length: int) -> list[int]:
        # Distances that are rare in training must not be strange to the network.
        if self._random.random() > JUMP:
            return list(range(length))
        ends = [place for place, one in enumerate(tokens) if one >= vocabulary.BYTES]
        after, far = self._random.choice(ends), self._random.randint(1, FAR)
        return [place + far * (place > after) for place in range(length)]


class Muon:
    """Momentum whose steps are made orthogonal, for matrices; those of one shape go together."""

    def __init__(self, parameters: list[Tensor], rate: float, momentum: float = 0.95) -> None:
        self.rate, self._momentum = rate, momentum
        self.groups: dict[tuple[int, ...], list[Tensor]] = {}
        for one in parameters:
            self.groups.setdefault(tuple(one.shape), []).append(one)
        self.state = {
            shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()
        }

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Take one step."""
        for shape, group in self.groups.items():
            gradients = torch.stack([one.grad for one in group])
            kept = self.state[shape]
            kept.lerp_(gradients, 1 - self._momentum)
            turned = orthogonal(gradients.lerp(kept, self._momentum))
            rate = self.rate * scale * max(1.0, shape[0] / shape[1]) ** 0.5
            for one, change in zip(group, turned, strict=True):
                one.mul_(1 - 0.01 * self.rate * scale).sub_(change, alpha=rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """Return what has the same directions and singular values near one."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide else x.mT


class Training:
    """The state of a training, which can be saved and taken up again."""

    def __init__(self, folder: Path, million: float, seed: int, begun: Path | None) -> None:
        torch.manual_seed(seed)
        self.folder, self.million = folder, million
        self.network = Network(Shape())
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, one in self.network.named_parameters():
            (matrices if one.dim() > 1 and name.startswith("blk") else others).append(one)
        self.muon = Muon(matrices, MATRICES)
        self.adam = torch.optim.AdamW(others, OTHERS, (0.9, 0.98), weight_decay=0.0)
        self.average = {name: one.clone() for name, one in self.network.state_dict().items()}
        self.steps, self.tokens = 0, 0
        if self._checkpoint.exists():
            self._load()
        elif begun is not None:
            self._begin_with(begun)
        self.batches = Batches(seed + self.steps)
        # One batch a thread: two threads at one batch wait for each other where others compute too.
        self._workers = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))

    def __str__(self) -> str:
        return f"step {self.steps}, {self.tokens / 1e6:.2f} million tokens, rate x{self.scale:.2f}"

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def share(self) -> float:
        """How far the training is, from 0 to 1."""
        return min(1.0, self.tokens / 1e6 / self.million)

    @property
    def scale(self) -> float:
        """What the learning rates are multiplied by."""
        return min(1.0, self.steps / WARM_UP, max(0.02, (1.0 - self.share) / 0.8))

    def step(self) -> float:
        """Learn from one batch; return the mean loss of what weighs."""
        self.batches.share = self.share
        batches = [self.batches.take() for _ in range(TURNS)]
        self.tokens += sum(one.numel() for one, _, _ in batches)
        total = sum(float(weights[:, 1:].sum()) for _, weights, _ in batches)
        losses = self._workers.map(lambda batch: self._learn(batch, total), batches)
        loss = sum(losses)
        self._take(self.scale)
        return loss

    def _learn(self, batch: Batch, total: float) -> float:
        tokens, weights, positions = batch
        logits = self.network(tokens[:, :-1], positions[:, :-1])
        each = F.cross_entropy(
            logits.reshape(-1, vocabulary.SIZE), tokens[:, 1:].reshape(-1), reduction="none"
        )
        part = (each * weights[:, 1:].reshape(-1)).sum() / total
        part.backward()
        return part.item()

    def _take(self, scale: float) -> None:
        for group in self.adam.param_groups:
            group["lr"] = OTHERS * scale
        torch.nn.utils.clip_grad_norm_(
            [p for g in self.adam.param_groups for p in g["params"]], 1.0
        )
        self.muon.step(scale)
        self.adam.step()
        self.network.zero_grad(set_to_none=False)
        self.steps += 1
        keep = min(AVERAGE, self.steps / (self.steps + 10))
        for name, one in self.network.state_dict().items():
            self.average[name].lerp_(one, 1 - keep)

    def save(self) -> None:
        """Write the checkpoint and the file for llama.cpp."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average,
            "muon": self.muon.state,
            "adam": self.adam.state_dict(),
            "steps": self.steps,
            "tokens": self.tokens,
        }
        draft = self._checkpoint.with_suffix(".draft")
        torch.save(state, draft)
        draft.replace(self._checkpoint)
        averaged = Network(Shape())
        averaged.load_state_dict(self.average)
        export.write(averaged, self.folder / "pocket.gguf")

    def _load(self) -> None:
        state = torch.load(self._checkpoint)
        self.network.load_state_dict(state["network"])
        self.average, self.muon.state = state["average"], state["muon"]
        self.adam.load_state_dict(state["adam"])
        self.steps, self.tokens = state["steps"], state["tokens"]

    def _begin_with(self, begun: Path) -> None:
        """Take the weights of another training, and nothing else of it."""
        weights = torch.load(begun)["average"]
        self.network.load_state_dict(weights)
        self.average = {name: one.clone() for name, one in weights.items()}


def main() -> None:
    """Train until enough was seen; what was trained before counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--million", type=float, default=20.0, help="tokens to learn from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begun", type=Path, help="a checkpoint whose weights to begin with")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    training = Training(options.folder, options.million, options.seed, options.begun)
    saved = shown = time.monotonic()
    losses: list[float] = []
    while training.share < 1.0:
        losses.append(training.step())
        now = time.monotonic()
        if now - shown > SHOW_EVERY:
            sys.stdout.write(f"{training}, loss {sum(losses) / len(losses):.4f}\n")
            sys.stdout.flush()
            losses, shown = [], now
        if now - saved > SAVE_EVERY:
            training.save()
            saved = time.monotonic()
    training.save()


if __name__ == "__main__":
    main()
