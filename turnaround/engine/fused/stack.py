"""The parameters of many models of one shape, in one matrix: a row for each.

    stack = Stack(models, optimizers, slots=("exp_avg", "exp_avg_sq"))
    stack.parameters(stack.matrix)["out.weight"]   # (members, *shape), with a graph back to it
    stack.keep([0, 2, 5])                 # only these are left

Each model stays what it was: its parameters, and what its optimizer remembers of them, become views
of its row. So it is judged, saved and resumed by the code that knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer


class Stack:
    """Learnt numbers, and what the optimizers remember, of members that are trained together."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[Optimizer],
        slots: Sequence[str],
        counts: bool,
    ) -> None:
        self._learnt = [learnt(model) for model in models]
        self._optimizers = list(optimizers)
        self._counts = counts
        first = self._learnt[0]
        self._shapes = [parameter.shape for parameter in first.values()]
        self._sizes = [parameter.numel() for parameter in first.values()]
        rows = [torch.cat([p.detach().flatten() for p in each.values()]) for each in self._learnt]
        self.matrix = torch.stack(rows).requires_grad_()  # (members, numbers)
        self.slots = {slot: torch.stack([*self._remembered(slot)]) for slot in slots}
        self.steps = torch.stack([self._step(row) for row in range(len(models))])  # (members)
        self._point()

    def parameters(self, matrix: Tensor) -> dict[str, Tensor]:
        """All members' parameters by name, each (members, *shape), of a matrix like ours."""
        parts = torch.split(matrix, self._sizes, dim=1)
        named = zip(self._learnt[0], self._shapes, parts, strict=True)
        return {name: part.view(-1, *shape) for name, shape, part in named}

    def show(self, row: int, gradients: Tensor) -> None:
        """The gradients (members, numbers) to one member's model, for those who look at them."""
        parts = self._cut(gradients[row])
        for parameter, part in zip(self._learnt[row].values(), parts, strict=True):
            parameter.grad = part

    def keep(self, rows: Sequence[int]) -> None:
        """Leave the others behind."""
        self._learnt = [self._learnt[row] for row in rows]
        self._optimizers = [self._optimizers[row] for row in rows]
        chosen = torch.tensor(rows, device=self.matrix.device)
        self.matrix = self.matrix.detach()[chosen].requires_grad_()
        self.slots = {name: slot[chosen] for name, slot in self.slots.items()}
        self.steps = self.steps[chosen]
        self._point()

    def _cut(self, row: Tensor) -> list[Tensor]:
        """Views of a row, in the parameters' shapes."""
        parts = torch.split(row, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _remembered(self, slot: str) -> list[Tensor]:
        """One row of it for each member; zeros where an optimizer has not begun."""
        rows = []
        for each, optimizer in zip(self._learnt, self._optimizers, strict=True):
            known = [(p, optimizer.state[p].get(slot)) for p in each.values()]
            parts = [torch.zeros_like(p) if held is None else held for p, held in known]
            rows.append(torch.cat([part.detach().flatten() for part in parts]))
        return rows

    def _step(self, row: int) -> Tensor:
        """How many steps a member's optimizer has counted."""
        parameter = next(iter(self._learnt[row].values()))
        step = self._optimizers[row].state[parameter].get("step", 0.0)
        return torch.as_tensor(step, dtype=torch.float32, device=parameter.device).clone()

    def _point(self) -> None:
        """Models and optimizers see their rows."""
        matrix = self.matrix.detach()
        for row, (each, optimizer) in enumerate(zip(self._learnt, self._optimizers, strict=True)):
            for parameter, part in zip(each.values(), self._cut(matrix[row]), strict=True):
                parameter.data = part
            for name, slot in self.slots.items():
                for parameter, part in zip(each.values(), self._cut(slot[row]), strict=True):
                    optimizer.state[parameter][name] = part
            for parameter in each.values() if self._counts else ():
                optimizer.state[parameter]["step"] = self.steps[row]


def learnt(model: nn.Module) -> dict[str, Parameter]:
    """What an optimizer moves, by name; of tied parameters one."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
