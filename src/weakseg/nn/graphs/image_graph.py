"""The graph of images: messages by co-attention, gated updates, graph dropout."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ConfigError, ShapeError
from weakseg.nn.graphs.conv_gru import ConvGru
from weakseg.ops.cell_squares import pool_cells, spread_cells
from weakseg.ops.co_attention import attention, cell_mean, co_attention, edge_messages
from weakseg.ops.graph_dropout import graph_dropout
from weakseg.settings.group import ImageGraphConfig

SELF_REDUCTION = 8
INITIAL_DEVIATION = 0.01


class SelfEdge(nn.Module):
    """What an image tells itself: ``softmax(f(h) g(h)^T) v(h) + h``, f, g and v linear.

    Reference:
        [li2021groupwsss], equation 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = _width(channels, SELF_REDUCTION, "self_edge")
        self.query = nn.Conv2d(channels, width, 1, bias=False)
        self.key = nn.Conv2d(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, states: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return ``(n, C, H, W)``."""
        query, key, value = (_cells(layer(states)) for layer in (self.query, self.key, self.value))
        loops = torch.arange(len(states), device=states.device).expand(2, -1)
        return _maps(co_attention(query, key, value, loops, key_mask=_flat(cell_mask)), states) + states


class SenderMixing(nn.Module):
    """A 3 x 3 convolution of the messages of ``senders`` images side by side; of those that are missing, zeros."""

    def __init__(self, channels: int, senders: int) -> None:
        super().__init__()
        self.senders = senders
        self.conv = nn.Conv2d(senders * channels, channels, 3, padding=1)

    def forward(self, messages: Tensor, receivers: Tensor, states: Tensor) -> Tensor:
        """Return ``(n, C, H, W)`` of ``(E, N, C)`` messages, in the order of edges."""
        taken = F.one_hot(receivers, len(states)).cumsum(0).gather(1, receivers[:, None])[:, 0] - 1
        if len(taken) and int(taken.max()) >= self.senders:
            raise ShapeError(f"edges: an image gets {int(taken.max()) + 1} messages, there is room for {self.senders}")
        rooms = messages.new_zeros(len(states) * self.senders, *messages.shape[1:])
        rooms = rooms.index_add(0, receivers * self.senders + taken, messages)
        mixed: Tensor = self.conv(rooms.mT.reshape(len(states), -1, *states.shape[2:]))
        return mixed


class ImageGraph(nn.Module):
    """Rounds of messages between images that share classes; each is a node whose state is a feature map.

    Every parameter is shared by all nodes and rounds.

    Raises:
        ConfigError: If projections would have no channel.

    Reference:
        [li2021groupwsss], equations 2 to 11.
    """

    def __init__(self, channels: int, config: ImageGraphConfig) -> None:
        super().__init__()
        self.config = config
        if config.messages == "attention" and config.affinity != "cosine":
            self._add_projections(channels)
        self.gate = nn.Linear(channels, 1, bias=False) if config.gate else None
        self.mixing = SenderMixing(channels, config.senders) if config.aggregate == "concatenate" else None
        self.self_edge = SelfEdge(channels) if config.self_edge else None
        self.gru = ConvGru(channels, config.gru_kernel) if config.update == "gru" else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def _add_projections(self, channels: int) -> None:
        """Add P, of receivers, and Q, of senders; or W."""
        full, bias = self.config.affinity == "full", self.config.projection_bias
        width = channels if full else _width(channels, self.config.reduction, "reduction")
        self.query = nn.Conv2d(channels, width, 1, bias=bias)
        key = nn.Conv2d(channels, width, 1, bias=bias and self.config.reverse == "transposed")
        self.key: nn.Module = nn.Identity() if full else key

    def forward(self, states: Tensor, edges: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return the states after all rounds.

        Args:
            states: ``(n, C, H, W)`` float, of all images of all groups.
            edges: ``(2, E)`` int64: senders, receivers; see ``weakseg.graph.image_group``.
            cell_mask: ``(n, H, W)`` bool: cells of an image, where images differ in size; ``None``: all.

        Returns:
            ``(n, C, H, W)``; zero outside of the mask, where nothing is sent, counts, or gets into convolutions.

        Raises:
            ShapeError: If shapes do not fit, edges name no node, or an image has no cell.
        """
        check_rank("states", states, 4, "(n, C, H, W)")
        if cell_mask is not None:
            check_same_size("cell_mask", cell_mask.shape, "states (n, H, W)", states[:, 0].shape)
        states = _inside(states, cell_mask)
        late, waiting = self.config.timing == "previous", torch.zeros_like(states)
        for index in range(self.config.rounds):
            sent = waiting
            if not late or index + 1 < self.config.rounds:
                waiting = self.neighbors(states, edges, cell_mask)
            states = self._updated(states, sent if late else waiting, edges, cell_mask)
        return states

    def neighbors(self, states: Tensor, edges: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return what each image gets of its senders in a round: ``(n, C, H, W)``, zero where nothing is sent."""
        if self.config.messages == "none":
            return torch.zeros_like(states)
        if self.mixing is not None:
            messages = self._gated(self._messages(states, edges, cell_mask)).expand(-1, states[0, 0].numel(), -1)
            if cell_mask is not None:
                messages = messages * cell_mask[edges[1]].flatten(1)[..., None]
            return _inside(self.mixing(messages, edges[1], states), cell_mask)
        joined = self._sum(states, edges, cell_mask)
        if self.config.aggregate == "mean":
            joined = joined / torch.bincount(edges[1], minlength=len(states)).clamp(min=1)[:, None, None]
        return _inside(_maps(joined, states), cell_mask)

    def attention(
        self, states: Tensor, edges: Tensor, cell: tuple[int, int], cell_mask: Tensor | None = None
    ) -> Tensor:
        """Return what a cell of each receiver attends to in the sender: ``(E, H, W)``, of sum one.

        Args:
            states: As for ``forward``: those that messages are made of.
            edges: ``(2, E)``.
            cell: Row and column.
            cell_mask: As for ``forward``.

        Raises:
            ConfigError: If the graph compares no cells.
        """
        if self.config.messages != "attention":
            raise ConfigError(f"graph.messages: {self.config.messages!r} attend to nothing; need 'attention'")
        query, key, _, (sent, received), mask = self._compared(states, edges, cell_mask)
        place = cell[0] * states.shape[3] + cell[1]
        asked = query[received, place : place + 1]
        found = attention(asked, key[sent], None if mask is None else mask[sent])
        side, senders = self.config.pool, states[edges[0]]
        squares = found.reshape(len(senders), -(-states.shape[2] // side), -1)
        return spread_cells(squares, senders, side, None if cell_mask is None else cell_mask[edges[0]])

    def _updated(self, states: Tensor, message: Tensor, edges: Tensor, cell_mask: Tensor | None) -> Tensor:
        if self.self_edge is not None:
            message = message + _inside(self.self_edge(states, cell_mask), cell_mask)
        if self.gru is None:
            heard = torch.bincount(edges[1], minlength=len(states))[:, None, None, None] > 0
            states = torch.where(heard, (states + message) / 2, states)
        else:
            states = _inside(self.gru(message, states), cell_mask)
        config = self.config
        if not (self.training and config.dropout):
            return states
        dropped = torch.rand(len(states), device=states.device) < config.drop_probability
        return graph_dropout(
            states,
            dropped,
            threshold=config.drop_threshold,
            mask=config.drop_mask,
            output=config.drop_output,
            cell_mask=cell_mask,
        )

    def _compared(
        self, states: Tensor, edges: Tensor, cell_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """Return queries, keys, values, edges and the mask of cells; where edges are transposed, of nodes twice.

        Of the second half queries and keys are exchanged: there the image that stands first sends.
        """
        sent, mask = states, cell_mask
        if self.config.pool > 1:
            sent, mask = pool_cells(states, self.config.pool, cell_mask)
        value, mask = _cells(sent), _flat(mask)
        if self.config.affinity == "cosine":
            key = F.normalize(value, dim=-1)
            query = key if sent is states else F.normalize(_cells(states), dim=-1)
            return self.config.sharpness * query, key, value, edges, mask
        query, key = _cells(self.query(states)), _cells(self.key(sent))
        if self.config.reverse == "transposed":
            query, key = torch.cat([query, key]), torch.cat([key, query])
            value, mask = torch.cat([value, value]), None if mask is None else torch.cat([mask, mask])
            edges = edges + len(states) * (edges[0] < edges[1])
        return query, key, value, edges, mask

    def _messages(self, states: Tensor, edges: Tensor, cell_mask: Tensor | None) -> Tensor:
        """Return the message of each edge: ``(E, N, C)``, or ``(E, 1, C)`` where it is the same for all cells."""
        if self.config.messages == "mean":
            return cell_mean(_cells(states), _flat(cell_mask))[edges[0]]
        query, key, value, edges, mask = self._compared(states, edges, cell_mask)
        return edge_messages(query, key, value, edges, key_mask=mask)

    def _gated(self, messages: Tensor) -> Tensor:
        return messages if self.gate is None else torch.sigmoid(self.gate(messages)) * messages

    def _sum(self, states: Tensor, edges: Tensor, cell_mask: Tensor | None) -> Tensor:
        """Return the sum of the messages to each image: ``(n, N, C)`` or ``(n, 1, C)``."""
        if self.gate is not None or self.config.messages == "mean":
            messages = self._gated(self._messages(states, edges, cell_mask))
            return messages.new_zeros(len(states), *messages.shape[1:]).index_add(0, edges[1], messages)
        query, key, value, edges, mask = self._compared(states, edges, cell_mask)
        summed = co_attention(query, key, value, edges, key_mask=mask)
        return summed.reshape(-1, len(states), *summed.shape[1:]).sum(0)


def _width(channels: int, reduction: int, name: str) -> int:
    if channels < reduction:
        raise ConfigError(f"graph.{name}: {channels} channels divided by {reduction} leave none; give more channels")
    return channels // reduction


def _cells(maps: Tensor) -> Tensor:
    """Return ``(n, N, C)`` of ``(n, C, H, W)``."""
    return maps.flatten(2).mT


def _maps(cells: Tensor, like: Tensor) -> Tensor:
    """Return ``(n, C, H, W)`` of ``(n, N, C)``, or of ``(n, 1, C)`` for all cells alike."""
    return cells.mT.expand(-1, -1, like[0, 0].numel()).reshape(*like.shape[:1], -1, *like.shape[2:])


def _flat(cell_mask: Tensor | None) -> Tensor | None:
    return None if cell_mask is None else cell_mask.flatten(1)


def _inside(maps: Tensor, cell_mask: Tensor | None) -> Tensor:
    return maps if cell_mask is None else maps.masked_fill(~cell_mask[:, None], 0)
