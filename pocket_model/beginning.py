"""How the network begins: it can copy already, and training teaches it what and when.

To copy, a network must know of each token what stood before it, find the place where the same
tokens stood earlier, and say what came next there. Networks of this size spend most of their
training on finding that out. Here it stands in the weights from the start, spread over a few
regions of the residual stream:

``CODE``    which token this is
``BEFORE``  a mixture of the tokens before this one: what a copy is found by
``NOW``     the same mixture from this token on: what a copy is looked for by
``SAID``    which token comes next, if this is a copy

The first layer's heads look back 1, 2, 3, … tokens; some heads of the second find the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pocket_model.network import Block, Network, Shape

CODE, BEFORE, NOW, SAID = slice(0, 48), slice(48, 104), slice(104, 160), slice(160, 208)
WEIGHTS = (1.0, 1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)  # of tokens that stand further off
POSITION_PAIRS = 4  # the quickly turning ones of a head: they tell how far off a token is
CONTENT = 10  # from this place on a head's numbers hardly turn: they tell what a token is
LOOK = 10.0  # how firmly a head looks back
FIND = 1.6  # how firmly a copy is found
SAY = 2.5  # how firmly it is said
COPIERS = 4  # heads


@torch.no_grad()
def begin(network: Network) -> None:
    """Put copying into the weights of a new network."""
    shape = network.shape
    embedding, output = network.token_embd.weight, network.output.weight
    codes = torch.randn(embedding.shape[0], _size(CODE))
    mixed = torch.randn(shape.heads + 1, _size(NOW), _size(CODE)) / _size(CODE) ** 0.5
    embedding.normal_(std=0.3)
    embedding[:, CODE] = codes
    embedding[:, BEFORE] = embedding[:, SAID] = 0.0
    embedding[:, NOW] = WEIGHTS[0] * codes @ mixed[0].T
    output.normal_(std=0.01)
    output[:, SAID] = SAY * codes / _size(CODE) ** 0.5
    look_back(network.blk[0], shape, mixed)
    find_copies(network.blk[1], shape)


def look_back(block: Block, shape: Shape, mixed: torch.Tensor) -> None:
    """Have each head bring the token that stands so many places before, 1 for the first head."""
    turns = shape.rope_base ** -(torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head)
    firm = LOOK * (torch.arange(shape.head // 2) < POSITION_PAIRS)
    for one in (block.attn_q, block.attn_k):
        one.weight.mul_(0.05)
    block.attn_output.weight.zero_()
    block.attn_v.weight.zero_()
    for head in range(shape.heads):
        at = slice(head * shape.head, (head + 1) * shape.head)
        angles = -(head + 1) * turns
        block.attn_k.bias[at] = torch.stack((firm, torch.zeros_like(firm)), dim=-1).flatten()
        block.attn_q.bias[at] = torch.stack(
            (firm * angles.cos(), firm * angles.sin()), dim=-1
        ).flatten()
        seen = _orthogonal(shape.head, _size(CODE))
        block.attn_v.weight[at, CODE] = seen
        block.attn_output.weight[BEFORE, at] = WEIGHTS[head] * mixed[head] @ seen.T
        if head + 1 < shape.heads:
            block.attn_output.weight[NOW, at] = WEIGHTS[head + 1] * mixed[head + 1] @ seen.T


def find_copies(block: Block, shape: Shape) -> None:
    """Have some heads attend to what followed the same tokens, and say it."""
    for head in range(COPIERS):
        at = slice(head * shape.head, (head + 1) * shape.head)
        content = slice(head * shape.head + CONTENT, (head + 1) * shape.head)
        for one in (block.attn_q, block.attn_k, block.attn_v):
            one.weight[at] = 0.0
        block.attn_output.weight[:, at] = 0.0
        seen = (
            _orthogonal(shape.head - CONTENT, _size(NOW))
            * (_size(NOW) / (shape.head - CONTENT)) ** 0.5
        )
        block.attn_q.weight[content, NOW] = FIND * seen
        block.attn_k.weight[content, BEFORE] = FIND * seen
        shown = _orthogonal(shape.head, _size(CODE))
        block.attn_v.weight[at, CODE] = shown
        block.attn_output.weight[SAID, at] = shown.T


def _size(region: slice) -> int:
    return int(region.stop - region.start)


def _orthogonal(rows: int, columns: int) -> torch.Tensor:
    return torch.nn.init.orthogonal_(torch.empty(rows, columns))
